//! What cannot be told from a host alone: whether the world reaches it. The agent asks its controller to look, which
//! looks at fixed doors of the site's own domain, by the addresses that it finds for it itself, and says what it saw.
//!
//! Before the install the agent answers on the free doors itself, with a number that only the two know: what answers
//! with it is this host. After it the site answers.

use crate::advice::Advice;
use crate::site::Domain;
use crate::stun::{Class, Message, Method, Name};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// The path that the number is found at, on 80 and 443, over plain HTTP.
pub const PATH: &str = "/.well-known/chatalot-outside";
/// The UDP ports of chatalot's relays.
pub const RELAYS: RangeInclusive<u16> = 49_152..=49_200;
/// The doors of the site.
pub const WEB: [Door; 2] = [Door::tcp(80), Door::tcp(443)];
/// The doors of voice and video; of the relays both ends of the range and one within.
pub const TURN: [Door; 7] = [
    Door::udp(3478),
    Door::tcp(3478),
    Door::udp(5349),
    Door::tcp(5349),
    Door::udp(*RELAYS.start()),
    Door::udp(49_176),
    Door::udp(*RELAYS.end()),
];
/// The doors that nobody may find open: chatalot behind its proxy, its database, Docker's own and what guards it for
/// the updater.
pub const SHUT: [Door; 4] = [Door::tcp(8080), Door::tcp(5432), Door::tcp(2375), Door::tcp(2376)];
/// How many ports that the host itself names are knocked at besides: those that its containers publish.
pub const PUBLISHED: usize = 4;
/// Where a host is usually administered: any sign of life there tells a way that is shut from no way at all.
pub const SIGN_OF_LIFE: Door = Door::tcp(22);

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Door {
    /// TCP or UDP.
    pub transport: Transport,
    /// Its number.
    pub port: u16,
}

impl Door {
    /// Of TCP.
    pub const fn tcp(port: u16) -> Self {
        Self {
            transport: Transport::Tcp,
            port,
        }
    }

    /// Of UDP.
    pub const fn udp(port: u16) -> Self {
        Self {
            transport: Transport::Udp,
            port,
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Tcp => "TCP",
            Transport::Udp => "UDP",
        };
        write!(f, "{transport} {}", self.port)
    }
}

/// Doors for people: `TCP 80 and 443, UDP 3478`.
pub fn listed(doors: &[Door]) -> String {
    let of = |transport: Transport| {
        let ports: Vec<String> = doors
            .iter()
            .filter(|door| door.transport == transport)
            .map(|door| door.port.to_string())
            .collect();
        let (last, rest) = ports.split_last()?;
        let ports = if rest.is_empty() {
            last.clone()
        } else {
            format!("{} and {last}", rest.join(", "))
        };
        let word = if transport == Transport::Tcp { "TCP" } else { "UDP" };
        Some(format!("{word} {ports}"))
    };
    let parts: Vec<String> = [of(Transport::Tcp), of(Transport::Udp)]
        .into_iter()
        .flatten()
        .collect();
    parts.join(", ")
}

/// How a page's status is told, where it is not what it should be.
pub fn status(code: u16) -> String {
    format!("status {code}")
}

/// A random number, once: whoever answers with it is the one that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce(String);

impl Nonce {
    /// A new one.
    pub fn fresh() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }

    /// As it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Nonce {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let ok = text.len() == 32
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if ok {
            Ok(Self(text.to_owned()))
        } else {
            Err("not 32 hex digits".to_owned())
        }
    }
}

impl TryFrom<String> for Nonce {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> Self {
        nonce.0
    }
}

/// What a controller is asked to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The site's domain.
    pub domain: Domain,
    /// What is to be seen there.
    #[serde(flatten)]
    pub at: LookAt,
}

/// What is to be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "look", rename_all = "snake_case")]
pub enum LookAt {
    /// The agent itself, before the install.
    Probe {
        /// What it answers with.
        nonce: Nonce,
        /// Where it answers, of [`WEB`] and [`TURN`].
        doors: Vec<Door>,
    },
    /// The site, after it.
    Site {
        /// Whether there is voice and video.
        turn: bool,
        /// Whether the domain leads to the host itself, so that its other doors are seen behind it too.
        direct: bool,
        /// TCP ports that containers beside chatalot, such as the updater, publish: nobody may find those open either. The
        /// first [`PUBLISHED`] are knocked at, and only where the site itself answers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        published: Vec<u16>,
    },
    /// Something that this build does not know.
    #[serde(other)]
    Unknown,
}

