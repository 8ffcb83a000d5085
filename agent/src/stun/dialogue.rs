//! What is asked of a TURN server after what: the own address, a relay without and then with credentials, and the
//! end of that relay. Pure: the sockets are somebody else's.

use super::{Class, HEADER, Message, Method, Name, is_signed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chatalot_protocol::secret::Secret;
use md5::{Digest, Md5};
use ring::hmac;
use std::net::SocketAddr;

/// The relay's transport, UDP, as the request names it.
const UDP: [u8; 4] = [17, 0, 0, 0];
const UNAUTHORISED: u16 = 401;
const STALE_NONCE: u16 = 438;

/// A user with a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

impl Credentials {
    /// Those that a server with a shared secret accepts until a time, as chatalot hands them to its users.
    pub fn of_secret(secret: &Secret, until_ms: i64) -> Self {
        let user = format!("{}:chatalot-agent", until_ms / 1000);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose().as_bytes());
        let password = STANDARD.encode(hmac::sign(&key, user.as_bytes()));
        Self {
            user,
            password: Secret::new(password),
        }
    }
}

/// The key that long-term credentials sign with.
pub fn long_term_key(user: &str, realm: &str, password: &str) -> Vec<u8> {
    Md5::digest(format!("{user}:{realm}:{password}")).to_vec()
}

/// What a server that relays has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Our address, as the server sees it.
    pub mapped: SocketAddr,
    /// The relay's address.
    pub relayed: SocketAddr,
    /// Whether it asked for no credentials: then everybody may use it.
    pub open: bool,
}

/// Why there is no relay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The credentials are not accepted.
    #[error("it refused the site's own credentials: {0}")]
    Credentials(String),
    /// Another error.
    #[error("it answered with the error {0} {1}")]
    Error(u16, String),
    /// An answer that no TURN server gives.
    #[error("its answer lacks {0}")]
    Odd(&'static str),
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// These bytes are to be sent, again and again until they are answered.
    Send(Vec<u8>),
    /// Somebody else's answer, or an old one: to be ignored.
    Wait,
    /// All is done.
    Done(Relay),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Binding,
    Knocking,
    Allocating { again: bool },
    Releasing,
}

/// One dialogue with one server, over one socket.
pub struct Dialogue<'a> {
    credentials: &'a Credentials,
    stage: Stage,
    asked: Message,
    realm: String,
    nonce: Vec<u8>,
    relay: Relay,
}

impl<'a> Dialogue<'a> {
    /// Begins one; the bytes are its first request.
    pub fn begin(credentials: &'a Credentials) -> (Self, Vec<u8>) {
        let asked = Message::request(Method::Binding, transaction());
        let bytes = asked.bytes(None);
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        let dialogue = Self {
            credentials,
            stage: Stage::Binding,
            asked,
            realm: String::new(),
            nonce: Vec::new(),
            relay: Relay {
                mapped: nobody,
                relayed: nobody,
                open: false,
            },
        };
        (dialogue, bytes)
    }

