//! The table of targets.
//!
//! | module | what |
//! |---|---|
//! | `wire` | what travels between agent and controller |
//! | `joining` | tokens, certificate requests, and the exchange around them |
//! | `inputs` | site files, policies, and what a site may hold |
//! | `host` | what is read of a host: its files, its programs, its Engine |
//! | `answers` | what servers answer: chatalot, an issuer, a TURN server, anybody over HTTP |
//! | `doors` | requests to the agent's socket, and to the controller's socket and port |
//! | `output` | what a step's commands print |

mod answers;
mod doors;
mod host;
mod inputs;
mod joining;
mod output;
mod wire;

use chatalot_protocol::frame::MAX_CONTROL;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::sync::LazyLock;
use tokio::runtime::{Builder, Runtime};

/// One decoder, and what has to hold whatever it is given.
pub struct Target {
    /// Its name: that of the folder of its corpus, too.
    pub name: &'static str,
    /// What it reads, and whose bytes those are.
    pub decodes: &'static str,
    /// How long an input may be: where the real one is cut off or refused before it is read.
    pub longest: usize,
    /// Makes what outlives one input, so that it is not counted as held for it.
    pub prepare: fn(),
    /// Decodes, and panics where something does not hold.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, decodes: &'static str, run: fn(&[u8])) -> Target {
    Target {
        name,
        decodes,
        longest: MAX_CONTROL,
        prepare: || (),
        run,
    }
}

/// A target by its name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Every decoder that sees foreign bytes.
pub const TARGETS: &[Target] = &[
    target(
        "frame",
        "frames of either side: length, kind, log chunks",
        wire::frame,
    ),
    target("hello", "an agent's messages, the first among them", wire::hello),
    target("job", "a controller's messages, a job among them", wire::job),
    target(
        "event",
        "events of a host, and the lines in which they are watched",
        wire::event,
    ),
    target(
        "token",
        "join and API tokens, ids, hashes and anchors, as somebody types them",
        joining::token,
    ),
    Target {
        prepare: joining::open,
        ..target(
            "csr",
            "certificate requests, and what a certificate for one says",
            joining::csr,
        )
    },
    Target {
        prepare: joining::open,
        ..target(
            "exchange",
            "requests to join and to renew, their answers, agents' certificates",
            joining::exchange,
        )
    },
    target("policy", "the host's policy file", inputs::policy),
    Target {
        prepare: inputs::open,
        ..target("site-file", "an operator's site file", inputs::site_file)
    },
    target(
        "installer-output",
        "what chatalot's installer prints",
        host::installer_output,
    ),
    target(
        "host-files",
        "os-release, resolv.conf, hosts, cgroups, units, netlink",
        host::files,
    ),
    target(
        "host-says",
        "every file, program, page and container that a step looks at",
        host::says,
    ),
    target(
        "override",
        "an operator's compose override, and what compose makes of it",
        host::compose_override,
    ),
    Target {
        prepare: host::open_engine,
        ..target("engine", "the Docker Engine's answers and events", host::engine)
    },
    target(
        "health-body",
        "chatalot's health answer, and an issuer's discovery document",
        answers::health_body,
    ),
    Target {
        prepare: answers::open,
        ..target("page", "an HTTP server's answer", answers::page)
    },
    target("stun", "a TURN server's answers", answers::stun),
    Target {
        prepare: doors::open_agent,
        ..target(
            "local-request",
            "requests on the agent's unix socket",
            doors::local_request,
        )
    },
    Target {
        prepare: doors::open_controller,
        ..target(
            "operator-request",
            "requests on the controller's unix socket",
            doors::operator_request,
        )
    },
    Target {
        prepare: doors::open_controller,
        ..target(
            "visit",
            "requests on the controller's port, by whoever comes",
            doors::visitor,
        )
    },
    target(
        "output",
        "what a step's commands print, secrets among it, in any pieces",
        output::scrubbed,
    ),
    target(
        "shown",
        "any text of a host on its way to a terminal",
        output::shown,
    ),
];

/// Reads JSON; what is read is written and read again, and is still the same.
fn again<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&read).expect("what was read can be written");
    let back: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(back, read, "it comes back as it went");
    Some(read)
}

/// The parts of an input that stands for several things: a NUL byte is between each two.
fn parts<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut parts = input.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// The same as text.
fn texts<const N: usize>(input: &[u8]) -> [String; N] {
    parts(input).map(|part| String::from_utf8_lossy(part).into_owned())
}

static SCRATCH: LazyLock<PathBuf> = LazyLock::new(|| tempfile::tempdir().unwrap().keep());

/// A folder for what outlives one input.
fn scratch(name: &str) -> PathBuf {
    let folder = SCRATCH.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Removes what the targets have left on the disk; none may be fed after it.
pub fn sweep() {
    std::fs::remove_dir_all(&*SCRATCH).unwrap();
}

/// What a server is asked within, so that one that never answers is found.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// A runtime of one thread, as a daemon has.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}
