//! What the installer's failures mean.

use crate::host::{HostError, Output};
use crate::runbook::StepError;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::Site;

struct Failure {
    /// Its exit code, where that tells.
    exit: Option<i32>,
    /// Any of these in its output.
    signs: &'static [&'static str],
    code: &'static str,
    passes: bool,
    wanted: &'static str,
    fix: &'static str,
}

const ANY: Failure = Failure {
    exit: None,
    signs: &[],
    code: "INSTALLER_FAILED",
    passes: false,
    wanted: "an installer that ends with exit code 0",
    fix: "read the lines below: the last block is almost always the reason; mend it, then deploy again",
};

/// The first row that fits, from the clearest sign to the vaguest.
const FAILURES: &[Failure] = &[
    Failure {
        signs: &[
            "Docker daemon is not running",
            "Cannot connect to the Docker daemon",
        ],
        code: "ENGINE_DOWN",
        wanted: "a running Docker Engine",
        fix: "run `systemctl enable --now docker`, then deploy again",
        ..ANY
    },
    Failure {
        exit: Some(2),
        signs: &[
            "missing more flags",
            "unknown flag",
            "missing required",
            "needs a value",
        ],
        code: "INSTALLER_MISSING_FLAGS",
        wanted: "an installer that is content with the runbook's flags",
        fix: "see which flags the lines below name; deploy with the inputs behind them, or with another reference",
        ..ANY
    },
    Failure {
        signs: &["toomanyrequests", "429 Too Many Requests", "rate limit"],
        code: "REGISTRY_RATE_LIMITED",
        passes: true,
        wanted: "a registry that hands out the images",
        fix: "wait for the registry's limit to pass, or deploy with registry credentials",
        ..ANY
    },
    Failure {
        signs: &["manifest unknown", "manifest for "],
        code: "IMAGE_UNKNOWN",
        wanted: "a registry that has the images of this version",
        fix: "deploy with a reference whose images were published, or wait until they are",
        ..ANY
    },
    Failure {
        signs: &[
            "401 Unauthorized",
            "unauthorized:",
            "authentication required",
            "no basic auth credentials",
            "access denied",
            "access to the resource is denied",
            "Error response from daemon: denied",
            "error from registry: denied",
            "403 Forbidden",
        ],
        code: "REGISTRY_DENIED",
        wanted: "a registry that hands out the images to these credentials",
        fix: "deploy again with registry_user and registry_token of an account that may read the images",
        ..ANY
    },
    Failure {
        signs: &["No space left on device", "no space left on device"],
        code: "DISK_FULL",
        wanted: "room for the images",
        fix: "free at least 4 GiB (`docker image prune`, `journalctl --vacuum-size=100M`), then deploy again",
        ..ANY
    },
    Failure {
        signs: &[
            "unexpected digest",
            "failed size validation",
            "digest mismatch",
            "filesystem layer verification failed",
            "image config verification failed",
        ],
        code: "IMAGE_DAMAGED",
        passes: true,
        wanted: "images that arrive whole",
        fix: "deploy again; if it repeats, a proxy or the registry between damages them",
        ..ANY
    },
    Failure {
        signs: &["is already in use by container"],
        code: "CONTAINER_NAME_TAKEN",
        wanted: "chatalot's container names free",
        fix: "see whose it is (`docker ps -a`), remove it yourself if it is not needed, then deploy again",
        ..ANY
    },
    Failure {
        signs: &["address already in use", "port is already allocated"],
        code: "PORT_TAKEN",
        wanted: "the ports of chatalot free",
        fix: "see who has them (`ss -tulnp`), stop it if it is not needed, then deploy again",
        ..ANY
    },
    Failure {
        signs: &["password authentication failed"],
        code: "DATABASE_PASSWORD",
        wanted: "the .env that belongs to the database",
        fix: "restore the .env that the database volume was made with, then deploy again",
        ..ANY
    },
    Failure {
        signs: &["dependency failed to start: container chatalot-db"],
        code: "DATABASE_DOWN",
        passes: true,
        wanted: "a database that is healthy when chatalot is to start",
        fix: "see what is wrong with it (`docker logs --tail 50 chatalot-db`), mend that, then deploy again",
        ..ANY
    },
    Failure {
        signs: &["dependency failed to start"],
        code: "CONTAINERS_DOWN",
        passes: true,
        wanted: "the containers up and healthy that others wait for",
        fix: "see why the one that the lines below name is not (`docker logs --tail 50` with its name), mend that, then deploy again",
        ..ANY
    },
    Failure {
        signs: &["bind source path does not exist"],
        code: "SECRET_FILE_MISSING",
        wanted: "every file under secrets/ that the compose file names",
        fix: "restore the missing file from the backup; where there is none, deploy again with --overwrite-env: what is missing is made anew, and the rest is kept",
        ..ANY
    },
    Failure {
        signs: &[
            "i/o timeout",
            "TLS handshake timeout",
            "no such host",
            "Temporary failure in name resolution",
            "server misbehaving",
            "connection reset by peer",
            "\": dial tcp",
            "network is unreachable",
            "no route to host",
            "unexpected EOF",
            "context deadline exceeded",
            "Client.Timeout exceeded",
            "502 Bad Gateway",
            "503 Service Unavailable",
        ],
        code: "IMAGES_UNREACHABLE",
        passes: true,
        wanted: "an answer from the images' registry",
        fix: "see that the host reaches the registry that the lines below name (name resolution, firewall, proxy), then deploy again",
        ..ANY
    },
];

