//! What dpkg was cut off in while it unpacked it.

use super::super::distro::Manager;
use super::super::{ActCx, StepError};
use super::failures::failure;

/// Tells which packages were cut off while they were unpacked: a name, a tab and `reinstreq` a line. Configuring them
/// does not mend that, and no other package manager than dpkg leaves any such.
pub const TORN: &[&str] = &["dpkg-query", "-W", "-f", "${Package}\\t${db:Status-Eflag}\\n"];

/// Where dpkg keeps what it has done and not yet written together.
pub const UPDATES: &str = "/var/lib/dpkg/updates";

/// Whether names in that folder say that dpkg was cut off: apt refuses to work then, though no package is half installed.
pub fn was_cut_off<'a>(mut updates: impl Iterator<Item = &'a str>) -> bool {
    updates.any(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Unpacks anew, with fresh lists, what was cut off while it was unpacked; whether there was any.
pub async fn unpack_torn(cx: &ActCx<'_>) -> Result<bool, StepError> {
    let distro = cx.look.distro;
    if distro.manager != Manager::Apt {
        return Ok(false);
    }
    let found = cx.look.host.query(distro.command(TORN, &[])).await?;
    let torn = found
        .stdout
        .lines()
        .filter_map(|line| line.strip_suffix("\treinstreq"));
    let torn: Vec<&str> = torn.collect();
    if torn.is_empty() {
        return Ok(false);
    }
    // Lists that are not quite fresh serve as well.
    cx.host.run(distro.command(distro.refresh, &[])).await?;
    let again: Vec<&str> = std::iter::once("--reinstall")
        .chain(torn.iter().copied())
        .collect();
    let unpacked = cx.host.run(distro.command(distro.install, &again)).await?;
    if unpacked.ok() {
        Ok(true)
    } else {
        Err(failure(distro, &unpacked, &torn))
    }
}
