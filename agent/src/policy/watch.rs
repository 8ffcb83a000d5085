//! Tells once when the policy becomes unusable, and once when it is mended, whether or not anything is asked for
//! meanwhile.

use super::Policy;
use crate::host::Look;
use crate::ledger::{Ledger, LedgerError, audit, outbox};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::audit::Entry;
use chatalot_protocol::event::What;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the file is looked at while nothing is asked for.
const EVERY: Duration = Duration::from_secs(30);
/// The alarm that was told last; empty once it is over.
const TOLD: &str = "policy_alarm";

/// Looks at the policy until told to stop.
pub async fn keep(ledger: Ledger, host: Arc<dyn Look>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let policy = Policy::in_force(&*host).await;
        match tell(&ledger, policy.err(), host.now_ms()).await {
            Err(LedgerError::Stopped) => return,
            Err(error) => {
                log::warn!(error = crate::chain(&error); "how the policy stands cannot be recorded");
            }
            Ok(()) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {} // cancel-safe: nothing is lost
            () = stop.cancelled() => return,     // cancel-safe: level-triggered
        }
    }
}

/// Records how the policy stands, where that is news.
pub async fn tell(ledger: &Ledger, unusable: Option<Advice>, now_ms: i64) -> Result<(), LedgerError> {
    let news = ledger.with(move |db| {
        let before = outbox::meta(db, TOLD)?.unwrap_or_default();
        let code = unusable.as_ref().map_or("", |advice| &advice.code).to_owned();
        if before == code {
            return Ok(None);
        }
        let entry = Entry {
            action: "policy".to_owned(),
            verdict: if code.is_empty() {
                "in force".to_owned()
            } else {
                code.clone()
            },
            ..Entry::default()
        };
        audit::append(db, now_ms, entry)?;
        if !before.is_empty() {
            let code = before.into();
            outbox::record(db, now_ms, None, &What::AlarmOver { code })?;
        }
        if let Some(advice) = unusable {
            outbox::record(db, now_ms, None, &What::Alarm { advice })?;
        }
        outbox::set_meta(db, TOLD, &code)?;
        Ok(Some(code))
    });
    match news.await? {
        Some(code) if code.is_empty() => log::info!("the policy can be used again"),
        Some(code) => log::error!(code; "the policy cannot be used; nothing may be changed on this host"),
        None => {}
    }
    Ok(())
}
