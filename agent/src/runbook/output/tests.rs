use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_file_is_ours_alone_and_appended_to() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("output");
    let first = Sink::open(&path, []).unwrap();
    first.say("one");
    assert_eq!(first.finish().unwrap(), Written { kept: 4, left_out: 0 });
    let second = Sink::open(&path, []).unwrap();
    second.say("two");
    second.finish().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn f46_a_full_disk_is_told_at_the_end_and_stops_nobody() {
    let sink = Sink::open(Path::new("/dev/full"), []).unwrap();
    let mut tail = Tail::default();
    for _ in 0..100 {
        sink.write(&[b'x'; 8192], &mut tail);
    }
    sink.end(&mut tail);
    assert_eq!(tail.text().len(), 64 * 1024);
    assert_eq!(sink.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
}

#[test]
fn f59_a_secret_in_a_line_of_our_own_is_replaced() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("output");
    let secret = Secret::new("hunter2-hunter2");
    let sink = Sink::open(&path, [&secret]).unwrap();
    sink.say("the password is hunter2-hunter2");
    sink.finish().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"the password is [secret]\n");
    assert_eq!(format!("{sink:?}"), "Sink(…)");
}

#[test]
fn f59_what_a_person_is_told_and_what_a_question_is_answered_with_hold_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let secret = Secret::new("correct/horse");
    let sink = Sink::open(&folder.path().join("output"), [&secret]).unwrap();
    assert_eq!(sink.mask("login correct/horse"), "login [secret]");
    assert!(sink.mask("Y29ycmVjdC9ob3JzZQ==").starts_with("[secret]"));
    let mut advice = Advice::new("X", "correct/horse", "not correct%2Fhorse", "correct/horse again")
        .with_evidence(["line correct/horse"]);
    mask_advice([secret.expose()], &mut advice);
    let shown = format!("{advice} {:?}", advice.evidence);
    assert!(!shown.contains("horse"), "{shown}");
    assert_eq!(shown.matches("[secret]").count(), 4, "{shown}");
}
