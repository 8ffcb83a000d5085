use super::generation::Step;
use super::*;

fn reply(name: &str) -> (String, JoinReply) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    let reply = JoinReply {
        host: HostId::fresh(),
        name: name.parse().unwrap(),
        cluster: Uuid::new_v4(),
        certificate: certificate.pem(),
        authorities: certificate.pem(),
        trusts: 1,
        bundle: None,
        domains: Vec::new(),
        git_remotes: Vec::new(),
        renew_after_secs: Some(1000),
    };
    (key.serialize_pem(), reply)
}

/// Stores a real identity for a controller.
fn joined(state: &Path, controller: &str) {
    let (key, reply) = reply("chat-1");
    store(state, controller, &key, &reply).unwrap();
}

/// What an agent of the first release has written.
fn joined_before(state: &Path, folder: &str, controller: &str) {
    let (key, reply) = reply("chat-1");
    let folder = state.join(folder);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("key.pem"), key).unwrap();
    fs::write(folder.join("certificate.pem"), &reply.certificate).unwrap();
    fs::write(folder.join("authorities.pem"), &reply.authorities).unwrap();
    let text = format!(
        r#"{{"controller":"{controller}","cluster":"{}","host":"{}","name":"chat-1"}}"#,
        reply.cluster, reply.host
    );
    fs::write(folder.join("membership.json"), text).unwrap();
}

fn controller(state: &Path) -> Option<String> {
    load(state)
        .unwrap()
        .map(|identity| identity.membership.controller)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_host_that_joins_anew_has_the_new_identity_a_new_stream_and_no_leftovers() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    assert!(load(state).unwrap().is_none() && !is_begun(state));
    joined(state, "one:1");
    let first = load(state).unwrap().unwrap().membership.stream;
    joined(state, "two:2");
    let second = load(state).unwrap().unwrap().membership;
    assert_eq!(second.controller, "two:2");
    assert!(first != second.stream && !first.is_nil());
    assert_eq!(
        (names(state), names(&state.join("id"))),
        (vec!["id".to_owned()], vec!["2".to_owned(), "current".to_owned()])
    );
}

#[test]
fn f15_a_renewal_that_is_cut_off_anywhere_leaves_the_old_identity_or_the_new_one() {
    for legacy in [false, true] {
        let mut cuts = 0..;
        loop {
            let (folder, cut) = (tempfile::tempdir().unwrap(), cuts.next().unwrap());
            let state = folder.path();
            if legacy {
                joined_before(state, "identity", "one:1");
            } else {
                joined(state, "one:1");
            }
            let before = load(state).unwrap().unwrap();
            let (key, reply) = reply("chat-2");
            let membership = Membership {
                name: reply.name.clone(),
                ..before.membership
            };
            let generation = Generation {
                key: key.into_bytes(),
                certificate: reply.certificate.clone().into_bytes(),
                authorities: reply.authorities.clone().into_bytes(),
                membership: serde_json::to_vec(&membership).unwrap(),
            };
            let steps = steps(state, generation).unwrap();
            let (done, rest) = steps.split_at(cut);
            for step in done {
                step.take().unwrap();
            }
            tear(rest.first());
            let found = load(state).unwrap().expect("an identity");
            let is_new = done.iter().any(|step| matches!(step, Step::Flip(..)));
            assert_eq!(
                found.membership.name.as_str(),
                if is_new { "chat-2" } else { "chat-1" }
            );
            assert_eq!(
                is_new,
                found.chain != before.chain,
                "all files are of one generation"
            );
            joined(state, "three:3");
            assert_eq!(
                controller(state).as_deref(),
                Some("three:3"),
                "cut {cut} is mended"
            );
            assert_eq!((names(state).len(), names(&state.join("id")).len()), (1, 2));
            if rest.is_empty() {
                break;
            }
        }
    }
}

/// What a step leaves that is cut off within: part of a file beside it, part of a folder.
fn tear(step: Option<&Step>) {
    match step {
        Some(Step::Put(path, content)) => {
            let torn = &content[..content.len() / 2];
            fs::write(path.with_file_name(".torn.new"), torn).unwrap();
        }
        Some(Step::Clear(path)) if path.exists() => fs::remove_file(path.join("key.pem")).unwrap(),
        _ => {}
    }
}

#[test]
fn f15_what_an_agent_of_the_first_release_was_cut_off_in_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    joined_before(state, "identity.old", "one:1");
    fs::create_dir(state.join("identity.new")).unwrap();
    assert_eq!(controller(state).as_deref(), Some("one:1"), "the new one is torn");
    fs::remove_dir(state.join("identity.new")).unwrap();
    joined_before(state, "identity.new", "two:2");
    assert_eq!(
        controller(state).as_deref(),
        Some("two:2"),
        "between the two names"
    );
    let membership = load(state).unwrap().unwrap().membership;
    assert!(membership.stream.is_nil() && membership.renewal.due_in(now_ms()).is_zero());
}

#[test]
fn an_identity_that_lacks_a_file_is_damaged_and_not_absent() {
    for name in ["membership.json", "key.pem", "certificate.pem", ""] {
        let folder = tempfile::tempdir().unwrap();
        joined(folder.path(), "one:1");
        let path = folder.path().join("id/1").join(name);
        if name.is_empty() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        assert!(load(folder.path()).is_err() && is_begun(folder.path()), "{name}");
    }
}

#[test]
fn renewal_is_due_after_a_third_of_the_life_less_or_more_a_tenth_whatever_the_clock_says() {
    let due = |dice| Renewal::after(Some(1000), 5_000, dice).due_in(5_000).as_secs();
    assert_eq!((due(0.0), due(0.5), due(1.0)), (900, 1000, 1100));
    let renewal = Renewal::after(Some(1000), 5_000, 0.5);
    assert!(renewal.due_in(0).is_zero(), "the clock went back");
    assert!(renewal.due_in(2_000_000).is_zero());
    assert_eq!(renewal.pause(), Duration::from_secs(250));
    let month = Renewal::after(Some(10 * 86_400), 0, 0.5);
    assert_eq!(month.pause(), Duration::from_hours(1));
}

#[test]
fn f51_an_identity_with_any_byte_flipped_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    joined(folder.path(), "one:1");
    let generation = current(folder.path()).unwrap().unwrap();
    let files = names(&generation);
    assert_eq!(files.len(), 5, "{files:?}");
    for name in files {
        let path = generation.join(&name);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            fs::write(&path, flipped).unwrap();
            let refused = load(folder.path());
            assert!(
                matches!(refused, Err(IdentityError::Damaged { .. })),
                "{name}, byte {at}"
            );
        }
        fs::write(&path, whole).unwrap();
    }
    assert!(load(folder.path()).unwrap().is_some());
}
