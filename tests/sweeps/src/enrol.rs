//! A controller that gives a certificate for a token, stores the events of a session and queues a job.

use crate::{Anything, End};
use chatalot_protocol::enrol::{JoinReply, JoinRequest, hex};
use chatalot_protocol::event::{Event, What};
use chatalot_protocol::frame::{self, Frame, MAX_CONTROL};
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::message::{Hello, Job, Order, ToAgent, ToController};
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::plan::PlanHash;
use chatalot_protocol::secret::Secret;
use chatalot_protocol::stream;
use chatalot_protocol::work::Work;
use chatalotctl::api::Api;
use chatalotctl::ca::sha256;
use chatalotctl::centre::Centre;
use chatalotctl::config::Config;
use chatalotctl::hands::Hands;
use chatalotctl::peer::Peer;
use chatalotctl::session;
use chatalotctl::store::tokens::{self, Token};
use chatalotctl::store::{StoreError, hosts};
use chatalotctl::web::Web;
use chatalotctl::web::bootstrap::Bootstrap;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, DuplexStream};
use uuid::Uuid;

/// How many events the host sends, one after the other.
const EVENTS: u64 = 4;
/// How long an acknowledgement may take in simulated time before the life is given up.
const PATIENCE: Duration = Duration::from_mins(5);
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn config(folder: &Path) -> Config {
    Config {
        state: folder.join("state"),
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        address: None,
        binaries: Vec::new(),
        certificate_life: Duration::from_hours(24),
        token_life: Duration::from_mins(15),
        job_life: Duration::from_hours(24 * 365),
        standby: Vec::new(),
        refused_retry: Duration::from_mins(5),
        readmit_time: Duration::from_hours(1),
        keep: Duration::from_hours(24),
        approval_by: None,
        second_approver: None,
        approval_life: Duration::from_hours(1),
        resolvers: Vec::new(),
        reach: Vec::new(),
    }
}

async fn open(folder: &Path) -> Anything<Arc<Centre>> {
    let hands = Hands::here(Arc::new(|| Duration::ZERO));
    Ok(Centre::open_with(config(folder), hands).await?)
}

/// A controller with a token out for a host, and the host's request.
pub(crate) async fn prepare(folder: &Path) -> Anything<End> {
    let centre = open(folder).await?;
    let (id, secret, now) = ([7; 8], [9; 32], chatalotctl::clock::now_ms());
    let token = Token {
        id,
        secret: sha256(&secret),
        expires_ms: now + 86_400_000,
    };
    let name = "chat-1".parse()?;
    let invited = centre.store.write(move |c| {
        let invited = hosts::invite(c, &name, &[], now).map_err(|_| StoreError::NotStored)?;
        tokens::keep(c, invited.host, &token, now)
    });
    invited.await?;
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let request = JoinRequest {
        token_id: hex(&id),
        token_secret: Some(Secret::new(hex(&secret))),
        csr: CertificateParams::default().serialize_request(&key)?.pem()?,
    };
    fs::write(folder.join("request"), serde_json::to_vec(&request)?)?;
    let inputs = Inputs {
        domain: Some("chat.example.com".into()),
        admin_username: Some("alice".into()),
        ..Inputs::default()
    };
    let (site, secrets) = inputs.complete().map_err(|wrong| format!("{wrong:?}"))?;
    let job = Job {
        id: DeploymentId::fresh(),
        issued_ms: now,
        not_after_ms: i64::MAX,
        by: "an operator".to_owned(),
        plan: PlanHash::of(&[7; 32]),
        work: Work::Deploy,
        order: Order { site, secrets },
    };
    fs::write(folder.join("job"), serde_json::to_vec(&job)?)?;
    Ok(End::Well)
}

/// One life of the controller. What it has promised is in the file `promised`, as its peers would know.
pub(crate) async fn live(folder: &Path) -> Anything<End> {
    chatalotctl::files::survive_long_files()?;
    let Ok(centre) = open(folder).await else {
        return Ok(End::BeginAnew);
    };
    kept(folder, &centre).await?;
    let Some(reply) = join(folder, &centre).await? else {
        return Ok(End::BeginAnew);
    };
    if !pass_on(folder, &centre, &reply).await? || !queue(folder, &centre, &reply).await? {
        return Ok(End::BeginAnew);
    }
    kept(folder, &centre).await?;
    let whole = centre.store.read(|c| {
        Ok::<_, StoreError>(c.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))?)
    });
    match whole.await?.as_str() {
        "ok" => Ok(End::Well),
        damage => Err(damage.to_owned().into()),
    }
}

fn promise(folder: &Path, what: &str) -> Anything<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("promised"))?;
    Ok(file.write_all(format!("{what}\n").as_bytes())?)
}

