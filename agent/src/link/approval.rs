//! Joining without a secret: the key's six words are shown here, and the agent waits until the operator has compared
//! them at the controller. Nobody is trusted but the controller whose pin was given.

use super::identity;
use super::join::{JoinError, csr, forget_key, keep, kept_key};
use super::post::{PostError, To, post};
use super::tls;
use crate::host::Look;
use crate::host::linux::LinuxHost;
use chatalot_protocol::approve::{EnrolReply, EnrolRequest, words};
use chatalot_protocol::enrol::{JoinReply, Pins};
use rcgen::{KeyPair, PublicKeyData};
use ring::digest::{SHA256, digest};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The longest wait, whatever a controller says.
const LONGEST: Duration = Duration::from_hours(24);
/// How often somebody who watches is told that the wait goes on.
const PROGRESS: Duration = Duration::from_mins(1);
/// Between two questions: the controller holds each for a while itself.
const PAUSE: Duration = Duration::from_secs(1);
/// How long somebody tries who finds too many before him and was never told how long to wait.
const CROWD: Duration = Duration::from_mins(15);
/// The same after a question that came to nothing.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// Joins the controller at `host:port` once the operator has approved this host's key. Cut off, it may be repeated: the
/// key is kept, so that the words are the same and a lost reply is answered again.
pub async fn join(
    host: &LinuxHost,
    state: &Path,
    (address, pins): (&str, Pins),
    say: &mut dyn FnMut(&str),
) -> Result<JoinReply, JoinError> {
    let pending = identity::joining_key(state);
    let key = kept_key(&pending)?;
    let request = EnrolRequest {
        csr: csr(&key)?,
        hostname: host.system().await.unwrap_or_default().hostname,
    };
    say(&format!("this host's key:  {}", of(&key)));
    say("waits until the key is approved at the controller, with: chatalotctl host approve");
    let ask = async || {
        let config = tls::joining(pins);
        let to = To {
            host,
            address,
            config,
        };
        post(to, "/v1/enrol", &request).await
    };
    let answer = decided(ask, say).await;
    if let Err(JoinError::Post(PostError::Refused(_)) | JoinError::Unapproved(_)) = answer {
        // Whoever tries again does so with another key.
        forget_key(&pending)?;
    }
    let reply = answer?;
    keep(state, address, &key, &reply)?;
    forget_key(&pending)?;
    Ok(reply)
}

/// The six words of a key.
fn of(key: &KeyPair) -> String {
    let mut spki = [0; 32];
    spki.copy_from_slice(digest(&SHA256, &key.subject_public_key_info()).as_ref());
    words(&spki)
}

