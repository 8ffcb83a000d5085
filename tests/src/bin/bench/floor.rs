//! The smallest agent there can be, on the same host: one idle mutual TLS connection, the containers listed every 10 s. The
//! programs are others' (`floor CERTIFICATES SIGNATURE PORT`, and `mtls`, whose server it dials); they run only when named.

use super::idle::{SETTLE, pause};
use super::world::World;
use chatalot_tests::figures::{Bound, Figures};
use chatalot_tests::{Failed, Result};
use std::fs;
use std::path::Path;

const START: &str = "cd /tmp/reference && ./mtls gencerts certificates >/dev/null && \
    (setsid ./mtls server --dir certificates --port 9443 >/dev/null 2>&1 & echo $! >mtls.pid) && \
    until (exec 3<>/dev/tcp/127.0.0.1/9443) 2>/dev/null; do :; done && \
    (setsid ./floor certificates p256 9443 >/dev/null 2>&1 & echo $! >floor.pid)";
const RESIDENT: &str = "awk '/^Rss:/{print $2}' /proc/$(cat /tmp/reference/floor.pid)/smaps_rollup";
const END: &str = "cd /tmp/reference && kill $(cat floor.pid mtls.pid) && cd / && rm -r /tmp/reference";

/// Measures what the floor keeps resident, and how many times that `ours` is (both in kilobytes).
pub(crate) fn measure(world: &World, programs: &Path, ours: f64, figures: &mut Figures) -> Result<()> {
    let vps = &world.journey.vps;
    vps.must("mkdir -p /tmp/reference")?;
    for name in ["mtls", "floor"] {
        let path = programs.join(name);
        let program = fs::read(&path).map_err(|source| Failed::File {
            path: path.display().to_string(),
            source,
        })?;
        vps.write(&format!("/tmp/reference/{name}"), &program, 0o755)?;
    }
    vps.exec(&["bash", "-c", START])?.ok()?;
    pause(SETTLE);
    let resident: f64 = vps.must(RESIDENT)?.trim().parse().unwrap_or(f64::NAN);
    vps.must(END)?;
    figures.row(
        "    reference: the smallest agent",
        resident * 1024.0 / 1e6,
        "MB",
        Bound::None,
    );
    figures.row(
        "    times the smallest, resident",
        ours / resident,
        "",
        Bound::None,
    );
    Ok(())
}
