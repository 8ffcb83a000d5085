//! The server: start in chatalot's order (database, keys, port), answer, stop when told.

use std::{env, fs, net::Ipv6Addr, sync::Arc, time::Instant};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{Failure, database::Database, http, info};

/// Where chatalot listens inside its container.
pub(crate) const PORT: u16 = 8080;

/// What every request may look at.
pub(crate) struct Site {
    pub(crate) database: Database,
    pub(crate) started: Instant,
    /// Whether everybody may register.
    pub(crate) is_open: bool,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run() -> Result<(), Failure> {
    let url = env::var("DATABASE_URL").map_err(|_| "DATABASE_URL is not set")?;
    let database = Database::open(url).await.map_err(plainly)?;
    info("Migrations applied");
    read_key(
        &env::var("JWT_PRIVATE_KEY_PATH").unwrap_or_else(|_| "/app/secrets/jwt_private.pem".to_owned()),
    )?;
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)).await?;
    info(&format!("Listening on [::]:{PORT}"));
    let site = Arc::new(Site {
        database,
        started: Instant::now(),
        is_open: env::var("REGISTRATION_MODE").is_ok_and(|mode| mode == "open"),
    });
    tokio::select! {
        () = accept(&listener, &site) => {}
        told = until_told() => told?,
    }
    info("Shutting down");
    Ok(())
}

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn until_told() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

async fn accept(listener: &TcpListener, site: &Arc<Site>) {
    loop {
        // Out of descriptors: whoever holds them will let go.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let site = Arc::clone(site);
        tokio::spawn(async move {
            let service = service_fn(|request| http::answer(&site, request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away in the middle is its own business.
            drop(connection.with_upgrades().await);
        });
    }
}

fn read_key(path: &str) -> Result<(), Failure> {
    let key = fs::read_to_string(path)?;
    if key.contains("PRIVATE KEY") {
        Ok(())
    } else {
        Err("InvalidKeyFormat".into())
    }
}

/// The database's own words (`password authentication failed for user …`) rather than the library's.
fn plainly(error: Failure) -> Failure {
    match error
        .downcast_ref::<tokio_postgres::Error>()
        .and_then(tokio_postgres::Error::as_db_error)
    {
        Some(refusal) => format!("error returned from database: {}", refusal.message()).into(),
        None => error,
    }
}
