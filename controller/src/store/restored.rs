//! What a database begins with after it was restored: what is past must not be done, or counted on, again.

use super::StoreError;
use super::deployments::ended;
use super::{audit, hosts};
use crate::backup::Restored;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::audit::Entry;
use rusqlite::Connection;

/// Begins a new epoch, in one transaction.
pub fn begin(connection: &mut Connection, now_ms: i64, keep_tokens: bool) -> Result<Restored, StoreError> {
    let transaction = connection.transaction()?;
    let taken_ms = transaction.query_row("SELECT taken_ms FROM backup", [], |row| row.get(0))?;
    transaction.execute_batch("DROP TABLE backup")?;
    let cluster = super::cluster(&transaction)?.ok_or(StoreError::Damaged("cluster"))?;
    // By the clock: a backup that is restored twice must not give the same epoch twice.
    let seconds = u64::try_from(now_ms / 1000).unwrap_or_default();
    let epoch = seconds.max(cluster.epoch + 1);
    transaction.execute(
        "UPDATE meta SET value = ?1 WHERE key = 'epoch'",
        [epoch.to_string()],
    )?;
    super::rotation::restored(&transaction, now_ms)?;
    // What was signed since is known to the hosts alone.
    transaction.execute(
        "INSERT INTO meta VALUES ('restored_from_ms', ?1) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [i64::to_string(&taken_ms)],
    )?;
    transaction.execute("DELETE FROM tokens WHERE used_ms IS NULL", [])?;
    transaction.execute("DELETE FROM approved WHERE serial IS NULL", [])?;
    transaction.execute("UPDATE hosts SET awaited_until_ms = NULL", [])?;
    let tokens_ended = if keep_tokens {
        0
    } else {
        transaction.execute(
            "UPDATE api_tokens SET revoked_ms = ?1 WHERE revoked_ms IS NULL",
            [now_ms],
        )?
    };
    let advice = Advice::new(
        "CONTROLLER_RESTORED",
        "the controller was restored from a backup, in which this deployment was waiting",
        "a deployment that is certainly not done twice",
        "look at the host's status; if need be, deploy again: whatever is in place already is kept",
    );
    let jobs_ended = transaction.execute(
        "UPDATE deployments SET finished = 1, state = 'refused', outcome = ?1 WHERE NOT taken_up AND NOT finished",
        [ended(Some(advice))?],
    )?;
    transaction.execute(
        "UPDATE approvals SET state = 'expired' WHERE state IN ('pending', 'approved')",
        [],
    )?;
    let hosts = hosts::active(&transaction)?;
    audit::append(
        &transaction,
        &Entry {
            at_ms: now_ms,
            action: "restore".to_owned(),
            by: "root".to_owned(),
            verdict: "done".to_owned(),
            detail: format!(
                "from a backup of {}, epoch {epoch}",
                crate::clock::minute(taken_ms)
            ),
            ..Entry::default()
        },
    )?;
    transaction.commit()?;
    Ok(Restored {
        taken_ms,
        epoch,
        hosts,
        tokens_ended: tokens_ended as u64,
        jobs_ended: jobs_ended as u64,
    })
}
