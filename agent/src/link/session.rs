//! One connection to the controller, from hello to its end.

use super::addresses;
pub use super::end::SessionEnd;
use super::flight::Flight;
use super::logs::Logs;
use super::member::Member;
use super::standing::{self, Standing};
use crate::ledger::{LedgerError, audit, deployments, outbox};
use crate::outside::{Asked, Place};
use crate::service::Service;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::audit::Anchor;
use chatalot_protocol::event::What;
use chatalot_protocol::frame::{self, Frame, MAX_CONTROL, put_message};
use chatalot_protocol::message::{Answer, Ask, Hello, ToAgent, ToController, Welcome};
use chatalot_protocol::outside::Told;
use chatalot_protocol::reading::{self, HeardByAgent};
use chatalot_protocol::stream::{self, ReadError};
use chatalot_protocol::version::{NEWEST, OLDEST};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// How long the controller may take to answer the hello, and a write may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Silence after which the controller is gone.
const DEAD: Duration = Duration::from_secs(45);
/// How many questions are answered at once.
const QUESTIONS: usize = 16;
/// How often growing output is looked at.
const LOG_GLANCE: Duration = Duration::from_millis(10);
/// How much is written at once.
const WRITE: usize = 512 << 10;
/// What a session keeps for writing while nothing happens.
const KEEP: usize = 4 << 10;

/// Holds a session until it ends, one way or another.
pub async fn run<S>(stream: S, service: &Arc<Service>, member: impl Into<Member>) -> SessionEnd
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (read, write) = tokio::io::split(stream);
    let (frames, incoming) = mpsc::channel(8);
    // Whoever drops the session closes the connection.
    let _reader = AbortOnDropHandle::new(tokio::spawn(read_all(read, frames)));
    match greet(write, incoming, service, member.into()).await {
        Ok(mut session) => session.serve().await.err().unwrap_or(SessionEnd::HungUp),
        Err(end) => end,
    }
}

type Incoming = mpsc::Receiver<Result<Frame, ReadError>>;

/// Reads frames until the stream or the session ends; waits while the session has enough to do.
async fn read_all<R: AsyncRead + Unpin>(mut read: R, frames: mpsc::Sender<Result<Frame, ReadError>>) {
    while let Some(frame) = stream::read(&mut read, MAX_CONTROL).await.transpose() {
        let broken = frame.is_err();
        if frames.send(frame).await.is_err() || broken {
            return;
        }
    }
}

async fn greet<W: AsyncWrite + Unpin>(
    mut write: W,
    mut incoming: Incoming,
    service: &Arc<Service>,
    member: Member,
) -> Result<Session<W>, SessionEnd> {
    let joining = member.joining;
    let mut out = Vec::new();
    put_message(
        &ToController::Hello(Box::new(hello(service, &member).await?)),
        &mut out,
    )?;
    send(&mut write, &mut out).await?;
    let first = tokio::time::timeout(PATIENCE, incoming.recv())
        .await
        .map_err(|_| SessionEnd::Silent(PATIENCE.as_secs()))?
        .ok_or(SessionEnd::HungUp)??;
    let Frame::Control(body) = first else {
        return Err(SessionEnd::Rude);
    };
    match frame::message(&body)? {
        ToAgent::Welcome(welcome) => match standing::judge(service, joining, &welcome).await? {
            Standing::Good { acked } => {
                addresses::learn(&service.state, joining, &welcome.addresses);
                Session::begin(write, incoming, service, welcome, (acked, member)).await
            }
            Standing::OldController { known } => {
                put_message(&ToController::EpochRefused { known }, &mut out)?;
                send(&mut write, &mut out).await?;
                Err(SessionEnd::OldController { known })
            }
            Standing::Restored => Err(SessionEnd::Restored),
        },
        ToAgent::Rejected {
            reason,
            retry_after_secs,
        } => Err(SessionEnd::Rejected {
            reason,
            retry_after: Duration::from_secs(retry_after_secs),
        }),
        _ => Err(SessionEnd::Rude),
    }
}

