//! The terminal that a person sits at: questions on standard error, answers from standard input.

use super::Term;
use crate::text::safe;
use chatalot_protocol::secret::Secret;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, Write};

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
    let _restored = Changed::for_a_question(shown);
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

/// A change to the terminal that is taken back when it is dropped.
pub(crate) struct Changed {
    before: Termios,
}

impl Changed {
    /// Ctrl-C is read like a line end instead of ending the program, so that a terminal is never left without
    /// echo, and a question about a deployment is never mistaken for its end.
    fn for_a_question(shown: bool) -> Option<Self> {
        Self::by(|terminal| {
            terminal.local_flags.remove(LocalFlags::ISIG);
            terminal.control_chars[SpecialCharacterIndices::VEOL as usize] = CTRL_C as u8;
            terminal.local_flags.set(LocalFlags::ECHO, shown);
        })
    }

    /// Ctrl-C does not leave its `^C` in the middle of what is drawn. Harmless where it is never taken back.
    pub(crate) fn for_drawing() -> Option<Self> {
        Self::by(|terminal| terminal.local_flags.remove(LocalFlags::ECHOCTL))
    }

    /// None where standard input is no terminal.
    fn by(change: impl FnOnce(&mut Termios)) -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut terminal = before.clone();
        change(&mut terminal);
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &terminal).ok()?;
        Some(Self { before })
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        // Nothing can be done where the terminal is gone.
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
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
