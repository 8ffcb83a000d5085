//! The terminal that a person sits at: questions on standard error, answers from standard input.

use super::Term;
use crate::text::safe;
use chatalot_protocol::secret::Secret;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, Stdin, Write};

/// Ctrl-C, as the line end that it is while a question is open.
const CTRL_C: char = '\u{3}';

/// The real terminal.
#[derive(Debug, Clone, Copy)]
pub struct Tty;

impl Term for Tty {
    fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(io::stderr(), "{}", safe(text))
    }

    fn ask(&mut self, prompt: &str) -> io::Result<Option<String>> {
        read(prompt, true)
    }

    fn ask_secret(&mut self, prompt: &str) -> io::Result<Option<Secret>> {
        let answer = read(prompt, false);
        // The line end that was typed was not shown.
        writeln!(io::stderr())?;
        Ok(answer?.map(Secret::new))
    }
}

fn read(prompt: &str, shown: bool) -> io::Result<Option<String>> {
    let input = io::stdin();
    let _restored = Asking::begin(&input, shown);
    let mut screen = io::stderr();
    write!(screen, "{prompt}")?;
    screen.flush()?;
    let line = line(&mut input.lock())?;
    if line.as_ref().is_some_and(|line| line.ends_with(CTRL_C)) {
        writeln!(screen)?;
        return Err(io::ErrorKind::Interrupted.into());
    }
    Ok(line.map(|mut line| {
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        line
    }))
}

/// Up to a line end or Ctrl-C, whichever is first; none at the end of the input.
fn line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    loop {
        let ready = match input.fill_buf() {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            ready => ready?,
        };
        let end = ready.iter().position(|b| matches!(b, b'\n' | 3));
        let taken = end.map_or(ready.len(), |end| end + 1);
        line.extend_from_slice(&ready[..taken]);
        input.consume(taken);
        if end.is_some() || taken == 0 {
            break;
        }
    }
    let text = String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok((!text.is_empty()).then_some(text))
}

/// While it lives, Ctrl-C is read like a line end instead of ending the program, so that a terminal is never left
/// without echo, and a question about a deployment is never mistaken for its end.
struct Asking<'a> {
    input: &'a Stdin,
    before: Termios,
}

impl<'a> Asking<'a> {
    fn begin(input: &'a Stdin, shown: bool) -> Option<Self> {
        let before = tcgetattr(input).ok()?;
        let mut asking = before.clone();
        asking.local_flags.remove(LocalFlags::ISIG);
        asking.control_chars[SpecialCharacterIndices::VEOL as usize] = CTRL_C as u8;
        if !shown {
            asking.local_flags.remove(LocalFlags::ECHO);
        }
        tcsetattr(input, SetArg::TCSADRAIN, &asking).ok()?;
        Some(Self { input, before })
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        // Nothing can be done where the terminal is gone.
        let _ = tcsetattr(self.input, SetArg::TCSADRAIN, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_with_the_line_or_with_ctrl_c() {
        let mut typed: &[u8] = b"alice\nsec\x03late";
        assert_eq!(line(&mut typed).unwrap().as_deref(), Some("alice\n"));
        assert_eq!(line(&mut typed).unwrap().as_deref(), Some("sec\x03"));
        assert_eq!(line(&mut typed).unwrap().as_deref(), Some("late"));
        assert_eq!(line(&mut typed).unwrap(), None);
    }
}