async fn hello(service: &Service, member: &Member) -> Result<Hello, LedgerError> {
    let system = service.host.system().await.unwrap_or_default();
    let epoch = service.ledger.with(|db| outbox::meta(db, "stream_epoch")).await?;
    let epoch = epoch.and_then(|text| text.parse().ok()).map(|ledger: Uuid| {
        // Another one as soon as the ledger or the identity is new.
        Uuid::from_u128(ledger.as_u128() ^ member.joining.as_u128())
    });
    let acked = service.ledger.with(outbox::acknowledged).await?;
    Ok(Hello {
        protocol_min: OLDEST,
        protocol_max: NEWEST,
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: system.boot_id,
        stream_epoch: epoch.ok_or_else(|| LedgerError::Unreadable("the stream epoch".to_owned()))?,
        hostname: system.hostname,
        system: system.pretty,
        architecture: system.architecture,
        steps: crate::runbook::steps()
            .map(crate::runbook::Step::step_id)
            .collect(),
        acked,
        trusts: member.trusts,
    })
}

async fn send<W: AsyncWrite + Unpin>(write: &mut W, out: &mut Vec<u8>) -> Result<(), SessionEnd> {
    if out.is_empty() {
        return Ok(());
    }
    let writing = async {
        write.write_all(out).await?;
        write.flush().await
    };
    let written = tokio::time::timeout(DEAD, writing)
        .await
        .map_err(|_| SessionEnd::Silent(DEAD.as_secs()))?;
    written.map_err(SessionEnd::Write)?;
    out.clear();
    out.shrink_to(KEEP);
    Ok(())
}

