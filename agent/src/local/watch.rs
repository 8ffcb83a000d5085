//! A watched deployment as lines: its events from the first, its output, and its end.

use super::routes::{Body, view_of};
use crate::effect::folder::JobFolder;
use crate::ledger::{LedgerError, deployments as records, outbox};
use crate::service::Service;
use chatalot_protocol::api::{WatchLine, whole};
use chatalot_protocol::event::What;
use chatalot_protocol::names::DeploymentId;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How much output one line carries.
const CHUNK: usize = 64 << 10;
/// How often growing output is looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// How long a line may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// The caller has gone away.
struct Gone;

/// The lines of a deployment, from its start to its end.
pub(super) fn body(service: Arc<Service>, id: DeploymentId, logs: bool) -> Body {
    let (lines, receiver) = mpsc::channel::<Bytes>(4);
    tokio::spawn(async move {
        let mut watch = Watch {
            service,
            id,
            logs,
            lines,
            streams: BTreeMap::new(),
        };
        if let Err(Some(error)) = watch.run().await {
            log::error!(deployment:% = id, error = crate::chain(&error); "a deployment cannot be watched");
        }
    });
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let bytes = receiver.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(bytes)), receiver))
    });
    StreamBody::new(stream).boxed_unsync()
}

/// How far a stream has been passed on; its file appears when the step first writes.
#[derive(Default)]
struct Output {
    file: Option<File>,
    sent: u64,
}

struct Watch {
    service: Arc<Service>,
    id: DeploymentId,
    logs: bool,
    lines: mpsc::Sender<Bytes>,
    streams: BTreeMap<u32, Output>,
}

impl Watch {
    /// Ends with `Err(None)` when the caller has gone away.
    async fn run(&mut self) -> Result<(), Option<LedgerError>> {
        let mut latest = self.service.ledger.latest();
        let mut seq = 0;
        loop {
            latest.mark_unchanged();
            let id = self.id;
            let events = self
                .service
                .ledger
                .with(move |db| outbox::of_deployment(db, id, seq))
                .await
                .map_err(Some)?;
            let quiet = events.is_empty();
            for event in events {
                seq = event.seq;
                self.before(&event.what).await.map_err(|Gone| None)?;
                let over = matches!(event.what, What::DeploymentFinished { .. });
                self.line(&WatchLine::Event {
                    event: Box::new(event),
                })
                .await
                .map_err(|Gone| None)?;
                if over {
                    return self.end().await;
                }
            }
            if quiet {
                self.wait(&mut latest).await.map_err(|Gone| None)?;
            }
        }
    }

    async fn end(&mut self) -> Result<(), Option<LedgerError>> {
        let id = self.id;
        let found = self
            .service
            .ledger
            .with(move |db| records::find(db, id))
            .await
            .map_err(Some)?;
        let Some(deployment) = found else { return Ok(()) };
        let view = Box::new(view_of(deployment));
        self.line(&WatchLine::End { view }).await.map_err(|Gone| None)
    }

    /// A step's whole output comes before the word of its end.
    async fn before(&mut self, what: &What) -> Result<(), Gone> {
        match what {
            // An attempt that did not end its step has no word of its own end: the next one is that word.
            What::StepStarted { stream, .. } if *stream > 0 && self.logs => {
                self.drain(*stream).await?;
                self.streams.entry(*stream).or_default();
            }
            What::DeploymentFinished { .. } => self.drain(0).await?,
            What::StepFinished {
                stream, output_bytes, ..
            } if *stream > 0 && self.logs => {
                while self.pump(*stream, true).await? {}
                let sent = self.streams.remove(stream).map_or(0, |output| output.sent);
                if sent < *output_bytes {
                    log::warn!(deployment:% = self.id, stream, sent, output_bytes; "a step's output is shorter than it was");
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Passes on all that is left of every stream but one, and is done with them.
    async fn drain(&mut self, keep: u32) -> Result<(), Gone> {
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            if stream != keep {
                while self.pump(stream, true).await? {}
                self.streams.remove(&stream);
            }
        }
        Ok(())
    }

    /// Waits for an event; passes output on meanwhile.
    async fn wait(&mut self, latest: &mut tokio::sync::watch::Receiver<u64>) -> Result<(), Gone> {
        let mut silent = Duration::ZERO;
        loop {
            let mut flowed = false;
            for stream in self.streams.keys().copied().collect::<Vec<_>>() {
                flowed |= self.pump(stream, false).await?;
            }
            let glance = match (self.streams.is_empty(), flowed) {
                (true, _) => SILENCE,
                (false, true) => Duration::ZERO,
                (false, false) => GLANCE,
            };
            if tokio::time::timeout(glance, latest.changed()).await.is_ok() {
                return Ok(());
            }
            silent = if flowed { Duration::ZERO } else { silent + glance };
            if silent >= SILENCE {
                silent = Duration::ZERO;
                self.line(&WatchLine::Alive).await?;
            }
        }
    }

    /// Passes on the next chunk of a stream, which may have ended; true if there was one.
    async fn pump(&mut self, stream: u32, ended: bool) -> Result<bool, Gone> {
        let path = JobFolder::of(&self.service.state, self.id, stream).output();
        let output = self.streams.entry(stream).or_default();
        if output.file.is_none() {
            output.file = File::open(path).ok();
        }
        let Some(file) = &output.file else {
            return Ok(false);
        };
        let mut chunk = vec![0; CHUNK];
        let got = file.read_at(&mut chunk, output.sent).unwrap_or(0);
        let ended = ended && got < CHUNK;
        chunk.truncate(if ended { got } else { whole(&chunk[..got]) });
        if chunk.is_empty() {
            return Ok(false);
        }
        let offset = output.sent;
        output.sent += chunk.len() as u64;
        let line = WatchLine::Log {
            stream,
            offset,
            text: String::from_utf8_lossy(&chunk).into_owned(),
        };
        self.line(&line).await?;
        Ok(true)
    }

    async fn line(&self, line: &WatchLine) -> Result<(), Gone> {
        let mut bytes = serde_json::to_vec(line).unwrap_or_default();
        bytes.push(b'\n');
        self.lines.send(Bytes::from(bytes)).await.map_err(|_| Gone)
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
pub(super) mod tests;
