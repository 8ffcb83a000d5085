//! `chatalotctl host add`

use super::join::over_ssh;
use crate::clock::now_ms;
use crate::model::{AddHost, Added, HostView};
use chatalot_console::client::Client;
use chatalot_console::exit::{Exit, Failure};
use chatalot_console::output::{Format, Output};
use chatalot_protocol::names::HostName;
use chatalot_protocol::site::{Domain, GitRemote};
use clap::Args;
use std::path::{Path, PathBuf};

/// How long the controller is asked to wait at a time.
const WAIT_SECS: u64 = 60;

/// `host add`
#[derive(Debug, Args)]
pub(in crate::ctl) struct AddArgs {
    /// What to call the host
    #[arg(required_unless_present = "from")]
    name: Option<HostName>,
    /// A domain that the host may serve; any, where none is named
    #[arg(long = "domain", value_name = "DOMAIN")]
    domains: Vec<Domain>,
    /// A label that API tokens may reach the host by
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<HostName>,
    /// A repository that the host may clone, or `*` for any; chatalot's own only, where none is named
    #[arg(long = "git-remote", value_name = "URL")]
    git_remotes: Vec<GitRemote>,
    /// How long the join token is valid, or the host is awaited: 90s, 15m, 2h
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = seconds)]
    ttl: u64,
    /// Run the line on the host with your own ssh, and wait until the host is connected
    #[arg(long, value_name = "USER@HOST", conflicts_with = "from", value_parser = destination)]
    ssh: Option<String>,
    /// Let it join without a secret: the line may be seen by anybody, and you approve the key by the words that the host shows
    #[arg(long, conflicts_with = "ssh")]
    approve: bool,
    /// Add the hosts of a file: on each line a name and its domains
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "domains"])]
    from: Option<PathBuf>,
    /// Wait until the host is connected
    #[arg(long)]
    wait: bool,
}

/// Lets hosts join.
pub(super) async fn add(client: &Client, args: &AddArgs, out: &mut Output) -> Result<Exit, Failure> {
    let wanted = match (&args.from, &args.name) {
        (Some(path), _) => listed(path)?,
        (None, Some(name)) => vec![(name.clone(), args.domains.clone())],
        (None, None) => Vec::new(),
    };
    let several = args.from.is_some();
    let mut all = Vec::new();
    for (name, domains) in wanted {
        let add = AddHost {
            name,
            domains,
            labels: args.labels.clone(),
            git_remotes: args.git_remotes.clone(),
            ttl_secs: Some(args.ttl),
            approve: args.approve,
        };
        let added: Added = client.post("/v1/hosts", &add).await?;
        if added.again && out.format == Format::Text {
            out.note(&warning(&added.name))?;
        }
        if args.ssh.is_none() {
            tell(&added, several, args, out)?;
        }
        all.push(added);
    }
    out.flush()?;
    if let (Some(destination), [added]) = (&args.ssh, all.as_slice()) {
        over_ssh(destination, added, out).await?;
    }
    if args.wait || args.ssh.is_some() {
        for added in &all {
            wait_for(client, added, args.ssh.is_some(), out).await?;
        }
    }
    Ok(Exit::Done)
}

/// What becomes of a host that has joined already.
fn warning(name: &HostName) -> String {
    format!(
        "{name} has joined before and keeps its id, its name and its history. As soon as the line below is run, the \
         machine that is {name} now is shut out; until then it goes on working."
    )
}

fn tell(added: &Added, several: bool, args: &AddArgs, out: &mut Output) -> Result<(), Failure> {
    if out.format == Format::Json {
        return out.json(added);
    }
    if several {
        out.line(&format!("# {}", added.name))?;
    } else {
        out.note(&heading(&added.name, args))?;
    }
    out.line(&added.one_liner)?;
    if args.approve && !several {
        out.note(&format!(
            "It shows six words and waits. Then, here: chatalotctl host approve {}",
            added.name
        ))?;
    }
    Ok(())
}

fn heading(name: &HostName, args: &AddArgs) -> String {
    let minutes = args.ttl.div_ceil(60);
    if args.approve {
        format!("Run this as root on {name} within {minutes} min; there is no secret in it:")
    } else {
        format!("Run this as root on {name}; it works once, within {minutes} min:")
    }
}

/// Waits until the host is connected, for as long as its token is valid and a little longer.
async fn wait_for(client: &Client, added: &Added, is_told: bool, out: &mut Output) -> Result<(), Failure> {
    let path = format!(
        "/v1/hosts/{}?wait=connected&secs={WAIT_SECS}&since={}",
        added.name, added.issued_ms
    );
    if !is_told && out.format == Format::Text {
        out.note(&format!("Waiting for {} …", added.name))?;
    }
    let began = now_ms();
    loop {
        let host: HostView = client.get(&path).await?;
        if host.connected && host.joined_ms >= Some(added.issued_ms) {
            return match out.format {
                Format::Json => out.json(&host),
                Format::Text => out.note(&format!("{} is connected.", added.name)),
            };
        }
        if now_ms() > added.expires_ms {
            let waited = (now_ms() - began) / 1000;
            return Err(Failure::TimedOut(waited.cast_unsigned()));
        }
    }
}

/// Reads `name [domain…]` a line; `#` begins a comment.
fn listed(path: &Path) -> Result<Vec<(HostName, Vec<Domain>)>, Failure> {
    let usage = |why: String| Failure::Usage(format!("`{}`: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| usage(error.to_string()))?;
    let mut hosts = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let wrong = |why: String| usage(format!("line {number}: {why}"));
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(name) = words.next() else { continue };
        let name: HostName = name.parse().map_err(|error| wrong(format!("{error}")))?;
        let domains = words.map(|word| word.parse::<Domain>().map_err(|error| wrong(error.to_string())));
        hosts.push((name, domains.collect::<Result<_, _>>()?));
    }
    if hosts.is_empty() {
        return Err(usage("there is no host in it".to_owned()));
    }
    Ok(hosts)
}

pub(in crate::ctl) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no time such as 90s, 15m, 2h or 30d");
    let digits = text.trim_end_matches(['s', 'm', 'h', 'd']);
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit = match text.get(digits.len()..) {
        Some("s" | "") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        Some("d") => 86_400,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).ok_or_else(wrong)
}

fn destination(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('-') {
        Err("a destination as ssh takes it: user@host".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_a_destination_is_no_option() {
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("15m"), Ok(900));
        assert_eq!(seconds("2h"), Ok(7200));
        assert_eq!(seconds("30d"), Ok(2_592_000));
        assert!(
            ["", "m", "1w", "-1m", "1ms"]
                .iter()
                .all(|text| seconds(text).is_err())
        );
        assert!(destination("root@vps").is_ok() && destination("-oProxyCommand=x").is_err());
    }

    #[test]
    fn whoever_adds_a_host_again_is_told_what_will_happen() {
        let text = warning(&"chat-1".parse().unwrap());
        assert!(
            text.contains("chat-1 has joined before") && text.contains("shut out"),
            "{text}"
        );
    }

    #[test]
    fn a_file_of_hosts_is_read_or_its_wrong_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        std::fs::write(
            &path,
            "chat-1 a.example.com b.example.com\n\n# none\nchat-2 # free\n",
        )
        .unwrap();
        let hosts = listed(&path).unwrap();
        assert_eq!(hosts[0].1.len(), 2);
        assert_eq!((hosts[1].0.as_str(), hosts.len()), ("chat-2", 2));
        std::fs::write(&path, "chat-1\nBad_Name\n").unwrap();
        assert!(listed(&path).unwrap_err().to_string().contains("line 2"));
    }
}
