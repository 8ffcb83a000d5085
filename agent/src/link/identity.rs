//! Who this host is to its controller: key, certificate, authorities and membership, a generation a folder.
//!
//! `id/current` is a link to `id/<n>`. A new generation is written whole and synced, then the link is replaced by
//! rename, then the others are removed: whenever that is cut off, [`load`] finds the one before or the new one.

mod generation;
mod trust;

pub use trust::TrustError;

use crate::host::linux::files;
use chatalot_protocol::enrol::JoinReply;
use chatalot_protocol::names::{HostId, HostName};
use chatalot_protocol::trust::SignedBundle;
use generation::{CHECKSUM, Generation, checksum, current, steps};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// How long after its time begins a certificate was signed: the controller dates it back, for clocks are wrong.
const BACKDATE: Duration = Duration::from_hours(1);

/// Why there is no usable identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("cannot {verb} the identity in `{}`", path.display())]
    File {
        /// read or write.
        verb: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds something else.
    #[error("the identity in `{}` is damaged: {why}", path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Where the controller is, and who we are to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// `host:port`.
    pub controller: String,
    /// The controller's cluster.
    pub cluster: Uuid,
    /// This host's id.
    pub host: HostId,
    /// What the operator calls it.
    pub name: HostName,
    /// Made at random by joining; with the ledger's own it names the stream of events.
    #[serde(default)]
    pub stream: Uuid,
    /// When the certificate is to be renewed.
    #[serde(default)]
    pub renewal: Renewal,
    /// The version of the bundle that the authorities are; zero where they came with an older agent.
    #[serde(default)]
    pub trusts: u64,
}

/// When a certificate is to be renewed, by this host's own clock: how wrong it is does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// When the certificate was stored, in milliseconds since 1970.
    pub stored_ms: i64,
    /// When it is to be renewed; never by an older agent's word, so at once.
    pub due_ms: i64,
}

impl Renewal {
    /// A third of the life from now, less or more a tenth of that.
    fn after(secs: Option<u64>, now_ms: i64, dice: f64) -> Self {
        let third = Duration::from_secs(secs.unwrap_or(0)).mul_f64(0.9 + 0.2 * dice);
        let due_ms = now_ms.saturating_add_unsigned(u64::try_from(third.as_millis()).unwrap_or(u64::MAX));
        Self {
            stored_ms: now_ms,
            due_ms,
        }
    }

    /// How long there is until it is due; a clock that went back tells nothing, so that it is due then.
    pub fn due_in(&self, now_ms: i64) -> Duration {
        let left = if now_ms < self.stored_ms {
            0
        } else {
            self.due_ms - now_ms
        };
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }

    /// The longest pause after an attempt that failed.
    pub fn pause(&self) -> Duration {
        let life = u64::try_from(self.due_ms - self.stored_ms).unwrap_or(0);
        Duration::from_millis(life / 4).clamp(Duration::from_millis(100), Duration::from_hours(1))
    }
}

/// A whole identity.
#[derive(Debug)]
pub struct Identity {
    /// Where the controller is.
    pub membership: Membership,
    /// Our certificate chain.
    pub chain: Vec<CertificateDer<'static>>,
    /// Our key.
    pub key: PrivateKeyDer<'static>,
    /// Whom we trust.
    pub authorities: Vec<CertificateDer<'static>>,
}

impl Identity {
    /// The number of our certificate, and the moment at which it was signed: no clock that is earlier is right.
    pub(super) fn signed(&self) -> Option<(Vec<u8>, Duration)> {
        let (_, certificate) = x509_parser::parse_x509_certificate(self.chain.first()?).ok()?;
        let begins = u64::try_from(certificate.validity().not_before.timestamp()).ok()?;
        Some((
            certificate.raw_serial().to_vec(),
            Duration::from_secs(begins) + BACKDATE,
        ))
    }
}

/// Where the key of an attempt to join waits for its certificate.
pub(super) fn joining_key(state: &Path) -> PathBuf {
    state.join("joining.key")
}

/// Where the key of an attempt to renew waits for its certificate.
pub(super) fn renewing_key(state: &Path) -> PathBuf {
    state.join("renewing.key")
}

/// Whether there is something to go on with: an identity in whatever condition, or the key of an attempt to join.
pub fn is_begun(state: &Path) -> bool {
    let begun = [
        state.join("id").join("current"),
        state.join("identity"),
        state.join("identity.old"),
        joining_key(state),
    ];
    begun.iter().any(|path| path.symlink_metadata().is_ok())
}

/// The identity, if this host has joined a controller.
pub fn load(state: &Path) -> Result<Option<Identity>, IdentityError> {
    current(state)
        .map_err(|source| failed("read", &state.join("id"), source))?
        .map(|folder| load_from(&folder))
        .transpose()
}

