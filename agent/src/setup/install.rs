//! Installing and upgrading.

use super::{
    CONFIG_TEXT, PROGRAM, SetupError, UNIT, UNIT_NAME, UNIT_TEXT, judge_host, leave, rules, state, systemctl,
};
use crate::config;
use crate::host::linux::LinuxHost;
use crate::host::linux::files::{make_folder, replace};
use crate::link::identity::{self, Identity, IdentityError};
use crate::link::join;
use crate::policy;
use chatalot_protocol::enrol::JoinToken;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What is to be installed.
#[derive(Debug, Clone)]
pub struct Install {
    /// The controller to join, as `host:port`; none to stand alone.
    pub controller: Option<String>,
    /// The token to join it with; not needed where the host has joined already.
    pub token: Option<JoinToken>,
    /// Whether a token that is given replaces an identity of the same controller.
    pub anew: bool,
}

/// Installs this very program, or upgrades to it; `say` is told each thing done.
pub async fn install(host: &LinuxHost, order: &Install, say: &mut dyn FnMut(&str)) -> Result<(), SetupError> {
    judge_host()?;
    let before = [PROGRAM, UNIT].map(|path| Before::of(Path::new(path)));
    let first = before[0].content.is_none();
    let done = steps(host, order, say).await;
    if let Err(error) = done {
        say("it failed; taking back what was done");
        let taken_back = if first {
            leave::take_back(host).await
        } else {
            put_back(host, &before).await
        };
        if let Err(second) = taken_back {
            log::error!(error = crate::chain(&second); "not everything could be taken back");
        }
        return Err(error);
    }
    say(if first {
        "the agent is installed and runs"
    } else {
        "the agent is upgraded and runs"
    });
    Ok(())
}

async fn steps(host: &LinuxHost, order: &Install, say: &mut dyn FnMut(&str)) -> Result<(), SetupError> {
    let myself = fs::read("/proc/self/exe").map_err(|error| file("read", "/proc/self/exe", error))?;
    replace(Path::new(PROGRAM), &myself, 0o755).map_err(|error| file("write", PROGRAM, error))?;
    say(&format!("installed {PROGRAM}"));
    make_folder(state(), 0o700)?;
    let folder = Path::new(config::PATH).parent().unwrap_or(Path::new("/etc"));
    make_folder(folder, 0o755)?;
    if !Path::new(config::PATH).exists() {
        replace(Path::new(config::PATH), CONFIG_TEXT.as_bytes(), 0o644)
            .map_err(|error| file("write", config::PATH, error))?;
    }
    if let Some(controller) = &order.controller {
        join_once(host, controller, order, say).await?;
    }
    rules::begin(Path::new(policy::PATH), state(), say)?;
    replace(Path::new(UNIT), UNIT_TEXT.as_bytes(), 0o644).map_err(|error| file("write", UNIT, error))?;
    systemctl(host, &["daemon-reload"]).await?;
    systemctl(host, &["enable", "--quiet", UNIT_NAME]).await?;
    systemctl(host, &["restart", UNIT_NAME]).await?;
    say(&format!("started {UNIT_NAME}"));
    Ok(())
}

/// What joining comes to.
#[derive(Debug, PartialEq, Eq)]
enum Joining<'a> {
    Keep(String),
    Join(&'a JoinToken),
}

/// The same line run again changes nothing: an identity of this controller is kept, unless it is damaged or is to be
/// replaced.
fn decide<'a>(
    present: Result<Option<Identity>, IdentityError>,
    controller: &str,
    order: &'a Install,
) -> Result<Joining<'a>, SetupError> {
    match (present, &order.token) {
        (Ok(Some(identity)), token)
            if identity.membership.controller == controller && !(order.anew && token.is_some()) =>
        {
            Ok(Joining::Keep(identity.membership.name.to_string()))
        }
        (_, Some(token)) => Ok(Joining::Join(token)),
        (Err(error), None) => Err(SetupError::advice(
            "IDENTITY_DAMAGED",
            crate::chain(&error),
            "a whole identity, or a join token for a new one",
            "run `chatalotctl host add NAME` with this host's name again and the line that it prints",
        )),
        (Ok(_), None) => Err(SetupError::advice(
            "TOKEN_MISSING",
            "no join token in the environment",
            "a token from `chatalotctl host add NAME`",
            "run the whole printed line, which starts with CHATALOT_JOIN=…",
        )),
    }
}

