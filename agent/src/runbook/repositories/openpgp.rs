//! As much of RFC 9580 as it takes to be sure of a key: whose fingerprint it has, and that nothing else is with it.
//!
//! What is handed on is written anew from the very bytes that were judged: another reader would not find a second key
//! in what we have passed over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use std::fmt::Write as _;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// Packets by their tags, as RFC 9580 numbers them.
const SIGNATURE: u8 = 2;
const PUBLIC_KEY: u8 = 6;
const USER_ID: u8 = 13;
const PUBLIC_SUBKEY: u8 = 14;
const USER_ATTRIBUTE: u8 = 17;

/// Why something is no key to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither armoured nor binary.
    #[error("it is no OpenPGP key")]
    NoKey,
    /// A packet ends before it should.
    #[error("it is cut off or damaged")]
    Damaged,
    /// Something that a public key does not consist of.
    #[error("it holds something else than a public key (packet {0})")]
    Odd(u8),
    /// More than one key, of which only one was meant.
    #[error("it holds more than one key")]
    Several,
    /// A version whose fingerprint we do not compute.
    #[error("it is a key of version {0}, which is neither 4 nor 6")]
    Version(u8),
}

/// One public key, with its subkeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    packets: Vec<u8>,
    fingerprint: String,
}

impl Key {
    /// Reads a key, armoured or not, and judges every packet of it.
    pub fn read(bytes: &[u8]) -> Result<Self, KeyError> {
        let packets = match bytes.first() {
            Some(first) if first & 0x80 != 0 => bytes.to_vec(),
            _ => unarmoured(&String::from_utf8_lossy(bytes))?,
        };
        let (mut rest, mut fingerprint) = (packets.as_slice(), None);
        while !rest.is_empty() {
            let (tag, body, after) = packet(rest)?;
            match tag {
                PUBLIC_KEY if fingerprint.is_some() => return Err(KeyError::Several),
                PUBLIC_KEY => fingerprint = Some(fingerprint_of(body)?),
                SIGNATURE | USER_ID | PUBLIC_SUBKEY | USER_ATTRIBUTE if fingerprint.is_some() => {}
                other => return Err(KeyError::Odd(other)),
            }
            rest = after;
        }
        let fingerprint = fingerprint.ok_or(KeyError::NoKey)?;
        Ok(Self { packets, fingerprint })
    }

    /// The fingerprint in capital hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The key in its armour, for apt and rpm alike.
    pub fn armoured(&self) -> String {
        let encoded = STANDARD.encode(&self.packets);
        let mut text = format!("{BEGIN}\n\n");
        for line in encoded.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        let sum = STANDARD.encode(&crc24(&self.packets).to_be_bytes()[1..]);
        // Writing to a string does not fail.
        let _ = writeln!(text, "={sum}\n{END}");
        text
    }
}

/// The packets in the first block of armour.
fn unarmoured(text: &str) -> Result<Vec<u8>, KeyError> {
    let block = text.split_once(BEGIN).ok_or(KeyError::NoKey)?.1;
    let block = block.split_once(END).ok_or(KeyError::Damaged)?.0;
    let lines = block.lines().map(str::trim);
    // Headers look like `Version: …`; the sum at the end begins with `=`.
    let data: String = lines
        .filter(|line| !line.contains(':') && !line.starts_with('='))
        .collect();
    STANDARD.decode(data).map_err(|_| KeyError::Damaged)
}

/// The first packet: its tag, its body, and what comes after it.
fn packet(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), KeyError> {
    let (&first, rest) = bytes.split_first().ok_or(KeyError::Damaged)?;
    if first & 0x80 == 0 {
        return Err(KeyError::Damaged);
    }
    let (tag, length, rest) = if first & 0x40 == 0 {
        let size = match first & 3 {
            0 => 1,
            1 => 2,
            2 => 4,
            _ => return Err(KeyError::Damaged),
        };
        let (length, rest) = number(rest, size)?;
        ((first >> 2) & 0x0f, length, rest)
    } else {
        let (length, rest) = new_length(rest)?;
        (first & 0x3f, length, rest)
    };
    if length > rest.len() {
        return Err(KeyError::Damaged);
    }
    let (body, after) = rest.split_at(length);
    Ok((tag, body, after))
}

/// A length of the newer form. Those of parts are for data, and no key has them.
fn new_length(bytes: &[u8]) -> Result<(usize, &[u8]), KeyError> {
    let (&first, rest) = bytes.split_first().ok_or(KeyError::Damaged)?;
    match first {
        0..=191 => Ok((usize::from(first), rest)),
        192..=223 => {
            let (&second, rest) = rest.split_first().ok_or(KeyError::Damaged)?;
            Ok((
                ((usize::from(first) - 192) << 8) + usize::from(second) + 192,
                rest,
            ))
        }
        255 => number(rest, 4),
        _ => Err(KeyError::Damaged),
    }
}

