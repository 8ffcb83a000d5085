//! Site files and files with a secret.
//!
//! No error shows a line of such a file: the line may hold the secret.

use crate::exit::Failure;
use crate::text::safe;
use chatalot_protocol::inputs::{INPUTS, Inputs};
use chatalot_protocol::secret::Secret;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use toml::{Table, Value};

/// A site file is a page of text.
const LARGEST: u64 = 64 * 1024;
/// What is wrong with it fits on a screen: it may name a key that is as long as the file.
const LONGEST_WHY: usize = 600;
const STANDARD_INPUT: &str = "-";

/// The secrets as they come on standard input.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GivenSecrets {
    pub(super) registry_token: Option<Secret>,
    pub(super) oidc_client_secret: Option<Secret>,
    pub(super) cloudflare_token: Option<Secret>,
}

/// The inputs in a site file.
pub(super) fn site(path: &Path) -> Result<Inputs, Failure> {
    let source = Source::read(path)?;
    let table = source.table()?;
    if table.keys().any(|key| is_secret(key)) {
        source.judge_mode()?;
    }
    source.judge_secrets(&table)?;
    Inputs::deserialize(table).map_err(|why| source.wrong(why.message()))
}

/// The secrets on standard input.
pub(super) fn secrets() -> Result<GivenSecrets, Failure> {
    let source = Source::read(Path::new(STANDARD_INPUT))?;
    let table = source.table()?;
    source.judge_secrets(&table)?;
    GivenSecrets::deserialize(table).map_err(|why| source.wrong(why.message()))
}

/// The one secret in a file.
pub(super) fn secret(path: &Path) -> Result<Secret, Failure> {
    let source = Source::read(path)?;
    source.judge_mode()?;
    Ok(Secret::new(source.text))
}

fn is_secret(key: &str) -> bool {
    INPUTS.iter().any(|row| row.secret && row.name == key)
}

/// A file that was read.
struct Source {
    name: String,
    /// The permission bits of a regular file.
    mode: Option<u32>,
    text: String,
}

impl Source {
    fn read(path: &Path) -> Result<Self, Failure> {
        if path == Path::new(STANDARD_INPUT) {
            let name = "standard input".to_owned();
            let text = text(&name, io::stdin().lock())?;
            return Ok(Self {
                name,
                mode: None,
                text,
            });
        }
        let name = safe(&path.display().to_string()).into_owned();
        let unreadable = |cause: io::Error| Failure::Usage(format!("cannot read {name}: {cause}"));
        let file = File::open(path).map_err(unreadable)?;
        // Of the open file: the name may stand for another one by now.
        let about = file.metadata().map_err(unreadable)?;
        let mode = about.is_file().then(|| about.mode() & 0o777);
        let text = text(&name, file)?;
        Ok(Self { name, mode, text })
    }

    fn table(&self) -> Result<Table, Failure> {
        self.text.parse::<Table>().map_err(|why| {
            let before = why.span().and_then(|span| self.text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            self.wrong(&format!("line {line} is not TOML: expected `key = \"value\"`"))
        })
    }

    fn judge_mode(&self) -> Result<(), Failure> {
        match self.mode {
            Some(mode) if mode & 0o077 != 0 => Err(self.wrong(&format!(
                "holds a secret and others can read it (mode {mode:04o}); run `chmod 600 {}`",
                self.name
            ))),
            _ => Ok(()),
        }
    }

    /// Said here, because the library's own words would show the value.
    fn judge_secrets(&self, table: &Table) -> Result<(), Failure> {
        let odd = table
            .iter()
            .find(|(key, value)| is_secret(key) && !matches!(value, Value::String(_)));
        match odd {
            Some((key, _)) => Err(self.wrong(&format!("`{key}` must be text in quotes"))),
            None => Ok(()),
        }
    }

    fn wrong(&self, why: &str) -> Failure {
        let why: String = safe(why).chars().take(LONGEST_WHY).collect();
        Failure::Usage(format!("{}: {why}", self.name))
    }
}

fn text(name: &str, source: impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    let read = source.take(LARGEST + 1).read_to_string(&mut text);
    match read {
        Err(cause) => Err(Failure::Usage(format!("cannot read {name}: {cause}"))),
        Ok(size) if size as u64 > LARGEST => Err(Failure::Usage(format!(
            "{name} is larger than {} KiB",
            LARGEST / 1024
        ))),
        Ok(_) => Ok(text),
    }
}