/// What is asked for at a door, where it is more than the door itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// `/api/health`.
    Health,
    /// An upgrade at `/ws`.
    Websocket,
    /// Something that this build does not know.
    #[serde(other)]
    Unknown,
}

/// How it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Saw {
    /// As it should.
    Answered,
    /// Otherwise: somebody else is there.
    Other,
    /// It took the connection and then ended it, or said nothing: no answer that would tell who is there.
    Broken,
    /// It took the connection, and was asked nothing.
    Open,
    /// It refused.
    Refused,
    /// Not at all.
    Silent,
    /// The controller has no way to such an address.
    NoRoute,
    /// A newer word than this build knows.
    #[serde(other)]
    Unknown,
}

/// What was seen at one door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// Which one.
    #[serde(flatten)]
    pub door: Door,
    /// What was asked for there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Page>,
    /// How it answered.
    pub saw: Saw,
    /// In a few words: a status, a version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What was seen at one address of the domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The address.
    pub address: IpAddr,
    /// Whether it is one that the controller does not knock at: private, loopback and the like, or its own.
    #[serde(default)]
    pub barred: bool,
    /// Each door.
    #[serde(default)]
    pub sights: Vec<Sight>,
}

/// What a controller says of what it was asked to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "snake_case")]
pub enum Told {
    /// It has looked.
    Seen {
        /// Each address of the domain; none where the name does not exist.
        addresses: Vec<Seen>,
    },
    /// It has not: nothing can be told.
    Declined {
        /// Why, and what to do.
        advice: Box<Advice>,
    },
    /// Something that this build does not know.
    #[serde(other)]
    Unknown,
}

impl Told {
    /// Nothing can be told, and why.
    pub fn declined(advice: Advice) -> Self {
        Self::Declined {
            advice: Box::new(advice),
        }
    }
}

/// The question over UDP and TCP: a binding request, which a TURN server answers to anybody. With a nonce, it is for
/// the agent, which answers nobody else.
pub fn question(transaction: [u8; 12], nonce: Option<&Nonce>) -> Message {
    let request = Message::request(Method::Binding, transaction);
    match nonce {
        Some(nonce) => request.with(Name::Software, nonce.as_str()),
        None => request,
    }
}

/// The agent's answer to such a question; none to one that does not know the nonce.
pub fn answer(question: &[u8], nonce: &Nonce) -> Option<Vec<u8>> {
    let request = Message::parse(question).filter(Message::is_binding_request)?;
    let knows = request
        .text(Name::Software)
        .is_some_and(|text| text == nonce.as_str());
    let reply = request.reply(Class::Success).with(Name::Software, nonce.as_str());
    knows.then(|| reply.bytes(None))
}

/// Whether this answers the question: from the agent, where there was a nonce.
pub fn is_answer(bytes: &[u8], question: &Message, nonce: Option<&Nonce>) -> bool {
    Message::parse(bytes).is_some_and(|message| {
        let ours = message.answers(question) == Some(Class::Success);
        ours && nonce.is_none_or(|nonce| message.text(Name::Software).as_deref() == Some(nonce.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_number_is_answered_and_the_answer_fits_its_question_alone() {
        let (nonce, other) = (Nonce::fresh(), Nonce::fresh());
        let asked = question([7; 12], Some(&nonce));
        let answered = answer(&asked.bytes(None), &nonce).unwrap();
        assert!(is_answer(&answered, &asked, Some(&nonce)));
        assert!(is_answer(&answered, &asked, None));
        assert!(!is_answer(&answered, &asked, Some(&other)));
        assert!(!is_answer(&answered, &question([8; 12], None), None));
        assert_eq!(answer(&question([7; 12], Some(&other)).bytes(None), &nonce), None);
        assert_eq!(answer(&question([7; 12], None).bytes(None), &nonce), None);
        // Nor does an answer call for another one: two probes cannot be set on each other.
        assert_eq!(answer(&answered, &nonce), None);
    }

    #[test]
    fn an_answer_is_hardly_longer_than_its_question() {
        let nonce = Nonce::fresh();
        let asked = question([7; 12], Some(&nonce)).bytes(None);
        assert!(answer(&asked, &nonce).unwrap().len() <= asked.len());
    }

    #[test]
    fn a_nonce_is_what_it_looks_like_and_doors_read_well() {
        assert!(Nonce::fresh().as_str().parse::<Nonce>().is_ok());
        assert!("../etc".parse::<Nonce>().is_err());
        let doors = [Door::tcp(80), Door::tcp(443), Door::udp(3478)];
        assert_eq!(listed(&doors), "TCP 80 and 443, UDP 3478");
    }
}
