//! The join token and the enrolment exchange: `POST /v1/join` with [`JoinRequest`] answers [`JoinReply`].
//!
//! A token is `cja1_<pin>_<id>_<secret>_<check>`: the SHA-256 of the root's public key, so that the agent knows
//! whom it talks to before it says anything; the id and the secret; and a checksum, so that a typing error is
//! told from a refusal. The parts are lower-case hex, because base64url uses `_` itself. While one root follows another
//! the pins of both stand one after the other in the place of the one, so that the token is good however that ends.

use crate::crc32::crc32;
use crate::names::{HostId, HostName};
use crate::secret::Secret;
use crate::site::{Domain, GitRemote};
use crate::trust::SignedBundle;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use uuid::Uuid;

const PREFIX: &str = "cja1";

/// The roots that whoever holds a token may meet, each as the SHA-256 of its public key (its `SubjectPublicKeyInfo`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pins {
    /// The root of the moment.
    pub now: [u8; 32],
    /// The one that is to follow it.
    pub next: Option<[u8; 32]>,
}

impl Pins {
    /// Whether a root with this pin is one of them.
    pub fn has(&self, pin: &[u8]) -> bool {
        self.now == pin || self.next.is_some_and(|next| next == pin)
    }

    pub(crate) fn text(&self) -> String {
        hex(&self.now) + &self.next.map(|next| hex(&next)).unwrap_or_default()
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        match text.split_at_checked(64)? {
            (now, "") => Some(Self::from(unhex(now)?)),
            (now, next) => Some(Self {
                now: unhex(now)?,
                next: Some(unhex(next)?),
            }),
        }
    }
}

impl From<[u8; 32]> for Pins {
    fn from(now: [u8; 32]) -> Self {
        Self { now, next: None }
    }
}

/// A one-time permission to join, as the operator hands it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Whom to trust for the answer.
    pub pins: Pins,
    /// Which token.
    pub id: [u8; 8],
    /// What proves it, in hex.
    pub secret: Secret,
}

/// Why a text is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Something else altogether.
    #[error("this is not a join token: it starts with `cja1_` and is printed by `chatalotctl host add`")]
    Shape,
    /// A token with an error in it.
    #[error("the join token is damaged: copy it again, whole")]
    Damaged,
}

impl JoinToken {
    /// The token as it is handed on.
    pub fn text(&self) -> Secret {
        seal(PREFIX, &self.pins, &self.id, &self.secret)
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let (pins, id, secret) = unseal(PREFIX, text)?;
        Ok(Self { pins, id, secret })
    }
}

/// The text of a token of any kind: `<prefix>_<pin>_<id>_<secret>_<check>`.
pub fn seal(prefix: &str, pins: &Pins, id: &[u8; 8], secret: &Secret) -> Secret {
    let body = format!("{prefix}_{}_{}_{}", pins.text(), hex(id), secret.expose());
    let check = crc32(body.as_bytes());
    Secret::new(format!("{body}_{check:08x}"))
}

/// Reads pins, id and secret out of a token's text.
pub fn unseal(prefix: &str, text: &str) -> Result<(Pins, [u8; 8], Secret), TokenError> {
    let text = text.trim();
    let (body, check) = text.rsplit_once('_').ok_or(TokenError::Shape)?;
    let mut parts = body.split('_');
    if parts.next() != Some(prefix) {
        return Err(TokenError::Shape);
    }
    // Written as it is handed on: one token has one spelling.
    if check != format!("{:08x}", crc32(body.as_bytes())) || body.contains(|c: char| c.is_ascii_uppercase()) {
        return Err(TokenError::Damaged);
    }
    let mut next = || parts.next().ok_or(TokenError::Damaged);
    let (pins, id, secret) = (next()?, next()?, next()?);
    let secret: [u8; 32] = unhex(secret).ok_or(TokenError::Damaged)?;
    let pins = Pins::read(pins).ok_or(TokenError::Damaged)?;
    let id = unhex(id).ok_or(TokenError::Damaged)?;
    if parts.next().is_some() {
        return Err(TokenError::Damaged);
    }
    Ok((pins, id, Secret::new(hex(&secret))))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

/// Reads exactly `N` bytes of hex.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // Judged before anything is read.
    if text.len() != 2 * N {
        return None;
    }
    for (byte, read) in bytes.iter_mut().zip(digits(text)?) {
        *byte = read?;
    }
    Some(bytes)
}

/// Reads hex of any length.
pub fn unhex_all(text: &str) -> Option<Vec<u8>> {
    digits(text)?.collect()
}

