//! The table of targets.
//!
//! | module | what |
//! |---|---|
//! | `wire` | what travels between agent and controller |
//! | `joining` | tokens, certificate requests, and the exchange around them |
//! | `approval` | joining without a secret |
//! | `outside` | looking at a site from outside |
//! | `inputs` | site files, policies, and what a site may hold |
//! | `host` | what is read of a host's files, and of the installer's output |
//! | `says` | a host of which everything is somebody else's word |
//! | `engine` | the Docker Engine |
//! | `answers` | what servers answer: chatalot, an issuer, a TURN server, anybody over HTTP |
//! | `doors` | requests to the agent's socket, and to the controller's socket and port |
//! | `output` | what a step's commands print |

mod answers;
mod approval;
mod doors;
mod engine;
mod host;
mod inputs;
mod joining;
mod output;
mod outside;
mod says;
mod wire;

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
    /// How long an input may be: a ceiling of the decoder itself, or far more than the real one ever has.
    pub longest: usize,
    /// How much it may hold in memory however short its input is.
    pub always: usize,
    /// Makes what outlives one input, so that it is not counted as held for it.
    pub prepare: fn(),
    /// Decodes, and panics where something does not hold.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($(
        $name:literal $kib:literal KiB $(within $mib:literal MiB)?: $decodes:literal
            => $module:ident::$run:ident $(after $open:ident)?;
    )*) => {
        &[$(Target {
            name: $name,
            decodes: $decodes,
            longest: $kib << 10,
            always: { let most: &[usize] = &[1 $(, $mib)?]; most[most.len() - 1] << 20 },
            prepare: || { $($module::$open();)? },
            run: $module::$run,
        }),*]
    };
}

/// Every decoder that sees foreign bytes. Where a host's own secrets are scrubbed out of what is told, the tables that find
/// them take some megabytes, of which there is a ceiling.
pub const TARGETS: &[Target] = targets! {
    "frame" 1024 KiB: "frames of either side: length, kind, log chunks" => wire::frame;
    "hello" 1024 KiB: "an agent's messages, the first among them" => wire::hello;
    "job" 1024 KiB: "a controller's messages, a job among them" => wire::job;
    "event" 1024 KiB: "events of a host, and the lines in which they are watched" => wire::event;
    "token" 4 KiB: "join and API tokens, ids, hashes and anchors, as somebody types them" => joining::token;
    "csr" 16 KiB: "certificate requests, and what a certificate for one says" => joining::csr after open;
    "exchange" 16 KiB: "requests to join and to renew, their answers, certificates, audits" => joining::exchange after open;
    "approval" 16 KiB: "invitations, and requests to join that wait for approval" => approval::approval after open;
    "outside" 64 KiB: "a wish to be looked at from outside, what was seen, questions and answers at the doors" => outside::outside;
    "behind-door" 64 KiB: "what a site says to whom looks from outside: a number, a binding, health, a WebSocket" => outside::behind after open;
    "policy" 1024 KiB: "the host's policy file" => inputs::policy;
    "site-file" 64 KiB: "an operator's site file" => inputs::site_file after open;
    "installer-output" 64 KiB: "what chatalot's installer prints" => host::installer_output;
    "host-files" 1024 KiB: "os-release, resolv.conf, hosts, cgroups, units, mounts, sockets" => host::files;
    "host-says" 16 KiB within 64 MiB: "every file, program, page and container that a step looks at" => says::says;
    "repository-key" 64 KiB: "the OpenPGP key of a package repository" => host::repository_key;
    "override" 64 KiB: "an operator's compose override, and what compose makes of it" => host::compose_override;
    "engine" 256 KiB: "the Docker Engine's answers and events" => engine::engine after open;
    "health-body" 64 KiB: "chatalot's health answer, and an issuer's discovery document" => answers::health_body;
    "page" 128 KiB: "an HTTP server's answer" => answers::page after open;
    "stun" 4 KiB: "a TURN server's answers" => answers::stun;
    "local-request" 1024 KiB: "requests on the agent's unix socket" => doors::local_request after open_agent;
    "operator-request" 1024 KiB: "requests on the controller's unix socket" => doors::operator_request after open_controller;
    "visit" 1024 KiB: "requests on the controller's port, by whoever comes" => doors::visitor after open_controller;
    "output" 64 KiB within 16 MiB: "what a step's commands print, secrets among it, in any pieces" => output::scrubbed;
    "shown" 64 KiB: "any text of a host on its way to a terminal" => output::shown;
};

/// A target by its name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

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
