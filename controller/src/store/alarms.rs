//! How far each host's audit was seen, and what a person must see about a host.

use super::StoreError;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::audit::Anchor;
use chatalot_protocol::names::HostId;
use rusqlite::{Connection, OptionalExtension};

/// How far a host's audit was seen, and verified, when it was last heard of.
pub fn anchor(connection: &Connection, host: HostId) -> Result<Anchor, StoreError> {
    let text: Option<String> = connection
        .prepare_cached("SELECT anchor FROM anchors WHERE host = ?1")?
        .query_row([host.0.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(Anchor::START))
}

/// Notes how far a host's audit was verified.
pub fn keep_anchor(
    connection: &Connection,
    host: HostId,
    anchor: Anchor,
    now_ms: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO anchors VALUES (?1, ?2, ?3)
             ON CONFLICT (host) DO UPDATE SET anchor = excluded.anchor, seen_ms = excluded.seen_ms",
        )?
        .execute((host.0.as_bytes(), anchor.to_string(), now_ms))?;
    Ok(())
}

/// Raises an alarm; one that is raised already stays as it is. Whether it is news.
pub fn raise(
    connection: &Connection,
    host: HostId,
    by_host: bool,
    advice: &Advice,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let text = serde_json::to_string(advice)?;
    let raised = connection
        .prepare_cached("INSERT INTO alarms VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING")?
        .execute((host.0.as_bytes(), &advice.code, by_host, text, now_ms))?;
    Ok(raised == 1)
}

/// An identity or a token turns up where it should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Astray {
    /// An old certificate was shown; the host is locked.
    Copied,
    /// Two machines connect in turns.
    TwoMachines,
    /// A second key has shown a join token.
    TokenTwice,
}

impl Astray {
    const ALL: [Self; 3] = [Self::Copied, Self::TwoMachines, Self::TokenTwice];

    const fn code(self) -> &'static str {
        match self {
            Self::Copied => "IDENTITY_COPIED",
            Self::TwoMachines => "TWO_MACHINES",
            Self::TokenTwice => "TOKEN_USED_TWICE",
        }
    }

    fn advice(self, name: &str, address: &str) -> Advice {
        let (saw, wanted) = match self {
            Self::Copied => (
                format!("{address} has shown a certificate that was replaced by one in use"),
                "a key that only one machine has",
            ),
            Self::TwoMachines => (
                format!("two machines connect in turns, the last one from {address}"),
                "one machine with this identity",
            ),
            Self::TokenTwice => (
                format!("{address} has shown the join token that another machine had used"),
                "a join token that only one machine is given",
            ),
        };
        let fix = format!(
            "where all machines are yours, `chatalotctl host readmit {name}`; where one may not be, `chatalotctl host \
             add {name}` and its line on the right one"
        );
        Advice::new(self.code(), saw, wanted, fix)
    }
}

/// Raises an alarm about an identity that is astray.
pub fn raise_astray(
    connection: &Connection,
    host: HostId,
    what: Astray,
    address: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let Some(name) = name(connection, host)? else {
        return Ok(());
    };
    if raise(connection, host, false, &what.advice(&name, address), now_ms)? {
        log::error!(host:% = host, code = what.code(), address; "an identity is astray");
    }
    Ok(())
}

/// Its name; whoever is no host here has none, and nobody is to be told of it.
fn name(connection: &Connection, host: HostId) -> Result<Option<String>, StoreError> {
    let name = connection
        .query_row(
            "SELECT name FROM hosts WHERE id = ?1",
            [host.0.as_bytes()],
            |row| row.get(0),
        )
        .optional()?;
    Ok(name)
}

/// Ends the alarms about an identity astray, for the operator has seen them; whether there were any.
pub fn settle_astray(connection: &Connection, host: HostId) -> Result<bool, StoreError> {
    let mut ended = 0;
    for what in Astray::ALL {
        ended += connection.execute(
            "DELETE FROM alarms WHERE host = ?1 AND by_host = 0 AND code = ?2",
            (host.0.as_bytes(), what.code()),
        )?;
    }
    Ok(ended > 0)
}

/// No protocol version in common.
const NO_COMMON_VERSION: &str = "NO_COMMON_VERSION";

/// Says that a host's agent speaks no version of ours, and how the older side is brought up to date. Both ranges from the
/// oldest to the newest.
pub fn raise_no_common_version(
    connection: &Connection,
    host: HostId,
    agent: &str,
    (theirs, ours): ((u32, u32), (u32, u32)),
    now_ms: i64,
) -> Result<(), StoreError> {
    let Some(name) = name(connection, host)? else {
        return Ok(());
    };
    let fix = if theirs.1 < ours.0 {
        format!(
            "`chatalotctl host add {name}`, and its line on the host: it brings the newer agent and keeps the identity"
        )
    } else {
        "a newer `chatalotctl` here; it keeps its state folder".to_owned()
    };
    let advice = Advice::new(
        NO_COMMON_VERSION,
        format!(
            "agent {agent} speaks the versions {} to {} of the protocol",
            theirs.0, theirs.1
        ),
        format!("one of the versions {} to {}", ours.0, ours.1),
        fix,
    );
    if raise(connection, host, false, &advice, now_ms)? {
        log::error!(host:% = host, code = NO_COMMON_VERSION, saw = advice.saw; "a host is kept out");
    }
    Ok(())
}

/// Ends that alarm.
pub fn end_no_common_version(connection: &Connection, host: HostId) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM alarms WHERE host = ?1 AND by_host = 0 AND code = ?2")?
        .execute((host.0.as_bytes(), NO_COMMON_VERSION))?;
    Ok(())
}

/// Ends an alarm that the host itself has raised.
pub fn end(connection: &Connection, host: HostId, code: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM alarms WHERE host = ?1 AND by_host = 1 AND code = ?2")?
        .execute((host.0.as_bytes(), code))?;
    Ok(())
}

/// Forgets what was seen of a host in whose name somebody joins anew: root there has run a line of the operator's.
pub fn forget(connection: &Connection, host: HostId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM anchors WHERE host = ?1",
        "DELETE FROM alarms WHERE host = ?1",
    ] {
        connection.execute(sql, [host.0.as_bytes()])?;
    }
    Ok(())
}
