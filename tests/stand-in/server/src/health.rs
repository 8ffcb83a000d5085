//! `/api/health`: its body, and the container's own health check that asks for it.

use std::{net::Ipv4Addr, time::Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::database::Database;

const VERSION: &str = "0.24.0";

/// The body of an answer that is 200 whether or not the database is there.
pub(crate) async fn body(database: &Database, started: Instant) -> String {
    let db_healthy = database.answers().await;
    let status = if db_healthy { "ok" } else { "degraded" };
    let uptime = started.elapsed().as_secs();
    format!(
        r#"{{"status":"{status}","version":"{VERSION}","uptime_secs":{uptime},"db_healthy":{db_healthy}}}"#
    )
}

/// What `curl -f` does in chatalot's own image: any success is healthy.
pub(crate) async fn ask() -> Result<(), crate::Failure> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, crate::serve::PORT)).await?;
    stream
        .write_all(b"GET /api/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if answer.starts_with("HTTP/1.1 200") {
        Ok(())
    } else {
        Err("unhealthy".into())
    }
}
