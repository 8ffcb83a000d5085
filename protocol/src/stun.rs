//! As much of STUN (RFC 8489) as it takes to ask for one's own address, to answer such a question, and for TURN (RFC
//! 8656) to be built on: messages, to bytes and back. No I/O.

use crate::crc32::crc32;
use ring::hmac;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The header's length, and the most that is read of an answer.
pub const HEADER: usize = 20;
/// What follows the header is at most this long in any answer that we asked for.
pub const MOST: usize = 2048;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const CRC_MASK: u32 = 0x5354_554e;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Method {
    /// The own address, as the server sees it.
    Binding = 1,
    /// A relay.
    Allocate = 3,
    /// Another lifetime for the relay.
    Refresh = 4,
}

/// Whether a message asks or answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Class {
    /// It asks.
    Request = 0,
    /// It answers well.
    Success = 0x0100,
    /// It answers with an error.
    Error = 0x0110,
}

/// The attributes that we read or write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
#[repr(u16)]
pub enum Name {
    Username = 0x0006,
    MessageIntegrity = 0x0008,
    ErrorCode = 0x0009,
    Lifetime = 0x000d,
    Realm = 0x0014,
    Nonce = 0x0015,
    XorRelayedAddress = 0x0016,
    RequestedTransport = 0x0019,
    XorMappedAddress = 0x0020,
    Software = 0x8022,
    Fingerprint = 0x8028,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    kind: u16,
    transaction: [u8; 12],
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Message {
    /// A request; `transaction` must not be guessable.
    pub const fn request(method: Method, transaction: [u8; 12]) -> Self {
        Self {
            kind: method as u16,
            transaction,
            attributes: Vec::new(),
        }
    }

    /// An answer to this request, without attributes yet.
    #[must_use]
    pub const fn reply(&self, class: Class) -> Self {
        Self {
            kind: self.kind | class as u16,
            transaction: self.transaction,
            attributes: Vec::new(),
        }
    }

    /// Whether this asks for the own address.
    pub const fn is_binding_request(&self) -> bool {
        self.kind == Method::Binding as u16
    }

    /// With one attribute more.
    #[must_use]
    pub fn with(mut self, name: Name, value: impl Into<Vec<u8>>) -> Self {
        self.attributes.push((name as u16, value.into()));
        self
    }

    /// The bytes: signed where there is a key, and always with a fingerprint.
    pub fn bytes(&self, key: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = self.kind.to_be_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(COOKIE);
        bytes.extend(self.transaction);
        for (name, value) in &self.attributes {
            append(&mut bytes, *name, value);
        }
        if let Some(key) = key {
            set_length(&mut bytes, 24);
            let signature = signature(key, &bytes);
            append(&mut bytes, Name::MessageIntegrity as u16, &signature);
        }
        set_length(&mut bytes, 8);
        let fingerprint = (crc32(&bytes) ^ CRC_MASK).to_be_bytes();
        append(&mut bytes, Name::Fingerprint as u16, &fingerprint);
        set_length(&mut bytes, 0);
        bytes
    }

    /// Reads one message; `None` for anything else, or one whose fingerprint is wrong.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, mut rest) = bytes.split_at_checked(HEADER)?;
        if header[0] & 0xc0 != 0 || header[4..8] != COOKIE || body_length(header)? != rest.len() {
            return None;
        }
        let mut attributes = Vec::new();
        while !rest.is_empty() {
            let at = bytes.len() - rest.len();
            let (head, after) = rest.split_at_checked(4)?;
            let name = u16::from_be_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = after.get(..length)?;
            rest = after.get(length.next_multiple_of(4)..)?;
            if name == Name::Fingerprint as u16 && value != (crc32(&bytes[..at]) ^ CRC_MASK).to_be_bytes() {
                return None;
            }
            attributes.push((name, value.to_vec()));
        }
        Some(Self {
            kind: u16::from_be_bytes([header[0], header[1]]),
            transaction: header[8..].try_into().ok()?,
            attributes,
        })
    }

    /// How this answers a request; `None` if it answers another one.
    pub fn answers(&self, request: &Self) -> Option<Class> {
        let ours = self.transaction == request.transaction;
        [Class::Success, Class::Error]
            .into_iter()
            .find(|class| ours && self.kind == request.kind | *class as u16)
    }

    /// An attribute's value, the first of its name.
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        let found = self.attributes.iter().find(|(each, _)| *each == name as u16);
        found.map(|(_, value)| value.as_slice())
    }

    /// An attribute as text.
    pub fn text(&self, name: Name) -> Option<String> {
        Some(String::from_utf8_lossy(self.get(name)?).into_owned())
    }

    /// An attribute as an address, unmasked.
    pub fn address(&self, name: Name) -> Option<SocketAddr> {
        let value = self.get(name)?;
        let (head, address) = value.split_at_checked(4)?;
        let mask: Vec<u8> = COOKIE.iter().chain(&self.transaction).copied().collect();
        let plain: Vec<u8> = address
            .iter()
            .zip(&mask)
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        let ip = match head[1] {
            1 => IpAddr::from(<[u8; 4]>::try_from(plain).ok().map(Ipv4Addr::from)?),
            2 => IpAddr::from(<[u8; 16]>::try_from(plain).ok().map(Ipv6Addr::from)?),
            _ => return None,
        };
        let port = u16::from_be_bytes([head[2] ^ COOKIE[0], head[3] ^ COOKIE[1]]);
        Some(SocketAddr::new(ip, port))
    }

    /// The error's code and words.
    pub fn error(&self) -> Option<(u16, String)> {
        let value = self.get(Name::ErrorCode)?;
        let code = u16::from(value.get(2)? & 7) * 100 + u16::from(*value.get(3)?);
        Some((code, String::from_utf8_lossy(&value[4..]).into_owned()))
    }
}

/// The length of what follows a header; `None` if it is more than we take.
pub fn body_length(header: &[u8]) -> Option<usize> {
    let length = usize::from(u16::from_be_bytes([*header.get(2)?, *header.get(3)?]));
    (length <= MOST && length.is_multiple_of(4)).then_some(length)
}

/// Whether a message was signed with this key: all of it up to its signature.
pub fn is_signed(bytes: &[u8], key: &[u8]) -> bool {
    let Some(message) = Message::parse(bytes) else {
        return false;
    };
    let mut at = HEADER;
    for (name, value) in &message.attributes {
        if *name == Name::MessageIntegrity as u16 {
            let mut covered = bytes[..at].to_vec();
            set_length(&mut covered, 24);
            return signature(key, &covered) == *value;
        }
        at += 4 + value.len().next_multiple_of(4);
    }
    false
}

fn append(bytes: &mut Vec<u8>, name: u16, value: &[u8]) {
    bytes.extend(name.to_be_bytes());
    bytes.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// Writes the header's length: of what there is, and `more` that is to come.
fn set_length(bytes: &mut [u8], more: usize) {
    let length = u16::try_from(bytes.len() - HEADER + more).unwrap_or(u16::MAX);
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

fn signature(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    hmac::sign(&key, bytes).as_ref().to_vec()
}

#[cfg(test)]
mod tests;
