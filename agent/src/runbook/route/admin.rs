//! Whether the administrator has registered, asked of chatalot's own database: nothing public tells it.
//!
//! The query only reads, and makes no use of a column that it does not find: an account is a row of `users`, whoever
//! is marked by `is_admin` or `is_owner` is an administrator. What does not answer like that cannot be told.

use crate::host::{Command, HostError, Output, plain_line};
use crate::runbook::Cx;
use chatalot_protocol::advice::Advice;
use serde::Deserialize;
use std::time::Duration;

/// The service of chatalot's database.
const SERVICE: &str = "postgres";
/// Only names of administrators leave the database, and a number.
const QUERY: &str = "SELECT json_build_object('users', count(*), \
     'admins', coalesce(json_agg(coalesce(j->>'username', '')) FILTER (WHERE 'true' IN (j->>'is_admin', j->>'is_owner')), '[]'), \
     'marked', coalesce(bool_or(j ? 'is_admin' OR j ? 'is_owner'), true)) \
     FROM (SELECT to_jsonb(u) AS j FROM users AS u) AS accounts";
/// Whatever the query were, nothing would be written, and nobody be kept waiting.
const OPTIONS: &str = "PGOPTIONS=-c default_transaction_read_only=on -c statement_timeout=5000";

/// Who has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// Nobody: whoever comes first becomes the administrator.
    Nobody,
    /// The administrator that the site was deployed for.
    Admin,
    /// Administrators of other names.
    Others(Vec<String>),
    /// It cannot be told, and why.
    Untold(String),
}

impl Registered {
    /// What a person has to do, where the route cannot be opened without one.
    pub fn advice(&self, cx: &Cx<'_>) -> Option<Advice> {
        const OPEN: &str = "`chatalot-agent open` on the host, or `chatalotctl open` and the host's name";
        let admin = &cx.site.admin;
        match self {
            Self::Nobody | Self::Admin => None,
            Self::Others(names) => Some(Advice::new(
                "ADMIN_OTHER",
                format!(
                    "chatalot's administrator is {}, and not {admin}",
                    names.join(", ")
                ),
                format!("{admin} as the administrator; the route stays limited until that is settled"),
                format!(
                    "if that was you, let everybody in: {OPEN}; if it was not, a stranger owns this site: take it away with its data and install it anew"
                ),
            )),
            Self::Untold(why) => Some(Advice::new(
                "ADMIN_UNTOLD",
                format!("whether {admin} has registered cannot be told: {why}"),
                "an answer of chatalot's database; the route stays limited without one",
                format!("register {admin}, then let everybody in: {OPEN}"),
            )),
        }
    }
}

#[derive(Deserialize)]
struct Accounts {
    users: u64,
    admins: Vec<String>,
    marked: bool,
}

/// Asks the database of the site.
pub async fn registered(cx: &Cx<'_>) -> Result<Registered, HostError> {
    let ours = cx.host.containers(Some(cx.site.folder.as_str())).await?;
    let Some(database) = ours.into_iter().find(|one| one.service == SERVICE) else {
        return Ok(Registered::Untold(
            "there is no container of its database".to_owned(),
        ));
    };
    if database.state != "running" {
        let why = format!("its database is {}", plain_line(&database.state));
        return Ok(Registered::Untold(why));
    }
    let psql = [
        "psql", "-X", "-q", "-A", "-t", "-U", "chatalot", "-d", "chatalot", "-c", QUERY,
    ];
    let args = [
        &[
            "exec",
            "--env",
            OPTIONS,
            "--env",
            "PGCONNECT_TIMEOUT=5",
            "--",
            &database.name,
        ],
        &psql[..],
    ]
    .concat();
    let asked = cx
        .host
        .query(Command::new("docker", &args).deadline(Duration::from_secs(15)))
        .await;
    match asked {
        Ok(output) => Ok(judge(&output, cx.site.admin.as_str())),
        Err(HostError::Deadline { seconds, .. }) => Ok(Registered::Untold(format!(
            "its database has not answered within {seconds} s"
        ))),
        Err(error) => Err(error),
    }
}

fn judge(output: &Output, admin: &str) -> Registered {
    if !output.ok() {
        let said = output.last_lines(1).concat();
        return Registered::Untold(format!("its database was asked and said `{said}`"));
    }
    let Ok(accounts) = serde_json::from_str::<Accounts>(output.stdout.trim()) else {
        return Registered::Untold("its database gave an answer of another kind".to_owned());
    };
    if accounts.users == 0 {
        return Registered::Nobody;
    }
    if !accounts.marked {
        let why = format!(
            "{} accounts, none marked as an administrator or not",
            accounts.users
        );
        return Registered::Untold(why);
    }
    if accounts.admins.is_empty() {
        let why = format!("{} accounts, and no administrator among them", accounts.users);
        return Registered::Untold(why);
    }
    if accounts
        .admins
        .iter()
        .any(|name| name.eq_ignore_ascii_case(admin))
    {
        return Registered::Admin;
    }
    Registered::Others(
        accounts
            .admins
            .iter()
            .take(3)
            .map(|name| format!("`{}`", plain_line(name)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: i32, stdout: &str) -> Registered {
        let output = Output {
            code,
            stdout: stdout.to_owned(),
            stderr: String::new(),
        };
        judge(&output, "alice")
    }

    #[test]
    fn the_account_that_the_site_is_for_is_told_from_another_and_from_none() {
        assert_eq!(
            told(0, r#"{"users" : 0, "admins" : [], "marked" : true}"#),
            Registered::Nobody
        );
        assert_eq!(
            told(0, r#"{"users" : 2, "admins" : ["bob","Alice"], "marked" : true}"#),
            Registered::Admin
        );
        assert_eq!(
            told(
                0,
                r#"{"users" : 2, "admins" : ["mal\u001b[1mlory"], "marked" : true}"#
            ),
            Registered::Others(vec!["`mallory`".into()])
        );
    }

    #[test]
    fn what_the_database_does_not_say_is_not_guessed() {
        for (code, said, why) in [
            (1, "ERROR:  relation \"users\" does not exist", "does not exist"),
            (0, "7", "of another kind"),
            (
                0,
                r#"{"users" : 3, "admins" : [], "marked" : false}"#,
                "none marked",
            ),
            (
                0,
                r#"{"users" : 3, "admins" : [], "marked" : true}"#,
                "no administrator among them",
            ),
        ] {
            assert!(
                matches!(told(code, said), Registered::Untold(told) if told.contains(why)),
                "{said}"
            );
        }
    }
}
