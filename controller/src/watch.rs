//! A deployment as it happens, as lines: read from the store and the files by position, so that a slow watcher
//! loses nothing and costs no memory, and a fast one is only ever woken.

use crate::centre::Centre;
use crate::logs::{LogError, StreamName};
use crate::store::{StoreError, deployments, events};
use chatalot_protocol::api::{WatchLine, whole};
use chatalot_protocol::event::{Event, What};
use chatalot_protocol::names::DeploymentId;
use hyper::body::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// How long nothing may be said.
const SILENCE: Duration = Duration::from_secs(10);
/// How long the end of a step waits for the rest of its output.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many events are read at once.
const PAGE: usize = 256;
/// How much output is read at once.
const GULP: usize = 256 << 10;
/// How much output one line carries.
const LINE: usize = 64 << 10;

/// Why watching breaks off.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The thread that reads files died.
    #[error("files cannot be read")]
    Files(#[from] tokio::task::JoinError),
    /// A line cannot be written.
    #[error("a line cannot be written")]
    Line(#[from] serde_json::Error),
    /// The deployment has vanished.
    #[error("the deployment has vanished")]
    Vanished,
}

/// One who watches.
pub struct Watcher {
    centre: Arc<Centre>,
    deployment: DeploymentId,
    changed: watch::Receiver<()>,
    position: i64,
    events: VecDeque<Event>,
    /// The streams being followed; `None` where no output is wanted.
    tails: Option<Vec<Tail>>,
    patience: Option<Instant>,
    patient_for: Duration,
    over: bool,
}

struct Tail {
    stream: u32,
    offset: u64,
}

impl Watcher {
    /// Watches a deployment from its start.
    pub fn new(centre: Arc<Centre>, deployment: DeploymentId, with_logs: bool) -> Self {
        let changed = centre.changes.of(deployment.0);
        Self {
            centre,
            deployment,
            changed,
            position: 0,
            events: VecDeque::new(),
            tails: with_logs.then(Vec::new),
            patience: None,
            patient_for: PATIENCE,
            over: false,
        }
    }

    /// The same with another patience for output that does not come.
    #[must_use]
    pub fn patient_for(mut self, time: Duration) -> Self {
        self.patient_for = time;
        self
    }

    /// The next lines; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Bytes>, WatchError> {
        if self.over {
            return Ok(None);
        }
        let silence = Instant::now() + SILENCE;
        let mut lines = Vec::new();
        loop {
            self.changed.mark_unchanged();
            // Asked first: whatever is stored by then is read below, before the end is told.
            let standing = self.standing().await?;
            self.look(&mut lines).await?;
            if lines.is_empty() && self.events.is_empty() && standing.finished && !self.has_unread().await? {
                self.over = true;
                let view = Box::new(standing.view);
                put(&WatchLine::End { view }, &mut lines)?;
            }
            if !lines.is_empty() {
                return Ok(Some(Bytes::from(lines)));
            }
            let until = self.patience.map_or(silence, |patience| silence.min(patience));
            // The sender lives in `Changes` for as long as somebody waits.
            let woken = timeout_at(until, self.changed.changed()).await;
            if woken.is_err() && Instant::now() >= silence {
                put(&WatchLine::Alive, &mut lines)?;
                return Ok(Some(Bytes::from(lines)));
            }
        }
    }

    /// Takes what is new: events in their order, and output between the events that enclose it.
    async fn look(&mut self, lines: &mut Vec<u8>) -> Result<(), WatchError> {
        if self.events.is_empty() {
            self.read_events().await?;
        }
        while let Some(event) = self.events.pop_front() {
            if !self.may_pass(&event, lines).await? {
                self.events.push_front(event);
                return Ok(());
            }
            let stream = match &event.what {
                What::StepStarted { stream, .. } if *stream != 0 => Some(*stream),
                _ => None,
            };
            if let (Some(stream), Some(tails)) = (stream, &mut self.tails) {
                tails.push(Tail { stream, offset: 0 });
            }
            let event = Box::new(event);
            put(&WatchLine::Event { event }, lines)?;
            if lines.len() >= GULP {
                return Ok(());
            }
            if self.events.is_empty() {
                self.read_events().await?;
            }
        }
        for at in 0..self.tails.as_ref().map_or(0, Vec::len) {
            self.follow(at, lines, u64::MAX).await?;
        }
        Ok(())
    }

    /// Whether an event may be told: the end of a step waits for the whole of its output, for a while.
    async fn may_pass(&mut self, event: &Event, lines: &mut Vec<u8>) -> Result<bool, WatchError> {
        let What::StepFinished {
            stream, output_bytes, ..
        } = &event.what
        else {
            return Ok(true);
        };
        let found = self
            .tails
            .as_ref()
            .and_then(|tails| tails.iter().position(|tail| tail.stream == *stream));
        let Some(at) = found else {
            return Ok(true);
        };
        let before = lines.len();
        let offset = self.follow(at, lines, *output_bytes).await?;
        if offset < *output_bytes {
            let moved = lines.len() > before;
            let patience = self.patience.filter(|_| !moved);
            let patience = *self
                .patience
                .insert(patience.unwrap_or_else(|| Instant::now() + self.patient_for));
            if moved || Instant::now() < patience {
                return Ok(false);
            }
        }
        self.patience = None;
        if let Some(tails) = &mut self.tails {
            tails.remove(at);
        }
        Ok(true)
    }

    async fn read_events(&mut self) -> Result<(), WatchError> {
        let (id, position) = (self.deployment, self.position);
        let page = self
            .centre
            .store
            .read(move |c| events::after(c, id, position, PAGE));
        for (position, event) in page.await? {
            self.position = position;
            self.events.push_back(event);
        }
        Ok(())
    }

    /// Whether there are events beyond those that were told.
    async fn has_unread(&mut self) -> Result<bool, WatchError> {
        self.read_events().await?;
        Ok(!self.events.is_empty())
    }

    /// Tells what a stream has beyond what was told, knowing how long it will be; how far it is told then.
    async fn follow(&mut self, at: usize, lines: &mut Vec<u8>, size: u64) -> Result<u64, WatchError> {
        let Some(tail) = self.tails.as_mut().and_then(|tails| tails.get_mut(at)) else {
            return Ok(0);
        };
        let name: StreamName = (self.deployment, tail.stream);
        let (logs, offset) = (self.centre.logs.clone(), tail.offset);
        let bytes = tokio::task::spawn_blocking(move || logs.read(name, offset, GULP)).await??;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let ended = tail.offset + rest.len() as u64 >= size;
            let (piece, after) = rest.split_at(cut(rest, ended));
            if piece.is_empty() {
                break;
            }
            let line = WatchLine::Log {
                stream: tail.stream,
                offset: tail.offset,
                text: String::from_utf8_lossy(piece).into_owned(),
            };
            put(&line, lines)?;
            tail.offset += piece.len() as u64;
            rest = after;
        }
        Ok(tail.offset)
    }

    async fn standing(&self) -> Result<deployments::Standing, WatchError> {
        let id = self.deployment;
        let standing = self.centre.store.read(move |c| deployments::standing(c, id));
        standing.await?.ok_or(WatchError::Vanished)
    }
}

