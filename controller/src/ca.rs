//! What certificates are made of: a root's, the controller's own, those of agents, and the bridge from one root to
//! another. Who signs with what, and when, is for [`crate::authority`].

use crate::files::FileError;
use crate::store::StoreError;
use crate::tls::TlsError;
use chatalot_protocol::enrol::unhex_all;
use chatalot_protocol::identity::CONTROLLER_NAME;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKey, PublicKeyData,
    SanType, SerialNumber,
};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer, X509Certificate};

const DAY: Duration = Duration::from_hours(24);
const ROOT_LIFE: Duration = DAY.saturating_mul(20 * 365);
const SERVER_LIFE: Duration = DAY.saturating_mul(10 * 365);
/// Clocks of hosts are wrong, mostly a little.
pub(crate) const BACKDATE_SECS: i64 = 3600;
const BACKDATE: Duration = Duration::from_secs(BACKDATE_SECS.cast_unsigned());

/// What went wrong with the authority.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file of it.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is missing, although hosts were enrolled with it.
    #[error("`{}` is missing: restore the state folder from its backup", .0.display())]
    Missing(PathBuf),
    /// A file is not what it should be.
    #[error("`{}` is not a {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A key could not be made or a certificate not signed.
    #[error("cannot make a key or certificate")]
    Make(#[from] rcgen::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// A root that is not at hand.
    #[error("root {0} is not at hand")]
    NoRoot(u32),
    /// What is to be trusted cannot be put into words.
    #[error("what agents are to trust cannot be written")]
    Words(#[from] serde_json::Error),
    /// TLS does not take what was made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Which root signs cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a certificate request is refused.
#[derive(Debug, thiserror::Error)]
pub enum CsrError {
    /// Not PEM.
    #[error("not a certificate request in PEM")]
    Pem,
    /// Not a request, or not signed by its own key.
    #[error("not a valid certificate request")]
    Invalid(#[source] rcgen::Error),
    /// A key of another kind.
    #[error("only P-256 keys are taken")]
    Key,
}

/// The public key of a host that wants to join; all that is taken from its request.
pub struct Applicant(PublicKey);

impl Applicant {
    /// Reads a request in PEM and verifies that it was signed by its key.
    pub fn read(csr: &str) -> Result<Self, CsrError> {
        let der = CertificateSigningRequestDer::from_pem_slice(csr.as_bytes()).map_err(|_| CsrError::Pem)?;
        let request = CertificateSigningRequestParams::from_der(&der).map_err(CsrError::Invalid)?;
        if request.public_key.algorithm() == &rcgen::PKCS_ECDSA_P256_SHA256 {
            Ok(Self(request.public_key))
        } else {
            Err(CsrError::Key)
        }
    }

    /// What tells its key from every other.
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256(&self.0.subject_public_key_info())
    }
}

/// A certificate that was just signed.
pub struct Issued {
    /// Its number.
    pub serial: [u8; 16],
    /// Itself, in PEM.
    pub pem: String,
    /// When it ends, in milliseconds since 1970.
    pub not_after_ms: i64,
    /// The number of the root that has signed it.
    pub root: u32,
}

/// Whether the key of a certificate in PEM has signed these bytes; the signature is ASN.1 in hex.
pub fn has_signed(certificate: &str, signed: &[u8], proof: &str) -> bool {
    let signature = unhex_all(proof);
    let der = CertificateDer::from_pem_slice(certificate.as_bytes());
    let (Some(signature), Ok(der)) = (signature, der) else {
        return false;
    };
    X509Certificate::from_der(&der).is_ok_and(|(_, certificate)| {
        UnparsedPublicKey::new(
            &ECDSA_P256_SHA256_ASN1,
            &certificate.public_key().subject_public_key.data,
        )
        .verify(signed, &signature)
        .is_ok()
    })
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// Random bytes.
pub fn random<const N: usize>() -> Result<[u8; N], CaError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| CaError::Random)?;
    Ok(bytes)
}

/// A root that signs itself.
pub(crate) fn root(number: u32, key: &KeyPair) -> Result<Certificate, CaError> {
    Ok(root_params(number)?.self_signed(key)?)
}

/// The word of one root for another: whoever trusts the one that signs can follow it to the other.
pub(crate) fn bridge(number: u32, key: &KeyPair, by: &Issuer<'_, KeyPair>) -> Result<Certificate, CaError> {
    let mut params = root_params(number)?;
    // Another bridge may follow below it.
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.use_authority_key_identifier_extension = true;
    Ok(params.signed_by(key, by)?)
}

/// The controller's own.
pub(crate) fn server(key: &KeyPair, by: &Issuer<'_, KeyPair>) -> Result<Certificate, CaError> {
    let mut params = leaf_params(ExtendedKeyUsagePurpose::ServerAuth, SERVER_LIFE);
    params.serial_number = Some(SerialNumber::from_slice(&serial()?));
    params.distinguished_name = named(CONTROLLER_NAME);
    params.subject_alt_names = vec![SanType::DnsName(CONTROLLER_NAME.try_into()?)];
    Ok(params.signed_by(key, by)?)
}

/// A host's. Everything in it but the key is ours.
pub(crate) fn agent(
    uri: String,
    applicant: &Applicant,
    life: Duration,
    (root, by): (u32, &Issuer<'_, KeyPair>),
) -> Result<Issued, CaError> {
    let serial = serial()?;
    let mut params = leaf_params(ExtendedKeyUsagePurpose::ClientAuth, life);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    let not_after_ms = params.not_after.unix_timestamp() * 1000;
    Ok(Issued {
        serial,
        pem: params.signed_by(&applicant.0, by)?.pem(),
        not_after_ms,
        root,
    })
}

/// Each root has a name of its own: a certificate tells by it who has signed.
fn root_params(number: u32) -> Result<CertificateParams, CaError> {
    let mut params = CertificateParams::default();
    params.not_before = (SystemTime::now() - BACKDATE).into();
    params.not_after = (SystemTime::now() + ROOT_LIFE).into();
    params.serial_number = Some(SerialNumber::from_slice(&serial()?));
    params.distinguished_name = match number {
        1 => named("chatalot controller root"),
        _ => named(&format!("chatalot controller root {number}")),
    };
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf_params(usage: ExtendedKeyUsagePurpose, life: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = (SystemTime::now() - BACKDATE).into();
    params.not_after = (SystemTime::now() + life).into();
    params.distinguished_name = DistinguishedName::new();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// 128 random bits, shaped so that every encoding of them is sixteen bytes long.
fn serial() -> Result<[u8; 16], CaError> {
    let mut serial: [u8; 16] = random()?;
    serial[0] = serial[0] & 0x3f | 0x40;
    Ok(serial)
}

pub(crate) fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};

    #[test]
    fn f09_a_request_with_any_byte_changed_is_refused_or_means_the_same() {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let request = CertificateParams::default().serialize_request(&key).unwrap();
        let read = |der: &[u8]| {
            let text = STANDARD.encode(der);
            Applicant::read(&format!(
                "-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n"
            ))
        };
        let fingerprint = read(request.der())
            .unwrap_or_else(|_| panic!("ours"))
            .fingerprint();
        for at in 0..request.der().len() {
            let mut forged = request.der().to_vec();
            forged[at] ^= 1;
            // A few bytes say nothing, and are not signed: they change nothing either.
            let changed = read(&forged).map(|applicant| applicant.fingerprint() != fingerprint);
            assert!(!changed.unwrap_or(false), "{at}");
        }
    }
}
