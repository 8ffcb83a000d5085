//! `chatalotctl token …`

use super::host::seconds;
use super::table::{Cell, plain, table};
use crate::access::Role;
use crate::access::view::{AddToken, AddedToken, TokenView};
use crate::clock::{ago, day, now_ms};
use chatalot_console::client::Client;
use chatalot_console::exit::{Exit, Failure};
use chatalot_console::output::{Format, Output, Page, Style};
use chatalot_console::text::safe;
use chatalot_protocol::names::HostName;
use clap::{Args, Subcommand};

/// What can be done with API tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token for a person or a program, and print it, once
    Add(AddArgs),
    /// List all tokens
    List,
    /// End a token
    Revoke {
        /// Its name or its id
        token: String,
    },
}

/// `token add`
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Who will hold it
    name: HostName,
    /// What it may do
    #[arg(long, value_enum)]
    role: Role,
    /// Only on this host
    #[arg(long, value_name = "HOST", conflicts_with = "label")]
    host: Option<HostName>,
    /// Only on hosts with this label
    #[arg(long, value_name = "LABEL")]
    label: Option<HostName>,
    /// How long it is valid: 12h, 30d
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = seconds)]
    ttl: u64,
}

impl TokenCommand {
    /// Does it.
    pub(super) async fn run(self, client: &Client, out: &mut Output) -> Result<Exit, Failure> {
        match self {
            Self::Add(args) => add(client, args, out).await,
            Self::List => list(client, out).await,
            Self::Revoke { token } => revoke(client, &token, out).await,
        }
    }
}

async fn add(client: &Client, args: AddArgs, out: &mut Output) -> Result<Exit, Failure> {
    let add = AddToken {
        name: args.name,
        role: args.role,
        host: args.host,
        label: args.label,
        ttl_secs: args.ttl,
    };
    let added: AddedToken = client.post("/v1/tokens", &add).await?;
    if out.format == Format::Json {
        out.json(&added)?;
        return Ok(Exit::Done);
    }
    let view = &added.view;
    out.note(&format!(
        "{} may {} on {} until {}. This is shown once; give it to `chatalotctl login {}`:",
        view.name,
        view.role,
        safe(&reach(view)),
        day(view.expires_ms),
        safe(&added.controller),
    ))?;
    out.line(&added.token)?;
    Ok(Exit::Done)
}

async fn list(client: &Client, out: &mut Output) -> Result<Exit, Failure> {
    let tokens: Vec<TokenView> = client.get("/v1/tokens").await?;
    if out.format == Format::Json {
        out.json(&tokens)?;
    } else if tokens.is_empty() {
        out.note("There is no token yet: `chatalotctl token add NAME --role ROLE`")?;
    } else {
        let text = lines(&tokens, now_ms(), out.page());
        out.text(&text)?;
    }
    Ok(Exit::Done)
}

async fn revoke(client: &Client, token: &str, out: &mut Output) -> Result<Exit, Failure> {
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(Failure::Usage(
            "a token is named by its name or its id; see `chatalotctl token list`".to_owned(),
        ));
    }
    let view: TokenView = client.post(&format!("/v1/tokens/{token}/revoke"), &()).await?;
    match out.format {
        Format::Json => out.json(&view)?,
        Format::Text => out.line(&format!("{} is revoked.", view.name))?,
    }
    Ok(Exit::Done)
}

fn lines(tokens: &[TokenView], now_ms: i64, page: Page) -> String {
    let rows: Vec<[Cell; 6]> = tokens
        .iter()
        .map(|token| {
            [
                plain(token.name.as_str()),
                plain(token.role.word()),
                plain(safe(&reach(token)).into_owned()),
                standing(token, now_ms),
                plain(
                    token
                        .used_ms
                        .map_or_else(|| "never".to_owned(), |at| ago(at, now_ms)),
                ),
                plain(safe(&token.id).into_owned()),
            ]
        })
        .collect();
    table(["TOKEN", "ROLE", "REACH", "VALID", "USED", "ID"], &rows, page)
}

fn standing(token: &TokenView, now_ms: i64) -> Cell {
    if token.revoked_ms.is_some() {
        ("revoked".to_owned(), Some(Style::Bad))
    } else if token.expires_ms <= now_ms {
        ("expired".to_owned(), Some(Style::Attention))
    } else {
        (format!("until {}", day(token.expires_ms)), Some(Style::Good))
    }
}

fn reach(token: &TokenView) -> String {
    match (&token.host, &token.label) {
        (Some(host), _) => host.clone(),
        (None, Some(label)) => format!("hosts labelled {label}"),
        (None, None) => "every host".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_listed_with_what_they_may_and_for_how_long() {
        let token = TokenView {
            id: "0102030405060708".into(),
            name: "alice".parse().unwrap(),
            role: Role::Approve,
            host: None,
            label: Some("staging".into()),
            created_ms: 0,
            created_by: "root".into(),
            expires_ms: 86_400_000,
            used_ms: None,
            revoked_ms: None,
        };
        let revoked = TokenView {
            revoked_ms: Some(1),
            ..token.clone()
        };
        let text = lines(&[token, revoked], 1000, Page::PLAIN);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "TOKEN  ROLE     REACH                   VALID             USED   ID"
        );
        assert_eq!(
            lines[1],
            "alice  approve  hosts labelled staging  until 1970-01-02  never  0102030405060708"
        );
        assert!(lines[2].contains("revoked"), "{}", lines[2]);
    }
}
