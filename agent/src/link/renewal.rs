//! The identity while the agent runs: renewed in time, and after an end that the operator has lifted.

use super::addresses;
use super::identity::{self, Identity, IdentityError, TrustError, dice, now_ms};
use super::join::{self, JoinError};
use super::post::{PostError, To, post};
use super::tls;
use crate::host::linux::LinuxHost;
use chatalot_protocol::enrol::{JoinReply, hex};
use chatalot_protocol::renew::RenewRequest;
use chatalot_protocol::trust::SignedBundle;
use rcgen::{KeyPair, SigningKey};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;

/// How long is slept at most without a look at the clock.
const LOOK: Duration = Duration::from_hours(1);

/// Why the identity is not renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// There is none, or it cannot be stored.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// This host has not joined.
    #[error("this host has not joined a controller")]
    Absent,
    /// Its certificate or key cannot be used.
    #[error("the certificate or its key cannot be used")]
    Unusable,
    /// What is to be trusted is not.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// No new certificate.
    #[error("no new certificate")]
    Join(#[from] JoinError),
}

/// The one that changes the identity.
pub struct Keeper {
    host: Arc<LinuxHost>,
    state: PathBuf,
    one: Mutex<()>,
    changed: watch::Sender<()>,
    hurry: Notify,
}

impl Keeper {
    /// For the identity in a state folder.
    pub fn new(host: Arc<LinuxHost>, state: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            host,
            state,
            one: Mutex::new(()),
            changed: watch::channel(()).0,
            hurry: Notify::new(),
        })
    }

    /// The identity as it is now.
    pub fn identity(&self) -> Result<Identity, RenewError> {
        identity::load(&self.state)?.ok_or(RenewError::Absent)
    }

    /// Tells when there is another identity.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Renews soon, whatever the time.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Renews in time until told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut pause: Option<Duration> = None;
        loop {
            let wait = match (pause.take(), self.identity()) {
                (Some(pause), _) => pause,
                (None, Ok(identity)) => identity.membership.renewal.due_in(now_ms()),
                (None, Err(error)) => {
                    log::error!(error = crate::chain(&error); "the identity cannot be read");
                    LOOK
                }
            };
            let hurried = tokio::select! {
                () = tokio::time::sleep(wait.min(LOOK)) => false, // cancel-safe: level-triggered
                () = self.hurry.notified() => true,               // cancel-safe per docs on `notified`
                () = stop.cancelled() => return,                  // cancel-safe: level-triggered
            };
            if !hurried && wait > LOOK {
                continue;
            }
            let renewed = tokio::select! {
                renewed = self.renew() => renewed, // dropped only when stopping: the next start goes on with its key
                () = stop.cancelled() => return,
            };
            if let Err(error) = renewed {
                let longest = self
                    .identity()
                    .map_or(LOOK, |identity| identity.membership.renewal.pause());
                let next = longest.mul_f64(dice());
                log::warn!(error = crate::chain(&error), pause_ms = next.as_millis(); "the certificate is not renewed");
                pause = Some(next);
            }
        }
    }

    /// Asks for a certificate of a new key, and makes it the identity. The key is kept until then: asked again with
    /// it, the controller gives the same certificate.
    pub async fn renew(&self) -> Result<(), RenewError> {
        let _one = self.one.lock().await;
        let before = self.identity()?;
        let waiting = identity::renewing_key(&self.state);
        let key = match join::kept_key(&waiting) {
            // Torn or not a key: another one is as good.
            Err(JoinError::Key(_)) => {
                join::forget_key(&waiting)?;
                join::kept_key(&waiting)?
            }
            kept => kept?,
        };
        let request = request(&before, &key)?;
        let reply = match self.ask(&before, &request).await {
            Err(error) => {
                if error.is_refusal() {
                    // Perhaps it is this key that is not taken.
                    join::forget_key(&waiting)?;
                }
                return Err(JoinError::from(error).into());
            }
            Ok(reply) => reply,
        };
        identity::replace(&self.state, &before, &key.serialize_pem(), &reply)?;
        join::forget_key(&waiting)?;
        self.changed.send_replace(());
        log::info!(name:% = reply.name; "the certificate is renewed");
        Ok(())
    }
}

impl Keeper {
    /// Takes over whom to trust from now on; the version that counts then. It is on the disk before it is told to
    /// anybody. The session goes on: the next one is the first that it is needed for.
    pub async fn trust(&self, bundle: &SignedBundle) -> Result<u64, RenewError> {
        let _one = self.one.lock().await;
        let before = self.identity()?;
        let version = identity::trust(&self.state, &before, bundle)?;
        if version != before.membership.trusts {
            log::info!(version; "whom this host trusts has changed, by the word of whom it trusted");
        }
        Ok(version)
    }

    /// Asks wherever the controller may be, until somebody answers who is the controller.
    async fn ask(&self, before: &Identity, request: &RenewRequest) -> Result<JoinReply, PostError> {
        let membership = &before.membership;
        let mut answer = Err(PostError::Answer("there is no address of it".to_owned()));
        for address in addresses::known(&self.state, membership.stream, &membership.controller) {
            let to = To {
                host: &self.host,
                address: &address,
                config: tls::renewing(before),
            };
            answer = post(to, "/v1/renew", request).await;
            if !matches!(answer, Err(PostError::Connect { .. })) {
                break;
            }
        }
        answer
    }
}

/// What is asked, with the proof that we have the key to the certificate that we have.
fn request(before: &Identity, key: &KeyPair) -> Result<RenewRequest, RenewError> {
    let (serial, _) = before.signed().ok_or(RenewError::Unusable)?;
    let (host, serial, csr) = (before.membership.host, hex(&serial), join::csr(key)?);
    let ours = KeyPair::try_from(&before.key).map_err(|_| RenewError::Unusable)?;
    let proof = ours
        .sign(&RenewRequest::signed(host, &serial, &csr))
        .map_err(|_| RenewError::Unusable)?;
    Ok(RenewRequest {
        host,
        serial,
        csr,
        proof: hex(&proof),
    })
}
