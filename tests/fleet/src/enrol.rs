//! Hosts that have joined, without the visits that it takes: the controller's own code signs their certificates.

use crate::Result;
use chatalotctl::ca::Applicant;
use chatalotctl::centre::Centre;
use chatalotctl::clock::now_ms;
use chatalotctl::config::Config;
use chatalotctl::store::tokens::{self, Refusal, Shown, Token};
use chatalotctl::store::{StoreError, hosts};
use futures_util::{StreamExt, TryStreamExt, stream};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// How many join at once: the store commits them together.
const TOGETHER: usize = 256;

/// What an agent shows of itself.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// A controller's state in which so many hosts have joined, and their identities.
pub(crate) struct Fleet {
    _folder: TempDir,
    pub(crate) config: Config,
    pub(crate) pin: [u8; 32],
    pub(crate) identities: Vec<Arc<Identity>>,
}

impl Fleet {
    pub(crate) async fn enrolled(agents: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = config(folder.path())?;
        let centre = Centre::open(config.clone()).await?;
        let joining = stream::iter(0..agents).map(|number| enrolled(&centre, number));
        let identities = joining.buffered(TOGETHER).map_ok(Arc::new).try_collect().await?;
        let pin = centre.authority.now().root.pin();
        // The store's threads may still hold what they have just done.
        while Arc::strong_count(&centre) > 1 {
            tokio::task::yield_now().await;
        }
        Ok(Self {
            _folder: folder,
            config,
            pin,
            identities,
        })
    }
}

async fn enrolled(centre: &Arc<Centre>, number: usize) -> Result<Identity> {
    let (key, now) = (KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?, now_ms());
    let request = CertificateParams::default().serialize_request(&key)?.pem()?;
    let applicant = Applicant::read(&request)?;
    let (id, secret, spki) = (number.to_be_bytes(), [7; 32], applicant.fingerprint());
    let name = format!("host-{number}").parse()?;
    let issuer = Arc::clone(centre);
    let joined = centre.store.write(move |c| {
        let host = hosts::invite(c, &name, &[], now).map_err(|_| StoreError::Damaged("invitation"))?;
        let expires_ms = now + 60_000;
        let token = Token {
            id,
            secret,
            expires_ms,
        };
        tokens::keep(c, host.host, &token, now)?;
        let life = issuer.config.certificate_life;
        tokens::consume(c, &Shown { id, secret, spki }, now, |host| {
            issuer
                .authority
                .issue(c, issuer.cluster.id, host, (&applicant, life))
        })
    });
    let joined = joined.await.map_err(|refusal: Refusal| refusal.to_string())?;
    Ok(Identity {
        certificate: CertificateDer::from_pem_slice(joined.certificate.as_bytes())?,
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
    })
}

fn config(folder: &Path) -> Result<Config> {
    Ok(Config {
        state: folder.join("state"),
        listen: TcpListener::bind(("127.0.0.1", 0))?.local_addr()?,
        address: None,
        standby: Vec::new(),
        binaries: Vec::new(),
        certificate_life: Duration::from_hours(24),
        refused_retry: Duration::from_mins(5),
        readmit_time: Duration::from_hours(1),
        token_life: Duration::from_mins(15),
        job_life: Duration::from_mins(15),
        keep: Duration::from_hours(24),
        approval_by: None,
        second_approver: None,
        approval_life: Duration::from_hours(24),
        resolvers: Vec::new(),
        reach: Vec::new(),
    })
}