    /// Takes what came in.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Next, Refusal> {
        let answer = Message::parse(bytes);
        let Some((answer, class)) = answer.and_then(|it| it.answers(&self.asked).map(|class| (it, class)))
        else {
            return Ok(Next::Wait);
        };
        match (self.stage, class) {
            (Stage::Binding, Class::Success) => {
                self.relay.mapped = address(&answer, Name::XorMappedAddress, "our address")?;
                self.stage = Stage::Knocking;
                Ok(self.send(allocation(), None))
            }
            (Stage::Knocking, Class::Success) => {
                self.relay.open = true;
                self.release(&answer)
            }
            (Stage::Knocking, _) => self.authenticate(&answer, false),
            (Stage::Allocating { .. }, Class::Success) => {
                if !is_signed(bytes, &self.key()) {
                    return Err(Refusal::Odd("a signature by the same password"));
                }
                self.release(&answer)
            }
            (Stage::Allocating { again: false }, _) if code(&answer) == STALE_NONCE => {
                self.authenticate(&answer, true)
            }
            (Stage::Allocating { .. }, _) if code(&answer) == UNAUTHORISED => {
                let words = answer.error().map(|(_, words)| words).unwrap_or_default();
                Err(Refusal::Credentials(words))
            }
            // Whether it gave the relay up at once or will in ten minutes says nothing about it.
            (Stage::Releasing, _) => Ok(Next::Done(self.relay.clone())),
            (Stage::Binding | Stage::Allocating { .. }, _) => Err(error(&answer)),
        }
    }

    fn authenticate(&mut self, answer: &Message, again: bool) -> Result<Next, Refusal> {
        if !matches!(code(answer), UNAUTHORISED | STALE_NONCE) {
            return Err(error(answer));
        }
        self.realm = answer.text(Name::Realm).ok_or(Refusal::Odd("a realm"))?;
        self.nonce = answer.get(Name::Nonce).ok_or(Refusal::Odd("a nonce"))?.to_vec();
        self.stage = Stage::Allocating { again };
        Ok(self.send_signed(allocation()))
    }

    fn release(&mut self, answer: &Message) -> Result<Next, Refusal> {
        self.relay.relayed = address(answer, Name::XorRelayedAddress, "the relay's address")?;
        self.stage = Stage::Releasing;
        let refresh = Message::request(Method::Refresh, transaction()).with(Name::Lifetime, [0; 4]);
        Ok(if self.relay.open {
            self.send(refresh, None)
        } else {
            self.send_signed(refresh)
        })
    }

    fn key(&self) -> Vec<u8> {
        long_term_key(
            &self.credentials.user,
            &self.realm,
            self.credentials.password.expose(),
        )
    }

    fn send_signed(&mut self, message: Message) -> Next {
        let message = message
            .with(Name::Username, self.credentials.user.as_str())
            .with(Name::Realm, self.realm.as_str())
            .with(Name::Nonce, self.nonce.as_slice());
        let key = self.key();
        self.send(message, Some(&key))
    }

    fn send(&mut self, message: Message, key: Option<&[u8]>) -> Next {
        let bytes = message.bytes(key);
        self.asked = message;
        Next::Send(bytes)
    }
}

fn allocation() -> Message {
    Message::request(Method::Allocate, transaction()).with(Name::RequestedTransport, UDP)
}

fn transaction() -> [u8; 12] {
    let mut id = [0; 12];
    id.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[..12]);
    id
}

fn address(answer: &Message, name: Name, what: &'static str) -> Result<SocketAddr, Refusal> {
    answer.address(name).ok_or(Refusal::Odd(what))
}

fn code(answer: &Message) -> u16 {
    answer.error().map_or(0, |(code, _)| code)
}

fn error(answer: &Message) -> Refusal {
    let (code, words) = answer.error().unwrap_or_default();
    Refusal::Error(code, words)
}

