//! Step output on its way to the controller: the controller says how much of a stream it has stored, and the
//! file is read on from there. Nothing is kept in memory but offsets.

use crate::effect::folder::JobFolder;
use crate::ledger::deployments::Effect;
use chatalot_protocol::frame::{FrameError, MAX_LOG, put_log};
use chatalot_protocol::message::ToController;
use chatalot_protocol::names::DeploymentId;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How much may be under way, unconfirmed, in one stream.
const WINDOW: u64 = 1 << 20;

struct Stream {
    effect: Effect,
    file: Option<File>,
    sent: Option<u64>,
    stored: u64,
}

impl Stream {
    fn is(&self, deployment: DeploymentId, stream: u32) -> bool {
        self.effect.deployment == deployment && self.effect.stream == stream
    }

    /// What is missing of an output that has ended, once the controller has what there is of it.
    fn gap(&self) -> Option<Gap> {
        let (to, from) = (self.effect.output_bytes?, self.sent?);
        (from < to && self.stored == from).then_some(Gap {
            deployment: self.effect.deployment,
            stream: self.effect.stream,
            from,
            to,
        })
    }

    fn complete(&self) -> bool {
        self.sent.is_some() && self.effect.output_bytes.is_some_and(|whole| self.stored >= whole)
    }
}

/// What is gone of an output before the controller had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) deployment: DeploymentId,
    pub(super) stream: u32,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// The streams that the controller does not have whole yet.
#[derive(Default)]
pub(super) struct Logs {
    streams: Vec<Stream>,
    gaps: Vec<Gap>,
}

impl Logs {
    /// Takes up what the ledger says is not passed on; answers what to tell the controller.
    pub(super) fn update(&mut self, effects: Vec<Effect>) -> Vec<ToController> {
        let mut opened = Vec::new();
        for effect in effects {
            if let Some(known) = self
                .streams
                .iter_mut()
                .find(|known| known.is(effect.deployment, effect.stream))
            {
                known.effect = effect;
                continue;
            }
            opened.push(ToController::LogOpened {
                deployment: effect.deployment,
                stream: effect.stream,
                step: effect.step.clone(),
            });
            self.streams.push(Stream {
                effect,
                file: None,
                sent: None,
                stored: 0,
            });
        }
        opened
    }

    /// Whether there is anything to look after.
    pub(super) fn is_busy(&self) -> bool {
        !self.streams.is_empty()
    }

    /// The controller has stored a stream up to an offset.
    pub(super) fn stored(&mut self, deployment: DeploymentId, stream: u32, offset: u64) {
        if let Some(known) = self.streams.iter_mut().find(|known| known.is(deployment, stream)) {
            known.stored = offset;
            known.sent = Some(known.sent.map_or(offset, |sent| sent.max(offset)));
        }
    }

    /// The streams that are stored whole; they are let go of.
    pub(super) fn take_complete(&mut self) -> Vec<(DeploymentId, u32)> {
        let complete = self.streams.iter().filter(|stream| stream.complete());
        let complete = complete
            .map(|stream| (stream.effect.deployment, stream.effect.stream))
            .collect();
        self.streams.retain(|stream| !stream.complete());
        complete
    }

    /// What turned out to be gone since the last time; its streams are let go of.
    pub(super) fn take_gaps(&mut self) -> Vec<Gap> {
        let gaps = std::mem::take(&mut self.gaps);
        self.streams
            .retain(|stream| !gaps.iter().any(|gap| stream.is(gap.deployment, gap.stream)));
        gaps
    }

    /// Appends the next chunks to what is about to be written, at most about `most` bytes; answers whether any.
    pub(super) fn pump(&mut self, state: &Path, most: usize, out: &mut Vec<u8>) -> Result<bool, FrameError> {
        let before = out.len();
        for stream in &mut self.streams {
            while let Some(offset) = stream.sent
                && offset < stream.stored.saturating_add(WINDOW)
                && out.len() < most
            {
                let chunk = read(stream, state, offset).unwrap_or_else(|error| {
                    log::warn!(stream = stream.effect.stream, error = crate::chain(&error); "a step's output cannot be read");
                    Vec::new()
                });
                if chunk.is_empty() {
                    self.gaps.extend(stream.gap());
                    break;
                }
                put_log(
                    stream.effect.deployment,
                    stream.effect.stream,
                    offset,
                    &chunk,
                    out,
                )?;
                stream.sent = Some(offset + chunk.len() as u64);
            }
        }
        Ok(out.len() > before)
    }
}

fn read(stream: &mut Stream, state: &Path, offset: u64) -> io::Result<Vec<u8>> {
    if stream.file.is_none() {
        let folder = JobFolder::of(state, stream.effect.deployment, stream.effect.stream);
        match File::open(folder.output()) {
            Ok(file) => stream.file = Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
    }
    let Some(file) = &stream.file else {
        return Ok(Vec::new());
    };
    let mut chunk = vec![0; MAX_LOG];
    let got = file.read_at(&mut chunk, offset)?;
    chunk.truncate(got);
    Ok(chunk)
}
