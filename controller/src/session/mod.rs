//! One connected agent: a single task, which owns both directions of the stream.
//!
//! What the agent sends is gathered while the previous batch is being stored, and acknowledged when its own batch
//! is committed. While a batch is full nothing more is read, so that a fast agent is held back by TCP.

mod batch;
mod greeting;
mod pipe;

pub use batch::BatchError;

use crate::anchors::Eye;
use crate::centre::Centre;
use crate::clock::now_ms;
use crate::crowd;
use crate::fleet::Command;
use crate::outside;
use crate::peer::Peer;
use crate::rotation::Rotation;
use crate::store::{StoreError, generations, hosts};
use batch::{Batch, Work};
use chatalot_protocol::frame::{Frame, FrameError, MAX_CONTROL, MAX_GREETING};
use chatalot_protocol::message::{Answer, RejectReason, ToAgent, ToController};
use chatalot_protocol::outside::{Look, Told};
use chatalot_protocol::reading;
use chatalot_protocol::stream::ReadError;
use greeting::Greeted;
use pipe::{Inbound, Outbound};
use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, WriteHalf};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// How long an agent may be silent: longer than the time after which it says that it is alive, whatever it was told.
const SILENCE: Duration = Duration::from_secs(45);
/// How much may wait to be sent before nothing more is read.
const MOST_WAITING: usize = 2 << 20;
/// How long the last word may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The agent closed it.
    Closed,
    /// The agent was silent for too long.
    Silent,
    /// A newer session of the host has taken over.
    Superseded,
    /// The controller stops.
    Stopped,
    /// It never began.
    Rejected(RejectReason),
    /// Events were missing; the agent sends them again when it comes back.
    Gap,
    /// The agent has seen a later state of this controller than this one.
    Outdated,
}

/// Why a session failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The agent did not say hello in time.
    #[error("no hello in time")]
    NoHello,
    /// It said something else first.
    #[error("the first message was no hello")]
    NotHello,
    /// It broke off, or sent what is no frame.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A message cannot be read or written.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Nothing can be sent.
    #[error("the agent takes nothing more")]
    Write(#[source] io::Error),
    /// Nothing has been taken for too long.
    #[error("the agent has taken nothing for {} s", SILENCE.as_secs())]
    Stuck,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it sent could not be kept.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// Whoever is let in before he has said hello.
pub trait Guest: Send + Sync {
    /// Ends when somebody else needs the place.
    fn shown_out(&self) -> impl Future<Output = ()> + Send;
}

/// Nobody waits for this place.
impl Guest for () {
    fn shown_out(&self) -> impl Future<Output = ()> + Send {
        pending()
    }
}

/// Speaks with an agent whose certificate was verified. `guest` is dropped once it is greeted, and may be shown out as long
/// as it has not said hello.
pub async fn run<S, G: Guest>(
    centre: Arc<Centre>,
    stream: S,
    peer: Peer,
    guest: G,
) -> Result<Ended, SessionError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (reader, writer) = tokio::io::split(stream);
    let mut inbound = Inbound::new(reader, MAX_GREETING);
    let mut outbound = Outbound::new(writer);
    // Boxed, for the room that it takes is not needed for the rest of the session.
    let met = Box::pin(greeting::greet(
        &centre,
        peer,
        &guest,
        &mut inbound,
        &mut outbound,
    ))
    .await;
    drop(guest);
    let entry = match met {
        Ok(Greeted::Welcome(entry)) => entry,
        Err(error) => {
            if error.is_malformed() {
                outbound.put(&rejected(RejectReason::Malformed, 60))?;
                farewell(outbound).await;
            }
            return Err(error);
        }
        Ok(Greeted::Rejected(reason)) => {
            farewell(outbound).await;
            return Ok(Ended::Rejected(reason));
        }
    };
    inbound.most = MAX_CONTROL;
    let mut place = centre.fleet.enter(peer.host);
    centre.changes.touch(peer.host.0);
    log::info!(host:% = peer.host, address:% = peer.address; "an agent is connected");
    let mut session = Session::new(Arc::clone(&centre), peer, entry);
    // Asked again from its place, from which whoever joins anew as this host ends it.
    let may_stay = centre
        .store
        .read(move |c| generations::may_enter(c, peer.host, peer.serial))
        .await;
    let ended = match may_stay {
        Ok(true) => {
            let commands = &mut place.commands;
            session.serve(&mut inbound, &mut outbound, commands).await
        }
        Ok(false) => Ok(Ended::Superseded),
        Err(error) => Err(error.into()),
    };
    centre.fleet.leave(peer.host, place.number);
    drop(place);
    let (host, now) = (peer.host, now_ms());
    let noted = centre.store.write(move |c| hosts::left(c, host, now)).await;
    centre.changes.touch(host.0);
    match &ended {
        Ok(Ended::Superseded) => {
            let standing = centre
                .store
                .read(move |c| generations::standing(c, peer.host, peer.serial))
                .await?;
            let (reason, later) =
                greeting::rejection(&centre, standing).unwrap_or((RejectReason::Superseded, 60));
            outbound.put(&rejected(reason, later))?;
        }
        Ok(Ended::Stopped) => {
            let later = crowd::back_after_secs(centre.fleet.size(), peer.host);
            outbound.put(&rejected(RejectReason::Stopping, later))?;
        }
        Err(error) if error.is_malformed() => outbound.put(&rejected(RejectReason::Malformed, 60))?,
        _ => {}
    }
    farewell(outbound).await;
    noted?;
    ended
}

