//! The bootstrap script and the agents' binaries, bound to each other by checksum.

use crate::ca::sha256;
use crate::http::{self, Reply};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::enrol::hex;
use hyper::StatusCode;
use std::fmt::Write;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What is served, less its last line.
const SCRIPT: &str = include_str!("../../../packaging/bootstrap.sh");
/// That line. What replaces it ends in a quoted pin, without which the script refuses: a script that was cut short
/// anywhere, within that line too, does nothing.
const LAST_LINE: &str = "main \"$@\"";

/// The script of one controller.
pub struct Bootstrap {
    address: String,
    pins: Pins,
    binaries: Vec<Binary>,
}

/// Tells curl's pins as they are at this moment.
type Pins = Box<dyn Fn() -> String + Send + Sync>;

struct Binary {
    architecture: &'static str,
    path: PathBuf,
    known: Mutex<Option<(Stamp, String)>>,
}

/// What tells a file from the one that was there before.
type Stamp = (u64, u64, i64, i64);

impl Bootstrap {
    /// For the address that hosts dial and curl's pins.
    pub fn new(
        address: String,
        pins: impl Fn() -> String + Send + Sync + 'static,
        binaries: &[(&'static str, PathBuf)],
    ) -> Self {
        let binaries = binaries.iter().map(|(architecture, path)| Binary {
            architecture,
            path: path.clone(),
            known: Mutex::new(None),
        });
        Self {
            address,
            pins: Box::new(pins),
            binaries: binaries.collect(),
        }
    }

    /// The address that hosts dial.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The command that fetches the script.
    pub fn fetch(&self) -> String {
        format!(
            "curl --proto '=https' --tlsv1.3 --http1.1 -fsSk --pinnedpubkey '{}' https://{}/i -o chatalot-join.sh",
            (self.pins)(),
            self.address
        )
    }

    /// The whole line that root runs on a host: fetch, then run with the token.
    pub fn one_liner(&self, token: &str) -> String {
        format!("{} && CHATALOT_JOIN={token} sh chatalot-join.sh", self.fetch())
    }

    /// The script.
    pub(super) async fn script(&self) -> Reply {
        let mut last = format!("main --controller '{}'", self.address);
        let mut found = 0;
        for binary in &self.binaries {
            match binary.checksum().await {
                Ok(checksum) => {
                    found += 1;
                    // Writing to a string does not fail.
                    let _ = write!(last, " --sha256-{} {checksum}", binary.architecture);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    log::error!(path:% = binary.path.display(), error:% = error; "cannot read the agent's binary");
                }
            }
        }
        if found == 0 {
            return self.no_binary();
        }
        http::text(format!("{}{last} --pin '{}'\n", script(), (self.pins)()))
    }

    /// The agent's binary for an architecture.
    pub(super) async fn binary(&self, architecture: &str) -> Reply {
        let binary = self
            .binaries
            .iter()
            .find(|binary| binary.architecture == architecture);
        match binary {
            Some(binary) => match tokio::fs::File::open(&binary.path).await {
                Ok(file) => http::file(file).await,
                Err(_) => self.no_binary(),
            },
            None => http::nothing_here(),
        }
    }

    fn no_binary(&self) -> Reply {
        let wanted: Vec<String> = self
            .binaries
            .iter()
            .map(|binary| binary.path.display().to_string())
            .collect();
        log::error!(wanted:% = wanted.join(", "); "there is no agent's binary to serve");
        http::refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            &Advice::new(
                "AGENT_BINARY_MISSING",
                "the controller has no agent's binary for this processor",
                "the binary of chatalot-agent",
                "on the controller: install the package, or start `chatalotctl serve` with --agent-binary PATH",
            ),
        )
    }
}

impl Binary {
    /// The file's SHA-256, computed again only when the file is another one.
    async fn checksum(&self) -> io::Result<String> {
        let stamp = stamp(&tokio::fs::metadata(&self.path).await?);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, checksum)) = known.filter(|(then, _)| *then == stamp) {
            return Ok(checksum);
        }
        let path = self.path.clone();
        let checksum = tokio::task::spawn_blocking(move || read_checksum(&path))
            .await
            .map_err(io::Error::other)??;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((stamp, checksum.clone()));
        Ok(checksum)
    }
}

fn stamp(found: &Metadata) -> Stamp {
    (found.ino(), found.len(), found.mtime(), found.mtime_nsec())
}

fn read_checksum(path: &Path) -> io::Result<String> {
    Ok(hex(&sha256(&fs::read(path)?)))
}

/// The script without its last line.
fn script() -> &'static str {
    let script = SCRIPT.trim_end();
    script.strip_suffix(LAST_LINE).unwrap_or(script)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn the_script_ends_in_one_line_with_address_pins_and_checksums() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent");
        fs::write(&path, b"abc").unwrap();
        let binaries = [("x86_64", path), ("aarch64", folder.path().join("none"))];
        let bootstrap = Bootstrap::new("ctl:8443".into(), || "sha256//A;sha256//B".into(), &binaries);
        let body = bootstrap
            .script()
            .await
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(text.matches(LAST_LINE).count(), 0);
        assert_eq!(
            text.lines().last().unwrap(),
            "main --controller 'ctl:8443' \
             --sha256-x86_64 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad \
             --pin 'sha256//A;sha256//B'"
        );
    }

    #[test]
    fn the_shipped_script_ends_in_the_line_that_is_replaced() {
        assert!(SCRIPT.trim_end().ends_with("\nmain \"$@\""));
    }

    #[test]
    fn the_one_liner_checks_the_pin_and_follows_nothing() {
        let bootstrap = Bootstrap::new("ctl:8443".into(), || "sha256//A;sha256//B".into(), &[]);
        assert_eq!(
            bootstrap.one_liner("cja1_x"),
            "curl --proto '=https' --tlsv1.3 --http1.1 -fsSk --pinnedpubkey 'sha256//A;sha256//B' \
             https://ctl:8443/i -o chatalot-join.sh && CHATALOT_JOIN=cja1_x sh chatalot-join.sh"
        );
    }
}
