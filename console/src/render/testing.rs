//! Example data for the tests of the renderers and the commands.

use chatalot_protocol::advice::Advice;
use chatalot_protocol::event::{Event, StepEnd, What};
use chatalot_protocol::handover::{Duty, DutyStanding, Handover, ImportantFile};
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::names::StepId;
use chatalot_protocol::plan::{Plan, PlanHash, PlannedStep, Standing};
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use chatalot_protocol::work::Work;
use std::collections::BTreeMap;

pub(crate) fn site() -> Site {
    let inputs = Inputs {
        domain: Some("chat.example.com".into()),
        admin_username: Some("alice".into()),
        ..Inputs::default()
    };
    inputs.complete().unwrap().0
}

pub(crate) fn wrong_address() -> Advice {
    Advice::new(
        "DNS_WRONG_ADDRESS",
        "203.0.113.9",
        "203.0.113.42",
        "set the A record of chat.example.com to 203.0.113.42",
    )
}

fn step(id: &'static str, title: &str, effects: &[&str], standing: Standing) -> PlannedStep {
    PlannedStep {
        id: StepId::known(id),
        title: title.to_owned(),
        effects: effects.iter().map(|effect| (*effect).to_owned()).collect(),
        standing,
    }
}

fn known(verdict: Verdict) -> Standing {
    Standing::Known { verdict }
}

/// A plan with one step of each standing.
pub(crate) fn plan() -> Plan {
    Plan {
        recipe: 3,
        work: Work::Deploy,
        distribution: "Debian 13".to_owned(),
        site: site(),
        secret_tags: BTreeMap::new(),
        steps: vec![
            step(
                "preflight.os",
                "Operating system",
                &[],
                known(Verdict::satisfied("Debian GNU/Linux 13, x86_64")),
            ),
            step(
                "preflight.dns",
                "Domain points to the host",
                &[],
                known(wrong_address().into()),
            ),
            step(
                "packages.docker",
                "Docker is installed",
                &[
                    "apt-get install docker.io docker-compose",
                    "start and enable docker.service",
                ],
                known(Verdict::needed("docker is not installed")),
            ),
            step(
                "install.run",
                "Chatalot is installed",
                &["run scripts/install.sh"],
                Standing::DecidedAfter {
                    step: StepId::known("packages.docker"),
                },
            ),
        ],
        hash: PlanHash::of(&[11; 32]),
    }
}

/// The same plan without its blocked step.
pub(crate) fn good_plan() -> Plan {
    let mut plan = plan();
    plan.steps.remove(1);
    plan
}

pub(crate) fn handover() -> Handover {
    let duty = |name: &str, standing, saw: &str, todo: &str| Duty {
        name: name.to_owned(),
        standing,
        saw: saw.to_owned(),
        todo: todo.to_owned(),
    };
    let file = |path: &str, what: &str| ImportantFile {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    let site = site();
    Handover {
        domain: site.domain,
        admin: site.admin,
        version: "0.24.3".to_owned(),
        commit: "4f1c2d3".to_owned(),
        folder: site.folder,
        updates: true,
        open_to_first_comer: Some(true),
        let_in: None,
        files: vec![
            file("/srv/chatalot/.env", "server configuration; never commit it"),
            file("/srv/chatalot/secrets/", "keys and tokens; back up offline"),
        ],
        duties: vec![
            duty(
                "DNS",
                DutyStanding::InPlace,
                "chat.example.com is 203.0.113.42",
                "keep the A record",
            ),
            duty(
                "Database backups",
                DutyStanding::NotInPlace,
                "no timer, no cron job",
                "schedule chatalot-snapshot or pg_dump",
            ),
            duty(
                "Firewall",
                DutyStanding::CannotBeTold,
                "",
                "keep ports 80 and 443 open at the provider",
            ),
        ],
    }
}

fn started(step: &'static str, attempt: u32) -> What {
    What::StepStarted {
        step: StepId::known(step),
        attempt,
        stream: attempt,
        why: String::new(),
    }
}

fn finished(step: &'static str, end: StepEnd, saw: &str, millis: u64) -> What {
    What::StepFinished {
        step: StepId::known(step),
        end,
        saw: saw.to_owned(),
        millis,
        advice: None,
        stream: 0,
        output_bytes: 0,
    }
}

/// The events of a deployment that is resumed once and then fails.
pub(crate) fn story() -> Vec<Event> {
    let steps = good_plan().steps.into_iter().map(|step| (step.id, step.title));
    [
        (
            1_000,
            What::DeploymentStarted {
                work: Work::Deploy,
                plan: PlanHash::of(&[11; 32]),
                domain: "chat.example.com".to_owned(),
                steps: steps.collect(),
            },
        ),
        (
            1_050,
            finished("preflight.os", StepEnd::Satisfied, "Debian 13", 49),
        ),
        (1_060, started("packages.docker", 0)),
        (1_100, started("packages.docker", 1)),
        (
            9_000,
            What::DeploymentResumed {
                because: "agent restarted".to_owned(),
            },
        ),
        (9_100, started("packages.docker", 2)),
        (
            49_300,
            finished("packages.docker", StepEnd::Done, "Docker 26.1", 48_249),
        ),
        (49_400, started("install.run", 0)),
        (49_500, started("install.run", 1)),
        (
            174_500,
            finished("install.run", StepEnd::Failed, "exit 2", 125_000),
        ),
    ]
    .into_iter()
    .zip(1..)
    .map(|((at_ms, what), seq)| Event {
        seq,
        at_ms,
        deployment: None,
        what,
    })
    .collect()
}
