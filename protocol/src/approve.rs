//! Joining without a secret: `POST /v1/enrol` with [`EnrolRequest`] answers [`EnrolReply`], until an operator has
//! compared the six words that the host shows with those that the controller shows, or the time is over.
//!
//! What the host is given beforehand is an [`Invitation`]: a join token, or only the pin of the controller's root as
//! `cjp1_<pin>_<check>` (both pins, while one root follows another). A pin is no secret: whoever has it knows whom to
//! trust, and may ask.

use crate::crc32::crc32;
use crate::enrol::{JoinReply, JoinToken, Pins, TokenError};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

const PREFIX: &str = "cjp1";
/// BIP-39's English list: 2,048 common words, told apart by their first four letters.
const WORDS: &str = include_str!("words.txt");
const BITS: usize = 11;
/// How many words stand for a key: 66 bits of its hash.
const SHOWN: usize = 6;

/// What lets a host join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invitation {
    /// A secret that works once.
    Token(JoinToken),
    /// Whom to trust; the operator approves the host's key by its words.
    Pins(Pins),
}

impl Invitation {
    /// Pins as they are handed on.
    pub fn of_pins(pins: &Pins) -> String {
        let body = format!("{PREFIX}_{}", pins.text());
        let check = crc32(body.as_bytes());
        format!("{body}_{check:08x}")
    }
}

impl FromStr for Invitation {
    type Err = TokenError;
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let Some(pins) = text.strip_prefix(PREFIX).and_then(|text| text.strip_prefix('_')) else {
            return text.parse().map(Self::Token);
        };
        let pins = pins.split('_').next().and_then(Pins::read);
        let pins = pins.ok_or(TokenError::Damaged)?;
        if Self::of_pins(&pins) == text {
            Ok(Self::Pins(pins))
        } else {
            Err(TokenError::Damaged)
        }
    }
}

/// The six words for a key, by the SHA-256 of its `SubjectPublicKeyInfo`.
pub fn words(spki: &[u8; 32]) -> String {
    let bit = |at: usize| usize::from(spki[at / 8] >> (7 - at % 8) & 1);
    let number = |word: usize| (word * BITS..(word + 1) * BITS).fold(0, |number, at| number << 1 | bit(at));
    let chosen: Vec<&str> = (0..SHOWN)
        .filter_map(|word| WORDS.lines().nth(number(word)))
        .collect();
    chosen.join(" ")
}

/// Whether somebody has typed these words, whatever stands between them.
pub fn are_the_words(typed: &str, words: &str) -> bool {
    let typed = typed.to_lowercase();
    typed
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .eq(words.split(' '))
}

/// What an agent sends, again and again, while it waits to be approved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// A PKCS#10 request in PEM; only its public key is taken.
    pub csr: String,
    /// What the host calls itself, for the operator to recognise it; it proves nothing.
    #[serde(default)]
    pub hostname: String,
}

/// What the controller answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EnrolReply {
    /// Nobody has decided yet: ask again at once, with the same key.
    Waiting {
        /// For how much longer this may go on.
        left_secs: u64,
    },
    /// The host has joined; the same key is told so again, for the answer may have been lost.
    Joined(Box<JoinReply>),
    /// A newer word than this build knows: ask again.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrol::hex;
    use crate::secret::Secret;

    #[test]
    fn an_invitation_is_a_token_or_a_pin_and_a_typing_error_is_told() {
        let token = JoinToken {
            pins: [7; 32].into(),
            id: [1; 8],
            secret: Secret::new(hex(&[9; 32])),
        };
        let mut pins = Pins::from([7; 32]);
        assert_eq!(Invitation::of_pins(&pins).parse(), Ok(Invitation::Pins(pins)));
        pins.next = Some([8; 32]);
        let text = Invitation::of_pins(&pins);
        assert_eq!(text.parse(), Ok(Invitation::Pins(pins)));
        assert_eq!(token.text().expose().parse(), Ok(Invitation::Token(token)));
        for at in 5..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert_eq!(wrong.parse::<Invitation>(), Err(TokenError::Damaged), "{at}");
        }
        assert_eq!("hunter2".parse::<Invitation>(), Err(TokenError::Shape));
        assert_eq!("cjp1_".parse::<Invitation>(), Err(TokenError::Damaged));
    }

    #[test]
    fn the_words_are_those_of_the_well_known_list() {
        let hash = ring::digest::digest(&ring::digest::SHA256, WORDS.as_bytes());
        assert_eq!(
            hex(hash.as_ref()),
            "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
        );
        assert_eq!(WORDS.lines().count(), 1 << BITS);
    }

    #[test]
    fn a_key_has_the_same_six_words_for_ever_and_every_bit_of_them_counts() {
        let mut key = [0; 32];
        assert_eq!(words(&key), "abandon abandon abandon abandon abandon abandon");
        assert_eq!(words(&[255; 32]), "zoo zoo zoo zoo zoo zoo");
        for bit in 0..SHOWN * BITS {
            key[bit / 8] = 128 >> (bit % 8);
            assert_ne!(words(&key), words(&[0; 32]), "{bit}");
            key[bit / 8] = 0;
        }
        let other = words(b"0123456789abcdef0123456789abcdef");
        assert_eq!(other, "coral maze mimic half fat breeze");
    }

    #[test]
    fn words_are_compared_as_people_type_them() {
        assert!(are_the_words(" Abandon-ability,  able\n", "abandon ability able"));
        for other in [
            "",
            "abandon ability",
            "abandon ability able able",
            "ability abandon able",
        ] {
            assert!(!are_the_words(other, "abandon ability able"), "{other}");
        }
    }
}