/// A whole message at the start of what a stream has brought so far, by its header's length.
pub fn first_message(stream: &[u8]) -> Result<Option<usize>, Refusal> {
    let Some(header) = stream.get(..HEADER) else {
        return Ok(None);
    };
    let length = super::body_length(header).ok_or(Refusal::Odd("a length that can be believed"))?;
    Ok((stream.len() >= HEADER + length).then_some(HEADER + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials::of_secret(&Secret::new("north"), 1_790_000_000_000)
    }

    /// What a server says: the request's own id, another class, some attributes.
    fn answer(request: &[u8], class: Class, attributes: &[(Name, &[u8])], key: Option<&[u8]>) -> Vec<u8> {
        let message = Message::parse(request).unwrap().reply(class);
        let whole = attributes
            .iter()
            .fold(message, |message, (name, value)| message.with(*name, *value));
        whole.bytes(key)
    }

    fn next(dialogue: &mut Dialogue<'_>, bytes: &[u8]) -> Vec<u8> {
        match dialogue.take(bytes).unwrap() {
            Next::Send(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    const NONE: [u8; 8] = [0, 1, 0x21, 0x12, 0x21, 0x12, 0xa4, 0x42];
    const CHALLENGE: [(Name, &[u8]); 3] = [
        (Name::ErrorCode, &[0, 0, 4, 1]),
        (Name::Realm, b"chatalot"),
        (Name::Nonce, b"n0nce"),
    ];

    /// Up to the signed request for a relay.
    fn challenged(dialogue: &mut Dialogue<'_>, first: &[u8]) -> Vec<u8> {
        let knock = next(
            dialogue,
            &answer(first, Class::Success, &[(Name::XorMappedAddress, &NONE)], None),
        );
        next(dialogue, &answer(&knock, Class::Error, &CHALLENGE, None))
    }

    #[test]
    fn credentials_of_a_shared_secret_are_those_of_turns_rest_api() {
        let credentials = credentials();
        assert_eq!(credentials.user, "1790000000:chatalot-agent");
        assert_eq!(credentials.password.expose().len(), 28);
        let other = Credentials::of_secret(&Secret::new("south"), 1_790_000_000_000);
        assert_ne!(credentials.password, other.password);
    }

    #[test]
    fn a_relay_is_asked_for_with_a_signature_and_handed_back() {
        let credentials = credentials();
        let (mut dialogue, first) = Dialogue::begin(&credentials);
        let request = challenged(&mut dialogue, &first);
        let key = dialogue.key();
        assert!(is_signed(&request, &key));
        let given = answer(
            &request,
            Class::Success,
            &[(Name::XorRelayedAddress, &NONE)],
            Some(&key),
        );
        let refresh = next(&mut dialogue, &given);
        let parsed = Message::parse(&refresh).unwrap();
        assert_eq!(parsed.get(Name::Lifetime), Some(&[0; 4][..]));
        let end = dialogue.take(&answer(&refresh, Class::Success, &[], Some(&key)));
        assert!(matches!(end, Ok(Next::Done(relay)) if !relay.open));
    }

    #[test]
    fn refused_credentials_and_unsigned_answers_are_no_relay() {
        let credentials = credentials();
        let (mut dialogue, first) = Dialogue::begin(&credentials);
        let request = challenged(&mut dialogue, &first);
        let unsigned = answer(
            &request,
            Class::Success,
            &[(Name::XorRelayedAddress, &NONE)],
            None,
        );
        assert!(matches!(dialogue.take(&unsigned), Err(Refusal::Odd(_))));
        let refused = answer(&request, Class::Error, &CHALLENGE, None);
        assert!(matches!(dialogue.take(&refused), Err(Refusal::Credentials(_))));
    }

    #[test]
    fn a_server_that_asks_for_nothing_is_told_apart_and_a_stranger_is_ignored() {
        let credentials = credentials();
        let (mut dialogue, first) = Dialogue::begin(&credentials);
        assert_eq!(dialogue.take(b"GET / HTTP/1.1\r\n\r\n"), Ok(Next::Wait));
        let knock = next(
            &mut dialogue,
            &answer(&first, Class::Success, &[(Name::XorMappedAddress, &NONE)], None),
        );
        assert_eq!(
            dialogue.take(&answer(&first, Class::Success, &[], None)),
            Ok(Next::Wait)
        );
        let given = answer(&knock, Class::Success, &[(Name::XorRelayedAddress, &NONE)], None);
        let refresh = next(&mut dialogue, &given);
        let end = dialogue.take(&answer(&refresh, Class::Success, &[], None));
        assert!(matches!(end, Ok(Next::Done(relay)) if relay.open));
    }

    #[test]
    fn the_long_term_key_is_that_of_rfc_5769() {
        let key = long_term_key("マトリックス", "example.org", "TheMatrIX");
        assert_eq!(
            chatalot_protocol::enrol::hex(&key),
            "e8ca7ad59d5eb0518e312911d2dab2a9"
        );
    }

    #[test]
    fn a_stream_is_cut_into_messages_by_their_length() {
        let (_, first) = Dialogue::begin(&credentials());
        assert_eq!(first_message(&first[..HEADER]), Ok(None));
        let two = [first.clone(), first.clone()].concat();
        assert_eq!(first_message(&two), Ok(Some(first.len())));
        assert!(first_message(&[0xff; HEADER]).is_err());
    }
}
