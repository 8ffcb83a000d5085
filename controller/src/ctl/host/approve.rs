//! `chatalotctl host pending`, `host approve` and `host deny`: joining without a secret.

use crate::clock::{ago, now_ms};
use crate::ctl::table::{Cell, plain, table};
use crate::model::{ApproveJoin, HostView, JoinView, Joins};
use chatalot_console::ask::confirm;
use chatalot_console::client::Client;
use chatalot_console::exit::{Exit, Failure};
use chatalot_console::output::{Format, Output, Page};
use chatalot_console::text::safe;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::approve::are_the_words;
use chatalot_protocol::names::HostName;
use clap::Args;

/// `host approve`
#[derive(Debug, Args)]
pub(in crate::ctl) struct ApproveArgs {
    /// The host that is awaited, or the id of the key that waits
    #[arg(value_name = "NAME|ID")]
    which: HostName,
    /// The host that the key is to be, where an id is given and several are awaited
    #[arg(long = "as", value_name = "NAME")]
    name: Option<HostName>,
    /// The six words as the host shows them, instead of being asked
    #[arg(long, value_name = "WORDS")]
    fingerprint: Option<String>,
}

/// `host deny`
#[derive(Debug, Args)]
pub(in crate::ctl) struct DenyArgs {
    /// The id of the key
    id: HostName,
}

/// Lists the keys that wait.
pub(super) async fn pending(client: &Client, out: &mut Output) -> Result<Exit, Failure> {
    let joins: Joins = client.get("/v1/joins").await?;
    if out.format == Format::Json {
        out.json(&joins)?;
        return Ok(Exit::Done);
    }
    if joins.waiting.is_empty() {
        out.note(&nobody(&joins))?;
    } else {
        let text = lines(&joins.waiting, now_ms(), out.page());
        out.text(&text)?;
    }
    Ok(Exit::Done)
}

/// Lets a key become a host, once its words are those that the host shows.
pub(super) async fn approve(client: &Client, args: &ApproveArgs, out: &mut Output) -> Result<Exit, Failure> {
    let joins: Joins = client.get("/v1/joins").await?;
    let (join, host) = choose(&joins, args)?;
    let fingerprint = match &args.fingerprint {
        Some(words) => words.clone(),
        None if out.interactive => {
            if !is_the_same(join, &host, out)? {
                out.note(
                    "Nothing was approved. If it is not your host: chatalotctl host deny, with its id.",
                )?;
                return Ok(Exit::Cancelled);
            }
            join.words.clone()
        }
        None => {
            let why = "nobody can be asked: give --fingerprint with the six words as the host shows them";
            return Err(Failure::Usage(why.to_owned()));
        }
    };
    let path = format!("/v1/joins/{}/approve", join.id);
    let order = ApproveJoin { host, fingerprint };
    let host: HostView = client.post(&path, &order).await?;
    match out.format {
        Format::Json => out.json(&host)?,
        Format::Text => out.note(&format!("{} is approved; it joins at once.", host.name))?,
    }
    Ok(Exit::Done)
}

/// Turns a key away.
pub(super) async fn deny(client: &Client, args: &DenyArgs, out: &mut Output) -> Result<Exit, Failure> {
    let join: JoinView = client.post(&format!("/v1/joins/{}/deny", args.id), &()).await?;
    match out.format {
        Format::Json => out.json(&join)?,
        Format::Text => out.note(&format!("{} is turned away.", join.id))?,
    }
    Ok(Exit::Done)
}

/// Which key is to be which host; what is not clear is said, never guessed.
fn choose<'a>(joins: &'a Joins, args: &ApproveArgs) -> Result<(&'a JoinView, HostName), Failure> {
    let named = joins.waiting.iter().find(|join| join.id == args.which.as_str());
    if let Some(join) = named {
        return match (&args.name, joins.awaited.as_slice()) {
            (Some(name), _) | (None, [name]) => Ok((join, name.clone())),
            (None, _) => Err(Failure::Usage(
                "which host the key is to be: give --as NAME, one of those that were added with --approve"
                    .to_owned(),
            )),
        };
    }
    if args.name.is_some() {
        let why = format!(
            "`{}` is the id of no key that waits: see `chatalotctl host pending`",
            args.which
        );
        return Err(Failure::Usage(why));
    }
    let fits = |join: &&JoinView| match &args.fingerprint {
        Some(typed) => are_the_words(typed, &join.words),
        None => true,
    };
    let fitting: Vec<&JoinView> = joins.waiting.iter().filter(fits).collect();
    match fitting.as_slice() {
        [join] => Ok((join, args.which.clone())),
        [] => Err(nothing_fits(joins, args)),
        several => Err(Failure::Usage(format!(
            "{} keys wait: give --fingerprint with the words that the host shows, or an id of `chatalotctl host pending` and --as {}",
            several.len(),
            args.which
        ))),
    }
}

