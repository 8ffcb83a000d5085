//! Connect, and connect again: full jitter, and only a session that has lasted counts as a success.

mod endable;
mod told;

use super::addresses;
use super::identity::{Identity, dice};
use super::member::Member;
use super::renewal::Keeper;
use super::session::{self, SessionEnd};
use super::tls;
use crate::host::linux::LinuxHost;
use crate::service::Service;
use chatalot_protocol::message::RejectReason;
use chatalot_protocol::stream::ReadError;
use endable::Endable;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use told::Told;

/// The shortest and the longest pause is drawn from zero to these.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);
/// The same for a host that is kept out, where the controller has not said how long; drawn from half to nine tenths.
const KEPT_OUT: Duration = Duration::from_mins(5);
const KEPT_OUT_LONGEST: Duration = Duration::from_hours(1);
/// A session this old was a good one.
const STABLE: Duration = Duration::from_mins(1);
/// TCP and TLS together.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// Keeps a session with the controller until told to stop. The first connection is made while the start is still being
/// recorded; nothing is said before that has `begun`.
pub async fn keep(
    keeper: Arc<Keeper>,
    host: Arc<LinuxHost>,
    service: Arc<Service>,
    begun: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    let (keeper, host, known, begun) = (&keeper, &*host, &service, &begun);
    let session = move |at| once(keeper, host, at, known, begun.clone());
    let renew = move || async move { keeper.renew().await.is_ok() };
    hold(session, renew, known, &stop).await;
}

/// One session after the other until told to stop. `once` is told how often nobody has answered, so that it can go
/// round the addresses that there are; `renew` asks for another certificate once this host is kept out.
pub async fn hold<O, F, R, G>(mut once: O, mut renew: R, service: &Service, stop: &CancellationToken)
where
    O: FnMut(usize) -> F,
    F: Future<Output = SessionEnd>,
    R: FnMut() -> G,
    G: Future<Output = bool>,
{
    let mut failures = 0;
    let mut refusals = 0;
    let mut told = Told::default();
    // Counts on with every address that nobody answers at.
    let mut at = 0;
    while !stop.is_cancelled() {
        let began = Instant::now();
        let end = tokio::select! {
            end = once(at) => end,           // dropped only when stopping
            () = stop.cancelled() => return, // cancel-safe: level-triggered
        };
        service.connection.send_replace(None);
        at += usize::from(end.is_unreached());
        failures = if began.elapsed() >= STABLE {
            0
        } else {
            failures + 1
        };
        let pause = if is_kept_out(&end) {
            refusals += 1;
            // Where the operator has readmitted this host, its key is taken once more.
            if renew().await {
                refusals = 0;
            }
            kept_out(end.retry_after().unwrap_or(KEPT_OUT), refusals)
        } else {
            refusals = 0;
            let spread = Duration::from_secs(service.spread_secs.load(Ordering::Relaxed));
            end.retry_after().unwrap_or_else(|| jittered(failures, spread))
        };
        told.tell(&end, pause);
        tokio::select! {
            () = tokio::time::sleep(pause) => {} // cancel-safe: nothing is lost
            () = stop.cancelled() => {}          // cancel-safe: level-triggered
        }
    }
}

/// One session; it ends as well when there is another identity, with which the next one begins.
async fn once(
    keeper: &Arc<Keeper>,
    host: &LinuxHost,
    at: usize,
    service: &Arc<Service>,
    mut begun: watch::Receiver<bool>,
) -> SessionEnd {
    let mut another = keeper.changes();
    let connect = |error: std::io::Error| SessionEnd::Connect(error);
    let identity = match keeper.identity() {
        Ok(identity) => identity,
        Err(error) => return connect(std::io::Error::other(error)),
    };
    let stream = match connected(host, service, &identity, at).await {
        Ok(stream) => stream,
        Err(end) => return end,
    };
    if begun.wait_for(|begun| *begun).await.is_err() {
        return SessionEnd::HungUp;
    }
    let (stream, end) = Endable::new(stream);
    let session = session::run(stream, service, Member::of(&identity, keeper));
    tokio::pin!(session);
    loop {
        tokio::select! {
            ended = &mut session => return ended,
            changed = another.changed(), if !end.is_cancelled() => { // cancel-safe per docs on `changed`
                log::debug!(gone:? = changed.is_err(); "there is another identity");
                end.cancel();
            }
        }
    }
}