impl SessionError {
    /// Whether what was said makes no sense, rather than that nothing can be heard.
    fn is_malformed(&self) -> bool {
        matches!(
            self,
            Self::NoHello | Self::NotHello | Self::Frame(_) | Self::Read(ReadError::Frame(_))
        )
    }
}

/// The refusal of a session, or its end.
fn rejected(reason: RejectReason, retry_after_secs: u64) -> ToAgent {
    ToAgent::Rejected {
        reason,
        retry_after_secs,
    }
}

async fn farewell<W: AsyncWrite + Unpin>(outbound: Outbound<W>) {
    // Whoever does not hear it has gone already.
    let _ = tokio::time::timeout(FAREWELL, outbound.close()).await;
}

struct Session {
    centre: Arc<Centre>,
    peer: Peer,
    entry: hosts::Entry,
    asks: HashMap<u64, oneshot::Sender<Answer>>,
    asked: u64,
    batch: Batch,
    heard: Instant,
    eye: Eye,
    /// The look from outside that is on its way; it ends with the session.
    look: Option<AbortOnDropHandle<()>>,
}

impl Session {
    fn new(centre: Arc<Centre>, peer: Peer, entry: hosts::Entry) -> Self {
        Self {
            centre,
            peer,
            entry,
            asks: HashMap::new(),
            asked: 0,
            batch: Batch::first(),
            heard: Instant::now(),
            eye: Eye::default(),
            look: None,
        }
    }

