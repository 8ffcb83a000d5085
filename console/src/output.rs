//! Where output goes and what it may look like there.

use crate::ask::{Term, Tty};
use crate::exit::Failure;
use crate::text::safe_json;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;

/// For whom output is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: JSON, one object a line.
    Json,
}

/// The flags about output that every command has.
#[derive(Debug, Clone, Default, Args)]
pub struct OutputFlags {
    /// For people, or JSON for programs
    #[arg(long, value_enum, default_value_t, global = true)]
    pub output: Format,
    /// Also show the output of each step
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// What a rendered text may use: colour, and how wide a line may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Whether colour is welcome.
    pub colour: bool,
    /// Where lines are wrapped; none where nobody looks at columns.
    pub width: Option<usize>,
}

impl Page {
    /// No colour and no wrapping: a pipe or a file.
    pub const PLAIN: Self = Self {
        colour: false,
        width: None,
    };

    /// The text in a style, where colour is welcome.
    pub fn paint(self, style: Style, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", style.code())
        } else {
            text.to_owned()
        }
    }
}

/// What a colour is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As it should be.
    Good,
    /// Will be changed, or wants attention.
    Attention,
    /// Wrong.
    Bad,
    /// Less important than what stands beside it.
    Quiet,
    /// A heading, a name.
    Strong,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Attention => "33",
            Self::Bad => "31",
            Self::Quiet => "2",
            Self::Strong => "1",
        }
    }
}

/// The standard streams of one command, and the terminal that a person may sit at.
#[allow(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
pub struct Output {
    /// For whom.
    pub format: Format,
    /// Whether the output of steps is shown.
    pub verbose: bool,
    /// Whether a person can be asked.
    pub interactive: bool,
    /// Whether standard output is a terminal.
    pub terminal: bool,
    /// Whether lines may be redrawn there.
    pub live: bool,
    /// The program's own name, for hints such as `chatalotctl deployment watch ID`.
    pub program: String,
    /// How a person is asked.
    pub term: Box<dyn Term + Send>,
    page: Page,
    errors: Page,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
}

impl Output {
    /// The real standard streams. `NO_COLOR`, a dumb terminal or anything but a terminal means plain.
    pub fn standard(program: impl Into<String>, flags: &OutputFlags) -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let text = flags.output == Format::Text;
        let smart = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let colour = smart && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0).max(40));
        let page = |terminal: bool| Page {
            colour: terminal && colour,
            width: width.filter(|_| terminal),
        };
        Self {
            format: flags.output,
            verbose: flags.verbose,
            interactive: text && err && io::stdin().is_terminal(),
            terminal: out,
            live: text && out && smart,
            program: program.into(),
            term: Box::new(Tty),
            page: page(out && text),
            errors: page(err),
            out: standard_output(),
            err: Box::new(io::stderr()),
        }
    }

    /// Any two writers, for a program without standard streams: nobody is asked, nothing is redrawn.
    pub fn to(
        format: Format,
        program: impl Into<String>,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Self {
        Self {
            format,
            verbose: false,
            interactive: false,
            terminal: false,
            live: false,
            program: program.into(),
            term: Box::new(Tty),
            page: Page::PLAIN,
            errors: Page::PLAIN,
            out,
            err,
        }
    }

    /// What text on standard output may use.
    pub const fn page(&self) -> Page {
        self.page
    }

    /// What text on standard error may use.
    pub const fn page_of_errors(&self) -> Page {
        self.errors
    }

    /// Writes text as it is. Foreign text must have been made safe.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes as they are; they may stay in the buffer until [`Output::flush`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes).map_err(Failure::Output)
    }

    /// Writes a line.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.text(text)?;
        self.text("\n")
    }

    /// Writes one JSON object on a line of its own.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|cause| Failure::Output(cause.into()))?;
        if self.terminal {
            self.line(&safe_json(&text))?;
        } else {
            self.line(&text)?;
        }
        self.flush()
    }

    /// Writes a line to standard error, after everything that was written so far.
    pub fn note(&mut self, text: &str) -> Result<(), Failure> {
        self.flush()?;
        writeln!(self.err, "{text}").map_err(Failure::Output)
    }

    /// Everything written so far is out.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::Output)
    }
}

/// The standard library buffers standard output by lines; step output comes in large pieces.
fn standard_output() -> Box<dyn Write + Send> {
    const BUFFER: usize = 64 * 1024;
    match io::stdout().as_fd().try_clone_to_owned() {
        Ok(fd) => Box::new(BufWriter::with_capacity(BUFFER, File::from(fd))),
        Err(_) => Box::new(io::stdout()),
    }
}

#[cfg(test)]
mod recorded;
