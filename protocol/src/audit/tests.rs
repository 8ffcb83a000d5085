use super::*;

fn bodies(last: u64) -> Vec<String> {
    let entry = |n: u64| Entry {
        at_ms: i64::try_from(n).unwrap(),
        action: "deploy".to_owned(),
        by: "alice".to_owned(),
        verdict: "allowed".to_owned(),
        ..Entry::default()
    };
    (1..=last)
        .map(|n| serde_json::to_string(&entry(n)).unwrap())
        .collect()
}

fn chain(bodies: &[String]) -> Vec<Record> {
    let mut at = Anchor::START;
    let mut records = Vec::new();
    for body in bodies {
        at = at.after(body);
        records.push(Record {
            n: at.n,
            body: body.clone(),
            hash: at.hash.to_string(),
        });
    }
    records
}

fn anchor(records: &[Record]) -> Anchor {
    verify(records, None).unwrap()
}

#[test]
fn a_chain_is_as_it_is_written_down() {
    let at = Anchor::START.after("{}");
    assert_eq!(
        at.to_string(),
        "1:9aa10793338f69e7f94b508901d733ac4b49a14d1eeafdf02b0b27f25ef72847"
    );
    assert_eq!(at.to_string().parse(), Ok(at));
    assert!("1:xyz".parse::<Anchor>().is_err());
    assert!("1".parse::<Anchor>().is_err());
    assert!(at.hash.to_string().to_uppercase().parse::<ChainHash>().is_err());
}

#[test]
fn f68_every_edit_of_a_byte_is_found_and_its_record_named() {
    let whole = chain(&bodies(5));
    for at in 0..whole.len() {
        let n = at as u64 + 1;
        for byte in 0..whole[at].body.len() {
            let mut edited = whole.clone();
            let mut body = edited[at].body.clone().into_bytes();
            body[byte] ^= 1;
            edited[at].body = String::from_utf8(body).unwrap();
            assert_eq!(verify(&edited, None), Err(Broken::Edited { n }), "{n} {byte}");
        }
        for byte in 0..whole[at].hash.len() {
            let mut edited = whole.clone();
            let mut hash = edited[at].hash.clone().into_bytes();
            hash[byte] ^= 1;
            edited[at].hash = String::from_utf8(hash).unwrap();
            assert_eq!(verify(&edited, None), Err(Broken::Edited { n }), "{n} {byte}");
        }
    }
}

#[test]
fn f68_an_edit_with_its_own_hash_made_anew_is_found_at_the_next_record() {
    let whole = chain(&bodies(5));
    let mut edited = whole.clone();
    edited[2].body = edited[2].body.replace("alice", "mallo");
    edited[2].hash = anchor(&whole[..2]).after(&edited[2].body).hash.to_string();
    assert_eq!(verify(&edited, None), Err(Broken::Edited { n: 4 }));
}

#[test]
fn f68_a_removed_a_doubled_and_a_renumbered_record_are_named() {
    let whole = chain(&bodies(5));
    for n in 1..5 {
        let mut less = whole.clone();
        less.remove(n - 1);
        assert_eq!(verify(&less, None), Err(Broken::Removed { n: n as u64 }));
    }
    let mut more = whole.clone();
    more.insert(3, whole[2].clone());
    assert_eq!(verify(&more, None), Err(Broken::Twice { n: 3 }));
    let mut closed = whole.clone();
    closed.remove(2);
    for (at, record) in closed.iter_mut().enumerate() {
        record.n = at as u64 + 1;
    }
    assert_eq!(verify(&closed, None), Err(Broken::Edited { n: 3 }));
}

#[test]
fn f68_a_cut_end_and_a_chain_written_anew_contradict_the_anchor() {
    let whole = chain(&bodies(5));
    let seen = anchor(&whole);
    let cut = Err(Broken::Cut { n: 4, last: 5 });
    assert_eq!(verify(&whole[..3], Some(seen)), cut);
    assert_eq!(seen.contradiction(anchor(&whole[..3])).map_or(Ok(seen), Err), cut);
    let mut anew = bodies(7);
    anew[1] = anew[1].replace("alice", "mallo");
    let anew = chain(&anew);
    assert_eq!(verify(&anew, None).map(|anchor| anchor.n), Ok(7));
    assert_eq!(verify(&anew, Some(seen)), Err(Broken::Forked { n: 5 }));
    let same_length = anchor(&anew[..5]);
    assert_eq!(seen.contradiction(same_length), Some(Broken::Forked { n: 5 }));
    assert_eq!(seen.contradiction(seen), None);
}

#[test]
fn a_chain_that_has_grown_is_verified_from_where_it_was_seen() {
    let whole = chain(&bodies(7));
    let seen = anchor(&whole[..4]);
    let mut verifier = Verifier::from(seen, Some(anchor(&whole)));
    whole[4..]
        .iter()
        .for_each(|record| verifier.take(record).unwrap());
    assert_eq!(verifier.end(), Ok(anchor(&whole)));
}
