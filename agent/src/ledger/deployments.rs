//! Deployments, their effects, and what they leave to be remembered.

use super::{LedgerError, audit, outbox};
use crate::effect::{Ended, Outcome};
use crate::runbook::containers;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::audit::Entry;
use chatalot_protocol::event::What;
use chatalot_protocol::handover::Handover;
use chatalot_protocol::names::{DeploymentId, StepId};
use chatalot_protocol::plan::PlanHash;
use chatalot_protocol::report::DeploymentState;
use chatalot_protocol::site::Site;
use chatalot_protocol::work::Work;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A deployment as it is stored; its secrets are in a file of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Which one.
    pub id: DeploymentId,
    /// The approved plan.
    pub plan: PlanHash,
    /// The site.
    pub site: Site,
    /// What is done with it.
    pub work: Work,
    /// Who asked for it.
    pub by: String,
    /// How it stands.
    pub state: DeploymentState,
    /// What came of it.
    pub result: DeploymentResult,
}

/// What came of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeploymentResult {
    /// What to do, where it did not end well.
    pub advice: Option<Advice>,
    /// What was found behind it.
    #[serde(default)]
    pub diagnosis: Vec<Advice>,
    /// The installer's own lines.
    pub values: BTreeMap<String, String>,
    /// The handover.
    pub handover: Option<Box<Handover>>,
}

/// An effect whose outcome is not known yet, or whose output has not been passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The number of its log stream within the deployment.
    pub stream: u32,
    /// The step.
    pub step: StepId,
    /// Which attempt at it.
    pub attempt: u32,
    /// The boot that it was begun in.
    pub boot_id: String,
    /// How long its output is, once it has ended.
    pub output_bytes: Option<u64>,
}

fn state_text(state: DeploymentState) -> Result<String, LedgerError> {
    Ok(serde_json::to_value(state)?
        .as_str()
        .unwrap_or("unknown")
        .to_owned())
}

/// Stores a new deployment. Fails on the unique index if another one runs.
pub fn insert(connection: &Connection, deployment: &Deployment, at_ms: i64) -> Result<(), LedgerError> {
    connection.execute(
        "INSERT INTO deployment (id, plan, site, requested_by, state, accepted_ms, result, work) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            deployment.id.to_string(),
            deployment.plan.to_string(),
            serde_json::to_string(&deployment.site)?,
            deployment.by,
            state_text(deployment.state)?,
            at_ms,
            serde_json::to_string(&deployment.result)?,
            deployment.work.word(),
        ],
    )?;
    Ok(())
}

const COLUMNS: &str = "SELECT id, plan, site, requested_by, state, result, work FROM deployment";

/// One deployment.
pub fn find(connection: &Connection, id: DeploymentId) -> Result<Option<Deployment>, LedgerError> {
    let found = connection
        .query_row(&format!("{COLUMNS} WHERE id = ?1"), [id.to_string()], |row| {
            Ok(read(row))
        })
        .optional()?;
    found.transpose()
}

/// When a deployment was taken up.
pub fn accepted_ms(connection: &Connection, id: DeploymentId) -> Result<i64, LedgerError> {
    Ok(connection.query_row(
        "SELECT accepted_ms FROM deployment WHERE id = ?1",
        [id.to_string()],
        |row| row.get(0),
    )?)
}

/// The one that runs.
pub fn running(connection: &Connection) -> Result<Option<Deployment>, LedgerError> {
    let found = connection
        .query_row(&format!("{COLUMNS} WHERE state = 'running'"), [], |row| {
            Ok(read(row))
        })
        .optional()?;
    found.transpose()
}

/// The latest one; with `succeeded`, the latest that ended well and put a site there or took it away.
pub fn latest(connection: &Connection, succeeded: bool) -> Result<Option<Deployment>, LedgerError> {
    let filter = if succeeded {
        "WHERE state = 'succeeded' AND work <> 'open'"
    } else {
        ""
    };
    let found = connection
        .query_row(
            &format!("{COLUMNS} {filter} ORDER BY accepted_ms DESC, rowid DESC LIMIT 1"),
            [],
            |row| Ok(read(row)),
        )
        .optional()?;
    found.transpose()
}

/// The site that is deployed here, as the last deployment that ended well has left it.
pub fn deployed(connection: &Connection) -> Result<Option<Deployment>, LedgerError> {
    Ok(latest(connection, true)?.filter(|last| last.work.is_deploy()))
}

