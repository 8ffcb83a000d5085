//! The test vectors of RFC 5769, and what is none of them.

use super::*;

const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74\
    002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020\
    000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";
const KEY: &str = "e8ca7ad59d5eb0518e312911d2dab2a9";
const IPV4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220\
    002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";
const IPV6: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220\
    002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed41\
    80280004c8fb0b4c";
const LONG_TERM: &str = "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b90000\
    0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700\
    00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

#[test]
fn the_request_of_rfc_5769_is_read_and_its_signature_verified() {
    let message = Message::parse(&bytes(REQUEST)).unwrap();
    assert_eq!(message.text(Name::Software).unwrap(), "STUN test client");
    assert_eq!(message.text(Name::Username).unwrap(), "evtj:h6vY");
    assert!(is_signed(&bytes(REQUEST), PASSWORD));
    assert!(!is_signed(&bytes(REQUEST), b"another"));
}

#[test]
fn the_answers_of_rfc_5769_tell_their_addresses() {
    for (text, address) in [
        (IPV4, "192.0.2.1:32853"),
        (IPV6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
    ] {
        let message = Message::parse(&bytes(text)).unwrap();
        assert_eq!(
            message.address(Name::XorMappedAddress).unwrap().to_string(),
            address
        );
        assert!(is_signed(&bytes(text), PASSWORD));
        let request = Message::request(Method::Binding, message.transaction);
        assert_eq!(message.answers(&request), Some(Class::Success));
        let other = Message::request(Method::Allocate, message.transaction);
        assert_eq!(message.answers(&other), None);
    }
}

#[test]
fn the_long_term_request_of_rfc_5769_is_what_we_would_have_sent() {
    let theirs = Message::parse(&bytes(LONG_TERM)).unwrap();
    // MD5 of `マトリックス:example.org:TheMatrIX`.
    let key = bytes(KEY);
    assert!(is_signed(&bytes(LONG_TERM), &key));
    let ours = Message::request(Method::Binding, theirs.transaction)
        .with(Name::Username, "マトリックス")
        .with(Name::Nonce, "f//499k954d6OL34oL9FSTvy64sA")
        .with(Name::Realm, "example.org")
        .bytes(Some(&key));
    assert!(is_signed(&ours, &key));
    let end = bytes(LONG_TERM).len();
    assert_eq!(ours[4..end], bytes(LONG_TERM)[4..]);
}

#[test]
fn what_was_changed_cut_or_added_to_is_refused() {
    let whole = bytes(IPV4);
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        // The signature covers all but the fingerprint behind it.
        let covered = at < whole.len() - 8;
        assert!(
            Message::parse(&changed).is_none() || !(covered && is_signed(&changed, PASSWORD)),
            "byte {at}"
        );
        assert_eq!(Message::parse(&whole[..at]), None, "cut at {at}");
    }
    assert_eq!(Message::parse(&[&whole[..], &[0; 4]].concat()), None);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(noise: Vec<u8>) {
        let framed = [&[1, 1, 0, u8::try_from(noise.len() & 0xfc).unwrap_or(0)][..], &COOKIE, &[0; 12], &noise].concat();
        for bytes in [noise.as_slice(), &framed] {
            if let Some(message) = Message::parse(bytes) {
                let _ = (message.error(), message.address(Name::XorMappedAddress), is_signed(bytes, b"k"));
            }
        }
    }
}
