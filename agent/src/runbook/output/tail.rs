//! The end of what a command wrote.

/// How much is kept.
const KEEP: usize = 64 * 1024;

/// The last 64 KiB of a stream.
#[derive(Debug, Default)]
pub struct Tail(Vec<u8>);

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(KEEP)..];
        if self.0.len() + bytes.len() > 2 * KEEP {
            self.0.drain(..self.0.len().saturating_sub(KEEP));
        }
        self.0.extend_from_slice(bytes);
    }

    /// It as text; a character that was cut in two is replaced.
    pub fn text(self) -> String {
        String::from_utf8_lossy(&self.0[self.0.len().saturating_sub(KEEP)..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_flood_is_kept() {
        let mut tail = Tail::default();
        for n in 0..100_000 {
            tail.push(format!("line {n}\n").as_bytes());
        }
        tail.push(&vec![b'x'; KEEP - 11]);
        let text = tail.text();
        assert_eq!(text.len(), KEEP);
        assert!(text.starts_with("line 99999\n") && text.ends_with('x'));
    }
}