/// The last deployment that may have made something which no later `work` has taken away again.
pub fn made(connection: &Connection, work: Work) -> Result<Option<Deployment>, LedgerError> {
    let gone = if work == Work::UninstallWithData {
        "work = 'uninstall_with_data'"
    } else {
        "work IN ('uninstall', 'uninstall_with_data')"
    };
    let made = format!(
        "{COLUMNS} WHERE work = 'deploy' AND state <> 'refused' AND rowid > coalesce(
         (SELECT max(rowid) FROM deployment WHERE {gone} AND state = 'succeeded'), 0) ORDER BY rowid DESC LIMIT 1"
    );
    let found = connection.query_row(&made, [], |row| Ok(read(row))).optional()?;
    found.transpose()
}

fn read(row: &Row<'_>) -> Result<Deployment, LedgerError> {
    let text = |at: usize| -> Result<String, LedgerError> { Ok(row.get(at)?) };
    let unreadable = |what: &str| LedgerError::Unreadable(what.to_owned());
    Ok(Deployment {
        id: text(0)?.parse().map_err(|_| unreadable("a deployment's id"))?,
        plan: text(1)?.parse().map_err(|_| unreadable("a plan's hash"))?,
        site: serde_json::from_str(&text(2)?)?,
        by: text(3)?,
        state: serde_json::from_value(text(4)?.into())?,
        result: serde_json::from_str(&text(5)?)?,
        work: serde_json::from_value(text(6)?.into())?,
    })
}

/// Ends a deployment, with its event, in one transaction.
pub fn finish(
    connection: &Connection,
    id: DeploymentId,
    state: DeploymentState,
    result: &DeploymentResult,
    at_ms: i64,
) -> Result<(), LedgerError> {
    connection.execute(
        "UPDATE deployment SET state = ?2, result = ?3, finished_ms = ?4 WHERE id = ?1",
        params![
            id.to_string(),
            state_text(state)?,
            serde_json::to_string(result)?,
            at_ms
        ],
    )?;
    if state != DeploymentState::Refused {
        let end = Entry {
            action: "end".to_owned(),
            subject: id.to_string(),
            verdict: state_text(state)?,
            detail: result
                .advice
                .as_ref()
                .map(|advice| advice.code.to_string())
                .unwrap_or_default(),
            ..Entry::default()
        };
        audit::append(connection, at_ms, end)?;
    }
    let DeploymentResult {
        advice,
        diagnosis,
        values,
        handover,
    } = result.clone();
    outbox::record(
        connection,
        at_ms,
        Some(id),
        &What::DeploymentFinished {
            state,
            advice,
            diagnosis,
            values,
            handover,
        },
    )
}

