//! What a step's commands write: scrubbed by value, capped, and put into a file that the daemon tails.
//!
//! | module | what |
//! |---|---|
//! | `patterns` | a secret in every form that it may be printed in |
//! | `scrub` | bytes in, bytes without secrets out, across any chunks |
//! | `capped` | the head and the tail of too much, coalesced into few writes |
//! | `tail` | the end of one command's output, for the step itself |

mod capped;
mod patterns;
mod scrub;
mod tail;

pub use tail::Tail;

use capped::{Capped, Caps};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::secret::Secret;
use scrub::Scrubber;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What was written in all, in bytes after scrubbing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Bytes in the file.
    pub kept: u64,
    /// Bytes of the middle that did not fit.
    pub left_out: u64,
}

/// A step's output. A clone is another handle on the same file.
#[derive(Clone)]
pub struct Sink(Arc<Mutex<Inner>>);

struct Inner {
    scrubber: Scrubber,
    file: Capped<File>,
    clean: Vec<u8>,
    /// The first failure to write. The commands go on: their effect matters more than what they say.
    broken: Option<io::Error>,
}

impl Sink {
    /// Opens the file to append to, only for us to read, and learns the secrets that must not get into it.
    pub fn open<'a>(path: &Path, secrets: impl IntoIterator<Item = &'a Secret>) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let there = file.metadata()?.len();
        Ok(Self(Arc::new(Mutex::new(Inner {
            scrubber: Scrubber::new(secrets.into_iter().map(Secret::expose)).map_err(io::Error::other)?,
            file: Capped::new(file, there, Caps::default()),
            clean: Vec::new(),
            broken: None,
        }))))
    }

    /// Takes what a command wrote; what is safe of it goes to the file and to `tail`.
    pub fn write(&self, chunk: &[u8], tail: &mut Tail) {
        let mut inner = self.inner();
        let inner = &mut *inner;
        inner.scrubber.push(chunk, &mut inner.clean);
        inner.put(tail);
    }

    /// Ends a command's stream: nothing more can follow what was held back.
    pub fn end(&self, tail: &mut Tail) {
        let mut inner = self.inner();
        let inner = &mut *inner;
        inner.scrubber.finish(&mut inner.clean);
        inner.put(tail);
        inner.flush();
    }

    /// Writes a line of our own.
    pub fn say(&self, line: &str) {
        let mut line = line.to_owned();
        line.push('\n');
        let mut tail = Tail::default();
        self.write(line.as_bytes(), &mut tail);
        self.end(&mut tail);
    }

    /// A text that is none of this output, such as what a question was answered with, without the same secrets.
    pub fn mask(&self, text: &str) -> String {
        let scrubber = self.inner().scrubber.fresh();
        scrubber.whole(text)
    }

    /// When the file wants to be flushed, if something waits.
    pub fn due(&self) -> Option<Instant> {
        self.inner().file.due()
    }

    /// Hands what waits to the file.
    pub fn flush(&self) {
        self.inner().flush();
    }

    /// Ends the output: its tail after what was left out, synced. Says if anything could not be written.
    pub fn finish(&self) -> io::Result<Written> {
        self.end(&mut Tail::default());
        let mut inner = self.inner();
        if let Some(error) = inner.broken.take() {
            return Err(error);
        }
        let written = inner.file.finish()?;
        inner.file.get_ref().sync_all()?;
        Ok(written)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sink(…)")
    }
}

impl Inner {
    fn put(&mut self, tail: &mut Tail) {
        tail.push(&self.clean);
        if self.broken.is_none() {
            self.broken = self.file.write(&self.clean).err();
        }
        self.clean.clear();
    }

    fn flush(&mut self) {
        if self.broken.is_none() {
            self.broken = self.file.flush().err();
        }
    }
}

/// A whole text with a mark in place of each secret, in whatever form.
pub fn mask<'a>(secrets: impl IntoIterator<Item = &'a str>, text: &str) -> String {
    Scrubber::new(secrets).map_or_else(|_| "[secret]".to_owned(), |scrubber| scrubber.whole(text))
}

/// The same for everything that a person is told.
pub fn mask_advice<'a>(secrets: impl IntoIterator<Item = &'a str>, advice: &mut Advice) {
    let scrubber = Scrubber::new(secrets).ok();
    let texts = [&mut advice.saw, &mut advice.wanted, &mut advice.fix];
    for text in texts.into_iter().chain(&mut advice.evidence) {
        *text = scrubber
            .as_ref()
            .map_or_else(|| "[secret]".to_owned(), |scrubber| scrubber.fresh().whole(text));
    }
}

#[cfg(test)]
mod tests;
