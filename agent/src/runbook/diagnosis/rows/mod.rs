//! The table, one file a layer, from the ground up.

mod containers;
mod engine;
mod files;
mod front;
mod host;
mod installer;
mod names;
mod oidc;
mod proxies;
mod symptoms;
mod turn;

use super::{Facts, Find, Row, Seen};

/// Rows of one layer of a host.
pub struct Layer {
    /// What people call it.
    pub name: &'static str,
    /// Its rows, in order.
    pub rows: &'static [Row],
}

/// Every row, from the ground up.
pub const ROWS: &[Layer] = &[
    Layer {
        name: "The host",
        rows: host::ROWS,
    },
    Layer {
        name: "The Docker Engine",
        rows: engine::ROWS,
    },
    Layer {
        name: "The installer and the images",
        rows: installer::ROWS,
    },
    Layer {
        name: "Settings, secrets and the database's password",
        rows: files::ROWS,
    },
    Layer {
        name: "The containers",
        rows: containers::ROWS,
    },
    Layer {
        name: "The domain",
        rows: names::ROWS,
    },
    Layer {
        name: "The proxies and the host's firewall",
        rows: proxies::ROWS,
    },
    Layer {
        name: "Proxy, certificate and public address",
        rows: front::ROWS,
    },
    Layer {
        name: "Single sign-on",
        rows: oidc::ROWS,
    },
    Layer {
        name: "Voice, video and updates",
        rows: turn::ROWS,
    },
    Layer {
        name: "Symptoms",
        rows: symptoms::ROWS,
    },
];

/// What most rows are: told by a check, and for a person to mend.
const TOLD: Row = Row {
    code: "",
    cause: "",
    shown_by: "the check of the same name",
    fix: "as the finding says",
    ours: false,
    symptom: false,
    find: Find::Told,
};

/// What a deployment ended with.
const ENDED: Row = Row {
    shown_by: "how the last deployment ended",
    find: Find::Ended,
    ..TOLD
};
