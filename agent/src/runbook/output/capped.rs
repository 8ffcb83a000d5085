//! A file that takes the head and the tail of too much.

use super::Written;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// How much waits at most before it is written.
const COALESCE: usize = 64 * 1024;
/// How long it waits at most.
const SOON: Duration = Duration::from_millis(5);

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    /// From the beginning, written as it comes.
    pub(super) head: u64,
    /// From the end, kept in memory and written when all is over.
    pub(super) tail: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            head: 48 * 1024 * 1024,
            tail: 16 * 1024 * 1024,
        }
    }
}

/// The writer.
pub(super) struct Capped<W> {
    file: W,
    buffer: Vec<u8>,
    /// Since when the oldest byte of the buffer waits.
    since: Option<Instant>,
    head_left: u64,
    tail: VecDeque<u8>,
    tail_most: usize,
    written: Written,
}

impl<W: Write> Capped<W> {
    /// A file in which some bytes are already: they count.
    pub(super) fn new(file: W, there: u64, caps: Caps) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            since: None,
            head_left: caps.head.saturating_sub(there),
            tail: VecDeque::new(),
            tail_most: caps.tail,
            written: Written::default(),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let head = usize::try_from(self.head_left)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let (head, rest) = bytes.split_at(head);
        if !head.is_empty() {
            self.head_left -= head.len() as u64;
            self.put(head)?;
        }
        if !rest.is_empty() {
            self.keep(rest);
        }
        Ok(())
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + SOON)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.since = None;
        let done = self.file.write_all(&self.buffer);
        self.buffer.clear();
        done
    }

    /// Writes the tail, after a line that says what is missing.
    pub(super) fn finish(&mut self) -> io::Result<Written> {
        self.flush()?;
        if self.written.left_out > 0 {
            let note = format!("\n[… {} bytes left out …]\n", self.written.left_out);
            self.file.write_all(note.as_bytes())?;
        }
        let (front, back) = self.tail.as_slices();
        self.file.write_all(front)?;
        self.file.write_all(back)?;
        self.written.kept += self.tail.len() as u64;
        self.tail.clear();
        self.file.flush()?;
        Ok(self.written)
    }

    pub(super) const fn get_ref(&self) -> &W {
        &self.file
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written.kept += bytes.len() as u64;
        if self.buffer.len() + bytes.len() < COALESCE {
            self.buffer.extend_from_slice(bytes);
            let since = *self.since.get_or_insert_with(Instant::now);
            return if since.elapsed() >= SOON {
                self.flush()
            } else {
                Ok(())
            };
        }
        self.flush()?;
        self.file.write_all(bytes)
    }

    fn keep(&mut self, bytes: &[u8]) {
        let fits = &bytes[bytes.len().saturating_sub(self.tail_most)..];
        let over = (self.tail.len() + fits.len()).saturating_sub(self.tail_most);
        self.tail.drain(..over);
        self.tail.extend(fits);
        self.written.left_out += (over + bytes.len() - fits.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Caps = Caps { head: 10, tail: 4 };

    fn all(chunks: &[&str], there: u64) -> (String, Written) {
        let mut capped = Capped::new(Vec::new(), there, SMALL);
        for chunk in chunks {
            capped.write(chunk.as_bytes()).unwrap();
        }
        let written = capped.finish().unwrap();
        (String::from_utf8(capped.file).unwrap(), written)
    }

    #[test]
    fn what_fits_is_written_as_it_is() {
        assert_eq!(all(&["0123", "456789", "abcd"], 0).0, "0123456789abcd");
        assert_eq!(all(&[], 0).0, "");
    }

    #[test]
    fn f42_of_too_much_the_head_and_the_tail_are_kept() {
        let (text, written) = all(&["0123456789ab", "cdefgh", "ijklmnopq", "z"], 0);
        assert_eq!(text, "0123456789\n[… 14 bytes left out …]\nopqz");
        assert_eq!(
            written,
            Written {
                kept: 14,
                left_out: 14
            }
        );
    }

    #[test]
    fn what_is_in_the_file_already_counts() {
        assert_eq!(all(&["01234567"], 8).0, "01\n[… 2 bytes left out …]\n4567");
    }

    #[test]
    fn little_waits_and_much_does_not() {
        let mut capped = Capped::new(Vec::new(), 0, Caps::default());
        capped.write(b"x").unwrap();
        assert!(capped.due().is_some() && capped.file.is_empty());
        capped.flush().unwrap();
        assert!(capped.due().is_none());
        capped.write(&vec![b'y'; COALESCE]).unwrap();
        assert_eq!(capped.file.len(), COALESCE + 1);
    }
}