fn put(line: &WatchLine, lines: &mut Vec<u8>) -> Result<(), WatchError> {
    serde_json::to_writer(&mut *lines, line)?;
    lines.push(b'\n');
    Ok(())
}

/// How much of the output goes on one line: up to a line's end if it is long, and no character in two.
fn cut(output: &[u8], ended: bool) -> usize {
    if output.len() > LINE {
        let line_end = output[..LINE].iter().rposition(|byte| *byte == b'\n');
        return line_end.map_or_else(|| whole(&output[..LINE]), |at| at + 1);
    }
    if ended { output.len() } else { whole(output) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f42_output_is_cut_at_a_line_or_between_characters_but_always_goes_on() {
        assert_eq!(cut(b"no newline", false), 10);
        assert_eq!(cut("ab\u{20ac}".as_bytes(), false), 5);
        assert_eq!(cut(&"ab\u{20ac}".as_bytes()[..4], false), 2);
        assert_eq!(cut(&"ab\u{20ac}".as_bytes()[..4], true), 4);
        assert_eq!(cut(b"\xff\xfe", true), 2);
        let mut long = vec![b'x'; LINE + 10];
        assert_eq!(cut(&long, false), LINE);
        long[100] = b'\n';
        assert_eq!(cut(&long, false), 101);
        long.fill(0xff);
        assert!(cut(&long, false) > LINE - 4);
    }
}
