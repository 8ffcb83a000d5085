use super::*;
use chatalot_protocol::event::What;

fn started() -> What {
    What::AgentStarted {
        version: "1".to_owned(),
        rebooted: false,
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_new_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let ledger = Ledger::open(&path).unwrap();
    ledger
        .with(|db| outbox::record(db, 1, None, &started()))
        .await
        .unwrap();
    drop(ledger);
    let again = Ledger::open(&path).unwrap();
    let events = again.with(|db| outbox::after(db, 0)).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(*again.latest().borrow(), 1);
}

#[tokio::test]
async fn a_closure_that_fails_takes_nobody_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("l")).unwrap();
    let good = ledger.with(|db| outbox::record(db, 1, None, &started()));
    let bad = ledger.with(|db| {
        outbox::record(db, 2, None, &started())?;
        Err::<(), _>(LedgerError::Unreadable("on purpose".to_owned()))
    });
    let (good, bad) = tokio::join!(good, bad);
    assert!(good.is_ok() && bad.is_err());
    assert_eq!(ledger.with(|db| outbox::after(db, 0)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn f65_a_ledger_of_a_newer_agent_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l");
    drop(Ledger::open(&path).unwrap());
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 999)
        .unwrap();
    assert!(matches!(
        Ledger::open(&path),
        Err(LedgerError::Newer { found: 999, .. })
    ));
}

#[tokio::test]
async fn sequence_numbers_are_never_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("l")).unwrap();
    ledger
        .with(|db| outbox::record(db, 1, None, &started()))
        .await
        .unwrap();
    ledger
        .with(|db| Ok(db.execute("DELETE FROM event", [])?))
        .await
        .unwrap();
    ledger
        .with(|db| outbox::record(db, 1, None, &started()))
        .await
        .unwrap();
    assert_eq!(ledger.with(|db| outbox::after(db, 0)).await.unwrap()[0].seq, 2);
}

#[tokio::test]
async fn a_ledger_that_cannot_be_looked_for_is_not_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Ledger::open_to_read(&folder.path().join("none")).is_ok());
    // A folder that may not be entered would fail the same way, but not for root.
    let beyond = folder.path().join("x".repeat(300)).join("ledger.sqlite");
    assert!(matches!(
        Ledger::open_to_read(&beyond),
        Err(LedgerError::Hidden { .. })
    ));
}

#[tokio::test]
async fn a_hole_longer_than_a_message_is_filled_in_several() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("l")).unwrap();
    let fill = |db: &Connection| {
        for at in 0..250 {
            outbox::record(db, at, None, &started())?;
        }
        Ok(db.execute("DELETE FROM event WHERE seq BETWEEN 2 AND 240", [])?)
    };
    ledger.with(fill).await.unwrap();
    let (mut last, mut messages) = (0, 0);
    while last < 250 {
        let events = ledger
            .with(move |db| outbox::unbroken_after(db, last))
            .await
            .unwrap();
        let wanted = (last + 1..).take(events.len());
        assert!(events.len() <= 100 && events.iter().map(|event| event.seq).eq(wanted));
        last = events.last().unwrap().seq;
        messages += 1;
    }
    assert_eq!(messages, 3);
}

/// One byte after the other of the file's head and of the heads of its pages.
#[tokio::test]
async fn f51_a_ledger_with_a_flipped_byte_in_any_head_is_refused_or_reads_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let ledger = Ledger::open(&path).unwrap();
    let fill = |db: &Connection| (0..40).try_for_each(|at| outbox::record(db, at, None, &started()));
    ledger.with(fill).await.unwrap();
    let read = |db: &Connection| outbox::after(db, 0);
    let wanted = ledger.with(read).await.unwrap();
    drop(ledger);
    let alone = Connection::open(&path).unwrap();
    alone
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(alone);
    let whole = std::fs::read(&path).unwrap();
    let heads = (4096..whole.len()).step_by(4096).flat_map(|page| page..page + 24);
    let mut refused = 0;
    for at in (0..140).chain(heads) {
        let flipped_path = folder.path().join(format!("flipped-{at}"));
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        std::fs::write(&flipped_path, flipped).unwrap();
        let found = schema::open(&flipped_path).and_then(|db| outbox::after(&db, 0));
        match found {
            Ok(events) => assert!(events == wanted, "byte {at} changes what is read"),
            Err(_) => refused += 1,
        }
        std::fs::remove_file(&flipped_path).unwrap();
    }
    assert!(refused > 60, "{refused}");
    assert!(Ledger::open(&path).is_ok());
}