/// Each two digits as a byte; `None` for what are not two digits each.
fn digits(text: &str) -> Option<impl Iterator<Item = Option<u8>>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    Some(
        pairs
            .iter()
            .map(move |[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()),
    )
}

/// What an agent sends to join.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The token's id, in hex.
    pub token_id: String,
    /// The token's secret, in hex.
    #[serde(with = "crate::secret::carried")]
    pub token_secret: Option<Secret>,
    /// A PKCS#10 request in PEM; only its public key is taken.
    pub csr: String,
}

/// What the controller answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JoinReply {
    /// The host's id.
    pub host: HostId,
    /// What the operator calls it.
    pub name: HostName,
    /// The controller's cluster.
    pub cluster: Uuid,
    /// The agent's certificate chain, in PEM.
    pub certificate: String,
    /// The authorities to trust on the control channel, in PEM.
    pub authorities: String,
    /// The version of the bundle that these authorities are.
    #[serde(default)]
    pub trusts: u64,
    /// That bundle, for a host that trusts something already: it believes nothing but what that has signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<SignedBundle>,
    /// The domains that this host may serve; empty means any.
    #[serde(default)]
    pub domains: Vec<Domain>,
    /// Where the source may come from; empty means chatalot's own repository only.
    #[serde(default)]
    pub git_remotes: Vec<GitRemote>,
    /// After how many seconds the certificate is to be renewed, less or more a tenth.
    #[serde(default)]
    pub renew_after_secs: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        JoinToken {
            pins: [7; 32].into(),
            id: [1, 2, 3, 4, 5, 6, 7, 8],
            secret: Secret::new(hex(&[9; 32])),
        }
    }

    #[test]
    fn a_token_comes_back_as_it_went() {
        assert_eq!(token().text().expose().parse::<JoinToken>().unwrap(), token());
    }

    #[test]
    fn f18_a_token_of_a_rotation_carries_both_pins_and_looks_like_any_other() {
        let mut both = token();
        both.pins.next = Some([8; 32]);
        let text = both.text();
        let one = token()
            .text()
            .expose()
            .split('_')
            .map(str::len)
            .collect::<Vec<_>>();
        let two = text.expose().split('_').map(str::len).collect::<Vec<_>>();
        assert_eq!((one, two), (vec![4, 64, 16, 64, 8], vec![4, 128, 16, 64, 8]));
        let read: JoinToken = text.expose().parse().unwrap();
        assert_eq!(read, both);
        assert!(read.pins.has(&[7; 32]) && read.pins.has(&[8; 32]) && !read.pins.has(&[9; 32]));
        assert_eq!(Pins::read(&"ab".repeat(65)), None);
    }

    #[test]
    fn f05_a_typing_error_in_a_token_is_told_before_anything_is_sent() {
        let text = token().text().expose().to_owned();
        for at in 5..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert_ne!(wrong.parse::<JoinToken>(), Ok(token()), "{at}");
        }
        assert_eq!("hunter2".parse::<JoinToken>(), Err(TokenError::Shape));
        assert_eq!(
            text[..text.len() - 3].parse::<JoinToken>(),
            Err(TokenError::Damaged)
        );
    }

    #[test]
    fn f05_a_token_has_one_spelling() {
        let with = |from: &str, to: &str| {
            let text = token().text().expose().replace(from, to);
            let body = text.rsplit_once('_').unwrap().0;
            format!("{body}_{:08x}", crc32(body.as_bytes())).parse::<JoinToken>()
        };
        assert_eq!(with("", ""), Ok(token()));
        assert_eq!(with("_01", "_+1"), Err(TokenError::Damaged));
        let other = JoinToken {
            pins: [0xab; 32].into(),
            ..token()
        };
        let capitals = other.text().expose().replace("ab", "AB");
        let body = capitals.rsplit_once('_').unwrap().0;
        let capitals = format!("{body}_{:08x}", crc32(body.as_bytes()));
        assert_eq!(capitals.parse::<JoinToken>(), Err(TokenError::Damaged));
        let text = token().text().expose().to_owned();
        let (body, check) = text.rsplit_once('_').unwrap();
        let longer = format!("{body}_0{check}");
        assert_eq!(longer.parse::<JoinToken>(), Err(TokenError::Damaged));
        assert_eq!(unhex::<1>("+f"), None);
        assert_eq!((unhex_all("+f"), unhex_all("abc")), (None, None));
        assert_eq!(
            (unhex("0aFf"), unhex_all("0aFf")),
            (Some([10, 255]), Some(vec![10, 255]))
        );
    }
}
