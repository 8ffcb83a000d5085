//! `chatalotctl login`, `logout` and `whoami`: which controller the commands speak to, and as whom.

use super::remote::{Login, Remote, given_token, kept_at};
use crate::access::view::WhoAmI;
use crate::clock::day;
use crate::files;
use chatalot_console::client::{Client, Peer};
use chatalot_console::exit::{Exit, Failure};
use chatalot_console::output::{Format, Output};
use chatalot_console::text::safe;
use chatalot_protocol::secret::Secret;
use clap::Args;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest that is read for a token.
const LONGEST: u64 = 4096;

/// `login`
#[derive(Debug, Args)]
pub(super) struct LoginArgs {
    /// Where the controller is, as `chatalotctl token add` has printed it
    #[arg(value_name = "HOST:PORT")]
    address: String,
}

/// Checks a token and keeps it for the commands that follow.
pub(super) async fn login(args: &LoginArgs, file: Option<&Path>, out: &mut Output) -> Result<Exit, Failure> {
    let token = match given_token(file)? {
        Some(token) => token,
        None => read(out)?,
    };
    let remote = Remote::new(&args.address, &token)?;
    let address = remote.address().to_owned();
    let client = Client::through(Arc::new(remote), "/v1").of(Peer::Controller);
    let me: WhoAmI = client.get("/v1/whoami").await?;
    let path = kept()?;
    Login::new(&address, token).write(&path)?;
    match out.format {
        Format::Json => out.json(&me)?,
        Format::Text => {
            out.line(&tell(&me))?;
            out.note(&format!(
                "From now on commands go to {address}; `chatalotctl logout` ends that."
            ))?;
        }
    }
    Ok(Exit::Done)
}

/// Forgets it.
pub(super) fn logout(out: &mut Output) -> Result<Exit, Failure> {
    let path = kept()?;
    files::remove(&path).map_err(|error| Failure::Usage(crate::chain(&error)))?;
    match out.format {
        Format::Json => out.json(&serde_json::json!({"logged_in": false}))?,
        Format::Text => out.note("From now on commands go to the controller on this machine.")?,
    }
    Ok(Exit::Done)
}

/// Tells whom the controller takes us for.
pub(super) async fn whoami(client: &Client, out: &mut Output) -> Result<Exit, Failure> {
    let me: WhoAmI = client.get("/v1/whoami").await?;
    match out.format {
        Format::Json => out.json(&me)?,
        Format::Text => out.line(&tell(&me))?,
    }
    Ok(Exit::Done)
}

fn tell(me: &WhoAmI) -> String {
    let reach = if me.everywhere { "every host" } else { "some hosts" };
    let until = me
        .expires_ms
        .map(|at| format!(", until {}", day(at)))
        .unwrap_or_default();
    let text = format!("{} ({}): {} on {reach}{until}", me.name, me.identity, me.role);
    safe(&text).into_owned()
}

fn kept() -> Result<PathBuf, Failure> {
    kept_at().ok_or_else(|| {
        Failure::Usage("neither HOME nor XDG_CONFIG_HOME is set: nowhere to keep the token".to_owned())
    })
}

/// At a terminal by a question, which does not show it; elsewhere from standard input.
fn read(out: &mut Output) -> Result<Secret, Failure> {
    if out.interactive {
        let typed = out.term.ask_secret("API token: ").map_err(Failure::Prompt)?;
        return typed.ok_or(Failure::Interrupted);
    }
    let mut text = String::new();
    std::io::stdin()
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(Failure::Prompt)?;
    Ok(Secret::new(text.trim()))
}
