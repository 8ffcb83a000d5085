//! Tokens, certificate requests, and the exchange around them.

use super::doors::centre;
use super::{parts, texts};
use chatalot_protocol::audit::{Anchor, ChainHash, Record, verify};
use chatalot_protocol::crc32::crc32;
use chatalot_protocol::enrol::{JoinReply, JoinRequest, JoinToken, hex, unhex};
use chatalot_protocol::identity::{agent_of, agent_uri};
use chatalot_protocol::names::{DeploymentId, HostId, HostName};
use chatalot_protocol::plan::PlanHash;
use chatalot_protocol::renew::RenewRequest;
use chatalot_protocol::trust::{Bundle, SignedBundle};
use chatalotctl::access::ApiToken;
use chatalotctl::ca::{Applicant, CaError, Issued, has_signed};
use chatalotctl::peer::{Peer, verified};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use uuid::Uuid;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

const CLUSTER: Uuid = Uuid::from_u128(7);
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(super) fn token(input: &[u8]) {
    let [text] = texts(input);
    typed(&text);
    // No fuzzer finds a checksum.
    typed(&format!("{text}_{:08x}", crc32(text.as_bytes())));
    canonical::<HostName>(&text);
    canonical::<ChainHash>(&text);
    canonical::<PlanHash>(&text);
    for hash in [
        unhex::<8>(&text).map(|bytes| hex(&bytes)),
        unhex::<32>(&text).map(|bytes| hex(&bytes)),
    ] {
        assert!(
            hash.is_none_or(|hash| hash == text.to_ascii_lowercase()),
            "one text, one value"
        );
    }
    let _ = (HostId::from_str(&text), DeploymentId::from_str(&text));
    if let Ok(anchor) = text.parse::<Anchor>() {
        assert_eq!(anchor.to_string().parse(), Ok(anchor));
    }
    if let Some(host) = agent_of(&text, CLUSTER) {
        assert_eq!(agent_uri(CLUSTER, host), text);
    }
}

/// A token has one spelling, but for the white space that copying brings along.
fn typed(text: &str) {
    let bare = text.trim();
    if let Ok(token) = text.parse::<JoinToken>() {
        assert_eq!(token.text().expose(), bare);
        assert!(text.parse::<ApiToken>().is_err(), "one kind of token is no other");
    }
    if let Ok(token) = text.parse::<ApiToken>() {
        assert_eq!(token.text().expose(), bare);
    }
}

fn canonical<T: FromStr + ToString>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text, "one text, one value");
    }
}

/// The applicant of requests that are signed.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());

pub(super) fn open() {
    LazyLock::force(&KEY);
    centre();
}

/// A request as it came, one in PEM around the same bytes, and one that says whatever the bytes say and is signed.
pub(super) fn csr(input: &[u8]) {
    let [text] = texts(input);
    let whole = [text, pem("CERTIFICATE REQUEST", input), signed(input)];
    for request in whole {
        if let Ok(applicant) = Applicant::read(&request) {
            certified(applicant);
        }
    }
}

pub(super) fn pem(label: &str, bytes: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(bytes);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// A request that asks for as much as it can: names, usages, an authority of its own.
pub(super) fn signed(input: &[u8]) -> String {
    let [wishes, name, other, value] = texts(input);
    let wish = |bit: usize| {
        wishes
            .as_bytes()
            .first()
            .is_some_and(|wishes| wishes & (1 << bit) != 0)
    };
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name.as_str());
    params
        .distinguished_name
        .push(DnType::OrganizationName, other.as_str());
    for san in [
        name.try_into().map(SanType::DnsName),
        other.try_into().map(SanType::URI),
    ] {
        params.subject_alt_names.extend(san);
    }
    if wish(0) {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    if wish(1) {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Any];
    }
    if wish(2) {
        let oid = [1, 3, 6, 1, 4, 1, 99999, 1];
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&oid, value.into_bytes()));
    }
    let request = params.serialize_request(&*KEY);
    request.and_then(|request| request.pem()).unwrap_or_default()
}

/// Everything in a certificate but the key is the authority's own.
fn certified(applicant: Applicant) {
    let host = HostId(Uuid::from_u128(9));
    let life = Duration::from_hours(24);
    let (runtime, centre) = centre();
    let signer = Arc::clone(centre);
    let issued: Result<Issued, CaError> = runtime.block_on(
        centre
            .store
            .read(move |c| signer.authority.issue(c, CLUSTER, host, (&applicant, life))),
    );
    let issued = issued.unwrap();
    let der = CertificateDer::from_pem_slice(issued.pem.as_bytes()).unwrap();
    let (rest, certificate) = X509Certificate::from_der(&der).unwrap();
    assert!(rest.is_empty());
    assert_eq!(certificate.raw_serial(), issued.serial);
    assert_eq!(
        certificate.subject().iter_attributes().count(),
        0,
        "no name of the applicant's"
    );
    let standing = centre.authority.now();
    let (_, root) = X509Certificate::from_der(&standing.root.certificate).unwrap();
    assert_eq!(certificate.issuer(), root.subject());
    let hour = Duration::from_hours(1);
    let lasts = certificate.validity().not_after - certificate.validity().not_before;
    assert!(lasts.is_some_and(|lasts| (life..=life + 2 * hour).contains(&lasts.unsigned_abs())));
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                let uri = agent_uri(CLUSTER, host);
                assert_eq!(names.general_names, [GeneralName::URI(&uri)]);
            }
            ParsedExtension::BasicConstraints(limits) => assert!(!limits.ca),
            ParsedExtension::KeyUsage(usage) => assert_eq!(usage.flags, 1, "signatures only"),
            ParsedExtension::ExtendedKeyUsage(usage) => {
                assert!(usage.client_auth && !usage.any && !usage.server_auth && usage.other.is_empty());
            }
            ParsedExtension::AuthorityKeyIdentifier(_) | ParsedExtension::SubjectKeyIdentifier(_) => {}
            other => panic!("an extension of somebody else's: {other:?}"),
        }
    }
    let peer = Peer::of(&der, CLUSTER, ADDRESS).unwrap();
    assert_eq!((peer.host, peer.serial), (host, issued.serial));
}

/// Messages around a certificate, certificates themselves, and the records of an audit.
pub(super) fn exchange(input: &[u8]) {
    let _: Result<JoinRequest, _> = serde_json::from_slice(input);
    let _: Result<JoinReply, _> = serde_json::from_slice(input);
    let _: Result<RenewRequest, _> = serde_json::from_slice(input);
    let _ = Peer::of(input, CLUSTER, ADDRESS);
    let _ = verified(&CertificateDer::from(input), &centre().1.authority.now());
    let [certificate, proof, bytes] = texts(input);
    let proven = has_signed(&certificate, bytes.as_bytes(), &proof);
    assert!(!proven, "a signature that nobody has made");
    if let Some(signed) = super::again::<SignedBundle>(input)
        && let Ok(bundle) = signed.read()
    {
        let text = serde_json::to_string(&bundle).unwrap();
        assert_eq!(serde_json::from_str::<Bundle>(&text).unwrap(), bundle);
    }
    let [anchor, records] = parts(input);
    if let Some(records) = super::again::<Vec<Record>>(records) {
        let seen = String::from_utf8_lossy(anchor).parse().ok();
        if let Ok(end) = verify(&records, seen) {
            assert_eq!(end.n, records.len() as u64, "every record counts");
        }
    }
}
