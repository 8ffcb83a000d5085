//! A controller elsewhere: where it is, and the token that is shown to it. The token also says whom to trust there.

use crate::access::ApiToken;
use crate::files;
use crate::pin;
use chatalot_console::client::{Dialling, Door, Peer, Wire};
use chatalot_console::exit::Failure;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::enrol::Pins;
use chatalot_protocol::secret::{Secret, carried};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The port where nothing is said.
const PORT: u16 = 8443;

/// A controller that is reached over the network.
pub(super) struct Remote {
    address: String,
    pins: Pins,
    token: Secret,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Remote {
    /// The controller at an address, and a token for it.
    pub(super) fn new(address: &str, token: &Secret) -> Result<Self, Failure> {
        let parsed: ApiToken = token
            .expose()
            .parse()
            .map_err(|error| Failure::Usage(format!("{error}")))?;
        Ok(Self {
            address: with_port(address),
            pins: parsed.pins,
            token: parsed.text(),
        })
    }

    /// Where it is.
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

impl Door for Remote {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async { Ok(Box::new(pin::connect(&self.address, self.pins).await?) as Box<dyn Wire>) })
    }

    fn token(&self) -> Option<&Secret> {
        Some(&self.token)
    }

    fn advice(&self, _: Peer, cause: &io::Error) -> Advice {
        let saw = format!("{}: {cause}", self.address);
        if cause.kind() == io::ErrorKind::InvalidData {
            return Advice::new(
                "CONTROLLER_IS_ANOTHER",
                saw,
                "the controller that made the token",
                "check the address; if the controller was set up anew, or its root replaced since the token was made, log in with a new token",
            );
        }
        Advice::new(
            "CONTROLLER_UNREACHABLE",
            saw,
            "the controller at this address",
            "check the address and that its port can be reached from here; there, `systemctl status chatalotctl`",
        )
    }
}

/// What `login` keeps, in a file that only its owner may read.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Login {
    /// `host:port`.
    pub(super) controller: String,
    #[serde(with = "carried")]
    token: Option<Secret>,
}

impl Login {
    /// For a controller.
    pub(super) fn new(controller: &str, token: Secret) -> Self {
        Self {
            controller: controller.to_owned(),
            token: Some(token),
        }
    }

    /// What was kept, if anything was.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let wrong = |why: String| Failure::Usage(format!("`{}`: {why}; log in again", path.display()));
        let Some(bytes) = files::read(path).map_err(|error| wrong(crate::chain(&error)))? else {
            return Ok(None);
        };
        let mode = std::fs::metadata(path)
            .map_err(|error| wrong(error.to_string()))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(wrong("others may read the token in it".to_owned()));
        }
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| wrong(error.to_string()))
    }

    /// Keeps it.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let kept = || {
            files::folder(path.parent().unwrap_or(Path::new("."))).map_err(|error| crate::chain(&error))?;
            let bytes = serde_json::to_vec(self).map_err(|error| error.to_string())?;
            files::write(path, &bytes).map_err(|error| crate::chain(&error))
        };
        kept().map_err(Failure::Usage)
    }

    /// The way to it.
    pub(super) fn remote(&self) -> Result<Remote, Failure> {
        let token = self.token.clone().unwrap_or_else(|| Secret::new(""));
        Remote::new(&self.controller, &token)
    }

    /// The token.
    pub(super) fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }
}

/// Where a login is kept for whoever types.
pub(super) fn kept_at() -> Option<PathBuf> {
    let var = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let config = var("XDG_CONFIG_HOME").or_else(|| Some(var("HOME")?.join(".config")))?;
    Some(config.join("chatalotctl").join("login.json"))
}

/// The token from the environment or a file; never from the command line, which everybody may read.
pub(super) fn given_token(file: Option<&Path>) -> Result<Option<Secret>, Failure> {
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("`{}`: {error}", path.display())))?;
        return Ok(Some(Secret::new(text.trim())));
    }
    let given = std::env::var("CHATALOTCTL_TOKEN").ok();
    Ok(given
        .filter(|token| !token.trim().is_empty())
        .map(|token| Secret::new(token.trim())))
}

fn with_port(address: &str) -> String {
    let address = address
        .trim()
        .trim_start_matches("https://")
        .trim_end_matches('/');
    let has_port = match address.rsplit_once(':') {
        // An IPv6 address has its port behind the bracket.
        Some((host, port)) => port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']')),
        None => false,
    };
    match (has_port, address.contains(':') && !address.starts_with('[')) {
        (true, _) => address.to_owned(),
        (false, true) => format!("[{address}]:{PORT}"),
        (false, false) => format!("{address}:{PORT}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_as_people_write_it() {
        assert_eq!(with_port("ctl.example.com"), "ctl.example.com:8443");
        assert_eq!(with_port("https://ctl.example.com/"), "ctl.example.com:8443");
        assert_eq!(with_port("192.0.2.1:9443"), "192.0.2.1:9443");
        assert_eq!(with_port("2001:db8::1"), "[2001:db8::1]:8443");
        assert_eq!(with_port("[2001:db8::1]:9443"), "[2001:db8::1]:9443");
    }

    #[test]
    fn a_login_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chatalotctl").join("login.json");
        let token = ApiToken::new([1; 32], [2; 8], [3; 32]).text();
        assert!(Login::read(&path).unwrap().is_none());
        Login::new("ctl:8443", token.clone()).write(&path).unwrap();
        let kept = Login::read(&path).unwrap().unwrap();
        assert_eq!(kept.token(), Some(&token));
        assert_eq!(kept.remote().unwrap().address(), "ctl:8443");
        assert!(!format!("{:?}", kept.remote().unwrap()).contains("cat1_"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Login::read(&path).is_err());
    }
}
