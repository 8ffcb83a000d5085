//! Who is connected now.

use chatalot_protocol::message::{Answer, Ask};
use chatalot_protocol::names::{DeploymentId, HostId};
use chatalot_protocol::outside::Told;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What may wait for one session before it is taken for stuck.
const WAITING: usize = 16;
/// How long a question may take.
const ASK_TIME: Duration = Duration::from_mins(1);

/// Something that a session is to do.
pub enum Command {
    /// Ask the agent.
    Ask(Box<Ask>, oneshot::Sender<Answer>),
    /// Look whether there is a job to send.
    Jobs,
    /// Tell the agent to end a deployment.
    Cancel(DeploymentId),
    /// Tell the agent whom to trust, if it does not know yet.
    Trust,
    /// Have the agent renew its certificate.
    Renew,
    /// Tell the agent what was seen from outside, for the question with this number.
    Told(u64, Box<Told>),
}

/// Why a host gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It has no session.
    #[error("the host is not connected")]
    NotConnected,
    /// Its session ended before the answer came.
    #[error("the connection was lost before the answer came")]
    Lost,
    /// Too many questions are waiting.
    #[error("the host is busy")]
    Busy,
    /// It did not answer in time.
    #[error("the host did not answer in time")]
    Late,
}

/// All sessions: at most one a host, the newest.
#[derive(Default)]
pub struct Fleet {
    sessions: Mutex<HashMap<HostId, Handle>>,
    entered: AtomicU64,
    /// The most that there were, or are to be expected.
    most: AtomicUsize,
    closed: AtomicBool,
}

#[derive(Clone)]
struct Handle {
    number: u64,
    commands: mpsc::Sender<Command>,
}

/// A session's place in the fleet. When its commands end, a newer session has the place, or all are ending.
pub struct Place {
    /// Tells this session from others of the same host.
    pub number: u64,
    /// What it is to do.
    pub commands: mpsc::Receiver<Command>,
}

impl Fleet {
    /// Takes the place of a host, from an older session if there is one.
    pub fn enter(&self, host: HostId) -> Place {
        let number = self.entered.fetch_add(1, Ordering::Relaxed);
        let (sender, commands) = mpsc::channel(WAITING);
        let handle = Handle {
            number,
            commands: sender,
        };
        let mut sessions = self.sessions();
        if !self.closed.load(Ordering::Relaxed) {
            sessions.insert(host, handle);
            self.most.fetch_max(sessions.len(), Ordering::Relaxed);
        }
        Place { number, commands }
    }

    /// Gives the place back; whether it was still this session's.
    pub fn leave(&self, host: HostId, number: u64) -> bool {
        let mut sessions = self.sessions();
        let ours = sessions.get(&host).is_some_and(|handle| handle.number == number);
        if ours {
            sessions.remove(&host);
        }
        ours
    }

    /// Ends the session of a host, if it has one.
    pub fn end(&self, host: HostId) {
        self.sessions().remove(&host);
    }

    /// Whether a host has a session.
    pub fn is_connected(&self, host: HostId) -> bool {
        self.sessions().contains_key(&host)
    }

    /// How many hosts have one.
    pub fn len(&self) -> usize {
        self.sessions().len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A fleet that so many hosts may come back to.
    pub fn expecting(hosts: usize) -> Self {
        Self {
            most: hosts.into(),
            ..Self::default()
        }
    }

    /// How many hosts it is to be reckoned with: as many as had a session at once, or were expected to.
    pub fn size(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Hurries a session on; what it would have been told, it also finds in the store when it next begins.
    pub fn tell(&self, host: HostId, command: Command) {
        let handle = self.sessions().get(&host).cloned();
        if handle.is_some_and(|handle| handle.commands.try_send(command).is_err()) {
            log::warn!(host:% = host; "a session is stuck");
        }
    }

    /// Hurries all sessions on.
    pub fn tell_all(&self, command: impl Fn() -> Command) {
        let hosts: Vec<HostId> = self.sessions().keys().copied().collect();
        for host in hosts {
            self.tell(host, command());
        }
    }

    /// Asks a host, and waits for the answer.
    pub async fn ask(&self, host: HostId, ask: Box<Ask>) -> Result<Answer, AskError> {
        let handle = self.sessions().get(&host).cloned();
        let (answer, answered) = oneshot::channel();
        let commands = handle.ok_or(AskError::NotConnected)?.commands;
        commands
            .try_send(Command::Ask(ask, answer))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => AskError::Busy,
                mpsc::error::TrySendError::Closed(_) => AskError::NotConnected,
            })?;
        // The last handle must go with the fleet's own, or a superseded session would live on.
        drop(commands);
        match tokio::time::timeout(ASK_TIME, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(AskError::Lost),
            Err(_) => Err(AskError::Late),
        }
    }

    /// Ends every session, and lets no other in.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.sessions().clear();
    }

    /// Whether the end has come for all.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<HostId, Handle>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
