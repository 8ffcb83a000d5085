//! `chatalotctl ca …`: from one root to the next.

use super::table::{Cell, plain, table};
use crate::clock::{ago, day, now_ms};
use crate::config::STATE;
use crate::rotation::view::{CaView, Lack, Rotate, Straggler};
use crate::rotation::{self, Phase, Step};
use chatalot_console::ask::confirm;
use chatalot_console::client::Client;
use chatalot_console::exit::{Exit, Failure};
use chatalot_console::output::{Format, Output, Page, Style};
use chatalot_console::text::safe;
use clap::{Args, Subcommand};
use std::fmt::Write;
use std::path::PathBuf;

/// What can be done with the authority.
#[derive(Debug, Subcommand)]
pub(super) enum CaCommand {
    /// Tell how far a rotation of the root has got, and which hosts hold it up
    Status,
    /// Begin to put another root in the place of this one, or go on to the next phase
    Rotate(StepArgs),
    /// Go back to the root that there was; possible until the old one is dropped
    Rollback(StepArgs),
    /// Make another root at once and end every certificate and token: for a root that may be in other hands
    Replace(ReplaceArgs),
}

/// `ca rotate`, `ca rollback`
#[derive(Debug, Args)]
pub(super) struct StepArgs {
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

/// `ca replace`
#[derive(Debug, Args)]
pub(super) struct ReplaceArgs {
    /// The folder of the controller's state; the controller must not be running
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state: PathBuf,
    #[command(flatten)]
    step: StepArgs,
}

impl CaCommand {
    /// Does it.
    pub(super) async fn run(
        self,
        client: impl FnOnce() -> Result<Client, Failure>,
        out: &mut Output,
    ) -> Result<Exit, Failure> {
        match self {
            Self::Status => tell(&client()?.get("/v1/ca").await?, out),
            Self::Rotate(args) => rotate(&client()?, &args, out).await,
            Self::Rollback(args) => rollback(&client()?, &args, out).await,
            Self::Replace(args) => replace(&args, out).await,
        }
    }
}

async fn rotate(client: &Client, args: &StepArgs, out: &mut Output) -> Result<Exit, Failure> {
    let now: CaView = client.get("/v1/ca").await?;
    // Where nothing goes on from here the controller says why.
    let step = now.phase.forward().unwrap_or(Step::Publish);
    if !agreed(&forward(step, &now), args, out)? {
        return Ok(Exit::Cancelled);
    }
    let then: CaView = match step {
        Step::DropOld => client.post("/v1/ca/drop-old", &()).await?,
        to => client.post("/v1/ca/rotate", &Rotate { to }).await?,
    };
    tell(&then, out)
}

async fn rollback(client: &Client, args: &StepArgs, out: &mut Output) -> Result<Exit, Failure> {
    let now: CaView = client.get("/v1/ca").await?;
    if !agreed(&backward(&now), args, out)? {
        return Ok(Exit::Cancelled);
    }
    let then: CaView = client.post("/v1/ca/rollback", &()).await?;
    tell(&then, out)
}

/// Makes another authority in the place of one that is not to be believed.
async fn replace(args: &ReplaceArgs, out: &mut Output) -> Result<Exit, Failure> {
    let what = "Every host, every token and every login has to be given anew after this. It is for a root that may be \
                in other hands; for everything else there is `chatalotctl ca rotate`.";
    if !agreed(what, &args.step, out)? {
        return Ok(Exit::Cancelled);
    }
    let root = rotation::replace(&args.state)
        .await
        .map_err(|error| Failure::Usage(crate::chain(&error)))?;
    match out.format {
        Format::Json => out.json(&root)?,
        Format::Text => {
            out.line(&format!("There is another root now, number {}.", root.number))?;
            out.note(
                "Start the controller again. Then, for each host: chatalotctl host add NAME, and on the host, as root:\n\
                 CHATALOT_JOIN=TOKEN chatalot-agent join --controller HOST:PORT",
            )?;
        }
    }
    Ok(Exit::Done)
}

/// Says what is going to happen, and asks; a program has to have said `--yes`.
fn agreed(what: &str, args: &StepArgs, out: &mut Output) -> Result<bool, Failure> {
    if args.yes {
        return Ok(true);
    }
    if !out.interactive {
        return Err(Failure::Usage(
            "nobody is there to be asked: say --yes to take this step".to_owned(),
        ));
    }
    out.note(what)?;
    let is_agreed = confirm(&mut *out.term, "Take this step?")?;
    if !is_agreed {
        out.note("Nothing was done.")?;
    }
    Ok(is_agreed)
}

fn forward(step: Step, now: &CaView) -> String {
    match step {
        Step::Publish => format!(
            "A new root is made, and {} hosts are told to trust it beside the old one. Nothing else changes yet.",
            now.hosts
        ),
        Step::IssueNew => "From now on hosts get certificates of the new root, thirty at a time.".to_owned(),
        Step::ServeNew => "From now on the controller shows a certificate of the new root.".to_owned(),
        _ => {
            let mut text =
                "The old root and its key are removed, here and on every host. This cannot be taken back: \
                            until here `chatalotctl ca rollback` would have."
                    .to_owned();
            if !now.old_tokens.is_empty() {
                // Writing to a string does not fail.
                let _ = write!(
                    text,
                    "\nThese API tokens know the old root alone and are of no use over the network after that: {}",
                    now.old_tokens.join(", ")
                );
            }
            text
        }
    }
}

fn backward(now: &CaView) -> String {
    match now.phase {
        Phase::Publish => "The new root is removed, and hosts are told to trust the old one alone.",
        _ => {
            "Everything is of the old root again; once no host has a certificate of the new one any more, that is \
             removed."
        }
    }
    .to_owned()
}

fn tell(view: &CaView, out: &mut Output) -> Result<Exit, Failure> {
    match out.format {
        Format::Json => out.json(view)?,
        Format::Text => {
            let page = out.page();
            out.text(&text(view, now_ms(), page))?;
            if let Some(note) = note(view) {
                out.note(&note)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn text(view: &CaView, now_ms: i64, page: Page) -> String {
    let since = match view.since_ms {
        0 => String::new(),
        at => format!(", since {}", ago(at, now_ms)),
    };
    let mut lines = vec![format!("phase  {}{since}", view.phase)];
    for (name, root) in [("root", Some(&view.root)), ("next", view.next.as_ref())] {
        lines.extend(root.map(|root| {
            let pin = safe(root.pin.get(..16).unwrap_or(&root.pin)).into_owned();
            format!("{name}   {} ({pin}…), until {}", root.number, day(root.until_ms))
        }));
    }
    lines.push(format!("hosts  {}", view.hosts));
    if !view.old_tokens.is_empty() {
        let names = view.old_tokens.join(", ");
        lines.push(format!("tokens that end with the old root: {}", safe(&names)));
    }
    let mut text = lines.join("\n") + "\n";
    if !view.stragglers.is_empty() {
        let rows: Vec<[Cell; 3]> = view
            .stragglers
            .iter()
            .map(|straggler| row(straggler, now_ms))
            .collect();
        text.push('\n');
        text.push_str(&table(["HOST", "LACKS", "SEEN"], &rows, page));
    }
    text
}

fn row(straggler: &Straggler, now_ms: i64) -> [Cell; 3] {
    let lacks = match straggler.lacks {
        Lack::Trust => "trust in what it was told to",
        Lack::Certificate => "a certificate of the root that stays",
        Lack::Unknown => "something that a newer chatalotctl knows",
    };
    let seen = match (straggler.connected, straggler.seen_ms) {
        (true, _) => ("connected".to_owned(), Some(Style::Good)),
        (false, Some(at)) => (ago(at, now_ms), Some(Style::Attention)),
        (false, None) => ("never".to_owned(), Some(Style::Attention)),
    };
    [plain(straggler.host.as_str()), plain(lacks), seen]
}

/// What to do next.
fn note(view: &CaView) -> Option<String> {
    let text = match (view.phase, view.stragglers.is_empty()) {
        (Phase::Standby, _) if view.since_ms == 0 => return None,
        (Phase::Standby, false) => {
            "These hosts hear of the end of the rotation when they next come; nothing has to be done for that.".to_owned()
        }
        (Phase::Standby, true) => {
            "The rotation is over. Take a backup now: one from before may not fit the hosts any more."
                .to_owned()
        }
        (Phase::Back, true) => "The new root is given up in a moment.".to_owned(),
        (Phase::Back, false) => {
            "The new root is given up once these hosts have renewed, by itself.".to_owned()
        }
        (_, true) => format!(
            "Every host is ready for `{}`: take a backup, then chatalotctl ca rotate. The way back: chatalotctl ca rollback",
            view.forward.map_or("", Step::word)
        ),
        (_, false) => {
            "The next phase begins when these hosts are ready, which takes them a minute of being connected. \
                       One that will not come back: chatalotctl host revoke NAME"
                .to_owned()
        }
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::view::RootView;
    use chatalot_protocol::names::HostId;

    fn view() -> CaView {
        let root = |number| RootView {
            number,
            pin: format!("{number:064x}"),
            until_ms: 86_400_000,
        };
        CaView {
            phase: Phase::IssueNew,
            since_ms: 1,
            version: 2,
            root: root(1),
            next: Some(root(2)),
            forward: Some(Step::ServeNew),
            backward: Some(Step::Rollback),
            hosts: 3,
            stragglers: vec![Straggler {
                id: HostId::fresh(),
                host: "chat-1".parse().unwrap(),
                lacks: Lack::Trust,
                connected: false,
                seen_ms: None,
            }],
            old_tokens: vec!["ci".to_owned()],
        }
    }

    #[test]
    fn f18_the_status_names_the_phase_both_roots_and_whoever_holds_it_up() {
        let told = text(&view(), 60_000, Page::PLAIN);
        for wanted in [
            "phase  issue-new",
            "root   1 (",
            "next   2 (",
            "until 1970-01-02",
            "hosts  3",
            "ci",
            "chat-1  trust in what it was told to  never",
        ] {
            assert!(told.contains(wanted), "{wanted} in {told}");
        }
        assert!(note(&view()).unwrap().contains("host revoke"));
    }

    #[test]
    fn f18_dropping_the_old_root_says_what_ends_with_it() {
        let question = forward(Step::DropOld, &view());
        assert!(
            question.contains("cannot be taken back") && question.contains("ci"),
            "{question}"
        );
        assert!(!forward(Step::ServeNew, &view()).contains("ci,"));
    }
}
