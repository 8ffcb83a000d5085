//! Feeds systemd's watchdog only while ledger, checks and runner answer; the reactor answers by running this.

use crate::service::Service;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the watchdog is fed, if all answer.
pub const FEED: Duration = Duration::from_secs(10);
/// How old the checks' pulse may be: a round of checks with all its deadlines.
const PULSE: Duration = Duration::from_mins(2);

/// Looks whether the others answer.
pub struct Watchdog {
    /// Whose ledger and deployments.
    pub service: Arc<Service>,
    /// When the checks were last at work.
    pub pulse: watch::Receiver<Instant>,
    /// How often it looks, and how long the ledger may take.
    pub feed: Duration,
    /// When it ends.
    pub stop: CancellationToken,
}

impl Watchdog {
    /// Feeds until told to stop.
    pub async fn run(self) {
        loop {
            if self.all_answer().await {
                super::daemon::notify(&[sd_notify::NotifyState::Watchdog]);
            }
            tokio::select! {
                () = tokio::time::sleep(self.feed) => {} // cancel-safe: nothing is lost
                () = self.stop.cancelled() => return,    // cancel-safe: level-triggered
            }
        }
    }

    async fn all_answer(&self) -> bool {
        let ledger = tokio::time::timeout(self.feed, self.service.ledger.with(|_| Ok(()))).await;
        let ledger = matches!(ledger, Ok(Ok(())));
        let checks = self.pulse.borrow().elapsed() < PULSE;
        let runner = self.service.deployments.is_at_work();
        if !(checks && runner && ledger) {
            log::error!(checks, runner, ledger; "a task does not answer; the watchdog is not fed");
        }
        checks && runner && ledger
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::tests::world;
    use crate::runbook::engine::tests::{Machine, least};
    use std::sync::mpsc;

    fn watchdog(service: &Arc<Service>, feed: Duration) -> (Watchdog, watch::Sender<Instant>) {
        let (tell, pulse) = watch::channel(Instant::now());
        let watchdog = Watchdog {
            service: service.clone(),
            pulse,
            feed,
            stop: CancellationToken::new(),
        };
        (watchdog, tell)
    }

    #[tokio::test]
    async fn f66_a_ledger_that_stalls_is_not_fed_for_and_one_that_answers_again_is() {
        let world = world();
        let (patient, _tell) = watchdog(&world.service, FEED);
        assert!(patient.all_answer().await);
        let (go_on, stalled) = mpsc::channel::<()>();
        let (tell, stalls) = tokio::sync::oneshot::channel();
        let ledger = world.service.ledger.clone();
        let writer = tokio::spawn(async move {
            let stall = move |_: &rusqlite::Connection| {
                let _ = tell.send(());
                let _ = stalled.recv();
                Ok(())
            };
            ledger.with(stall).await
        });
        stalls.await.unwrap();
        let (hasty, _tell) = watchdog(&world.service, Duration::from_millis(50));
        assert!(!hasty.all_answer().await);
        drop(go_on);
        writer.await.unwrap().unwrap();
        assert!(patient.all_answer().await);
    }

    #[tokio::test]
    async fn f66_checks_that_stall_are_not_fed_for_until_they_are_at_work_again() {
        let world = world();
        let (watchdog, tell) = watchdog(&world.service, FEED);
        let long_ago = Instant::now().checked_sub(PULSE * 2).unwrap();
        tell.send_replace(long_ago);
        assert!(!watchdog.all_answer().await);
        tell.send_replace(Instant::now());
        assert!(watchdog.all_answer().await);
    }

    #[tokio::test]
    async fn f66_a_runner_that_shows_no_sign_of_life_is_not_fed_for() {
        let machine = Machine::fresh();
        let agent = machine.agent();
        let job = agent.job(&least()).await;
        agent.desk.take(job).await.unwrap();
        assert!(agent.desk.is_at_work());
        // Its next call never answers.
        machine.host.kill_nth(1, crate::host::fake::Mode::NoEffect);
        let before = machine.host.calls();
        while machine.host.calls() == before {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_mins(6)).await;
        assert!(agent.desk.is_running() && !agent.desk.is_at_work());
    }
}