/// Asks until there is an answer. What fails before the controller was ever heard ends it at once: that is a wrong
/// address or somebody else. Later it may be a restart.
async fn decided(
    mut ask: impl AsyncFnMut() -> Result<EnrolReply, PostError>,
    say: &mut dyn FnMut(&str),
) -> Result<JoinReply, JoinError> {
    let began = Instant::now();
    let (mut until, mut told) = (None, began);
    let mut crowd = None;
    loop {
        let pause = match ask().await {
            Ok(EnrolReply::Joined(reply)) => return Ok(*reply),
            Ok(EnrolReply::Waiting { left_secs }) => {
                let left = Duration::from_secs(left_secs);
                until = Some(Instant::now() + left.min(LONGEST.saturating_sub(began.elapsed())));
                crowd = None;
                PAUSE
            }
            Ok(EnrolReply::Unknown) => LONG_PAUSE,
            Err(PostError::Refused(advice)) if advice.code == "TOO_MANY_TRIES" => {
                until.get_or_insert(began + CROWD);
                crowd = Some(advice);
                LONG_PAUSE
            }
            Err(PostError::Refused(advice)) => return Err(PostError::Refused(advice).into()),
            Err(error) if until.is_none() => return Err(error.into()),
            Err(error) => {
                log::debug!(error = crate::chain(&error); "the controller was not heard");
                LONG_PAUSE
            }
        };
        if until.unwrap_or(began + LONGEST) <= Instant::now() + pause {
            return Err(crowd.map_or_else(
                || JoinError::Unapproved(began.elapsed()),
                |crowd| PostError::Refused(crowd).into(),
            ));
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            say(&format!(
                "still waits, for {} min now",
                began.elapsed().as_secs() / 60
            ));
        }
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::advice::Advice;
    use rustls_pki_types::CertificateSigningRequestDer;
    use rustls_pki_types::pem::PemObject;
    use std::collections::VecDeque;
    use std::io;
    use x509_parser::prelude::{FromDer, X509CertificationRequest};

    fn reply() -> JoinReply {
        serde_json::from_value(serde_json::json!({
            "host": "0190b7a0-0000-7000-8000-000000000000", "name": "chat-1", "certificate": "", "authorities": "",
            "cluster": "5f0c3f5e-1111-4222-8333-444455556666",
        }))
        .unwrap()
    }

    fn unreachable() -> Result<EnrolReply, PostError> {
        Err(PostError::Connect {
            address: "ctl:1".to_owned(),
            source: io::ErrorKind::ConnectionRefused.into(),
        })
    }

    fn refused(code: &'static str) -> Result<EnrolReply, PostError> {
        Err(PostError::Refused(Box::new(Advice::new(code, "", "", ""))))
    }

    fn waiting(left_secs: u64) -> EnrolReply {
        EnrolReply::Waiting { left_secs }
    }

    /// What comes of these answers, each held as long as a controller holds it; then it waits for ever.
    async fn told(
        answers: Vec<Result<EnrolReply, PostError>>,
    ) -> (Result<JoinReply, JoinError>, Vec<String>) {
        let mut answers = VecDeque::from(answers);
        let mut said = Vec::new();
        let ask = async || {
            sleep(Duration::from_secs(20)).await;
            answers.pop_front().unwrap_or_else(|| Ok(waiting(3600)))
        };
        let done = decided(ask, &mut |line: &str| said.push(line.to_owned())).await;
        (done, said)
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_told_so_and_is_let_in_after_a_restart_of_the_controller_too() {
        let mut answers: Vec<_> = (0..6).map(|_| Ok(waiting(900))).collect();
        answers.extend([unreachable(), refused("TOO_MANY_TRIES"), Ok(EnrolReply::Unknown)]);
        answers.push(Ok(EnrolReply::Joined(Box::new(reply()))));
        let (done, said) = told(answers).await;
        assert_eq!(done.unwrap().name.as_str(), "chat-1");
        assert_eq!(said.first().unwrap(), "still waits, for 1 min now");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_a_crowd_asks_again_for_a_while() {
        let (done, _) = told(vec![
            refused("TOO_MANY_TRIES"),
            Ok(EnrolReply::Joined(Box::new(reply()))),
        ])
        .await;
        assert_eq!(done.unwrap().name.as_str(), "chat-1");
        let began = Instant::now();
        let crowd = (0..1000).map(|_| refused("TOO_MANY_TRIES")).collect();
        let (done, _) = told(crowd).await;
        let Err(JoinError::Post(PostError::Refused(why))) = done else {
            panic!("not told of the crowd")
        };
        assert_eq!(why.code, "TOO_MANY_TRIES");
        assert!(began.elapsed() <= CROWD + Duration::from_mins(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_controller_that_was_never_heard_or_says_no_ends_it_at_once() {
        let began = Instant::now();
        let (done, _) = told(vec![unreachable()]).await;
        assert!(matches!(done, Err(JoinError::Post(PostError::Connect { .. }))));
        let (done, _) = told(vec![Ok(waiting(900)), refused("JOIN_REFUSED")]).await;
        assert!(matches!(done, Err(JoinError::Post(PostError::Refused(_)))));
        assert!(began.elapsed() < Duration::from_mins(2));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_the_controller_awaits_or_than_a_day() {
        let began = Instant::now();
        let (done, _) = told(vec![Ok(waiting(30)), unreachable(), unreachable(), unreachable()]).await;
        assert!(matches!(done, Err(JoinError::Unapproved(_))));
        assert!(began.elapsed() < Duration::from_mins(2));
        let (done, _) = told(Vec::new()).await;
        assert!(matches!(done, Err(JoinError::Unapproved(_))));
        assert!(began.elapsed() <= LONGEST + Duration::from_mins(3));
    }

    #[test]
    fn the_words_shown_here_are_those_of_the_key_in_the_request() {
        let key = KeyPair::generate().unwrap();
        let request = csr(&key).unwrap();
        let der = CertificateSigningRequestDer::from_pem_slice(request.as_bytes()).unwrap();
        let (_, parsed) = X509CertificationRequest::from_der(&der).unwrap();
        let spki = digest(&SHA256, parsed.certification_request_info.subject_pki.raw);
        let spki: [u8; 32] = spki.as_ref().try_into().unwrap();
        assert_eq!(of(&key), words(&spki));
    }
}
