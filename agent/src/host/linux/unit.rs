//! systemd's units.

use super::process;
use crate::host::{Command, HostError, Unit};
use std::time::Duration;

/// Asks systemd for a unit, in one call.
pub(super) async fn unit(name: &str) -> Result<Unit, HostError> {
    let command = Command::new(
        "systemctl",
        &[
            "show",
            "--property=LoadState,ActiveState,UnitFileState",
            "--",
            name,
        ],
    )
    .deadline(Duration::from_secs(10));
    let output = process::query(&command).await?;
    if !output.ok() {
        return Err(HostError::Unknown {
            what: "a unit's state",
            why: output.last_lines(1).concat(),
        });
    }
    Ok(parse(&output.stdout))
}

/// Reads what `systemctl show` says.
pub fn parse(text: &str) -> Unit {
    let mut unit = Unit::default();
    for line in text.lines() {
        match line.split_once('=') {
            Some(("LoadState", state)) => unit.exists = !matches!(state, "not-found" | ""),
            Some(("ActiveState", state)) => unit.active = matches!(state, "active" | "reloading"),
            Some(("UnitFileState", state)) => unit.enabled = matches!(state, "enabled" | "alias"),
            _ => {}
        }
    }
    unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_known_running_and_enabled_as_systemd_says() {
        for (text, exists, active, enabled) in [
            (
                "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n",
                true,
                true,
                true,
            ),
            (
                "LoadState=loaded\nActiveState=failed\nUnitFileState=disabled\n",
                true,
                false,
                false,
            ),
            (
                "LoadState=loaded\nActiveState=activating\nUnitFileState=static\n",
                true,
                false,
                false,
            ),
            (
                "LoadState=masked\nActiveState=inactive\nUnitFileState=masked\n",
                true,
                false,
                false,
            ),
            (
                "LoadState=not-found\nActiveState=inactive\nUnitFileState=\n",
                false,
                false,
                false,
            ),
        ] {
            let wanted = Unit {
                exists,
                active,
                enabled,
            };
            assert_eq!(parse(text), wanted, "{text}");
        }
    }
}
