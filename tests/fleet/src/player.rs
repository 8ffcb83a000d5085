//! A task that plays an agent: it says what agents say, and hears what they hear.

use crate::Result;
use crate::enrol::{Fleet, Identity};
use chatalot_agent::runbook::{self, Step};
use chatalot_protocol::audit::Anchor;
use chatalot_protocol::frame::{self, Frame, MAX_CONTROL};
use chatalot_protocol::identity::{ALPN_CHANNEL, CONTROLLER_NAME};
use chatalot_protocol::message::{Hello, ToAgent, ToController, Welcome};
use chatalot_protocol::stream;
use futures_util::{StreamExt, TryStreamExt, stream as tasks};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use uuid::Uuid;

/// How long the handshake may take, and the answer to the hello: as long as a real agent waits.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many of a fleet dial at once when they are let in at leisure.
const AT_ONCE: usize = 32;

/// A host that can dial the controller.
#[derive(Clone)]
pub(crate) struct Player {
    config: Arc<ClientConfig>,
    address: std::net::SocketAddr,
    life: Uuid,
}

/// An agent whose session was accepted.
pub(crate) struct Agent {
    stream: TlsStream<TcpStream>,
    out: Vec<u8>,
    pub(crate) welcome: Welcome,
}

/// Why there is no session.
pub(crate) enum NoSession {
    /// The controller has said so, and when it is worth trying again.
    Rejected(Duration),
    /// Nothing was heard of it.
    Lost,
}

impl Player {
    pub(crate) fn new(fleet: &Fleet, identity: &Identity) -> Result<Self> {
        let shown = (vec![identity.certificate.clone()], identity.key.clone_key());
        let config = chatalotctl::pin::config(fleet.pin, &[ALPN_CHANNEL], Some(shown))?;
        Ok(Self {
            config: Arc::new(config),
            address: fleet.config.listen,
            life: Uuid::new_v4(),
        })
    }

    /// Everybody of a fleet.
    pub(crate) fn all(fleet: &Fleet) -> Result<Vec<Self>> {
        let identities = fleet.identities.iter();
        identities.map(|identity| Self::new(fleet, identity)).collect()
    }

    /// Lets so many in, some at a time.
    pub(crate) async fn enter(players: Vec<Self>) -> Result<Vec<Agent>> {
        let entering = tasks::iter(players).map(|player| async move { player.dial().await });
        let entered = entering.buffer_unordered(AT_ONCE).try_collect().await;
        entered.map_err(|_: NoSession| "an agent was not let in".into())
    }

    /// From the first packet to the welcome.
    pub(crate) async fn dial(&self) -> std::result::Result<Agent, NoSession> {
        let stream = timeout(PATIENCE, self.connect()).await;
        let stream = stream
            .map_err(|_| NoSession::Lost)?
            .map_err(|_| NoSession::Lost)?;
        let mut agent = Agent {
            stream,
            out: Vec::new(),
            welcome: nobody(),
        };
        let greeting = async {
            agent
                .say(&ToController::Hello(Box::new(hello(self.life))))
                .await?;
            agent.hear().await
        };
        match timeout(PATIENCE, greeting).await {
            Ok(Ok(ToAgent::Welcome(welcome))) => Ok(Agent { welcome, ..agent }),
            Ok(Ok(ToAgent::Rejected { retry_after_secs, .. })) => {
                Err(NoSession::Rejected(Duration::from_secs(retry_after_secs)))
            }
            _ => Err(NoSession::Lost),
        }
    }

    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(CONTROLLER_NAME).map_err(std::io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.config))
            .connect(name, tcp)
            .await
    }
}

impl Agent {
    pub(crate) async fn say(&mut self, message: &ToController) -> Result<()> {
        say(&mut self.stream, &mut self.out, &[message]).await
    }

    pub(crate) async fn hear(&mut self) -> Result<ToAgent> {
        hear(&mut self.stream).await
    }

    /// Hangs up without leaving a connection that the kernel waits out.
    pub(crate) fn hang_up(self) -> Result<()> {
        Ok(self.stream.get_ref().0.set_zero_linger()?)
    }

    /// Idles as an agent does: a sign of life now and then, the first after a part of the time. Returns how it ended.
    pub(crate) async fn idle(self, part: f64) -> NoSession {
        let every = Duration::from_secs(self.welcome.ping_secs);
        let (reader, writer) = tokio::io::split(self.stream);
        tokio::select! {
            ended = listen(reader) => ended,
            _ = live(writer, every, part) => NoSession::Lost,
        }
    }
}

async fn listen(mut reader: ReadHalf<TlsStream<TcpStream>>) -> NoSession {
    loop {
        match hear(&mut reader).await {
            Ok(ToAgent::Rejected { retry_after_secs, .. }) => {
                return NoSession::Rejected(Duration::from_secs(retry_after_secs));
            }
            Ok(_) => {}
            Err(_) => return NoSession::Lost,
        }
    }
}

async fn live(mut writer: WriteHalf<TlsStream<TcpStream>>, every: Duration, part: f64) -> Result<()> {
    let (mut next, mut out, mut n) = (every.mul_f64(part), Vec::new(), 0);
    let anchor = Anchor::START;
    loop {
        sleep(next).await;
        next = every;
        n += 1;
        let life = [&ToController::Audited { anchor }, &ToController::Ping { n }];
        say(&mut writer, &mut out, &life).await?;
    }
}

async fn say<W: tokio::io::AsyncWrite + Unpin>(
    to: &mut W,
    out: &mut Vec<u8>,
    messages: &[&ToController],
) -> Result<()> {
    use tokio::io::AsyncWriteExt;
    out.clear();
    for message in messages {
        frame::put_message(message, out)?;
    }
    to.write_all(out).await?;
    to.flush().await?;
    // Ten thousand of them are here: what was said is not kept.
    out.shrink_to(64);
    Ok(())
}

async fn hear<R: tokio::io::AsyncRead + Unpin>(from: &mut R) -> Result<ToAgent> {
    match stream::read(from, MAX_CONTROL).await? {
        Some(Frame::Control(body)) => Ok(frame::message(&body)?),
        _ => Err("the controller has hung up".into()),
    }
}

fn nobody() -> Welcome {
    Welcome {
        protocol: 0,
        epoch: 0,
        ping_secs: 0,
        acked: 0,
        acked_at_ms: None,
        now_ms: None,
        your_address: String::new(),
        addresses: Vec::new(),
        looks: false,
        spread_secs: 0,
    }
}

fn hello(life: Uuid) -> Hello {
    Hello {
        protocol_min: 1,
        protocol_max: 1,
        agent: "0.1.0".into(),
        boot_id: "0f0e0d0c-0b0a-0908-0706-050403020100".into(),
        stream_epoch: life,
        hostname: "vps".into(),
        system: "Debian GNU/Linux 13 (trixie)".into(),
        architecture: "x86_64".into(),
        steps: runbook::steps().map(Step::step_id).collect(),
        acked: 0,
        trusts: 0,
    }
}

/// Milliseconds since.
pub(crate) fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
