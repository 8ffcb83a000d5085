//! Events: stored once, in order, in the transaction that also projects what they mean.

use super::deployments::Outcome;
use super::{StoreError, alarms};
use chatalot_console::text::safe;
use chatalot_protocol::event::{Event, What};
use chatalot_protocol::names::{DeploymentId, HostId};
use chatalot_protocol::report::DeploymentState;
use rusqlite::Connection;
use serde::Serialize;

/// What became of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The last event that is stored.
    pub last: u64,
    /// Whether events are missing before some of the batch; those were not stored.
    pub gap: bool,
    /// The deployments that something happened in.
    pub touched: Vec<DeploymentId>,
    /// Whether the host's level changed.
    pub level: bool,
}

/// Stores what is new of a batch.
pub fn insert(
    connection: &Connection,
    host: HostId,
    stream: i64,
    mut events: Vec<Event>,
    now_ms: i64,
) -> Result<Stored, StoreError> {
    events.sort_by_key(|event| event.seq);
    let last: i64 = connection
        .prepare_cached("SELECT last_seq FROM streams WHERE id = ?1")?
        .query_row([stream], |row| row.get(0))?;
    let mut stored = Stored {
        last: last.cast_unsigned(),
        ..Stored::default()
    };
    let mut insert = connection.prepare_cached(
        "INSERT INTO events (stream, seq, deployment, received_ms, body) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO NOTHING",
    )?;
    for event in events {
        if event.seq <= stored.last {
            continue;
        }
        // Where a stream begins is the agent's to say: what another controller has is not sent again.
        if stored.last != 0 && event.seq != stored.last + 1 {
            stored.gap = true;
            break;
        }
        let body = serde_json::to_string(&event)?;
        let deployment = own(connection, host, &event, now_ms)?;
        let id = deployment.map(|id| *id.0.as_bytes());
        insert.execute((stream, event.seq.cast_signed(), id, now_ms, body))?;
        stored.last = event.seq;
        stored.level |= project(connection, host, deployment, event.what, now_ms)?;
        if let Some(id) = deployment.filter(|id| !stored.touched.contains(id)) {
            stored.touched.push(id);
        }
    }
    connection
        .prepare_cached("UPDATE streams SET last_seq = ?2 WHERE id = ?1")?
        .execute((stream, stored.last.cast_signed()))?;
    Ok(stored)
}

/// A deployment's events from a position on, with theirs.
pub fn after(
    connection: &Connection,
    id: DeploymentId,
    position: i64,
    most: usize,
) -> Result<Vec<(i64, Event)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT position, body FROM events WHERE deployment = ?1 AND position > ?2 ORDER BY position LIMIT ?3",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map((id.0.as_bytes(), position, most), |row| {
        Ok((row.get(0)?, row.get::<_, String>(1)?))
    })?;
    rows.map(|row| {
        let (position, body) = row?;
        Ok((position, serde_json::from_str(&body)?))
    })
    .collect()
}

/// The event's deployment, if it is this host's. One that was started on the host itself is noted as such.
fn own(
    connection: &Connection,
    host: HostId,
    event: &Event,
    now_ms: i64,
) -> Result<Option<DeploymentId>, StoreError> {
    let Some(id) = event.deployment else {
        return Ok(None);
    };
    if let What::DeploymentStarted {
        plan, domain, work, ..
    } = &event.what
    {
        connection
            .prepare_cached(
                "INSERT INTO deployments (id, host, domain, plan, requested_by, created_ms, not_after_ms, work, state, sent)
                 VALUES (?1, ?2, ?3, ?4, ?7, ?5, ?5, ?6, 'running', 1) ON CONFLICT DO NOTHING",
            )?
            .execute((
                id.0.as_bytes(),
                host.0.as_bytes(),
                domain,
                plan.to_string(),
                now_ms,
                work.word(),
                super::deployments::HOST_ITSELF,
            ))?;
    }
    let ours = super::deployments::belongs(connection, id, host)?;
    if !ours {
        log::warn!(host:% = host, deployment:% = id; "an event of a deployment that is not the host's");
    }
    Ok(ours.then_some(id))
}

/// Carries over what an event means; whether it changed the host's level.
fn project(
    connection: &Connection,
    host: HostId,
    deployment: Option<DeploymentId>,
    what: What,
    now_ms: i64,
) -> Result<bool, StoreError> {
    if let Some(id) = deployment {
        connection
            .prepare_cached(
                "UPDATE deployments SET taken_up = 1, sent = 1,
                 state = CASE WHEN finished THEN state ELSE 'running' END WHERE id = ?1",
            )?
            .execute([id.0.as_bytes()])?;
    }
    match (what, deployment) {
        (
            What::DeploymentFinished {
                state,
                advice,
                diagnosis,
                values,
                handover,
            },
            Some(id),
        ) => {
            let outcome = Outcome {
                advice,
                diagnosis,
                values,
                handover,
            };
            finish(connection, id, state, &outcome)?;
            Ok(false)
        }
        (What::LevelChanged { to, cause, .. }, _) => {
            connection
                .prepare_cached("UPDATE hosts SET level = ?2, cause = ?3 WHERE id = ?1")?
                .execute((host.0.as_bytes(), word(&to)?, serde_json::to_string(&cause)?))?;
            Ok(true)
        }
        (What::Alarm { advice }, _) => {
            if alarms::raise(connection, host, true, &advice, now_ms)? {
                log::error!(host:% = host, code:% = safe(&advice.code); "a host raises an alarm");
            }
            Ok(true)
        }
        (What::AlarmOver { code }, _) => {
            alarms::end(connection, host, &code)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn finish(
    connection: &Connection,
    id: DeploymentId,
    state: DeploymentState,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE deployments SET finished = 1, state = ?2, outcome = ?3 WHERE id = ?1")?
        .execute((id.0.as_bytes(), word(&state)?, serde_json::to_string(outcome)?))?;
    Ok(())
}

/// The word that serde writes for a value.
fn word(value: &impl Serialize) -> Result<String, StoreError> {
    Ok(serde_json::to_value(value)?
        .as_str()
        .unwrap_or("unknown")
        .to_owned())
}
