//! Ledgers as earlier agents have written them: brought up to date, they say what they said.
//!
//! Each file holds what one schema added, tables and rows. What is recorded here is never edited.

use super::*;
use crate::ledger::deployments as records;
use chatalot_protocol::event::What;
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::report::DeploymentState;

const RECORDED: [&str; 3] = [
    include_str!("recorded/1.sql"),
    include_str!("recorded/2.sql"),
    include_str!("recorded/3.sql"),
];

fn id(text: &str) -> DeploymentId {
    text.parse().unwrap()
}

/// A ledger file as it was at a schema.
fn written_at(schema: usize, path: &Path) {
    let file = Connection::open(path).unwrap();
    for added in &RECORDED[..schema] {
        file.execute_batch(added).unwrap();
    }
    file.pragma_update(None, "user_version", i64::try_from(schema).unwrap())
        .unwrap();
}

#[tokio::test]
async fn f72_the_ledgers_of_earlier_agents_are_read_and_say_what_they_said() {
    let (ended, running) = (
        id("01a214ed-852f-7699-b77f-e429b0c0ef09"),
        id("01a214f0-1111-7699-b77f-e429b0c0ef10"),
    );
    for schema in 1..=RECORDED.len() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        written_at(schema, &path);
        let ledger = Ledger::open(&path).unwrap();
        let read = ledger.with(move |db| {
            assert_eq!(
                records::find(db, ended)?.unwrap().state,
                DeploymentState::Succeeded
            );
            let made = records::made(db, chatalot_protocol::work::Work::Uninstall)?.unwrap();
            assert_eq!(made.id, running);
            assert_eq!(records::running(db)?.unwrap().by, "alice");
            let effect = records::open_effect(db, running)?.unwrap();
            assert_eq!((effect.stream, effect.attempt), (1, 1));
            assert_eq!(records::memory(db, "chat.example.com")?.len(), 2);
            assert_eq!((outbox::acknowledged(db)?, outbox::latest(db)?), (5, 9));
            assert!(audit::verify(db, None)?.is_ok());
            let epoch = outbox::meta(db, "stream_epoch")?.unwrap();
            assert_eq!(
                epoch, "a3d6428a-14b5-4a97-a4a8-2ca440d1bb3a",
                "the stream goes on"
            );
            outbox::unbroken_after(db, 0)
        });
        let events = read.await.unwrap();
        let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
        assert_eq!(numbers, (1..=9).collect::<Vec<_>>(), "schema {schema}");
        assert!(
            events.iter().all(|event| event.what != What::Unknown),
            "schema {schema}"
        );
    }
}

#[test]
fn f72_an_earlier_ledger_that_is_opened_twice_is_brought_up_to_date_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    written_at(1, &path);
    let dump = |path: &Path| {
        let file = Connection::open(path).unwrap();
        let mut tables = file
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
            .unwrap();
        let rows = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(|row| row.unwrap().split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    drop(schema::open(&path).unwrap());
    let once = dump(&path);
    drop(schema::open(&path).unwrap());
    assert_eq!(once, dump(&path));
    let fresh = folder.path().join("fresh.sqlite");
    drop(schema::open(&fresh).unwrap());
    assert_eq!(once, dump(&fresh), "a new ledger has the same tables");
}