    async fn serve<R, S>(
        &mut self,
        inbound: &mut Inbound<R>,
        outbound: &mut Outbound<WriteHalf<S>>,
        commands: &mut tokio::sync::mpsc::Receiver<Command>,
    ) -> Result<Ended, SessionError>
    where
        R: AsyncRead + Unpin,
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let silence = tokio::time::sleep(SILENCE);
        tokio::pin!(silence);
        let mut work: Option<Work> = None;
        self.tell_whom_to_trust(outbound)?;
        loop {
            if work.is_none() {
                work = self
                    .batch
                    .take_work(&self.centre, self.peer.host, self.entry.stream);
            }
            let may_read = self.batch.has_room() && outbound.waiting() < MOST_WAITING;
            // Every arm is cancel-safe: a frame half read and a message half written are remembered by the
            // pipe, the work stays in its place, and a command is taken whole or not at all.
            tokio::select! {
                frame = inbound.next(), if may_read => match frame? {
                    Some(frame) => {
                        if let Some(ended) = self.take(frame, outbound)? {
                            return Ok(ended);
                        }
                    }
                    None => return Ok(Ended::Closed),
                },
                done = finish(&mut work) => {
                    let done = done?;
                    done.messages.iter().try_for_each(|message| outbound.put(message))?;
                    if done.gap {
                        return Ok(Ended::Gap);
                    }
                }
                sent = outbound.drive(), if outbound.is_busy() => sent.map_err(SessionError::Write)?,
                command = commands.recv() => match command {
                    Some(command) => self.obey(command, outbound)?,
                    None if self.centre.fleet.is_closed() => return Ok(Ended::Stopped),
                    None => return Ok(Ended::Superseded),
                },
                () = &mut silence => {
                    if outbound.is_busy() && outbound.idle() >= SILENCE {
                        return Err(SessionError::Stuck);
                    }
                    if may_read && self.heard.elapsed() >= SILENCE {
                        return Ok(Ended::Silent);
                    }
                    let since = if may_read { self.heard } else { Instant::now() };
                    silence.as_mut().reset(since + SILENCE);
                }
            }
        }
    }

    /// Tells the agent whom to trust, unless it has said that it does, or there was never anybody else.
    fn tell_whom_to_trust<W: AsyncWrite + Unpin>(
        &self,
        outbound: &mut Outbound<W>,
    ) -> Result<(), SessionError> {
        let standing = self.centre.authority.now();
        let version = standing.rotation.version;
        if version != Rotation::FIRST.version && self.entry.trusts != version {
            outbound.put(&ToAgent::Trust(Box::new(standing.bundle.clone())))?;
        }
        Ok(())
    }

    fn take<W: AsyncWrite + Unpin>(
        &mut self,
        frame: Frame,
        outbound: &mut Outbound<W>,
    ) -> Result<Option<Ended>, SessionError> {
        self.heard = Instant::now();
        let body = match frame {
            Frame::Log(chunk) => {
                self.batch.chunk(chunk);
                return Ok(None);
            }
            Frame::Control(body) => body,
        };
        match reading::by_controller(&body)? {
            ToController::Events { events } => self.batch.events(events),
            ToController::LogOpened {
                deployment, stream, ..
            } => self.batch.opened((deployment, stream)),
            ToController::Answer { id, answer } => {
                if let Some(asker) = self.asks.remove(&id) {
                    // Who asked may have stopped waiting.
                    let _ = asker.send(*answer);
                }
            }
            ToController::Trusts { version } => {
                self.entry.trusts = version;
                self.batch.trusts(version);
            }
            ToController::LookFromOutside { id, look } => self.look(id, *look, outbound)?,
            ToController::Audited { anchor } => self.eye.take(&self.centre, self.peer.host, anchor),
            ToController::Ping { n } => outbound.put(&ToAgent::Pong { n })?,
            ToController::Hello(_) => return Err(SessionError::NotHello),
            ToController::EpochRefused { known } => {
                let epoch = self.centre.cluster.epoch;
                log::error!(host:% = self.peer.host, known, epoch; "a host has seen more of this controller than it has: it was restored, and its epoch must be raised");
                return Ok(Some(Ended::Outdated));
            }
            ToController::Pong { .. } | ToController::Unknown => {}
        }
        Ok(None)
    }

    /// Begins to look from outside, one look at a time.
    fn look<W: AsyncWrite + Unpin>(
        &mut self,
        id: u64,
        look: Look,
        outbound: &mut Outbound<W>,
    ) -> Result<(), SessionError> {
        if self.look.as_ref().is_some_and(|look| !look.is_finished()) {
            let told = Box::new(Told::declined(outside::busy()));
            outbound.put(&ToAgent::SeenFromOutside { id, told })?;
        } else {
            self.look = Some(outside::begin(&self.centre, self.peer.host, id, look));
        }
        Ok(())
    }

    fn obey<W: AsyncWrite + Unpin>(
        &mut self,
        command: Command,
        outbound: &mut Outbound<W>,
    ) -> Result<(), SessionError> {
        match command {
            // Dropping the asker tells him that there is no answer.
            Command::Ask(..) if outbound.waiting() >= MOST_WAITING => {}
            Command::Ask(ask, asker) => {
                self.asks.retain(|_, asker| !asker.is_closed());
                self.asked += 1;
                self.asks.insert(self.asked, asker);
                outbound.put(&ToAgent::Ask { id: self.asked, ask })?;
            }
            Command::Jobs => self.batch.look_for_jobs(),
            Command::Cancel(deployment) => outbound.put(&ToAgent::Cancel { deployment })?,
            Command::Trust => self.tell_whom_to_trust(outbound)?,
            Command::Renew => outbound.put(&ToAgent::Renew)?,
            Command::Told(id, told) => outbound.put(&ToAgent::SeenFromOutside { id, told })?,
        }
        Ok(())
    }
}

/// The result of the work, once there is one. Cancel-safe: unfinished work stays in its place.
async fn finish(work: &mut Option<Work>) -> Result<batch::Done, BatchError> {
    let done = match work {
        Some(work) => work.await,
        None => pending().await,
    };
    *work = None;
    done
}
