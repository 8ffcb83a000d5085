//! Keeps an eye on the audit of each host from outside: what the host has once shown, it cannot take back.

use crate::centre::Centre;
use crate::clock::now_ms;
use crate::fleet::AskError;
use crate::store::{StoreError, alarms};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::audit::{Anchor, Broken, Verifier};
use chatalot_protocol::message::{Answer, Ask};
use chatalot_protocol::names::HostId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;

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
/// several the latest. A host says the same with every sign of life: what was found stored is not looked up again.
#[derive(Default)]
pub struct Eye {
    sight: Arc<Mutex<Sight>>,
    task: Option<AbortHandle>,
}

#[derive(Default)]
struct Sight {
    /// What was found stored when it was looked at last.
    stored: Option<Anchor>,
    /// What is to be looked at next.
    said: Option<Anchor>,
    is_looking: bool,
}

impl Eye {
    /// Takes what the host says of its audit.
    pub fn take(&mut self, centre: &Arc<Centre>, host: HostId, now: Anchor) {
        if !open(&self.sight).takes(now) {
            return;
        }
        let (centre, sight) = (Arc::clone(centre), Arc::clone(&self.sight));
        let task = tokio::spawn(async move {
            while let Some(now) = next(&sight) {
                match look(&centre, host, now).await {
                    Ok(is_stored) => open(&sight).stored = is_stored.then_some(now),
                    Err(error) => {
                        log::warn!(host:% = host, error = crate::chain(&error); "the audit of a host could not be looked at");
                    }
                }
            }
        });
        self.task = Some(task.abort_handle());
    }
}

impl Drop for Eye {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Sight {
    /// Notes what is said; whether somebody has to be sent to look.
    fn takes(&mut self, now: Anchor) -> bool {
        if self.stored == Some(now) && !self.is_looking {
            return false;
        }
        self.said = Some(now);
        !std::mem::replace(&mut self.is_looking, true)
    }
}

fn open(sight: &Mutex<Sight>) -> MutexGuard<'_, Sight> {
    sight.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next(sight: &Mutex<Sight>) -> Option<Anchor> {
    let mut sight = open(sight);
    let said = sight.said.take();
    sight.is_looking = said.is_some();
    said
}

/// Whether what the host says is what the store has, now at the latest.
async fn look(centre: &Centre, host: HostId, now: Anchor) -> Result<bool, LookError> {
    let seen = centre.store.read(move |c| alarms::anchor(c, host)).await?;
    if seen == now {
        return Ok(true);
    }
    match verified(centre, host, seen, now).await? {
        Ok(anchor) => {
            let keep = move |c: &rusqlite::Connection| alarms::keep_anchor(c, host, anchor, now_ms());
            centre.store.write(keep).await?;
            Ok(anchor == now)
        }
        Err(broken) => {
            let advice = advice(broken, seen, now);
            let raise = move |c: &rusqlite::Connection| alarms::raise(c, host, false, &advice, now_ms());
            let news = centre.store.write(raise).await?;
            if news {
                log::error!(host:% = host, why:% = broken; "the audit of a host was tampered with");
            }
            centre.changes.touch(host.0);
            Ok(false)
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_stored_is_not_looked_up_again_and_anything_else_is() {
        let anchor = |n| Anchor { n, ..Anchor::START };
        let sight = Mutex::new(Sight::default());
        assert!(open(&sight).takes(anchor(1)));
        assert_eq!(next(&sight), Some(anchor(1)));
        assert!(
            !open(&sight).takes(anchor(2)),
            "whoever looks already looks at this next"
        );
        assert_eq!(next(&sight), Some(anchor(2)));
        open(&sight).stored = Some(anchor(2));
        assert_eq!(next(&sight), None);
        assert!(!open(&sight).takes(anchor(2)));
        assert!(open(&sight).takes(anchor(1)));
        assert_eq!(next(&sight), Some(anchor(1)));
        assert_eq!(next(&sight), None);
        open(&sight).stored = None;
        assert!(open(&sight).takes(anchor(2)), "after a look that failed");
    }
}