/// Writes the intent of an effect down, with its event; answers which attempt and which stream it is.
pub fn intend(
    connection: &Connection,
    id: DeploymentId,
    step: &StepId,
    boot_id: &str,
    why: &str,
    at_ms: i64,
) -> Result<(u32, u32), LedgerError> {
    let (stream, attempt): (u32, u32) = connection.query_row(
        "SELECT coalesce(max(stream), 0) + 1, coalesce(sum(step = ?2), 0) + 1 FROM effect WHERE deployment = ?1",
        params![id.to_string(), step.to_string()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    connection.execute(
        "INSERT INTO effect (deployment, stream, step, attempt, boot_id, intent_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![id.to_string(), stream, step.to_string(), attempt, boot_id, at_ms],
    )?;
    outbox::record(
        connection,
        at_ms,
        Some(id),
        &What::StepStarted {
            step: step.clone(),
            attempt,
            stream,
            why: why.to_owned(),
        },
    )?;
    Ok((stream, attempt))
}

/// Writes the outcome of an effect down, with what it leaves to be remembered.
pub fn conclude(
    connection: &Connection,
    id: DeploymentId,
    stream: u32,
    domain: &str,
    ended: &Ended,
) -> Result<(), LedgerError> {
    connection.execute(
        "UPDATE effect SET outcome = ?3, output_bytes = ?4 WHERE deployment = ?1 AND stream = ?2",
        params![
            id.to_string(),
            stream,
            serde_json::to_string(&ended.outcome)?,
            i64::try_from(ended.output_bytes).unwrap_or(i64::MAX)
        ],
    )?;
    if let Outcome::Done { remember: kept } = &ended.outcome {
        for (key, value) in kept {
            remember(connection, domain, key, value)?;
        }
    }
    Ok(())
}

/// Remembers one thing of a site.
pub fn remember(connection: &Connection, domain: &str, key: &str, value: &str) -> Result<(), LedgerError> {
    connection.execute(
        "INSERT INTO memory VALUES (?1, ?2, ?3) ON CONFLICT (domain, key) DO UPDATE SET value = excluded.value",
        [domain, key, value],
    )?;
    Ok(())
}

/// Forgets what was remembered of a site that is gone, but for what its data can be found by.
pub fn forget(connection: &Connection, domain: &str) -> Result<(), LedgerError> {
    connection.execute(
        "DELETE FROM memory WHERE domain = ?1 AND key <> ?2",
        [domain, containers::PROJECT],
    )?;
    Ok(())
}

/// What earlier steps of a site left to be remembered.
pub fn memory(connection: &Connection, domain: &str) -> Result<BTreeMap<String, String>, LedgerError> {
    let mut statement = connection.prepare_cached("SELECT key, value FROM memory WHERE domain = ?1")?;
    let rows = statement.query_map([domain], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const EFFECT: &str = "SELECT deployment, stream, step, attempt, boot_id, output_bytes FROM effect";

/// The effect of a deployment that was begun and has no outcome.
pub fn open_effect(connection: &Connection, id: DeploymentId) -> Result<Option<Effect>, LedgerError> {
    let found = connection
        .query_row(
            &format!("{EFFECT} WHERE deployment = ?1 AND outcome IS NULL ORDER BY stream DESC LIMIT 1"),
            [id.to_string()],
            |row| Ok(effect(row)),
        )
        .optional()?;
    found.transpose()
}

/// The effects whose output the controller does not have whole yet.
pub fn unlogged(connection: &Connection) -> Result<Vec<Effect>, LedgerError> {
    effects(
        connection,
        &format!("{EFFECT} WHERE logged = 0 ORDER BY deployment, stream"),
        [],
    )
}

/// All effects of a deployment.
pub fn effects_of(connection: &Connection, id: DeploymentId) -> Result<Vec<Effect>, LedgerError> {
    effects(
        connection,
        &format!("{EFFECT} WHERE deployment = ?1 ORDER BY stream"),
        [id.to_string()],
    )
}

fn effects<P: rusqlite::Params>(
    connection: &Connection,
    sql: &str,
    params: P,
) -> Result<Vec<Effect>, LedgerError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(effect(row)?);
    }
    Ok(found)
}

/// Notes that the controller has an effect's whole output.
pub fn logged(connection: &Connection, id: DeploymentId, stream: u32) -> Result<(), LedgerError> {
    connection.execute(
        "UPDATE effect SET logged = 1 WHERE deployment = ?1 AND stream = ?2",
        params![id.to_string(), stream],
    )?;
    Ok(())
}

/// Forgets deployments that ended before a time, but for the latest few and those of which something is still to be
/// told.
pub fn forget_ended(connection: &Connection, before_ms: i64, keep: u32) -> Result<(), LedgerError> {
    let old = "SELECT id FROM deployment d WHERE finished_ms < ?1
        AND id NOT IN (SELECT id FROM deployment ORDER BY accepted_ms DESC, rowid DESC LIMIT ?2)
        AND id IS NOT (SELECT id FROM deployment WHERE state = 'succeeded' AND work <> 'open' ORDER BY accepted_ms DESC, rowid DESC LIMIT 1)
        AND NOT EXISTS (SELECT 1 FROM event WHERE deployment = d.id)
        AND NOT EXISTS (SELECT 1 FROM effect WHERE deployment = d.id AND logged = 0)";
    for sql in [
        format!("DELETE FROM effect WHERE deployment IN ({old})"),
        format!("DELETE FROM deployment WHERE id IN ({old})"),
    ] {
        connection.execute(&sql, params![before_ms, keep])?;
    }
    Ok(())
}

fn effect(row: &Row<'_>) -> Result<Effect, LedgerError> {
    let id: String = row.get(0)?;
    let step: String = row.get(2)?;
    let bytes: Option<i64> = row.get(5)?;
    Ok(Effect {
        deployment: id
            .parse()
            .map_err(|_| LedgerError::Unreadable("a deployment's id".to_owned()))?,
        stream: row.get(1)?,
        step: StepId(step.into()),
        attempt: row.get(3)?,
        boot_id: row.get(4)?,
        output_bytes: bytes.map(i64::unsigned_abs),
    })
}
