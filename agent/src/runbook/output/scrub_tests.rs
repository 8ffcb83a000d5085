use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

fn scrubbed<'a>(secrets: &[&str], chunks: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut scrubber = Scrubber::new(secrets.iter().copied()).unwrap();
    let mut out = Vec::new();
    for chunk in chunks {
        scrubber.push(chunk, &mut out);
    }
    scrubber.finish(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Cut at every point, and into single bytes: always the same.
fn same_however_cut(secrets: &[&str], text: &str, wanted: &str) {
    let bytes = text.as_bytes();
    for at in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(scrubbed(secrets, [head, tail]), wanted, "cut at {at}");
    }
    assert_eq!(scrubbed(secrets, bytes.chunks(1)), wanted, "single bytes");
}

#[test]
fn f59_a_secret_is_replaced_wherever_it_is_cut() {
    let secret = "correct-horse";
    same_however_cut(&[secret], "a correct-horse b", "a [secret] b");
    same_however_cut(&[secret], "correct-horsecorrect-horse", "[secret]");
    same_however_cut(&[secret], "correct-hor", "[secret]");
    same_however_cut(&[secret], "correct", "correct");
    same_however_cut(&[secret], "correct-house correct-horse", "correct-house [secret]");
}

#[test]
fn f59_secrets_that_overlap_leave_nothing_of_either() {
    same_however_cut(&["abcdXYZ9", "XYZ912345678"], "<abcdXYZ912345678>", "<[secret]>");
    same_however_cut(&["abcdabcd"], "<abcdabcdabcd>", "<[secret]>");
    same_however_cut(
        &["long-secret", "secret"],
        "<long-secret> <secret>",
        "<[secret]> <[secret]>",
    );
}

#[test]
fn f59_join_tokens_and_private_keys_are_known_by_their_looks() {
    same_however_cut(&[], "join cja1_aB3_x-9_zz_1 now", "join [secret] now");
    same_however_cut(
        &[],
        "x -----BEGIN CERTIFICATE-----\nMII\n",
        "x -----BEGIN CERTIFICATE-----\nMII\n",
    );
    let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\ncja1_x\n-----END RSA PRIVATE KEY-----";
    same_however_cut(&[], &format!("before\n{key}\nafter"), "before\n[secret]\nafter");
    same_however_cut(
        &[key],
        &format!("before\n{key}\nafter"),
        "before\n[secret]\nafter",
    );
    same_however_cut(&[], "-----BEGIN PRIVATE KEY-----\nMIIE", "[secret]");
}

#[test]
fn a_private_key_that_never_ends_does_not_hide_the_rest() {
    let mut text = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    text.push_str(&"x".repeat(2 * LONGEST_KEY));
    let chunks = text.as_bytes().chunks(1000).chain([&b"\nfailed: no space\n"[..]]);
    assert!(scrubbed(&[], chunks).ends_with("failed: no space\n"));
}

#[test]
fn ordinary_text_passes_at_once() {
    let mut scrubber = Scrubber::new(["correct-horse"]).unwrap();
    let mut out = Vec::new();
    scrubber.push(b"Get:1 http://deb.debian.org c", &mut out);
    assert_eq!(out, b"Get:1 http://deb.debian.org ");
    scrubber.push(b"a", &mut out);
    assert!(out.ends_with(b" ca"));
}

fn secrets() -> impl Strategy<Value = Vec<String>> {
    let odd = "[a-c]{8,14}";
    let usual = "[ -~äß€]{8,40}";
    let lines = "[a-zA-Z0-9+/]{8,20}\n[a-zA-Z0-9+/]{8,20}";
    proptest::collection::vec(prop_oneof![odd, usual, lines], 1..4)
}

/// How a secret may be printed.
fn printed(secret: &str, how: u8) -> String {
    let lead = "x".repeat(usize::from(how) % 3);
    match how % 18 / 3 {
        0 => STANDARD.encode(format!("{lead}{secret}")),
        1 => URL_SAFE.encode(format!("{lead}{secret}!")),
        2 => serde_json::Value::from(secret).to_string(),
        3 => secret.bytes().map(percent).collect(),
        _ => secret.to_owned(),
    }
}

/// Every piece of eight bytes or more of a secret, in each form: found on the way that a reader would find it.
fn pieces(secret: &str) -> Vec<Vec<u8>> {
    let windows = |text: &str, length: usize| -> Vec<Vec<u8>> {
        text.as_bytes().windows(length).map(<[u8]>::to_vec).collect()
    };
    let mut all = windows(secret, 8);
    for (lead, engine) in [0, 1, 2]
        .into_iter()
        .flat_map(|lead| [(lead, STANDARD), (lead, URL_SAFE)])
    {
        let text = engine.encode(["x".repeat(lead).as_str(), secret].concat());
        // Without the characters that a neighbour has a part in; eleven of them carry eight bytes.
        let (first, last) = ((lead * 8).div_ceil(6), (lead + secret.len()) * 8 / 6);
        all.extend(windows(&text[first..last], 11));
    }
    let encoded: Vec<String> = secret.bytes().map(percent).collect();
    all.extend(encoded.windows(8).map(|window| window.concat().into_bytes()));
    all
}

fn percent(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn f59_no_piece_of_a_secret_survives_any_chunking(
        secrets in secrets(),
        said in proptest::collection::vec((0usize..4, 0u8..18, "[ \\n0-9.:]{0,12}"), 1..8),
        cuts in proptest::collection::vec(0usize..400, 0..12),
    ) {
        let mut text = String::new();
        for (which, how, between) in &said {
            text.push_str(&printed(&secrets[which % secrets.len()], *how));
            text.push_str(between);
        }
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < text.len()).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]);
        let names: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let out = scrubbed(&names, chunks);
        for secret in &secrets {
            for piece in pieces(secret) {
                // Ordinary text between the secrets, which may look like a piece of one, is no leak.
                let plain = piece.iter().all(|b| b" \n0123456789.:".contains(b));
                let leaks = std::str::from_utf8(&piece).map_or_else(
                    |_| out.as_bytes().windows(piece.len()).any(|seen| seen == piece),
                    |text| out.contains(text),
                );
                prop_assert!(plain || !leaks, "{:?} of {:?} in {:?}", piece, secret, out);
            }
        }
    }
}
