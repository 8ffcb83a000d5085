//! Databases as earlier controllers have written them: brought up to date, they say what they said.
//!
//! Each file holds what one schema added, tables and rows. What is recorded here is never edited.

use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::report::DeploymentState;
use chatalotctl::store::{Store, StoreError, cluster, deployments, hosts};
use std::path::Path;

const RECORDED: [&str; 7] = [
    include_str!("recorded/1.sql"),
    include_str!("recorded/2.sql"),
    include_str!("recorded/3.sql"),
    include_str!("recorded/4.sql"),
    include_str!("recorded/5.sql"),
    include_str!("recorded/6.sql"),
    include_str!("recorded/7.sql"),
];

fn written_at(schema: usize, path: &Path) {
    let file = rusqlite::Connection::open(path).unwrap();
    for added in &RECORDED[..schema] {
        file.execute_batch(added).unwrap();
    }
    file.pragma_update(None, "user_version", i64::try_from(schema).unwrap())
        .unwrap();
}

#[tokio::test]
async fn f72_the_databases_of_earlier_controllers_are_read_and_say_what_they_said() {
    let ended: DeploymentId = "01a214ed-852f-7699-b77f-e429b0c0ef09".parse().unwrap();
    let running: DeploymentId = "01a214f0-1111-7699-b77f-e429b0c0ef10".parse().unwrap();
    for schema in 1..=RECORDED.len() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("controller.db");
        written_at(schema, &path);
        // Twice: brought up to date, and found so.
        for _ in 0..2 {
            let store = Store::open(&path).unwrap();
            let read = store.read(move |c| {
                assert_eq!(cluster(c)?.unwrap().epoch, 1);
                let names: Vec<_> = hosts::list(c)?
                    .into_iter()
                    .map(|host| host.name.to_string())
                    .collect();
                assert_eq!(names, ["chat-1", "chat-2"]);
                let state = |id| Ok::<_, StoreError>(deployments::standing(c, id)?.unwrap().view.state);
                assert_eq!(state(ended)?, DeploymentState::Succeeded);
                assert_eq!(state(running)?, DeploymentState::Running);
                let count = |sql: &str| c.query_row(sql, [], |row| row.get::<_, i64>(0));
                assert_eq!(count("SELECT count(*) FROM events")?, 3);
                // The certificate that was in force is, and the token that was out still is.
                assert_eq!(
                    count("SELECT count(*) FROM certificates WHERE state = 'current'")?,
                    1
                );
                assert_eq!(count("SELECT count(*) FROM tokens WHERE used_ms IS NULL")?, 1);
                let whole: String = c.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
                assert_eq!(whole, "ok");
                Ok::<_, StoreError>(())
            });
            read.await.unwrap();
        }
    }
}

#[tokio::test]
async fn f72_an_earlier_database_ends_with_the_tables_of_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    written_at(1, &old);
    let mut dumps = Vec::new();
    for path in [&old, &new] {
        drop(Store::open(path).unwrap());
        let file = rusqlite::Connection::open(path).unwrap();
        let mut tables = file
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
            .unwrap();
        let rows = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let words = |sql: String| sql.split_whitespace().collect::<Vec<_>>().join(" ");
        dumps.push(rows.map(|row| words(row.unwrap())).collect::<Vec<_>>());
    }
    assert_eq!(dumps[0], dumps[1]);
}