/// A token is used exactly where there is a certificate for it, and everything that was promised is there.
async fn kept(folder: &Path, centre: &Centre) -> Anything<()> {
    let promised = fs::read_to_string(folder.join("promised")).unwrap_or_default();
    let job: Job = serde_json::from_slice(&fs::read(folder.join("job"))?)?;
    let (used, certificates, active, events, queued) = centre
        .store
        .read(move |c| {
            let count = |sql: &str| c.query_row(sql, [], |row| row.get::<_, u32>(0));
            Ok::<_, StoreError>((
                count("SELECT count(*) FROM tokens WHERE used_ms IS NOT NULL AND spki IS NOT NULL")?,
                count("SELECT count(*) FROM certificates c JOIN tokens t ON t.serial = c.serial")?,
                count("SELECT count(*) FROM hosts WHERE state = 'active'")?,
                count("SELECT coalesce(max(last_seq), 0) FROM streams")?,
                count("SELECT count(*) FROM deployments")?,
            ))
        })
        .await?;
    if used != certificates || used != active {
        return Err(format!("{used} tokens used, {certificates} certificates, {active} hosts joined").into());
    }
    let order = centre.jobs.read(job.id)?;
    for line in promised.lines() {
        let there = match line.split_once(' ') {
            Some(("acked", seq)) => seq.parse::<u32>()? <= events,
            Some(("joined", _)) => used == 1,
            _ => queued == 1 && order.as_ref() == Some(&job),
        };
        if !there {
            return Err(format!("promised and not there: {line}").into());
        }
    }
    Ok(())
}

/// The host asks for its certificate, and again until it has one: it is always the same.
async fn join(folder: &Path, centre: &Arc<Centre>) -> Anything<Option<JoinReply>> {
    let bootstrap = Arc::new(Bootstrap::new(String::new(), String::new, &[]));
    let api = Api::new(Arc::clone(centre), Arc::clone(&bootstrap));
    let web = Web::new(Arc::clone(centre), bootstrap, api);
    let body = Full::new(Bytes::from(fs::read(folder.join("request"))?));
    let answer = web.answer(Request::post("/v1/join").body(body)?, ADDRESS).await;
    if !answer.status().is_success() {
        let refused = answer.status().is_client_error();
        return if refused {
            Err("its own key is refused".into())
        } else {
            Ok(None)
        };
    }
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(|_| "no body")?
        .to_bytes();
    let reply: JoinReply = serde_json::from_slice(&body)?;
    let got = folder.join("certificate");
    let before = fs::read_to_string(&got).unwrap_or_default();
    // The host may be cut off too, while it writes.
    if before.len() == reply.certificate.len() && before != reply.certificate {
        return Err("another certificate than before".into());
    }
    fs::write(&got, &reply.certificate)?;
    promise(folder, "joined ")?;
    Ok(Some(reply))
}

fn peer(reply: &JoinReply) -> Anything<Peer> {
    let certificate = CertificateDer::from_pem_slice(reply.certificate.as_bytes())?;
    Ok(Peer::of(&certificate, reply.cluster, ADDRESS)?)
}

/// The host sends its events one by one, from the last one that the controller says it has.
async fn pass_on(folder: &Path, centre: &Arc<Centre>, reply: &JoinReply) -> Anything<bool> {
    let (mut ours, theirs) = tokio::io::duplex(1 << 16);
    let ended = tokio::spawn(session::run(Arc::clone(centre), theirs, peer(reply)?, ()));
    say(&mut ours, &ToController::Hello(Box::new(hello(reply)))).await?;
    let mut acked = match hear(&mut ours).await? {
        Some(ToAgent::Welcome(welcome)) => welcome.acked,
        _ => return Ok(false),
    };
    while acked < EVENTS {
        let what = What::DeploymentResumed {
            because: "x".repeat(3000),
        };
        let event = Event {
            seq: acked + 1,
            at_ms: 1,
            deployment: None,
            what,
        };
        say(&mut ours, &ToController::Events { events: vec![event] }).await?;
        loop {
            match hear(&mut ours).await? {
                Some(ToAgent::Acked { seq }) => {
                    acked = seq;
                    promise(folder, &format!("acked {seq}"))?;
                    break;
                }
                Some(_) => {}
                None => return Ok(false),
            }
        }
    }
    drop(ours);
    // How the session ends is told by what is stored.
    let _ = ended.await;
    Ok(true)
}

async fn say(stream: &mut DuplexStream, message: &ToController) -> Anything<()> {
    let mut bytes = Vec::new();
    frame::put_message(message, &mut bytes)?;
    // Somebody who has hung up is noticed by hearing nothing.
    let _ = stream.write_all(&bytes).await;
    Ok(())
}

async fn hear(stream: &mut DuplexStream) -> Anything<Option<ToAgent>> {
    let read = tokio::time::timeout(PATIENCE, stream::read(stream, MAX_CONTROL)).await;
    match read {
        Ok(Ok(Some(Frame::Control(body)))) => Ok(Some(frame::message(&body)?)),
        _ => Ok(None),
    }
}

fn hello(reply: &JoinReply) -> Hello {
    Hello {
        protocol_min: 1,
        protocol_max: 1,
        agent: "0.1.0".into(),
        boot_id: "boot".into(),
        stream_epoch: Uuid::from_u128(reply.host.0.as_u128()),
        hostname: "vps".into(),
        system: "Debian GNU/Linux 13".into(),
        architecture: "x86_64".into(),
        steps: Vec::new(),
        acked: 0,
        trusts: reply.trusts,
    }
}

/// The operator queues a job, unless it is there.
async fn queue(folder: &Path, centre: &Arc<Centre>, reply: &JoinReply) -> Anything<bool> {
    let job: Job = serde_json::from_slice(&fs::read(folder.join("job"))?)?;
    let id = job.id;
    let known = centre
        .store
        .read(move |c| chatalotctl::store::deployments::standing(c, id));
    if known.await?.is_none() && centre.queue(reply.host, job).await.is_err() {
        return Ok(false);
    }
    promise(folder, "queued")?;
    Ok(true)
}