fn load_from(path: &Path) -> Result<Identity, IdentityError> {
    let text = |name: &str| fs::read(path.join(name)).map_err(|source| failed("read", path, source));
    let damaged = |why: String| IdentityError::Damaged {
        path: path.to_owned(),
        why,
    };
    let certificates = |pem: &[u8]| {
        CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| damaged(error.to_string()))
    };
    let (key, chain, authorities) = (
        text("key.pem")?,
        text("certificate.pem")?,
        text("authorities.pem")?,
    );
    let membership = text("membership.json")?;
    let sum = checksum([&key, &chain, &authorities, &membership]);
    match fs::read(path.join(CHECKSUM)) {
        Ok(noted) if noted != sum.as_bytes() => return Err(damaged("it is not what was written".to_owned())),
        Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(failed("read", path, source)),
        Ok(_) | Err(_) => {}
    }
    Ok(Identity {
        membership: serde_json::from_slice(&membership).map_err(|error| damaged(error.to_string()))?,
        chain: certificates(&chain)?,
        key: PrivateKeyDer::from_pem_slice(&key).map_err(|error| damaged(error.to_string()))?,
        authorities: certificates(&authorities)?,
    })
}

/// Stores what joining has brought.
pub fn store(state: &Path, controller: &str, key_pem: &str, reply: &JoinReply) -> Result<(), IdentityError> {
    let membership = Membership {
        controller: controller.to_owned(),
        cluster: reply.cluster,
        host: reply.host,
        name: reply.name.clone(),
        stream: Uuid::new_v4(),
        renewal: Renewal::after(reply.renew_after_secs, now_ms(), dice()),
        trusts: reply.trusts,
    };
    put(
        state,
        &membership,
        key_pem,
        &reply.certificate,
        &reply.authorities,
    )
}

/// Stores what renewing has brought: who we are, and to whom, stays. Whom we trust changes by what we trust already,
/// and by nothing else.
pub(super) fn replace(
    state: &Path,
    before: &Identity,
    key_pem: &str,
    reply: &JoinReply,
) -> Result<(), IdentityError> {
    let (trusts, authorities) = match reply.bundle.as_ref().map(|bundle| trust::judge(before, bundle)) {
        Some(Ok(Some(bundle))) => (bundle.version, bundle.authorities),
        Some(Err(error)) => {
            log::error!(error = crate::chain(&error); "whom to trust stays as it was");
            (before.membership.trusts, trust::pem(&before.authorities))
        }
        Some(Ok(None)) | None => (before.membership.trusts, trust::pem(&before.authorities)),
    };
    let membership = Membership {
        name: reply.name.clone(),
        renewal: Renewal::after(reply.renew_after_secs, now_ms(), dice()),
        trusts,
        ..before.membership.clone()
    };
    put(state, &membership, key_pem, &reply.certificate, &authorities)
}

/// Stores whom to trust from now on, if that is news and somebody has signed it who is trusted; the version that counts
/// then.
pub(super) fn trust(state: &Path, before: &Identity, bundle: &SignedBundle) -> Result<u64, TrustError> {
    let Some(bundle) = trust::judge(before, bundle)? else {
        return Ok(before.membership.trusts);
    };
    let membership = Membership {
        trusts: bundle.version,
        ..before.membership.clone()
    };
    let (key, certificate) = (trust::key_pem(&before.key), trust::pem(&before.chain));
    put(
        state,
        &membership,
        key.expose(),
        &certificate,
        &bundle.authorities,
    )?;
    Ok(bundle.version)
}

fn put(
    state: &Path,
    membership: &Membership,
    key_pem: &str,
    certificate: &str,
    authorities: &str,
) -> Result<(), IdentityError> {
    let write = || -> io::Result<()> {
        let generation = Generation {
            key: key_pem.as_bytes().to_vec(),
            certificate: certificate.as_bytes().to_vec(),
            authorities: authorities.as_bytes().to_vec(),
            membership: serde_json::to_vec(membership)?,
        };
        steps(state, generation)?
            .iter()
            .try_for_each(generation::Step::take)
    };
    write().map_err(|source| failed("write", &state.join("id"), source))
}

fn failed(verb: &'static str, path: &Path, source: io::Error) -> IdentityError {
    IdentityError::File {
        verb,
        path: path.to_owned(),
        source,
    }
}

/// This host's clock.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Drawn evenly from zero to one.
pub(super) fn dice() -> f64 {
    let (dice, _) = Uuid::new_v4().as_u64_pair();
    #[allow(clippy::cast_precision_loss, reason = "a dice need not be exact")]
    let dice = dice as f64 / u64::MAX as f64;
    dice
}

#[cfg(test)]
mod tests;
