//! Whom an agent takes for its controller, while it joins, on the channel and while it renews: handshakes in memory.

use super::*;
use crate::link::identity::{self, Membership};
use chatalot_protocol::names::HostId;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PublicKeyData, SanType,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConnection, ServerConfig, ServerConnection, SupportedProtocolVersion};
use uuid::Uuid;

type Authority = CertifiedIssuer<'static, KeyPair>;

/// A server's certificate: everything that may be wrong with one.
#[derive(Clone)]
struct Leaf {
    name: SanType,
    purpose: ExtendedKeyUsagePurpose,
    /// The years in which it is valid.
    years: (i32, i32),
    tls: &'static SupportedProtocolVersion,
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn right() -> Leaf {
    Leaf {
        name: dns(CONTROLLER_NAME),
        purpose: ExtendedKeyUsagePurpose::ServerAuth,
        years: (2020, 2100),
        tls: &rustls::version::TLS13,
    }
}

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn signed(leaf: &Leaf, by: &Authority) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![leaf.name.clone()];
    params.extended_key_usages = vec![leaf.purpose.clone()];
    params.not_before = rcgen::date_time_ymd(leaf.years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(leaf.years.1, 1, 1);
    let certificate = params.signed_by(&key, by).unwrap();
    (
        certificate.der().clone(),
        PrivateKeyDer::Pkcs8(key.serialize_der().into()),
    )
}

/// A host that has joined the controller of this authority in that year.
fn joined(to: &Authority, year: i32) -> Identity {
    let leaf = Leaf {
        name: dns("a-host"),
        purpose: ExtendedKeyUsagePurpose::ClientAuth,
        years: (year, 2100),
        ..right()
    };
    let (certificate, key) = signed(&leaf, to);
    Identity {
        membership: Membership {
            controller: "203.0.113.1:8443".into(),
            cluster: Uuid::nil(),
            host: HostId::fresh(),
            name: "chat-1".parse().unwrap(),
            stream: Uuid::nil(),
            renewal: identity::Renewal::default(),
            trusts: 1,
        },
        chain: vec![certificate],
        key,
        authorities: vec![to.der().clone()],
    }
}

fn pins(of: &Authority) -> Pins {
    let pin = digest::digest(&digest::SHA256, &of.key().subject_public_key_info());
    Pins::from(<[u8; 32]>::try_from(pin.as_ref()).unwrap())
}

/// What an agent of this authority's controller dials with, by its occasion.
fn dialled(ours: &Authority) -> [(&'static str, ClientConfig); 3] {
    let identity = joined(ours, 2020);
    [
        ("joining", joining(pins(ours)).unwrap()),
        ("on the channel", channel(&identity).unwrap()),
        ("renewing", renewing(&identity).unwrap()),
    ]
}

/// Shakes hands with somebody who shows this certificate, and this authority with it.
fn hands(client: ClientConfig, leaf: &Leaf, by: &Authority, shown: &Authority) -> Result<(), rustls::Error> {
    let (certificate, key) = signed(leaf, by);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[leaf.tls])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate, shown.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![ALPN_CHANNEL.to_vec(), ALPN_HTTP.to_vec()];
    let name = ServerName::try_from(CONTROLLER_NAME).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    while client.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn f10_only_what_our_own_authority_has_signed_for_the_controllers_name_is_the_controller() {
    let (ours, theirs) = (authority(), authority());
    for (occasion, client) in dialled(&ours) {
        assert_eq!(hands(client, &right(), &ours, &ours), Ok(()), "{occasion}");
    }
    let host = SanType::URI("spiffe://chatalot/host/1".try_into().unwrap());
    let wrong = [
        (
            "another name",
            Leaf {
                name: dns("shop.example.com"),
                ..right()
            },
            &ours,
        ),
        (
            "a host's certificate",
            Leaf {
                name: host,
                purpose: ExtendedKeyUsagePurpose::ClientAuth,
                ..right()
            },
            &ours,
        ),
        (
            "one for clients",
            Leaf {
                purpose: ExtendedKeyUsagePurpose::ClientAuth,
                ..right()
            },
            &ours,
        ),
        (
            "one of the past",
            Leaf {
                years: (2020, 2021),
                ..right()
            },
            &ours,
        ),
        (
            "one of the future",
            Leaf {
                years: (2099, 2100),
                ..right()
            },
            &ours,
        ),
        (
            "TLS 1.2",
            Leaf {
                tls: &rustls::version::TLS12,
                ..right()
            },
            &ours,
        ),
        ("another authority's", right(), &theirs),
    ];
    for (what, leaf, by) in wrong {
        for shown in [by, &ours] {
            for (occasion, client) in dialled(&ours) {
                let ended = hands(client, &leaf, by, shown);
                assert!(ended.is_err(), "{what}, {occasion}");
            }
        }
    }
}

#[test]
fn f10_of_a_pair_of_pins_either_is_enough_and_no_other_authority_is() {
    let (now, next, other) = (authority(), authority(), authority());
    let both = Pins {
        next: Some(pins(&next).now),
        ..pins(&now)
    };
    for (by, is_trusted) in [(&now, true), (&next, true), (&other, false)] {
        let ended = hands(joining(both).unwrap(), &right(), by, by);
        assert_eq!(ended.is_ok(), is_trusted);
    }
}

#[test]
fn f19_a_clock_that_was_set_back_before_our_certificate_was_signed_does_not_end_the_link() {
    let ours = authority();
    let later = Leaf {
        years: (2090, 2100),
        ..right()
    };
    for (signed_in, is_trusted) in [(2095, true), (2020, false)] {
        let client = channel(&joined(&ours, signed_in)).unwrap();
        assert_eq!(hands(client, &later, &ours, &ours).is_ok(), is_trusted);
    }
}
