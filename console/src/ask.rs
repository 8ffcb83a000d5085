//! From what was collected to a site: what is missing is asked for, or named all at once.

mod tty;

pub(crate) use tty::Changed;

pub use tty::Tty;

use crate::exit::Failure;
use chatalot_protocol::inputs::{INPUTS, Input, Inputs, Problem};
use chatalot_protocol::secret::Secret;
use chatalot_protocol::site::{Secrets, Site};
use std::io;

/// How a person is asked.
pub trait Term {
    /// Shows a line.
    fn say(&mut self, text: &str) -> io::Result<()>;
    /// Asks for a line; none when there is nothing more to read, `Interrupted` on Ctrl-C.
    fn ask(&mut self, prompt: &str) -> io::Result<Option<String>>;
    /// The same without showing what is typed.
    fn ask_secret(&mut self, prompt: &str) -> io::Result<Option<Secret>>;
}

/// The inputs that a person is only asked for when the others were given wrongly: they have good defaults.
const SELDOM: &[&str] = &[
    "cloudflare_token",
    "overwrite_env",
    "loopback_only",
    "repository",
    "ref",
    "folder",
    "acme",
    "acme_root",
    "proxy",
    "limit_until_admin",
    "docker_group",
    "oidc_disable_password_login",
];

/// The site and its secrets. Where a person can be asked, for everything that is missing or wrong; and for the
/// optional inputs too where not even the required ones were given.
pub fn complete(
    mut inputs: Inputs,
    interactive: bool,
    term: &mut dyn Term,
) -> Result<(Site, Secrets), Failure> {
    let problems = match inputs.clone().complete() {
        Ok(whole) => return Ok(whole),
        Err(problems) if !interactive => return Err(Failure::Inputs(problems)),
        Err(problems) => problems,
    };
    if problems
        .iter()
        .any(|problem| is_required(&problem.input) && problem.missing)
    {
        offer_all(&mut inputs, term)?;
    }
    loop {
        match inputs.clone().complete() {
            Ok(whole) => return Ok(whole),
            Err(problems) => settle(&mut inputs, &problems, term)?,
        }
    }
}

/// Asks a yes-or-no question; no when nothing is said.
pub fn confirm(term: &mut dyn Term, question: &str) -> Result<bool, Failure> {
    let answer = term.ask(&format!("{question} [y/N] ")).map_err(prompt)?;
    Ok(answer.is_some_and(|answer| yes_or_no(&answer) == Some(true)))
}

/// Every input that a person usually decides, in order.
fn offer_all(inputs: &mut Inputs, term: &mut dyn Term) -> Result<(), Failure> {
    for row in INPUTS.iter().filter(|row| !SELDOM.contains(&row.name)) {
        if !is_given(inputs, row.name) && is_worth_asking(inputs, row) {
            ask_for(inputs, row, term)?;
        }
    }
    term.say("").map_err(prompt)
}

/// The first of a group is offered; its partners are asked for once it is given.
fn is_worth_asking(inputs: &Inputs, row: &Input) -> bool {
    let place = |name: &str| INPUTS.iter().position(|row| row.name == name);
    let first = row.with.iter().all(|other| place(other) > place(row.name));
    first || row.with.iter().any(|other| is_given(inputs, other))
}

fn settle(inputs: &mut Inputs, problems: &[Problem], term: &mut dyn Term) -> Result<(), Failure> {
    let known = problems
        .iter()
        .find_map(|problem| Some((problem, INPUTS.iter().find(|row| row.name == problem.input)?)));
    let Some((problem, row)) = known else {
        return Err(Failure::Inputs(problems.to_vec()));
    };
    if !problem.missing || !row.required {
        term.say(&format!("  {}: {}", row.name, problem.why))
            .map_err(prompt)?;
    }
    put(inputs, row, None);
    ask_for(inputs, row, term)
}

/// Asks until the answer is good, or empty where that is allowed.
fn ask_for(inputs: &mut Inputs, row: &Input, term: &mut dyn Term) -> Result<(), Failure> {
    loop {
        match read(row, term)? {
            Some(answer) => put(inputs, row, Some(answer)),
            None if row.required => continue,
            None => return Ok(()),
        }
        let Err(problems) = inputs.clone().complete() else {
            return Ok(());
        };
        match problems
            .iter()
            .find(|problem| problem.input == row.name && !problem.missing)
        {
            None => return Ok(()),
            Some(problem) => {
                term.say(&format!("  {}", problem.why)).map_err(prompt)?;
                put(inputs, row, None);
            }
        }
    }
}

/// An answer as it was typed.
enum Answer {
    Text(String),
    Bool(bool),
    Hidden(Secret),
}