/// Finds the reason in an installer's exit code and output.
pub(super) fn failure(site: &Site, output: &Output) -> StepError {
    let evidence = output.last_lines(15);
    // The reason is in the last block; what scrolled by before it was survived.
    let last = output.last_lines(40).join("\n");
    let row = FAILURES
        .iter()
        .find(|row| {
            row.exit.is_none_or(|code| code == output.code)
                && row.signs.iter().any(|sign| last.contains(sign))
        })
        .unwrap_or(&ANY);
    let saw = format!(
        "the installer in {} ended with exit code {}",
        site.folder, output.code
    );
    let advice = Advice::new(row.code, saw, row.wanted, row.fix).with_evidence(evidence);
    if row.passes {
        StepError::passing(advice)
    } else {
        StepError::last(advice)
    }
}

/// An installer that was ended for its silence or its time: what it last said, as far as that is known.
pub(super) fn broken_off(site: &Site, error: HostError) -> StepError {
    let (how, said) = match error {
        HostError::Idle { seconds, said, .. } => (format!("wrote nothing for {seconds} s"), said),
        HostError::Deadline { seconds, said, .. } => (format!("did not end within {seconds} s"), said),
        other => return other.into(),
    };
    StepError::last(
        Advice::new(
            "INSTALLER_HUNG",
            format!("the installer in {} {how} and was ended", site.folder),
            "an installer that goes on and ends",
            "see what the lines below wait for (a slow network, a question, a lock), mend it, then deploy again",
        )
        .with_evidence(said),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::inputs::Inputs;

    fn failed(code: i32, text: &str) -> String {
        let inputs = Inputs {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            ..Inputs::default()
        };
        let output = Output {
            code,
            stdout: text.into(),
            stderr: String::new(),
        };
        match failure(&inputs.complete().unwrap().0, &output) {
            StepError::Final(advice) => advice.code.to_string(),
            StepError::Passing(advice) => format!("passing {}", advice.code),
            other => other.to_string(),
        }
    }

    #[test]
    fn the_runbooks_own_failures_are_known() {
        // The runbook's own words.
        assert_eq!(
            failed(2, "missing more flags: --domain"),
            "INSTALLER_MISSING_FLAGS"
        );
        assert_eq!(failed(1, "Docker daemon is not running"), "ENGINE_DOWN");
        assert_eq!(failed(7, "something else"), "INSTALLER_FAILED");
    }

    #[test]
    fn f53_a_registrys_refusals_are_told_apart() {
        // Assumed, but for those that name an Engine.
        assert_eq!(
            failed(
                1,
                "Error response from daemon: unauthorized: authentication required"
            ),
            "REGISTRY_DENIED"
        );
        // Engine 20.10.
        let no_tag = "Error response from daemon: manifest for registry.example.net/chatalot/server:9 not found: manifest unknown: manifest unknown";
        assert_eq!(failed(1, no_tag), "IMAGE_UNKNOWN");
        assert_eq!(
            failed(1, "toomanyrequests: You have reached your pull rate limit"),
            "passing REGISTRY_RATE_LIMITED"
        );
        assert_eq!(
            failed(1, "failed commit on ref \"x\": unexpected digest"),
            "passing IMAGE_DAMAGED"
        );
        // Engine 20.10.
        let no_name = "Error response from daemon: Get \"https://registry.invalid/v2/\": dial tcp: lookup registry.invalid on 192.0.2.53:53: no such host";
        assert_eq!(failed(1, no_name), "passing IMAGES_UNREACHABLE");
        // As Engine 26 said both to a small server on the host.
        let refused = "Error response from daemon: Get \"http://127.0.0.1:5001/v2/\": dial tcp 127.0.0.1:5001: connect: connection refused";
        assert_eq!(failed(1, refused), "passing IMAGES_UNREACHABLE");
        let unknown = "Error response from daemon: Head \"http://127.0.0.1:5001/v2/x/manifests/1\": no basic auth credentials";
        assert_eq!(failed(1, unknown), "REGISTRY_DENIED");
        assert_eq!(
            failed(18, "net/http: TLS handshake timeout"),
            "passing IMAGES_UNREACHABLE"
        );
    }

    #[test]
    fn a_file_that_may_not_be_run_is_not_a_registrys_refusal() {
        // Assumed, all of them.
        for local in [
            "./scripts/install.sh: line 9: ./lib.sh: permission denied: x",
            "open /var/lib/docker/tmp: permission denied: try sudo",
        ] {
            assert_eq!(failed(1, local), "INSTALLER_FAILED");
        }
        for registry in [
            "pull access denied for chatalot, repository does not exist",
            "denied: requested access to the resource is denied",
            "Error response from daemon: denied",
        ] {
            assert_eq!(failed(1, registry), "REGISTRY_DENIED");
        }
    }

    #[test]
    fn a_database_that_is_not_well_yet_is_waited_for() {
        // As compose 2 said it of a database that had been paused.
        let said = "dependency failed to start: container chatalot-db is unhealthy";
        assert_eq!(failed(1, said), "passing DATABASE_DOWN");
        // It is not the only one that others wait for.
        let other = "dependency failed to start: container chatalot-socket-proxy is unhealthy";
        assert_eq!(failed(1, other), "passing CONTAINERS_DOWN");
    }

    #[test]
    fn f54_left_overs_are_named() {
        assert_eq!(
            failed(
                1,
                // Engine 20.10 said both.
                "Conflict. The container name \"/chatalot-db\" is already in use by container \"abc\"."
            ),
            "CONTAINER_NAME_TAKEN"
        );
        assert_eq!(
            failed(
                1,
                "driver failed programming external connectivity on endpoint x (97695910488d): Bind for 127.0.0.1:48999 failed: port is already allocated"
            ),
            "PORT_TAKEN"
        );
    }

    #[test]
    fn an_installer_that_was_ended_is_told_with_what_it_last_said() {
        let inputs = Inputs {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            ..Inputs::default()
        };
        let silent = HostError::Idle {
            program: "install.sh".into(),
            seconds: 900,
            said: vec!["Continue? [y/N]".into()],
        };
        let StepError::Final(advice) = broken_off(&inputs.complete().unwrap().0, silent) else {
            panic!("not final");
        };
        assert_eq!(advice.code, "INSTALLER_HUNG");
        assert_eq!(advice.evidence, ["Continue? [y/N]"]);
    }

    #[test]
    fn what_scrolled_by_long_ago_is_not_the_reason() {
        let text = format!("i/o timeout, retrying\n{}boom", "ok\n".repeat(60));
        assert_eq!(failed(1, &text), "INSTALLER_FAILED");
    }
}
