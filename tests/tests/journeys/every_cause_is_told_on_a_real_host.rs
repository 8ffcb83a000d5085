//! One warm VPS on which everything goes wrong in turn, with real parts: `diagnose` names the cause first, and after
//! the fix it finds nothing more. What cannot be provoked here stands in [`law::ELSEWHERE`] with where it is; a row
//! of docs/diagnosis.md that is in neither fails the law.

mod admin;
mod answers;
mod case;
mod containers;
mod files;
mod front;
mod host;
mod installer;
mod law;
mod refusals;
mod secrets;
mod stops;
mod traefik;
mod turn;

use case::{Case, Warm};
use chatalot_tests::{Result, Sandbox, phase};

/// Cases, layer by layer; those that need the sandbox's name server are [`front::NAMES`].
const LAYERS: &[(&str, &[Case])] = &[
    ("the host", host::CASES),
    ("files", files::CASES),
    ("in the way", containers::IN_THE_WAY),
    ("containers", containers::CASES),
    ("front", front::CASES),
    ("turn", turn::CASES),
];

// coverage: real · Debian 13 · caddy · TURN, updater on, limited until admin
#[test]
fn strangers_wait_for_the_administrator_and_every_cause_is_told_first() -> Result<()> {
    let sandbox = Sandbox::up()?;
    let warm = phase("deployed, limited", || Warm::deployed(&sandbox))?;
    phase("the administrator", || admin::strangers_wait(&warm))?;
    // Asked without the daemon, diagnoses see what is mounted meanwhile, and nothing heals behind their back.
    warm.vps.must("systemctl stop chatalot-agent")?;
    for (layer, cases) in LAYERS {
        phase(layer, || warm.provoke(cases))?;
    }
    phase("answers", || answers::each_is_judged(&warm))?;
    phase("names", || front::names(&sandbox, &warm))?;
    warm.vps.must("systemctl start chatalot-agent")?;
    phase("a key without a copy", || {
        secrets::one_without_a_backup_is_made_anew_and_the_others_stay(&warm)
    })?;
    phase("what ends a deployment", || stops::each_is_told(&warm))?;
    phase("refusals of a registry", || refusals::each_is_told(&warm))
}