fn read(row: &Input, term: &mut dyn Term) -> Result<Option<Answer>, Failure> {
    let end = || io::Error::new(io::ErrorKind::UnexpectedEof, "end of input");
    if row.secret {
        let secret = term.ask_secret(&format!("{} ", row.question)).map_err(prompt)?;
        let secret = secret.ok_or_else(end).map_err(prompt)?;
        return Ok((!secret.is_empty()).then_some(Answer::Hidden(secret)));
    }
    let hint = match row.default {
        Some("true") => " [Y/n]".to_owned(),
        Some("false") => " [y/N]".to_owned(),
        Some(default) => format!(" [{default}]"),
        None => String::new(),
    };
    loop {
        let text = term.ask(&format!("{}{hint} ", row.question)).map_err(prompt)?;
        let text = text.ok_or_else(end).map_err(prompt)?;
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if !is_bool(row) {
            return Ok(Some(Answer::Text(text.to_owned())));
        }
        match yes_or_no(text) {
            Some(yes) => return Ok(Some(Answer::Bool(yes))),
            None => term.say("  please answer y or n").map_err(prompt)?,
        }
    }
}

fn prompt(cause: io::Error) -> Failure {
    if cause.kind() == io::ErrorKind::Interrupted {
        Failure::Interrupted
    } else {
        Failure::Prompt(cause)
    }
}

fn is_required(name: &str) -> bool {
    INPUTS.iter().any(|row| row.required && row.name == name)
}

fn is_bool(row: &Input) -> bool {
    matches!(row.default, Some("true" | "false"))
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" | "true" | "on" => Some(true),
        "n" | "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

/// Where an input is kept.
enum Place<'a> {
    Text(&'a mut Option<String>),
    Bool(&'a mut Option<bool>),
    Hidden(&'a mut Option<Secret>),
}

fn place<'a>(inputs: &'a mut Inputs, name: &str) -> Option<Place<'a>> {
    Some(match name {
        "domain" => Place::Text(&mut inputs.domain),
        "admin_username" => Place::Text(&mut inputs.admin_username),
        "registration" => Place::Text(&mut inputs.registration),
        "turn_external_ip" => Place::Text(&mut inputs.turn_external_ip),
        "updates" => Place::Bool(&mut inputs.updates),
        "registry_user" => Place::Text(&mut inputs.registry_user),
        "registry_token" => Place::Hidden(&mut inputs.registry_token),
        "oidc_issuer" => Place::Text(&mut inputs.oidc_issuer),
        "oidc_client_id" => Place::Text(&mut inputs.oidc_client_id),
        "oidc_client_secret" => Place::Hidden(&mut inputs.oidc_client_secret),
        "oidc_disable_password_login" => Place::Bool(&mut inputs.oidc_disable_password_login),
        "cloudflare_token" => Place::Hidden(&mut inputs.cloudflare_token),
        "overwrite_env" => Place::Bool(&mut inputs.overwrite_env),
        "loopback_only" => Place::Bool(&mut inputs.loopback_only),
        "limit_until_admin" => Place::Text(&mut inputs.limit_until_admin),
        "repository" => Place::Text(&mut inputs.repository),
        "ref" => Place::Text(&mut inputs.reference),
        "folder" => Place::Text(&mut inputs.folder),
        "acme" => Place::Text(&mut inputs.acme),
        "acme_root" => Place::Text(&mut inputs.acme_root),
        "proxy" => Place::Text(&mut inputs.proxy),
        "docker_group" => Place::Text(&mut inputs.docker_group),
        _ => return None,
    })
}

fn is_given(inputs: &Inputs, name: &str) -> bool {
    match place(&mut inputs.clone(), name) {
        Some(Place::Text(value)) => value.is_some(),
        Some(Place::Bool(value)) => value.is_some(),
        Some(Place::Hidden(value)) => value.is_some(),
        None => false,
    }
}

fn put(inputs: &mut Inputs, row: &Input, answer: Option<Answer>) {
    match (place(inputs, row.name), answer) {
        (Some(Place::Text(value)), Some(Answer::Text(answer))) => *value = Some(answer),
        (Some(Place::Bool(value)), Some(Answer::Bool(answer))) => *value = Some(answer),
        (Some(Place::Hidden(value)), Some(Answer::Hidden(answer))) => *value = Some(answer),
        (Some(Place::Text(value)), _) => *value = None,
        (Some(Place::Bool(value)), _) => *value = None,
        (Some(Place::Hidden(value)), _) => *value = None,
        (None, _) => {}
    }
}

#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod tests;