async fn join_once(
    host: &LinuxHost,
    controller: &str,
    order: &Install,
    say: &mut dyn FnMut(&str),
) -> Result<(), SetupError> {
    match decide(identity::load(state()), controller, order)? {
        Joining::Keep(name) => say(&format!("keeps its identity as {name}")),
        Joining::Join(token) => {
            let reply = join::join(host, state(), controller, token).await?;
            say(&format!("joined {controller} as {}", reply.name));
        }
    }
    Ok(())
}

/// A file as it was.
struct Before {
    path: PathBuf,
    content: Option<Vec<u8>>,
    mode: u32,
}

impl Before {
    fn of(path: &Path) -> Self {
        let mode = fs::metadata(path).map_or(0o644, |facts| facts.permissions().mode() & 0o7777);
        Self {
            path: path.to_owned(),
            content: fs::read(path).ok(),
            mode,
        }
    }

    fn put_back(&self) -> Result<(), SetupError> {
        match &self.content {
            Some(content) => replace(&self.path, content, self.mode).map_err(|source| SetupError::File {
                verb: "write",
                path: self.path.clone(),
                source,
            }),
            None => leave::remove(&self.path, fs::remove_file),
        }
    }
}

/// An upgrade that failed: the old binary again, under its old unit.
async fn put_back(host: &LinuxHost, before: &[Before]) -> Result<(), SetupError> {
    before.iter().try_for_each(Before::put_back)?;
    systemctl(host, &["daemon-reload"]).await?;
    if before.iter().all(|file| file.content.is_some()) {
        systemctl(host, &["restart", UNIT_NAME]).await?;
    }
    Ok(())
}

fn file(verb: &'static str, path: &str, source: io::Error) -> SetupError {
    SetupError::File {
        verb,
        path: PathBuf::from(path),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::enrol::hex;
    use chatalot_protocol::names::HostId;
    use chatalot_protocol::secret::Secret;

    fn order(anew: bool, with_token: bool) -> Install {
        let token = JoinToken {
            pins: [7; 32].into(),
            id: [1; 8],
            secret: Secret::new(hex(&[9; 32])),
        };
        Install {
            controller: Some("ctl:1".to_owned()),
            token: with_token.then_some(token),
            anew,
        }
    }

    fn member() -> Identity {
        let key = rcgen::KeyPair::generate().unwrap();
        Identity {
            membership: identity::Membership {
                controller: "ctl:1".to_owned(),
                cluster: uuid::Uuid::nil(),
                host: HostId::fresh(),
                name: "chat-1".parse().unwrap(),
                stream: uuid::Uuid::nil(),
                renewal: identity::Renewal::default(),
                trusts: 1,
            },
            chain: Vec::new(),
            key: rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            authorities: Vec::new(),
        }
    }

    fn damaged() -> Result<Option<Identity>, IdentityError> {
        Err(IdentityError::Damaged {
            path: "identity".into(),
            why: "torn".to_owned(),
        })
    }

    #[test]
    fn the_same_line_again_keeps_the_identity_and_joining_on_purpose_replaces_it() {
        let joins = |present, controller: &str, order: &Install| {
            matches!(decide(present, controller, order), Ok(Joining::Join(_)))
        };
        assert!(!joins(Ok(Some(member())), "ctl:1", &order(false, true)));
        assert!(!joins(Ok(Some(member())), "ctl:1", &order(true, false)));
        assert!(joins(Ok(Some(member())), "ctl:1", &order(true, true)));
        assert!(joins(Ok(Some(member())), "other:1", &order(false, true)));
        assert!(joins(Ok(None), "ctl:1", &order(false, true)));
    }

    #[test]
    fn a_damaged_identity_counts_as_none_where_there_is_a_token_and_is_named_where_there_is_not() {
        let token = order(false, true);
        assert!(matches!(decide(damaged(), "ctl:1", &token), Ok(Joining::Join(_))));
        let code = |present| {
            decide(present, "ctl:1", &order(false, false))
                .unwrap_err()
                .told()
                .code
        };
        assert_eq!(code(damaged()), "IDENTITY_DAMAGED");
        assert_eq!(code(Ok(None)), "TOKEN_MISSING");
    }

    #[test]
    fn an_upgrade_that_failed_has_binary_and_unit_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let [program, unit] = ["agent", "agent.service"].map(|name| folder.path().join(name));
        fs::write(&program, "old").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let before = [&program, &unit].map(|path| Before::of(path));
        replace(&program, b"new", 0o600).unwrap();
        replace(&unit, b"new", 0o644).unwrap();
        before.iter().try_for_each(Before::put_back).unwrap();
        assert_eq!(fs::read(&program).unwrap(), b"old");
        assert_eq!(
            fs::metadata(&program).unwrap().permissions().mode() & 0o777,
            0o755
        );
        assert!(!unit.exists());
    }
}