fn nothing_fits(joins: &Joins, args: &ApproveArgs) -> Failure {
    let (saw, fix) = if joins.waiting.is_empty() {
        let fix = "run the line of `chatalotctl host add NAME --approve` on the host, and leave it running";
        (nobody(joins), fix.to_owned())
    } else {
        let fix = "read the words on the host again; `chatalotctl host pending` shows those that wait";
        ("no key that waits has these words".to_owned(), fix.to_owned())
    };
    let wanted = format!("the key of {}", args.which);
    Failure::Blocked(vec![Advice::new("JOIN_UNKNOWN", saw, wanted, fix)])
}

fn nobody(joins: &Joins) -> String {
    let names: Vec<&str> = joins.awaited.iter().map(HostName::as_str).collect();
    if names.is_empty() {
        "No key waits, and no host is awaited: chatalotctl host add NAME --approve".to_owned()
    } else {
        format!("No key waits; awaited: {}", names.join(" "))
    }
}

/// Has a person compare the words.
fn is_the_same(join: &JoinView, host: &HostName, out: &mut Output) -> Result<bool, Failure> {
    let text = format!(
        "A key waits that calls itself {} and asks from {}.\n\n    {}\n",
        shown(&join.hostname),
        safe(&join.address),
        safe(&join.words)
    );
    out.line(&text)?;
    out.flush()?;
    let question = format!("Does the host that is to be {host} show exactly these words?");
    confirm(out.term.as_mut(), &question)
}

fn lines(waiting: &[JoinView], now_ms: i64, page: Page) -> String {
    let rows: Vec<[Cell; 5]> = waiting
        .iter()
        .map(|join| {
            [
                plain(safe(&join.id).into_owned()),
                plain(safe(&join.words).into_owned()),
                plain(safe(&join.address).into_owned()),
                plain(shown(&join.hostname)),
                plain(ago(join.since_ms, now_ms)),
            ]
        })
        .collect();
    table(["ID", "WORDS", "ADDRESS", "CALLS ITSELF", "SINCE"], &rows, page)
}

/// What a host calls itself, as one word.
fn shown(hostname: &str) -> String {
    if hostname.is_empty() {
        "-".to_owned()
    } else {
        safe(hostname).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(id: &str, words: &str) -> JoinView {
        JoinView {
            id: id.to_owned(),
            words: words.to_owned(),
            address: "203.0.113.9".to_owned(),
            hostname: "v\u{1b}ps".to_owned(),
            since_ms: 0,
        }
    }

    fn args(which: &str, name: Option<&str>, fingerprint: Option<&str>) -> ApproveArgs {
        ApproveArgs {
            which: which.parse().unwrap(),
            name: name.map(|name| name.parse().unwrap()),
            fingerprint: fingerprint.map(str::to_owned),
        }
    }

    #[test]
    fn which_key_is_meant_is_clear_or_asked_for_and_never_guessed() {
        let mut joins = Joins {
            awaited: vec!["chat-1".parse().unwrap()],
            waiting: vec![join("aa00", "zoo able")],
        };
        let chosen = |joins: &Joins, args: &ApproveArgs| {
            choose(joins, args)
                .map(|(join, host)| format!("{} {host}", join.id))
                .map_err(|failure| failure.exit())
        };
        assert_eq!(
            chosen(&joins, &args("chat-1", None, None)),
            Ok("aa00 chat-1".to_owned())
        );
        assert_eq!(
            chosen(&joins, &args("aa00", None, None)),
            Ok("aa00 chat-1".to_owned())
        );
        joins.awaited.push("chat-2".parse().unwrap());
        joins.waiting.push(join("bb00", "able zoo"));
        assert_eq!(chosen(&joins, &args("chat-1", None, None)), Err(Exit::Usage));
        assert_eq!(chosen(&joins, &args("bb00", None, None)), Err(Exit::Usage));
        assert_eq!(
            chosen(&joins, &args("bb00", Some("chat-2"), None)),
            Ok("bb00 chat-2".to_owned())
        );
        assert_eq!(
            chosen(&joins, &args("chat-1", Some("chat-2"), None)),
            Err(Exit::Usage)
        );
        assert_eq!(
            chosen(&joins, &args("chat-2", None, Some("able-zoo"))),
            Ok("bb00 chat-2".to_owned())
        );
        assert_eq!(
            chosen(&joins, &args("chat-2", None, Some("able able"))),
            Err(Exit::Blocked)
        );
    }

    #[test]
    fn f69_a_key_that_waits_cannot_paint_the_terminal() {
        let text = lines(&[join("aa00", "zoo able")], 1000, Page::PLAIN);
        assert!(
            text.contains("aa00  zoo able  203.0.113.9") && !text.contains('\u{1b}'),
            "{text:?}"
        );
    }
}
