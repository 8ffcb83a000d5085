use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Answers every connection with the same bytes; then keeps it open, or closes it.
async fn serve(answer: Vec<u8>, keep: bool, tls: Option<TlsAcceptor>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            match &tls {
                None => talk(stream, &answer, keep).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        talk(stream, &answer, keep).await;
                    }
                }
            }
        }
    });
    address
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8], keep: bool) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let _ = stream.write_all(answer).await;
    let _ = stream.flush().await;
    if keep {
        let _ = stream.read_u8().await;
    }
    let _ = stream.shutdown().await;
}

/// An authority, and a server that shows its certificate for `chat.example.com`.
fn certified(folder: &Path, days: i64) -> (Config, TlsAcceptor) {
    speaking(folder, days, rustls::DEFAULT_VERSIONS)
}

fn speaking(
    folder: &Path,
    days: i64,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> (Config, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Test Authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["chat.example.com".to_owned()]).unwrap();
    let year = if days > 0 { 2030 } else { 2020 };
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let certificate = params.signed_by(&key, &authority).unwrap();
    let trust = folder.join("trust.pem");
    std::fs::write(&trust, authority.pem()).unwrap();
    let server =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
    let config = Config {
        trust: Some(trust),
        ..Config::default()
    };
    (config, TlsAcceptor::from(Arc::new(server)))
}

fn ok(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nX-Thing: a\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn page(address: SocketAddr) -> Fetch {
    Fetch {
        connect_to: Some(address),
        ..Fetch::page("http://chat.example.com/health")
    }
}

async fn fetched(page: Fetch) -> Result<Fetched, FetchError> {
    fetch(&Config::default(), &page).await
}

#[tokio::test]
async fn a_page_is_fetched_with_its_headers() {
    let got = fetched(page(serve(ok("fine"), true, None).await)).await.unwrap();
    assert_eq!(
        (got.status, got.body.as_slice(), got.header("x-thing")),
        (200, &b"fine"[..], Some("a"))
    );
    assert_eq!(got.tls, None);
}

#[tokio::test]
async fn a_public_site_may_speak_tls_1_2() {
    let folder = tempfile::tempdir().unwrap();
    let (config, tls) = speaking(folder.path(), 1, &[&rustls::version::TLS12]);
    let address = serve(ok("fine"), true, Some(tls)).await;
    let page = Fetch {
        connect_to: Some(address),
        ..Fetch::page("https://chat.example.com/health")
    };
    let got = fetch(&config, &page).await.unwrap();
    assert_eq!(got.body, b"fine");
    assert_eq!(got.tls.unwrap().distrust, None);
}

#[tokio::test]
async fn a_websocket_that_is_accepted_is_answered_at_once() {
    let head = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let address = serve(head.to_vec(), true, None).await;
    let got = fetched(page(address).websocket()).await.unwrap();
    assert_eq!((got.status, got.header("upgrade")), (101, Some("websocket")));
}

#[tokio::test]
async fn f58_a_body_of_ten_megabytes_is_capped() {
    let address = serve(ok(&"x".repeat(10_000_000)), false, None).await;
    assert_eq!(fetched(page(address)).await.unwrap().body.len(), MOST);
}

#[tokio::test]
async fn f58_a_slow_body_ends_at_the_deadline() {
    let mut answer = ok("");
    answer.splice(..17, b"HTTP/1.1 200 OK\r\nx".iter().copied());
    let text = String::from_utf8(answer)
        .unwrap()
        .replace("xcontent-length: 0", "content-length: 9");
    let mut slow = page(serve(text.into_bytes(), true, None).await);
    slow.deadline = Duration::from_millis(300);
    assert_eq!(fetched(slow).await, Err(FetchError::Deadline(0)));
}

#[tokio::test]
async fn what_does_not_speak_http_is_told_from_what_does_not_answer() {
    let address = serve(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), false, None).await;
    assert!(matches!(fetched(page(address)).await, Err(FetchError::Http(_))));
    let cut = serve(
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour".to_vec(),
        false,
        None,
    )
    .await;
    assert!(matches!(fetched(page(cut)).await, Err(FetchError::Http(_))));
    let unused = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    assert!(matches!(fetched(page(unused)).await, Err(FetchError::Connect(_))));
    for url in [
        "ftp://x/",
        "nonsense",
        "http://user@x/",
        "http:///x",
        "http://bad name/",
    ] {
        assert!(
            matches!(fetched(Fetch::page(url)).await, Err(FetchError::Name(_))),
            "{url}"
        );
    }
}

#[tokio::test]
async fn a_trusted_certificate_is_read() {
    let here = tempfile::tempdir().unwrap();
    let (config, tls) = certified(here.path(), 1);
    let address = serve(ok("fine"), false, Some(tls)).await;
    let mut page = page(address);
    page.url = "https://chat.example.com/".to_owned();
    let facts = fetch(&config, &page).await.unwrap().tls.unwrap();
    assert_eq!(facts.distrust, None);
    assert!(facts.issuer.contains("Test Authority"), "{}", facts.issuer);
    assert_eq!(facts.not_after, 1_893_456_000);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_fails_unless_it_is_only_read() {
    let here = tempfile::tempdir().unwrap();
    let (config, tls) = certified(here.path(), 1);
    let address = serve(ok("fine"), false, Some(tls)).await;
    let other = Config {
        trust: Some("/nonexistent/trust.pem".into()),
        ..Config::default()
    };
    for (config, url, why) in [
        (
            &config,
            "https://other.example.com/",
            "it is not for other.example.com",
        ),
        (&other, "https://chat.example.com/", "no trust store"),
        (
            &Config::default(),
            "https://chat.example.com/",
            "not trusted here",
        ),
    ] {
        let mut page = page(address);
        page.url = url.to_owned();
        let failed = fetch(config, &page).await;
        let Err(FetchError::Tls(told)) = failed else {
            panic!("{failed:?}");
        };
        // A machine without a trust store says that instead.
        assert!(told.contains(why) || told.contains("no trust store"), "{told}");
        page.verify = false;
        let got = fetch(config, &page).await.unwrap();
        assert_eq!(got.status, 200);
        assert_eq!(got.tls.unwrap().distrust, Some(told));
    }
}

#[tokio::test]
async fn an_expired_certificate_says_so() {
    let here = tempfile::tempdir().unwrap();
    let (config, tls) = certified(here.path(), -1);
    let mut page = page(serve(ok("fine"), false, Some(tls)).await);
    page.url = "https://chat.example.com/".to_owned();
    assert_eq!(
        fetch(&config, &page).await,
        Err(FetchError::Tls("it has expired".to_owned()))
    );
}

#[tokio::test]
async fn a_server_without_tls_is_told() {
    let mut page = page(serve(ok("fine"), false, None).await);
    page.url = "https://chat.example.com/".to_owned();
    page.deadline = Duration::from_millis(500);
    let failed = fetch(&Config::default(), &page).await;
    assert!(
        matches!(failed, Err(FetchError::Tls(_) | FetchError::Deadline(_))),
        "{failed:?}"
    );
}