async fn connected(
    host: &LinuxHost,
    service: &Service,
    identity: &Identity,
    at: usize,
) -> Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>, SessionEnd> {
    let config = tls::channel(identity).map_err(|error| SessionEnd::Connect(std::io::Error::other(error)))?;
    let membership = &identity.membership;
    let known = addresses::known(&service.state, membership.stream, &membership.controller);
    let address = known
        .get(at % known.len().max(1))
        .unwrap_or(&membership.controller);
    tokio::time::timeout(HANDSHAKE, tls::connect(host, address, Arc::new(config)))
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(SessionEnd::Connect)
}

/// Whether the controller does not want this host, as opposed to this connection. TLS 1.3 tells so with the first read.
fn is_kept_out(end: &SessionEnd) -> bool {
    let refused = |error: &std::io::Error| {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        matches!(tls, Some(rustls::Error::AlertReceived(_)))
    };
    match end {
        SessionEnd::Rejected { reason, .. } => matches!(reason, RejectReason::Revoked | RejectReason::Locked),
        SessionEnd::Connect(error) | SessionEnd::Write(error) | SessionEnd::Read(ReadError::Lost(error)) => {
            refused(error)
        }
        _ => false,
    }
}

/// A time, a fifth longer or shorter: whoever was cut off together does not speak together for ever.
pub(super) fn about(time: Duration) -> Duration {
    time.mul_f64(0.8 + 0.4 * dice())
}

/// How long an agent pauses after so many failures: drawn evenly from zero to the ceiling, which doubles with each and is
/// never below what the controller has asked its hosts to `spread` their return over.
pub fn jittered(failures: u32, spread: Duration) -> Duration {
    doubled(FIRST, failures, LONGEST)
        .max(spread.min(LONGEST))
        .mul_f64(dice())
}

/// How long a host that is kept out waits: it is back within the hour in which it may come back.
fn kept_out(first: Duration, refusals: u32) -> Duration {
    let longest = first.saturating_mul(12).min(KEPT_OUT_LONGEST);
    match refusals {
        0 => jittered(1, Duration::ZERO),
        _ => doubled(first, refusals - 1, longest).mul_f64(0.5 + 0.4 * dice()),
    }
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(6)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_anywhere_below_a_ceiling_that_stops_growing() {
        let longest = |failures, spread| (0..200).map(|_| jittered(failures, spread)).max().unwrap();
        let most = longest(30, Duration::ZERO);
        assert!(most <= LONGEST && most > LONGEST / 2, "{most:?}");
        assert!(longest(1, Duration::ZERO) <= FIRST * 2);
    }

    #[test]
    fn f21_the_hosts_of_a_large_fleet_spread_their_return_as_they_were_asked_to() {
        let spread = Duration::from_secs(40);
        let longest = |failures, spread| (0..200).map(|_| jittered(failures, spread)).max().unwrap();
        let most = longest(1, spread);
        assert!(most <= spread && most > spread / 2, "{most:?}");
        assert!(
            longest(6, spread) > spread,
            "who fails again and again waits longer"
        );
        assert!(longest(1, Duration::MAX) <= LONGEST, "whatever it was told");
    }

    #[test]
    fn f13_a_host_that_is_kept_out_tries_again_after_minutes_and_within_the_hour() {
        let all = |refusals| (0..200).map(move |_| kept_out(KEPT_OUT, refusals));
        assert!(all(1).all(|pause| pause >= KEPT_OUT / 2 && pause < KEPT_OUT));
        assert!(all(30).all(|pause| pause >= KEPT_OUT_LONGEST / 2 && pause < KEPT_OUT_LONGEST));
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateExpired);
        let refused = std::io::Error::new(std::io::ErrorKind::InvalidData, alert);
        assert!(is_kept_out(&SessionEnd::Read(ReadError::Lost(refused))));
        assert!(!is_kept_out(&SessionEnd::HungUp));
    }
}
