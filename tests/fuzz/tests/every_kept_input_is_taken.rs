//! Every input of the corpus through its decoder, without the fuzzer: what it has found once is found for ever.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose helpers are outside of test functions"
)]

use chatalot_fuzz::{TARGETS, corpus, feed, named, targets};
use chatalotctl::api::routes::ROUTES;
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the issue that asked for this names, and the target that has it.
const NAMED: [(&str, &str); 11] = [
    ("frame", "frame"),
    ("hello", "hello"),
    ("job", "job"),
    ("event", "event"),
    ("token", "token"),
    ("CSR", "csr"),
    ("policy", "policy"),
    ("site file", "site-file"),
    ("installer output", "installer-output"),
    ("health body", "health-body"),
    ("unix-socket request", "local-request"),
];
/// The most that a corpus takes: it is read whole by whoever clones the repository.
const LARGEST_CORPUS: usize = 64 << 10;

/// A server's task that panics is caught by its runtime: counted here, and not only where the test itself panics.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn holds(target: &chatalot_fuzz::Target, input: &[u8]) -> bool {
    let before = PANICS.load(Ordering::SeqCst);
    let fed = catch_unwind(AssertUnwindSafe(|| feed(target, input)));
    fed.is_ok() && PANICS.load(Ordering::SeqCst) == before
}

/// Inputs as long as they may be, of the kinds that grow most when they are decoded.
fn enormous(longest: usize) -> Vec<Vec<u8>> {
    let filled = |head: &str, piece: &str, tail: &str| {
        let room = longest - head.len() - tail.len();
        [head, &piece.repeat(room / piece.len()), tail]
            .concat()
            .into_bytes()
    };
    vec![
        filled("", "[", ""),
        filled("", "{\"a\":", ""),
        filled("{\"type\":\"events\",\"events\":[0", ",0", "]}"),
        filled(
            "{\"type\":\"ask\",\"id\":1,\"ask\":{\"ask\":\"plan\",\"x\":[0",
            ",0",
            "]}}",
        ),
        filled("{\"a\":\"", "\\u0000", "\"}"),
        filled("", "a=b\n", ""),
        filled("", "\u{202e}", ""),
        filled("x = [", "[],", "]"),
        filled("x = ", "[", ""),
        filled("", "services:\n  chatalot:\n    - \n", ""),
        filled("\0POST /v1/ask\0\0[0", ",0", "]"),
        filled("", "\0", ""),
        filled("", "\u{ff}\u{1}", ""),
    ]
}

/// A request to each endpoint of the controller, with and without something to read: a new one needs no new file.
fn endpoints() -> Vec<Vec<u8>> {
    let mut requests = Vec::new();
    for route in ROUTES {
        let place = |part: &str| match part {
            "{host}" => "chat-1".to_owned(),
            braces if braces.starts_with('{') => "00000000-0000-0000-0000-000000000007".to_owned(),
            other => other.to_owned(),
        };
        let path: Vec<String> = route.path.split('/').map(place).collect();
        for body in ["", "{}", "{\"name\":\"chat-1\"}", "[[[["] {
            requests.push(format!("\0{} {}\0\0{body}", route.method, path.join("/")).into_bytes());
        }
    }
    requests
}

/// One test, for the memory that is counted is that of the whole process.
#[test]
fn f28_every_kept_input_and_every_enormous_one_is_taken_without_a_panic_and_in_bounded_memory() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        usual(info);
    }));
    let mut broken = Vec::new();
    for target in TARGETS {
        let kept = corpus::inputs(target).unwrap();
        let routed = if matches!(target.name, "operator-request" | "visit") {
            endpoints()
        } else {
            Vec::new()
        };
        let large = routed.into_iter().chain(enormous(target.longest)).enumerate();
        let large = large.map(|(at, input)| (format!("made {at}"), input));
        for (name, input) in kept.into_iter().chain(large) {
            if !holds(target, &input) {
                broken.push(format!("{}/{name}", target.name));
            }
        }
    }
    targets::sweep();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_decoder_that_the_issue_names_has_a_target() {
    for (decoder, target) in NAMED {
        assert!(named(target).is_some(), "no target reads a {decoder}");
    }
}

#[test]
fn a_target_without_a_corpus_or_a_corpus_without_a_target_is_a_gap() {
    let folders: BTreeSet<String> = fs::read_dir(corpus::root())
        .unwrap()
        .map(|folder| folder.unwrap().file_name().into_string().unwrap())
        .collect();
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(folders, names);
    assert_eq!(names.len(), TARGETS.len(), "a name stands for one target");
    for target in TARGETS {
        let inputs = corpus::inputs(target).unwrap();
        assert!(inputs.len() >= 3, "`{}` has no corpus to speak of", target.name);
        let bytes: usize = inputs.iter().map(|(_, input)| input.len()).sum();
        assert!(
            bytes <= LARGEST_CORPUS,
            "the corpus of `{}` has {bytes} bytes",
            target.name
        );
    }
}
