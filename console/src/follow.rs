//! A deployment's lines from the start to the end, across restarts of the daemon that sends them.
//!
//! A broken stream is opened again; it begins at the start, and what was given out already is left out.

use crate::client::{Client, ClientError, Line, Lines};
use chatalot_protocol::api::WatchLine;
use chatalot_protocol::names::DeploymentId;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A controller is back within that time, or a person has to look after it.
const PATIENCE: Duration = Duration::from_mins(10);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is heard next.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Something new.
    Line(Line),
    /// The stream broke, for the first time; it is being opened again.
    Lost,
}

/// Follows one deployment.
pub(crate) struct Follow<'a> {
    client: &'a Client,
    deployment: DeploymentId,
    path: String,
    lines: Option<Lines>,
    seen: Seen,
    /// Whether the daemon has been there, so that it is worth waiting for.
    was_there: bool,
    lost: Option<Instant>,
    has_told: bool,
    pause: Duration,
}

impl<'a> Follow<'a> {
    pub(crate) fn new(client: &'a Client, deployment: DeploymentId, with_logs: bool) -> Self {
        Self {
            client,
            deployment,
            path: format!("/v1/deployments/{deployment}/watch?logs={}", u8::from(with_logs)),
            lines: None,
            was_there: false,
            seen: Seen::default(),
            lost: None,
            has_told: false,
            pause: FIRST_PAUSE,
        }
    }

    pub(crate) const fn deployment(&self) -> DeploymentId {
        self.deployment
    }

    /// The daemon was there a moment ago: even the first connection is worth waiting for.
    pub(crate) const fn known_to_be_there(mut self) -> Self {
        self.was_there = true;
        self
    }

    /// The next line that is new. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Result<Heard, ClientError> {
        loop {
            let heard = match &mut self.lines {
                Some(lines) => lines.next().await.and_then(|line| line.ok_or(ClientError::Ended)),
                None => match self.client.stream(&self.path).await {
                    Ok(lines) => {
                        self.lines = Some(lines);
                        self.was_there = true;
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            match heard {
                Ok(line) => {
                    self.lost = None;
                    self.pause = FIRST_PAUSE;
                    if let Some(line) = self.seen.fresh(line) {
                        return Ok(Heard::Line(line));
                    }
                }
                Err(error) => {
                    if self.bear(error)? {
                        return Ok(Heard::Lost);
                    }
                    sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Whether the next line is probably there already.
    pub(crate) fn has_more(&self) -> bool {
        self.lines.as_ref().is_some_and(Lines::has_more)
    }

    /// Whether an error is worth telling; fails on one that will not pass, or has not for too long.
    fn bear(&mut self, error: ClientError) -> Result<bool, ClientError> {
        self.lines = None;
        let since = *self.lost.get_or_insert_with(Instant::now);
        if !self.was_there || !error.may_pass() || since.elapsed() > PATIENCE {
            return Err(error);
        }
        Ok(!std::mem::replace(&mut self.has_told, true))
    }
}

/// What was given out.
#[derive(Debug, Default)]
struct Seen {
    seq: u64,
    /// How far each log stream was given out, in bytes of the stream.
    streams: BTreeMap<u32, u64>,
}

impl Seen {
    /// The line, or what is new in it.
    fn fresh(&mut self, mut line: Line) -> Option<Line> {
        match &mut line.line {
            WatchLine::Event { event } => {
                if event.seq <= self.seq {
                    return None;
                }
                self.seq = event.seq;
            }
            WatchLine::Log { stream, offset, text } => {
                let shown = self.streams.entry(*stream).or_default();
                let begin = *offset;
                let end = begin + raw_length(text);
                if end <= *shown && end > begin {
                    return None;
                }
                if begin < *shown {
                    text.drain(..position(text, *shown - begin));
                    *offset = *shown;
                    *shown = end;
                    line.raw = serde_json::to_vec(&line.line).ok()?.into();
                } else {
                    *shown = end;
                }
            }
            _ => {}
        }
        Some(line)
    }
}

const REPLACEMENT: char = '\u{fffd}';

/// How many bytes of the stream a text stands for, at least: each replacement stands for one or more.
fn raw_length(text: &str) -> u64 {
    let replaced = text.matches(REPLACEMENT).count();
    (text.len() - replaced * (REPLACEMENT.len_utf8() - 1)) as u64
}

/// Where in the text a number of bytes of the stream is over.
fn position(text: &str, raw: u64) -> usize {
    let mut left = raw;
    for (position, c) in text.char_indices() {
        if left == 0 {
            return position;
        }
        let length = if c == REPLACEMENT { 1 } else { c.len_utf8() as u64 };
        left = left.saturating_sub(length);
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(offset: u64, text: &str) -> Line {
        let line = WatchLine::Log {
            stream: 1,
            offset,
            text: text.to_owned(),
        };
        Line {
            raw: serde_json::to_vec(&line).unwrap().into(),
            line,
        }
    }

    fn shown(pieces: &[(u64, &str)]) -> String {
        let mut seen = Seen::default();
        let fresh = pieces
            .iter()
            .filter_map(|(offset, text)| seen.fresh(log(*offset, text)));
        fresh
            .map(|line| match serde_json::from_slice(&line.raw).unwrap() {
                WatchLine::Log { text, .. } => text,
                _ => String::new(),
            })
            .collect()
    }

    #[test]
    fn output_that_comes_again_in_other_pieces_is_given_out_once() {
        let again = [(0, "one\ntwo\n"), (0, "one\n"), (4, "two\nthr"), (11, "ee\n")];
        assert_eq!(shown(&again), "one\ntwo\nthree\n");
    }

    #[test]
    fn replaced_bytes_never_make_new_output_look_old() {
        // `\u{fffd}` is three bytes of text and one of the stream here.
        let pieces = [(0, "a\u{fffd}\u{fffd}b"), (4, "cd"), (0, "a\u{fffd}\u{fffd}bcde")];
        assert_eq!(shown(&pieces), "a\u{fffd}\u{fffd}bcde");
    }
}
