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
use tokio::sync::watch;
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

/// One session's look at its host's audit, beside the session: what is said while it looks is looked at next, and of
/// several the latest.
#[derive(Default)]
pub struct Eye(Option<(watch::Sender<Anchor>, JoinHandle<()>)>);

impl Eye {
    /// Takes what the host says of its audit.
    pub fn take(&mut self, centre: &Arc<Centre>, host: HostId, now: Anchor) {
        if let Some((tell, _)) = &self.0 {
            tell.send_replace(now);
            return;
        }
        let (tell, mut said) = watch::channel(now);
        said.mark_changed();
        let centre = Arc::clone(centre);
        let task = tokio::spawn(async move {
            while said.changed().await.is_ok() {
                let now = *said.borrow_and_update();
                if let Err(error) = look(&centre, host, now).await {
                    log::warn!(host:% = host, error = crate::chain(&error); "the audit of a host could not be looked at");
                }
            }
        });
        self.0 = Some((tell, task));
    }
}

impl Drop for Eye {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.0 {
            task.abort();
        }
    }
}

async fn look(centre: &Centre, host: HostId, now: Anchor) -> Result<(), LookError> {
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
            if news {
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
