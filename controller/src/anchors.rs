//! Keeps an eye on the audit of each host from outside: what the host has once shown, it cannot take back.

use crate::centre::Centre;
use crate::clock::now_ms;
use crate::fleet::AskError;
use crate::store::{StoreError, alarms};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::audit::{Anchor, Broken, Verifier};
use chatalot_protocol::message::{Answer, Ask};
use chatalot_protocol::names::HostId;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Why an audit could not be looked at; it is looked at again with the next sign of life.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("the host shows fewer records than it says that it has")]
    Short,
}

/// One session's look at its host's audit: one at a time, and none while the host has nothing new to show.
#[derive(Default)]
pub struct Eye {
    last: Option<Anchor>,
    looking: Option<JoinHandle<()>>,
}

impl Eye {
    /// Takes what the host says of its audit; verifies it beside the session.
    pub fn take(&mut self, centre: &Arc<Centre>, host: HostId, now: Anchor) {
        let busy = self.looking.as_ref().is_some_and(|task| !task.is_finished());
        if busy {
            return;
        }
        let again = self.last.replace(now) == Some(now);
        let centre = Arc::clone(centre);
        self.looking = Some(tokio::spawn(async move {
            if let Err(error) = look(&centre, host, now, again).await {
                log::warn!(host:% = host, error = crate::chain(&error); "the audit of a host could not be looked at");
            }
        }));
    }
}

impl Drop for Eye {
    fn drop(&mut self) {
        if let Some(task) = &self.looking {
            task.abort();
        }
    }
}

async fn look(centre: &Centre, host: HostId, now: Anchor, again: bool) -> Result<(), LookError> {
    let seen = centre.store.read(move |c| alarms::anchor(c, host)).await?;
    if seen == now {
        return Ok(());
    }
    match verified(centre, host, seen, now).await? {
        Ok(anchor) => {
            let keep = move |c: &rusqlite::Connection| alarms::keep_anchor(c, host, anchor, now_ms());
            centre.store.write(keep).await?;
        }
        Err(broken) => {
            let advice = advice(broken, seen, now);
            let raise = move |c: &rusqlite::Connection| alarms::raise(c, host, false, &advice, now_ms());
            let news = centre.store.write(raise).await?;
            if news || !again {
                log::error!(host:% = host, why:% = broken; "the audit of a host was tampered with");
            }
            centre.changes.touch(host.0);
        }
    }
    Ok(())
}

/// Whether the host's audit goes on from where it was seen, and how far; its records are asked for.
async fn verified(
    centre: &Centre,
    host: HostId,
    seen: Anchor,
    now: Anchor,
) -> Result<Result<Anchor, Broken>, LookError> {
    if let Some(broken) = seen.contradiction(now) {
        return Ok(Err(broken));
    }
    let mut verifier = Verifier::from(seen, Some(now));
    let mut at = seen.n;
    while at < now.n {
        let asked = centre.fleet.ask(host, Box::new(Ask::Audit { after: at })).await?;
        let Answer::Audit { records } = asked else {
            return Err(LookError::Short);
        };
        if records.is_empty() {
            return Err(LookError::Short);
        }
        for record in &records {
            if let Err(broken) = verifier.take(record) {
                return Ok(Err(broken));
            }
            at = record.n;
        }
    }
    Ok(verifier.end())
}

fn advice(broken: Broken, seen: Anchor, now: Anchor) -> Advice {
    let code = match broken {
        Broken::Cut { .. } => "AUDIT_CUT",
        Broken::Forked { .. } => "AUDIT_FORKED",
        Broken::Edited { .. } | Broken::Removed { .. } | Broken::Twice { .. } => "AUDIT_EDITED",
    };
    Advice::new(
        code,
        format!("the audit of this host was tampered with: {broken}"),
        format!("an audit that goes on from {seen}"),
        "trust nothing that this host says of its past: find out who had root on it, keep its disk, and set it up anew",
    )
    .with_evidence([format!("it says now that it has got to {now}")])
}
