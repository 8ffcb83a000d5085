//! Joining without a secret: what a host is given beforehand, what it sends, and the words that a person compares.

use super::joining::{open as open_joining, signed};
use super::{parts, texts};
use chatalot_protocol::approve::{EnrolReply, EnrolRequest, Invitation, are_the_words, words};
use chatalot_protocol::crc32::crc32;
use chatalotctl::ca::{Applicant, sha256};
use chatalotctl::waiting::Waiting;
use std::net::{IpAddr, Ipv4Addr};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(super) fn open() {
    open_joining();
}

pub(super) fn approval(input: &[u8]) {
    let [text] = texts(input);
    invited(&text);
    // No fuzzer finds a checksum.
    invited(&format!("{text}_{:08x}", crc32(text.as_bytes())));
    let wishes: Option<EnrolRequest> = serde_json::from_slice(input).ok();
    // Signing takes longest, so it is done only where something is said for it.
    let made = input.contains(&0).then(|| {
        let [hostname, request] = texts(input);
        EnrolRequest {
            csr: signed(request.as_bytes()),
            hostname,
        }
    });
    for request in wishes.into_iter().chain(made) {
        waits(&request);
    }
    if let Ok(reply) = serde_json::from_slice::<EnrolReply>(input) {
        let text = serde_json::to_vec(&reply).expect("what was read can be written");
        serde_json::from_slice::<EnrolReply>(&text).expect("what was written can be read");
    }
    let [key, typed] = parts(input);
    compared(&sha256(key), &String::from_utf8_lossy(typed));
}

/// An invitation has one spelling, but for the white space that copying brings along.
fn invited(text: &str) {
    match text.parse::<Invitation>() {
        Ok(Invitation::Pins(pins)) => assert_eq!(Invitation::of_pins(&pins), text.trim()),
        Ok(Invitation::Token(token)) => assert_eq!(token.text().expose(), text.trim()),
        Err(error) => assert!(error.to_string().len() < 256),
    }
}

/// Whoever may ask is kept under the words of its key, and with little of what it says of itself.
fn waits(request: &EnrolRequest) {
    let Ok(applicant) = Applicant::read(&request.csr) else {
        return;
    };
    let key = applicant.fingerprint();
    let waiting = Waiting::default();
    assert_eq!(waiting.asks(key, ADDRESS, &request.hostname, 0), Ok(true));
    assert_eq!(waiting.asks(key, ADDRESS, &request.hostname, 0), Ok(false));
    let [waiter] = waiting.list().try_into().expect("one who waits");
    assert_eq!((waiter.spki, waiter.words), (key, words(&key)));
    assert!(waiter.hostname.chars().count() <= 64 && !waiter.hostname.contains(char::is_control));
}

/// Nothing but the words themselves, in their order, is taken for them.
fn compared(key: &[u8; 32], typed: &str) {
    let words = words(key);
    assert_eq!(words.split(' ').count(), 6);
    assert!(are_the_words(&words.to_uppercase().replace(' ', " - "), &words));
    let letters = |text: &str| -> String {
        let text = text.to_lowercase();
        text.chars().filter(|letter| letter.is_alphanumeric()).collect()
    };
    if are_the_words(typed, &words) {
        assert_eq!(letters(typed), letters(&words));
    }
}
