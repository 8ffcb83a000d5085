//! The one thing that chatalot's health is about: whether the database answers.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

const PATIENCE: Duration = Duration::from_secs(5);

/// Where the database is; a connection is made for each question.
#[derive(Clone)]
pub(crate) struct Database {
    url: String,
}

impl Database {
    /// Makes the first contact, as chatalot does before it listens.
    pub(crate) async fn open(url: String) -> Result<Self, crate::Failure> {
        let database = Self { url };
        let client = timeout(PATIENCE, database.connect()).await??;
        client
            .batch_execute("CREATE TABLE IF NOT EXISTS stand_in (id serial PRIMARY KEY, started timestamptz NOT NULL DEFAULT now()); INSERT INTO stand_in DEFAULT VALUES")
            .await?;
        Ok(database)
    }

    /// Whether `SELECT 1` is answered within five seconds.
    pub(crate) async fn answers(&self) -> bool {
        let asked = async { self.connect().await?.simple_query("SELECT 1").await };
        matches!(timeout(PATIENCE, asked).await, Ok(Ok(_)))
    }

    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}
