//! Agents that are told to end, killed agents, restarted controllers, cut wires and reboots, at a step of every chapter: each deployment goes on by
//! itself and ends in the same state. Two journeys hit every chapter twice and every fault at least three times;
//! with `CHATALOT_FULL=1` four journeys hit every chapter with every fault.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use chatalot_tests::{Journey, Result, Sandbox, phase};

const STEPS: [&str; 7] = [
    "preflight.dns",
    "packages.install",
    "checkout.clone",
    "install.run",
    "proxy.site",
    "verify.public",
    "handover.report",
];
const PATIENCE: Duration = Duration::from_mins(10);
/// Long enough for a peer to notice, short enough for a test.
const CUT: Duration = Duration::from_secs(8);

/// How long the agent has to end when it is told to.
const ENDED: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
enum Fault {
    KillAgent,
    RestartController,
    CutNetwork,
    Reboot,
}

const FAULTS: [Fault; 4] = [
    Fault::KillAgent,
    Fault::RestartController,
    Fault::CutNetwork,
    Fault::Reboot,
];

impl Fault {
    fn strike(self, journey: &mut Journey) -> Result<()> {
        match self {
            Self::KillAgent => {
                journey
                    .vps
                    .must("systemctl kill --signal=KILL --kill-whom=main chatalot-agent")?;
            }
            Self::RestartController => journey.controller.kill_and_restart()?,
            Self::CutNetwork => {
                journey.vps.cut_network()?;
                thread::park_timeout(CUT);
                journey.vps.restore_network()?;
            }
            Self::Reboot => journey.vps.power_cycle()?,
        }
        Ok(())
    }
}

/// As an upgrade of the agent or a person does it, whatever it is at: it ends by itself, in time.
fn f70_ends_when_told(journey: &Journey) -> Result<()> {
    // The fault before this one may have hit it.
    let active = "systemctl is-active -q chatalot-agent";
    journey.vps.wait_for(active, Duration::from_mins(1))?;
    let began = Instant::now();
    journey.vps.must("systemctl stop chatalot-agent")?;
    let took = began.elapsed();
    assert!(took < ENDED, "it took {took:?} to end");
    let result = "systemctl show -p Result --value chatalot-agent";
    assert_eq!(journey.vps.must(result)?.trim(), "success", "it was killed");
    journey.vps.must("systemctl start chatalot-agent")?;
    Ok(())
}

/// One deployment, struck at a step of every chapter.
fn struck(round: usize) -> Result<()> {
    let sandbox = Sandbox::up()?;
    let mut journey = Journey::joined(&sandbox, &format!("struck-{round}"))?;
    let id = journey.deploy_detached(&[])?;
    for (chapter, step) in STEPS.iter().enumerate() {
        let fault = FAULTS[(chapter + round) % FAULTS.len()];
        phase(&format!("journey {round}: waiting for {step}"), || {
            journey.wait_for_step(&id, step, PATIENCE)
        })?;
        phase(
            &format!("journey {round}: told to end, then {fault:?} at {step}"),
            || {
                f70_ends_when_told(&journey)?;
                fault.strike(&mut journey)
            },
        )?;
    }
    let ended = phase(&format!("journey {round}: to the end"), || {
        journey.wait(&id, PATIENCE)
    })?
    .ok()?;
    assert!(
        ended.stdout.contains("\"state\":\"succeeded\""),
        "{}",
        ended.stdout
    );
    assert!(journey.public_health()?.contains("\"db_healthy\":true"));
    journey.vps.must("chatalot-agent verify")?;
    Ok(())
}

#[test]
fn f70_a_deployment_struck_in_every_chapter_ends_deployed() -> Result<()> {
    struck(0)
}

#[test]
fn f70_a_deployment_struck_otherwise_in_every_chapter_ends_deployed() -> Result<()> {
    struck(2)
}

#[test]
fn with_every_fault_in_every_chapter_a_deployment_ends_deployed() -> Result<()> {
    let rounds: &[usize] = if env::var_os("CHATALOT_FULL").is_some() {
        &[1, 3]
    } else {
        &[]
    };
    rounds.iter().try_for_each(|round| struck(*round))
}
