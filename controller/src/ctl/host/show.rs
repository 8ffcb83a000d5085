//! `chatalotctl host list` and `chatalotctl host show`

use crate::clock::{ago, day, now_ms};
use crate::ctl::table::{Cell, plain, table};
use crate::model::{HostView, Membership};
use chatalot_console::client::Client;
use chatalot_console::exit::{Exit, Failure};
use chatalot_console::output::{Format, Output, Page, Style};
use chatalot_console::text::safe;
use chatalot_protocol::names::HostName;
use chatalot_protocol::report::{DeploymentState, Level};
use chatalot_protocol::site::Domain;
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;

/// `host show`
#[derive(Debug, Args)]
pub(in crate::ctl) struct ShowArgs {
    /// The host
    name: HostName,
}

/// Lists all hosts.
pub(in crate::ctl) async fn list(client: &Client, out: &mut Output) -> Result<Exit, Failure> {
    let hosts: Vec<HostView> = client.get("/v1/hosts").await?;
    if out.format == Format::Json {
        out.json(&hosts)?;
    } else if hosts.is_empty() {
        out.note("There is no host yet: `chatalotctl host add NAME`")?;
    } else {
        let text = lines(&hosts, now_ms(), out.page());
        out.text(&text)?;
    }
    Ok(Exit::Done)
}

/// Shows one host.
pub(super) async fn show(client: &Client, args: &ShowArgs, out: &mut Output) -> Result<Exit, Failure> {
    let host: HostView = client.get(&format!("/v1/hosts/{}", args.name)).await?;
    if out.format == Format::Json {
        out.json(&host)?;
    } else {
        let text = detail(&host, now_ms(), out.page());
        out.text(&text)?;
    }
    Ok(Exit::Done)
}

fn lines(hosts: &[HostView], now_ms: i64, page: Page) -> String {
    let rows: Vec<[Cell; 6]> = hosts
        .iter()
        .map(|host| {
            let (domain, deployment) = match &host.latest {
                Some(latest) => (safe(&latest.domain).into_owned(), state(latest.state)),
                None => ("-".to_owned(), "-".to_owned()),
            };
            let address = host.address.as_deref().unwrap_or("-");
            [
                plain(host.name.as_str()),
                plain(link(host, now_ms)),
                (level(host), Some(style(host.level))),
                plain(domain),
                plain(deployment),
                plain(safe(address)),
            ]
        })
        .collect();
    table(
        ["HOST", "LINK", "LEVEL", "DOMAIN", "DEPLOYMENT", "ADDRESS"],
        &rows,
        page,
    )
}

fn detail(host: &HostView, now_ms: i64, page: Page) -> String {
    let mut lines = vec![
        ("id", host.id.to_string()),
        ("link", link(host, now_ms)),
        ("level", page.paint(style(host.level), &level(host))),
    ];
    if let Some(cause) = &host.cause {
        lines.push((
            "because",
            safe(&format!("{}: {}", cause.check, cause.saw)).into_owned(),
        ));
    }
    let told = [
        ("address", &host.address),
        ("agent", &host.agent),
        ("hostname", &host.hostname),
        ("system", &host.system),
        ("processor", &host.architecture),
    ];
    let told = told
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| (name, safe(value).into_owned())));
    lines.extend(told);
    if let Some(joined) = host.joined_ms {
        lines.push(("joined", ago(joined, now_ms)));
    }
    if let Some(until) = host.certificate_until_ms {
        lines.push(("certificate", format!("until {}", day(until))));
    }
    if let Some(until) = host.readmit_until_ms.filter(|until| *until > now_ms) {
        let minutes = (until - now_ms + 59_999) / 60_000;
        lines.push(("readmitted", format!("may come back within {minutes} min")));
    }
    if !host.domains.is_empty() {
        let domains: Vec<&str> = host.domains.iter().map(Domain::as_str).collect();
        lines.push(("may serve", domains.join(" ")));
    }
    if !host.labels.is_empty() {
        let labels: Vec<&str> = host.labels.iter().map(HostName::as_str).collect();
        lines.push(("labels", labels.join(" ")));
    }
    if let Some(latest) = &host.latest {
        let domain = safe(&latest.domain);
        let text = format!("{} {domain} ({})", state(latest.state), latest.deployment);
        lines.push(("deployment", text));
    }
    for alarm in &host.alarms {
        let told = format!("{}: {}; {}", alarm.code, alarm.saw, alarm.fix);
        lines.push(("ALARM", page.paint(Style::Bad, &safe(&told))));
    }
    let mut text = format!("{}\n", page.paint(Style::Strong, host.name.as_str()));
    for (name, value) in lines {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<11} {value}");
    }
    text
}

fn link(host: &HostView, now_ms: i64) -> String {
    match (host.membership, host.seen_ms) {
        (Membership::Invited, _) => "not joined".to_owned(),
        (Membership::Revoked, _) => "revoked".to_owned(),
        (Membership::Locked, _) => "locked".to_owned(),
        _ if host.connected => "connected".to_owned(),
        (_, Some(seen)) => format!("away, seen {}", ago(seen, now_ms)),
        (_, None) => "never connected".to_owned(),
    }
}

/// What was true when the host last spoke is not known to be true now.
fn level(host: &HostView) -> String {
    let known = word(&host.level);
    if host.connected || host.level == Level::Unknown {
        known
    } else {
        format!("{known}?")
    }
}

fn state(state: DeploymentState) -> String {
    word(&state)
}

/// The word that is also in the JSON.
fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or("unknown").to_owned()
}

const fn style(level: Level) -> Style {
    match level {
        Level::Ok => Style::Good,
        Level::Degraded => Style::Attention,
        Level::Down => Style::Bad,
        Level::Unknown => Style::Quiet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Latest;
    use chatalot_protocol::names::{DeploymentId, HostId};

    fn host() -> HostView {
        HostView {
            id: HostId::fresh(),
            name: "chat-1".parse().unwrap(),
            membership: Membership::Active,
            connected: false,
            level: Level::Ok,
            cause: None,
            domains: Vec::new(),
            labels: Vec::new(),
            joined_ms: Some(0),
            certificate_until_ms: Some(31_536_000_000),
            readmit_until_ms: None,
            seen_ms: Some(0),
            address: Some("203.0.113.42".into()),
            agent: None,
            hostname: Some("evil\u{1b}[31m\u{202e}".into()),
            system: None,
            architecture: None,
            latest: Some(Latest {
                deployment: DeploymentId::fresh(),
                state: DeploymentState::Succeeded,
                domain: "chat.example.com".into(),
            }),
            alarms: Vec::new(),
        }
    }

    #[test]
    fn a_list_has_a_line_a_host_and_says_what_is_only_remembered() {
        let text = lines(&[host()], 60_000, Page::PLAIN);
        let line = text.lines().nth(1).unwrap();
        let wanted = "chat-1  away, seen 60 s ago  ok?    chat.example.com  succeeded   203.0.113.42";
        assert_eq!(line, wanted);
    }

    #[test]
    fn a_host_is_shown_with_the_last_day_of_its_certificate() {
        let text = detail(&host(), 60_000, Page::PLAIN);
        assert!(text.contains("certificate until 1971-01-01"), "{text}");
        let json = serde_json::to_value(host()).unwrap();
        assert_eq!(json["certificate_until_ms"], 31_536_000_000_i64);
    }

    #[test]
    fn f69_what_a_host_says_of_itself_cannot_paint_the_terminal() {
        let text = detail(&host(), 60_000, Page::PLAIN);
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
        assert!(text.contains("evil"));
    }
}