/// A number of so many bytes, the most significant first.
fn number(bytes: &[u8], size: usize) -> Result<(usize, &[u8]), KeyError> {
    let (digits, rest) = bytes.split_at_checked(size).ok_or(KeyError::Damaged)?;
    let value = digits
        .iter()
        .fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit));
    Ok((value, rest))
}

fn fingerprint_of(body: &[u8]) -> Result<String, KeyError> {
    let length = u32::try_from(body.len()).map_err(|_| KeyError::Damaged)?;
    let (algorithm, head) = match body.first() {
        Some(4) => (
            &SHA1_FOR_LEGACY_USE_ONLY,
            [&[0x99], &length.to_be_bytes()[2..]].concat(),
        ),
        Some(6) => (&SHA256, [&[0x9b], &length.to_be_bytes()[..]].concat()),
        Some(version) => return Err(KeyError::Version(*version)),
        None => return Err(KeyError::Damaged),
    };
    if body.first() == Some(&4) && length > u32::from(u16::MAX) {
        return Err(KeyError::Damaged);
    }
    let mut digest = Context::new(algorithm);
    digest.update(&head);
    digest.update(body);
    Ok(chatalot_protocol::enrol::hex(digest.finish().as_ref()).to_uppercase())
}

fn crc24(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x00B7_04CE, |sum, byte| {
        (0..8).fold(sum ^ (u32::from(*byte) << 16), |sum, _| {
            let next = sum << 1;
            if next & 0x0100_0000 == 0 {
                next
            } else {
                (next ^ 0x0186_4CFB) & 0x00FF_FFFF
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::PUBLISHED_KEYS;
    use crate::runbook::distro::DISTROS;
    use proptest::prelude::*;

    #[test]
    fn every_pinned_fingerprint_is_the_one_of_the_published_key() {
        for row in DISTROS.iter().flat_map(|row| row.repositories) {
            let key = PUBLISHED_KEYS.iter().find(|(print, _)| *print == row.fingerprint);
            let text = key.map(|(_, text)| *text).unwrap_or_default();
            let key = Key::read(text.as_bytes()).unwrap();
            assert_eq!(key.fingerprint(), row.fingerprint, "{}", row.key);
            assert_eq!(key.armoured(), text, "the armour is the same as others make it");
            assert_eq!(Key::read(&key.packets).unwrap(), key, "binary is as good");
        }
    }

    #[test]
    fn a_second_key_and_anything_else_beside_it_is_refused() {
        let one = Key::read(PUBLISHED_KEYS[0].1.as_bytes()).unwrap().packets;
        let other = Key::read(PUBLISHED_KEYS[1].1.as_bytes()).unwrap().packets;
        assert_eq!(
            Key::read(&[one.clone(), other.clone()].concat()),
            Err(KeyError::Several)
        );
        // A literal packet, in front and behind.
        let odd = [0xcb, 1, b'x'];
        assert_eq!(Key::read(&[&odd, &one[..]].concat()), Err(KeyError::Odd(11)));
        assert_eq!(Key::read(&[&one[..], &odd].concat()), Err(KeyError::Odd(11)));
        assert_eq!(Key::read(&one[..one.len() - 1]), Err(KeyError::Damaged));
        assert_eq!(Key::read(b"<html>not found</html>"), Err(KeyError::NoKey));
        assert_eq!(Key::read(b""), Err(KeyError::NoKey));
        // Of two blocks of armour only the first is read, and only that is written.
        let both = format!("{}{}", PUBLISHED_KEYS[0].1, PUBLISHED_KEYS[1].1);
        assert_eq!(
            Key::read(both.as_bytes()).unwrap().armoured(),
            PUBLISHED_KEYS[0].1
        );
    }

    #[test]
    fn a_key_of_version_6_has_the_fingerprint_of_rfc_9580() {
        // Appendix A.3 of RFC 9580: the primary key of the sample certificate.
        let body = "0663877fe31b00000020f94da7bb48d60a61e567706a6587d0331999bb9d891a08242ead84543df895a3";
        let body: Vec<u8> = (0..body.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&body[at..at + 2], 16).unwrap())
            .collect();
        assert_eq!(
            fingerprint_of(&body).unwrap(),
            "CB186C4F0609A697E4D52DFA6C722B0C1F1E27C18A56708F6525EC27BAD9ACC9"
        );
        assert_eq!(fingerprint_of(&[3, 0]), Err(KeyError::Version(3)));
    }

    proptest! {
        #[test]
        fn whatever_is_read_as_a_key_never_panics_and_survives_its_armour(bytes: Vec<u8>) {
            if let Ok(key) = Key::read(&bytes) {
                prop_assert_eq!(Key::read(key.armoured().as_bytes()).unwrap(), key);
            }
        }
    }
}
