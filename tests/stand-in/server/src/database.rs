//! The one thing that chatalot's health is about: whether the database answers.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

/// A row a start, and the columns of chatalot's own accounts that matter here.
const TABLES: &str =
    "CREATE TABLE IF NOT EXISTS stand_in (id serial PRIMARY KEY, started timestamptz NOT NULL DEFAULT now());
    INSERT INTO stand_in DEFAULT VALUES;
    CREATE TABLE IF NOT EXISTS users (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        username varchar(32) NOT NULL UNIQUE,
        created_at timestamptz NOT NULL DEFAULT now(),
        is_admin boolean NOT NULL DEFAULT false,
        is_owner boolean NOT NULL DEFAULT false
    )";
/// The first is everything, whatever the name; the others come in where registration is open.
const REGISTER: &str = "INSERT INTO users (username, is_admin, is_owner)
    SELECT $1, n = 0, n = 0 FROM (SELECT count(*) AS n FROM users) AS counted WHERE n = 0 OR $2
    RETURNING is_admin";

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
        client.batch_execute(TABLES).await?;
        Ok(database)
    }

    /// Whether `SELECT 1` is answered within five seconds.
    pub(crate) async fn answers(&self) -> bool {
        let asked = async { self.connect().await?.simple_query("SELECT 1").await };
        matches!(timeout(PATIENCE, asked).await, Ok(Ok(_)))
    }

    /// Makes an account; whether it is the administrator's, and nothing where an invite is wanted.
    pub(crate) async fn register(
        &self,
        name: &str,
        is_open: bool,
    ) -> Result<Option<bool>, tokio_postgres::Error> {
        let client = self.connect().await?;
        let row = client.query_opt(REGISTER, &[&name, &is_open]).await?;
        Ok(row.map(|row| row.get(0)))
    }

    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}
