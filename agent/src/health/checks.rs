//! The ongoing checks, one row each: a step of the runbook that is asked again and again.

use chatalot_protocol::report::Level;
use std::time::Duration;

/// One ongoing check.
#[derive(Debug)]
pub struct Check {
    /// What people call it.
    pub name: &'static str,
    /// The step whose check it is.
    pub step: &'static str,
    /// How often it is asked while all is well.
    pub every: Duration,
    /// How bad it is when it is not satisfied.
    pub otherwise: Level,
    /// How many unsatisfied answers in a row are believed.
    pub strikes: u32,
}

/// Every check.
pub const CHECKS: &[Check] = &[
    Check {
        name: "chatalot answers",
        step: "verify.local",
        every: Duration::from_secs(30),
        otherwise: Level::Down,
        strikes: 3,
    },
    Check {
        name: "containers",
        step: "verify.containers",
        every: Duration::from_mins(1),
        otherwise: Level::Degraded,
        strikes: 3,
    },
    Check {
        name: "public address",
        step: "verify.public",
        every: Duration::from_mins(2),
        otherwise: Level::Down,
        strikes: 3,
    },
    Check {
        name: "public route",
        step: "open.admin",
        every: Duration::from_mins(1),
        otherwise: Level::Degraded,
        strikes: 3,
    },
    Check {
        name: "WebSocket",
        step: "verify.websocket",
        every: Duration::from_mins(5),
        otherwise: Level::Degraded,
        strikes: 3,
    },
    Check {
        name: "voice and video",
        step: "verify.turn",
        every: Duration::from_mins(5),
        otherwise: Level::Degraded,
        strikes: 3,
    },
    Check {
        name: "certificate",
        step: "verify.certificate",
        every: Duration::from_hours(1),
        otherwise: Level::Degraded,
        strikes: 2,
    },
    Check {
        name: "certificate renewal",
        step: "proxy.certificate",
        every: Duration::from_hours(6),
        otherwise: Level::Degraded,
        strikes: 2,
    },
    Check {
        name: "start at boot",
        step: "verify.boot",
        every: Duration::from_hours(1),
        otherwise: Level::Degraded,
        strikes: 2,
    },
];
