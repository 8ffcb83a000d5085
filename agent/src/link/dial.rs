//! Connect, and connect again: full jitter, and only a session that has lasted counts as a success.

use super::addresses;
use super::identity::Identity;
use super::session::{self, SessionEnd};
use super::tls;
use crate::host::linux::LinuxHost;
use crate::service::Service;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The shortest and the longest pause is drawn from zero to these.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);
/// A session this old was a good one.
const STABLE: Duration = Duration::from_mins(1);
/// TCP and TLS together.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// Keeps a session with the controller until told to stop.
pub async fn keep(identity: Identity, host: Arc<LinuxHost>, service: Arc<Service>, stop: CancellationToken) {
    let controller = identity.membership.controller.clone();
    let config = match tls::channel(&identity) {
        Ok(config) => Arc::new(config),
        Err(error) => {
            log::error!(controller, error = crate::chain(&error); "the identity cannot be used; join again");
            return;
        }
    };
    let membership = &identity.membership;
    let dial = |at: usize| {
        let (host, config) = (host.clone(), config.clone());
        let known = addresses::known(&service.state, membership.stream, &controller);
        let address = known.get(at % known.len().max(1)).unwrap_or(&controller).clone();
        async move {
            match tokio::time::timeout(HANDSHAKE, tls::connect(&host, &address, config)).await {
                Ok(connected) => connected.map_err(SessionEnd::Connect),
                Err(_) => Err(SessionEnd::Connect(std::io::ErrorKind::TimedOut.into())),
            }
        }
    };
    hold(dial, &controller, membership.stream, &service, &stop).await;
}

/// One session after the other over whatever `dial` connects, until told to stop. `dial` is told how often nobody has
/// answered, so that it can go round the addresses that there are.
pub async fn hold<S, D, F>(
    mut dial: D,
    controller: &str,
    joining: Uuid,
    service: &Arc<Service>,
    stop: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    D: FnMut(usize) -> F,
    F: Future<Output = Result<S, SessionEnd>>,
{
    let mut failures = 0;
    // Counts on with every address that nobody answers at.
    let mut at = 0;
    while !stop.is_cancelled() {
        let began = Instant::now();
        let once = async {
            match dial(at).await {
                Ok(stream) => session::run(stream, service, joining).await,
                Err(end) => end,
            }
        };
        let end = tokio::select! {
            end = once => end,              // dropped only when stopping
            () = stop.cancelled() => return, // cancel-safe: level-triggered
        };
        service.connection.send_replace(None);
        at += usize::from(end.is_unreached());
        failures = if began.elapsed() >= STABLE {
            0
        } else {
            failures + 1
        };
        let pause = end.retry_after().unwrap_or_else(|| jittered(failures));
        log::info!(controller, error = crate::chain(&end), pause_ms = pause.as_millis(); "no session with the controller");
        tokio::select! {
            () = tokio::time::sleep(pause) => {} // cancel-safe: nothing is lost
            () = stop.cancelled() => {}          // cancel-safe: level-triggered
        }
    }
}

/// A time, a fifth longer or shorter: whoever was cut off together does not speak together for ever.
pub(super) fn about(time: Duration) -> Duration {
    time.mul_f64(0.8 + 0.4 * dice())
}

#[allow(clippy::cast_precision_loss, reason = "a dice need not be exact")]
fn dice() -> f64 {
    Uuid::new_v4().as_u64_pair().0 as f64 / u64::MAX as f64
}

/// Drawn evenly from zero to the ceiling, which doubles with each failure.
fn jittered(failures: u32) -> Duration {
    let ceiling = FIRST.saturating_mul(1 << failures.min(6)).min(LONGEST);
    ceiling.mul_f64(dice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_anywhere_below_a_ceiling_that_stops_growing() {
        let longest = (0..200).map(|_| jittered(30)).max().unwrap();
        assert!(longest <= LONGEST && longest > LONGEST / 2, "{longest:?}");
        assert!((0..200).all(|_| jittered(1) <= FIRST * 2));
    }
}
