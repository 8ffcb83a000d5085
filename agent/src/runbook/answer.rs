//! What chatalot answers, judged: the health body above all, for every unknown path answers 200 as well.

use super::engine_version::engine_down;
use crate::host::{Engine, Fetch, FetchError, Fetched, Look, plain_line};
use chatalot_protocol::advice::Advice;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Where chatalot listens on the host itself.
pub const LOCAL: &str = "http://127.0.0.1:8080";
/// Where the proxy listens on the host itself.
pub const LOCAL_PROXY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 443);

/// A health answer that says that all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// chatalot's version.
    pub version: String,
}

#[derive(Deserialize)]
struct Body {
    status: String,
    version: String,
    db_healthy: bool,
}

/// Asks chatalot itself, past the proxy.
pub async fn local(host: &dyn Look) -> Result<Health, Box<Advice>> {
    let mut page = Fetch::page(format!("{LOCAL}/api/health"));
    // With its database paused it answers after five seconds, and that answer tells more than none.
    page.deadline = Duration::from_secs(8);
    match host.fetch(page).await {
        Ok(fetched) => health(&fetched, LOCAL),
        // Where the Engine itself is down, no container's log tells why nobody answers.
        Err(error) => Err(match host.engine().await {
            Ok(Engine::Down { why }) => engine_down(format!("the Docker Engine is down: {why}")),
            Ok(Engine::Absent | Engine::Up { .. }) | Err(_) => no_answer(&error),
        }
        .into()),
    }
}

fn no_answer(error: &FetchError) -> Advice {
    let (code, saw) = match error {
        FetchError::Deadline(seconds) => (
            "HEALTH_SLOW",
            format!("no answer from {LOCAL} within {seconds} s"),
        ),
        FetchError::Connect(_) => ("HEALTH_NO_ANSWER", format!("nobody answers at {LOCAL}")),
        other => ("HEALTH_NO_ANSWER", format!("no answer from {LOCAL}: {other}")),
    };
    Advice::new(
        code,
        saw,
        "chatalot's health answer",
        "look at `docker logs --tail 50 chatalot-server` for its last line, which begins with `Error:`",
    )
}

/// Judges a page fetched from `/api/health`.
pub fn health(page: &Fetched, of: &str) -> Result<Health, Box<Advice>> {
    if page.status != 200 {
        return Err(Advice::new(
            "HEALTH_STATUS",
            format!("{of} answered with status {}", page.status),
            "status 200 with chatalot's health",
            "look at `docker logs --tail 50 chatalot-server`",
        )
        .with_evidence(first_line(page))
        .into());
    }
    let json = page
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/json"));
    let body = json
        .then(|| serde_json::from_slice::<Body>(&page.body).ok())
        .flatten();
    let Some(body) = body else {
        return Err(Advice::new(
            "HEALTH_NOT_CHATALOT",
            format!("{of} answered with something that is not chatalot's health"),
            "JSON with status, version and db_healthy",
            "see what else answers there: `curl -i http://127.0.0.1:8080/api/health`",
        )
        .with_evidence(first_line(page))
        .into());
    };
    well(&body, of)
}

fn well(body: &Body, of: &str) -> Result<Health, Box<Advice>> {
    let version = plain_line(&body.version);
    if !body.db_healthy {
        return Err(Advice::new(
            "HEALTH_DB_DOWN",
            format!("{of} answers ({version}), but says that its database is down"),
            "`db_healthy` true",
            "look at `docker logs --tail 50 chatalot-db`, and start it: `docker start chatalot-db`",
        )
        .into());
    }
    if body.status != "ok" || version.is_empty() {
        return Err(Advice::new(
            "HEALTH_DEGRADED",
            format!(
                "{of} says status `{}`, version `{version}`",
                plain_line(&body.status)
            ),
            "status `ok` and a version",
            "look at `docker logs --tail 50 chatalot-server`",
        )
        .into());
    }
    Ok(Health { version })
}

fn first_line(page: &Fetched) -> Option<String> {
    let text = String::from_utf8_lossy(&page.body);
    let line = text.lines().next().map(plain_line)?;
    Some(line.chars().take(160).collect::<String>()).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(status: u16, kind: &str, body: &str) -> String {
        let page = Fetched {
            status,
            headers: vec![("content-type".into(), kind.into())],
            body: body.into(),
            tls: None,
        };
        health(&page, "x").map_or_else(|advice| advice.code.to_string(), |health| health.version)
    }

    #[test]
    fn f58_only_the_right_body_is_health() {
        const OK: &str = r#"{"status":"ok","version":"0.24.1","uptime_secs":4,"db_healthy":true}"#;
        assert_eq!(code(200, "application/json", OK), "0.24.1");
        assert_eq!(code(502, "text/html", "<h1>502</h1>"), "HEALTH_STATUS");
        assert_eq!(code(200, "text/html", "<!doctype html>"), "HEALTH_NOT_CHATALOT");
        assert_eq!(code(200, "text/html", OK), "HEALTH_NOT_CHATALOT");
        assert_eq!(
            code(200, "application/json", r#"{"status":"ok"}"#),
            "HEALTH_NOT_CHATALOT"
        );
        assert_eq!(code(200, "application/json", &OK[..30]), "HEALTH_NOT_CHATALOT");
        let degraded = OK.replace("ok", "degraded").replace("true", "false");
        assert_eq!(code(200, "application/json", &degraded), "HEALTH_DB_DOWN");
        assert_eq!(
            code(200, "application/json", &OK.replace("ok", "starting")),
            "HEALTH_DEGRADED"
        );
        assert_eq!(
            code(200, "application/json", &OK.replace("0.24.1", "")),
            "HEALTH_DEGRADED"
        );
    }

    #[test]
    fn f58_a_slow_answer_is_told_from_none() {
        assert_eq!(no_answer(&FetchError::Deadline(8)).code, "HEALTH_SLOW");
        assert_eq!(
            no_answer(&FetchError::Connect("x".into())).code,
            "HEALTH_NO_ANSWER"
        );
    }
}