/// Notes what the controller has stored. A ledger that refuses the note, on a full disk, is no reason to hang up:
/// the controller says it again.
async fn note_acked(service: &Service, seq: u64) -> Result<(), LedgerError> {
    match service.ledger.with(move |db| outbox::acked(db, seq)).await {
        Err(LedgerError::Stopped) => Err(LedgerError::Stopped),
        Err(error) => {
            log::warn!(seq, error = crate::chain(&error); "what the controller has stored cannot be noted");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

struct Session<W> {
    service: Arc<Service>,
    member: Member,
    write: W,
    incoming: Incoming,
    answers: mpsc::Receiver<ToController>,
    answering: mpsc::Sender<ToController>,
    out: Vec<u8>,
    logs: Logs,
    flight: Flight,
    welcomed: u64,
    questions: Arc<Semaphore>,
    ping: Duration,
    heard: Instant,
    /// The audit's anchor that was said last.
    anchored: Option<Anchor>,
    /// What is asked of the controller from here, and who waits for the answers.
    outside: Place,
    looking: HashMap<u64, oneshot::Sender<Told>>,
}

impl<W: AsyncWrite + Unpin> Session<W> {
    async fn begin(
        write: W,
        incoming: Incoming,
        service: &Arc<Service>,
        welcome: Welcome,
        (acked, member): (u64, Member),
    ) -> Result<Self, SessionEnd> {
        log::info!(protocol = welcome.protocol, acked = welcome.acked; "the controller has welcomed this host");
        service.connection.send_replace(welcome.your_address.parse().ok());
        service.deployments.clock_is(welcome.now_ms);
        service.spread_secs.store(welcome.spread_secs, Ordering::Relaxed);
        note_acked(service, welcome.acked).await?;
        let (answering, answers) = mpsc::channel(8);
        Ok(Self {
            service: service.clone(),
            member,
            write,
            incoming,
            answers,
            answering,
            out: Vec::new(),
            logs: Logs::default(),
            flight: Flight::from(acked),
            welcomed: welcome.acked,
            questions: Arc::new(Semaphore::new(QUESTIONS)),
            ping: super::dial::about(Duration::from_secs(welcome.ping_secs.clamp(1, 30))),
            heard: Instant::now(),
            anchored: None,
            outside: service.outside.sit(welcome.looks),
            looking: HashMap::new(),
        })
    }

    async fn serve(&mut self) -> Result<(), SessionEnd> {
        let mut latest = self.service.ledger.latest();
        latest.mark_changed();
        let mut ping_at = Instant::now() + self.ping;
        let mut flowing = false;
        loop {
            let glance = if flowing { Duration::ZERO } else { LOG_GLANCE };
            tokio::select! {
                frame = self.incoming.recv() => { // cancel-safe per docs on `recv`
                    let Some(frame) = frame else { return Err(SessionEnd::HungUp) };
                    self.heard = Instant::now();
                    self.take(frame?).await?;
                }
                Some(answer) = self.answers.recv() => put_message(&answer, &mut self.out)?, // cancel-safe, as above
                Some(asked) = self.outside.asked.recv() => self.look_from_outside(asked)?, // cancel-safe, as above
                changed = latest.changed() => { // cancel-safe per docs on `changed`
                    changed.map_err(|_| LedgerError::Stopped)?;
                    self.send_events().await?;
                }
                () = tokio::time::sleep(glance), if self.logs.is_busy() => {} // cancel-safe: level-triggered
                () = tokio::time::sleep_until(ping_at) => { // cancel-safe: level-triggered
                    ping_at = Instant::now() + self.ping;
                    self.keep_alive()?;
                    self.say_anchor(true).await?;
                }
            }
            flowing = self.logs.pump(&self.service.state, WRITE, &mut self.out)?;
            self.tell_gaps().await?;
            send(&mut self.write, &mut self.out).await?;
        }
    }

    fn keep_alive(&mut self) -> Result<(), SessionEnd> {
        if self.heard.elapsed() >= DEAD {
            return Err(SessionEnd::Silent(DEAD.as_secs()));
        }
        put_message(
            &ToController::Ping {
                n: self.flight.sent(),
            },
            &mut self.out,
        )?;
        Ok(())
    }

    /// Asks the controller; who has stopped waiting is forgotten.
    fn look_from_outside(&mut self, asked: Asked) -> Result<(), SessionEnd> {
        self.looking.retain(|_, told| !told.is_closed());
        self.looking.insert(asked.id, asked.told);
        let (id, look) = (asked.id, Box::new(asked.look));
        put_message(&ToController::LookFromOutside { id, look }, &mut self.out)?;
        Ok(())
    }

    /// Says how far the audit has got: with each sign of life, and where it has grown.
    async fn say_anchor(&mut self, again: bool) -> Result<(), SessionEnd> {
        let anchor = self.service.ledger.with(audit::anchor).await?;
        let grown = anchor != Anchor::START && self.anchored != Some(anchor);
        if again || grown {
            self.anchored = Some(anchor);
            put_message(&ToController::Audited { anchor }, &mut self.out)?;
        }
        Ok(())
    }

    /// Sends what the controller has not seen, as far as it may be under way, and opens the log streams that have come
    /// about: only those whose events are all on their way, for the controller has to know their deployment.
    async fn send_events(&mut self) -> Result<(), SessionEnd> {
        while self.flight.has_room() {
            let after = self.flight.sent();
            let next = self.service.ledger.with(move |db| {
                let events = outbox::unbroken_after(db, after)?;
                let unlogged = events.is_empty().then(|| deployments::unlogged(db));
                Ok((events, unlogged.transpose()?.unwrap_or_default()))
            });
            let (events, unlogged) = next.await?;
            let Some(last) = events.last() else {
                for opened in self.logs.update(unlogged) {
                    put_message(&opened, &mut self.out)?;
                }
                break;
            };
            let (last, before) = (last.seq, self.out.len());
            put_message(&ToController::Events { events }, &mut self.out)?;
            self.flight.put(last, self.out.len() - before);
        }
        self.say_anchor(false).await?;
        self.let_go().await
    }

    /// Records what is gone of an output that the controller does not have.
    async fn tell_gaps(&mut self) -> Result<(), SessionEnd> {
        for gap in self.logs.take_gaps() {
            let now = self.service.host.now_ms();
            log::warn!(deployment:% = gap.deployment, stream = gap.stream, from = gap.from, to = gap.to; "output is gone before it was passed on");
            let told = move |db: &rusqlite::Connection| {
                let (stream, from, to) = (gap.stream, gap.from, gap.to);
                outbox::record(db, now, Some(gap.deployment), &What::Gap { stream, from, to })?;
                deployments::logged(db, gap.deployment, stream)
            };
            self.service.ledger.with(told).await?;
        }
        Ok(())
    }

    /// Notes in the ledger which outputs the controller has whole.
    async fn let_go(&mut self) -> Result<(), SessionEnd> {
        for (deployment, stream) in self.logs.take_complete() {
            self.service
                .ledger
                .with(move |db| deployments::logged(db, deployment, stream))
                .await?;
        }
        Ok(())
    }

    async fn take(&mut self, frame: Frame) -> Result<(), SessionEnd> {
        let Frame::Control(body) = frame else {
            return Ok(());
        };
        let message = match reading::by_agent(&body)? {
            HeardByAgent::Said(message) => message,
            HeardByAgent::Ask(id) => return self.question(id, Ask::Unknown),
            HeardByAgent::Job(id) => return Ok(self.service.deployments.not_understood(id).await?),
            HeardByAgent::Other => return Ok(()),
        };
        match message {
            ToAgent::Ask { id, ask } => self.question(id, *ask)?,
            ToAgent::Job(job) => {
                let id = job.id;
                self.service.deployments.take(*job).await?;
                self.service.deployments.tell_again(id, self.welcomed).await?;
            }
            ToAgent::Cancel { deployment } => self.service.deployments.cancel(deployment).await?,
            ToAgent::Acked { seq } => {
                self.flight.acked(seq);
                note_acked(&self.service, seq).await?;
                self.send_events().await?;
            }
            ToAgent::LogStored {
                deployment,
                stream,
                offset,
            } => {
                self.logs.stored(deployment, stream, offset);
                self.let_go().await?;
            }
            ToAgent::Trust(bundle) => self.member.take(*bundle, self.answering.clone()),
            ToAgent::Renew => self.member.hurry(),
            ToAgent::SeenFromOutside { id, told } => {
                if let Some(asker) = self.looking.remove(&id) {
                    // Who asked may have stopped waiting.
                    let _ = asker.send(*told);
                }
            }
            ToAgent::Ping { n } => put_message(&ToController::Pong { n }, &mut self.out)?,
            ToAgent::Rejected {
                reason,
                retry_after_secs,
            } => {
                let retry_after = Duration::from_secs(retry_after_secs);
                return Err(SessionEnd::Rejected { reason, retry_after });
            }
            ToAgent::Pong { .. } | ToAgent::Welcome(_) | ToAgent::Unknown => {}
        }
        Ok(())
    }

    /// Answers a question in a task of its own; at once and with no, where too many are being answered: so many tasks
    /// there are and no more, however slowly the controller reads.
    fn question(&mut self, id: u64, ask: Ask) -> Result<(), SessionEnd> {
        let Ok(permit) = self.questions.clone().try_acquire_owned() else {
            let answer = Box::new(Answer::Refused {
                advice: Advice::new(
                    "AGENT_BUSY",
                    format!("{QUESTIONS} questions are being answered"),
                    "fewer at once",
                    "ask again in a moment",
                ),
            });
            put_message(&ToController::Answer { id, answer }, &mut self.out)?;
            return Ok(());
        };
        let (service, answering) = (self.service.clone(), self.answering.clone());
        tokio::spawn(async move {
            let answer = Box::new(service.answer(ask).await);
            // The session may be over.
            let _ = answering.send(ToController::Answer { id, answer }).await;
            drop(permit);
        });
        Ok(())
    }
}
