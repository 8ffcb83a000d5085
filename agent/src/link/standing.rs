//! Whether both sides are what they were: a backup that was put back on either of them is noticed here, before anything
//! is sent or believed.

use crate::ledger::{LedgerError, outbox};
use crate::service::Service;
use chatalot_protocol::message::Welcome;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where the ledger keeps what it knows of the controller.
const KEY: &str = "controller";

/// What this host has seen of its controller.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    /// Which membership: another one has another controller.
    joining: Uuid,
    /// Its highest epoch.
    epoch: u64,
    /// Up to here, events were acknowledged to somebody else, or in an earlier epoch.
    base: u64,
}

/// How both sides stand to each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As they should; events go on after this one.
    Good {
        /// Which.
        acked: u64,
    },
    /// The controller has lost what it had, or says an epoch that is over.
    OldController {
        /// The highest epoch that was seen.
        known: u64,
    },
    /// Our own ledger has lost what it had; a new stream of events has begun.
    Restored,
}

/// Compares the welcome with what the ledger knows, and notes what is new.
pub(super) async fn judge(
    service: &Service,
    joining: Uuid,
    welcome: &Welcome,
) -> Result<Standing, LedgerError> {
    let (epoch, acked, at_ms) = (welcome.epoch, welcome.acked, welcome.acked_at_ms);
    service
        .ledger
        .with(move |db| compare(db, joining, epoch, acked, at_ms))
        .await
}

fn compare(
    db: &Connection,
    joining: Uuid,
    epoch: u64,
    acked: u64,
    at_ms: Option<i64>,
) -> Result<Standing, LedgerError> {
    let ours = outbox::acknowledged(db)?;
    let known = outbox::meta(db, KEY)?.and_then(|text| serde_json::from_str::<Known>(&text).ok());
    let known = known.filter(|known| known.joining == joining);
    if is_another_life(db, acked, at_ms)? {
        outbox::begin_stream(db)?;
        let epoch = known.map_or(epoch, |known| known.epoch);
        let base = ours;
        note(db, &Known { joining, epoch, base })?;
        return Ok(Standing::Restored);
    }
    let Some(known) = known else {
        note(
            db,
            &Known {
                joining,
                epoch,
                base: ours,
            },
        )?;
        return Ok(Standing::Good {
            acked: acked.max(if acked == 0 { ours } else { 0 }),
        });
    };
    if epoch < known.epoch || (epoch == known.epoch && acked < ours && ours > known.base) {
        return Ok(Standing::OldController { known: known.epoch });
    }
    if epoch > known.epoch {
        log::warn!(epoch, acked, ours; "the controller was restored from a backup; it is told again what it lacks");
        let base = if acked == 0 { ours } else { acked };
        outbox::reset_acked(db, base)?;
        note(db, &Known { joining, epoch, base })?;
        return Ok(Standing::Good { acked: base });
    }
    // To a controller that has nothing of this stream, what another one has stored is not told again.
    Ok(Standing::Good {
        acked: if acked == 0 { ours } else { acked },
    })
}

/// Whether the controller has stored events that this ledger never had, or had otherwise.
fn is_another_life(db: &Connection, acked: u64, at_ms: Option<i64>) -> Result<bool, LedgerError> {
    if acked > outbox::latest(db)? {
        return Ok(true);
    }
    let ours = outbox::at_ms(db, acked)?;
    Ok(ours.zip(at_ms).is_some_and(|(ours, theirs)| ours != theirs))
}

fn note(db: &Connection, known: &Known) -> Result<(), LedgerError> {
    outbox::set_meta(db, KEY, &serde_json::to_string(known)?)
}

/// Whether this host has a controller that takes its events.
pub(crate) fn has_controller(db: &Connection) -> Result<bool, LedgerError> {
    Ok(outbox::meta(db, KEY)?.is_some())
}
