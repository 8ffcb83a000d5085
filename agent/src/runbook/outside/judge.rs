//! From what was seen at each door to a standing.
//!
//! Silence alone says nothing: the way may be shut at this end or at the controller's. It counts only where another door of
//! the same address and transport has given any sign of life.

use super::{Note, Standing, advice};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::outside::{
    Door, Page, RELAYS, SHUT, Saw, Seen, Sight, TURN, Told, Transport, WEB, listed, status,
};
use std::net::IpAddr;

/// What a proxy answers to those whom it keeps out.
const FORBIDDEN: u16 = 403;

/// What is known of the site.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Its domain.
    pub domain: &'a str,
    /// Where its TURN server is, if it has one.
    pub turn: Option<IpAddr>,
    /// The version that it answers with on the host, if it does.
    pub version: Option<&'a str>,
    /// Where its proxy says what it does.
    pub journal: &'a str,
    /// Whether a deployment can publish chatalot's own port on the host alone.
    pub may_shut: bool,
    /// Whether a deployment sets up its proxy, which then answers on port 80 too.
    pub proxy_is_ours: bool,
    /// Whether its proxy keeps strangers out until there is an administrator; the controller is one.
    pub is_limited: bool,
    /// What the site's other containers publish to everybody, each by its name and port.
    pub published: &'a [(String, u16)],
}

/// Before the install: which of the doors that were open the controller has found us behind. Those that are held by somebody
/// on the host, such as a proxy that is there, are reached where anything at all comes back.
pub fn probe(told: Told, expected: &Expected<'_>, opened: &[Door], held: &[Door]) -> Standing {
    let addresses = match addresses(told, expected) {
        Ok(addresses) => addresses,
        Err(advice) => return Standing::Untold(advice),
    };
    let (mut reached, mut notes) = (Vec::new(), Vec::new());
    for seen in &addresses {
        let doors: Vec<Door> = opened
            .iter()
            .copied()
            .filter(|door| concerns(*door, seen, expected))
            .collect();
        let at = |saw: Saw| -> Vec<Door> {
            let found = |door: &Door| sight(seen, *door, None).is_some_and(|sight| sight.saw == saw);
            doors.iter().copied().filter(found).collect()
        };
        let elsewhere = at(Saw::Other);
        if !elsewhere.is_empty() {
            return Standing::Shut(advice::leads_elsewhere(expected, seen, &elsewhere));
        }
        let mut shut = at(Saw::Refused);
        shut.extend(
            at(Saw::Silent)
                .into_iter()
                .filter(|door| is_alive(seen, door.transport)),
        );
        let is_silent =
            |door: &&Door| sight(seen, **door, None).is_some_and(|sight| sight.saw == Saw::Silent);
        let kept = held.iter().filter(is_silent).copied();
        shut.extend(kept.filter(|door| is_alive(seen, door.transport)));
        let (needed, other): (Vec<Door>, Vec<Door>) = shut.into_iter().partition(|door| is_needed(*door));
        if !needed.is_empty() {
            return Standing::Shut(advice::is_shut(expected, seen, &needed));
        }
        if !other.is_empty() {
            notes.push(certain(advice::is_shut(expected, seen, &other)));
        }
        let mut answered = at(Saw::Answered);
        let saw = |door: &Door| sight(seen, *door, None).map(|sight| sight.saw);
        // One that refuses may be held at the other kind of address only.
        let came_back = |door: &&Door| {
            matches!(
                saw(door),
                Some(Saw::Answered | Saw::Other | Saw::Broken | Saw::Open)
            )
        };
        answered.extend(held.iter().filter(came_back));
        let dark: Vec<Door> = doors
            .iter()
            .copied()
            .filter(|door| !answered.contains(door) && !other.contains(door))
            .collect();
        if !dark.is_empty() {
            notes.push(uncertain(advice::no_answer(seen, &dark)));
        }
        let (proven, held): (Vec<Door>, Vec<Door>) =
            answered.into_iter().partition(|door| !held.contains(door));
        if !proven.is_empty() {
            reached.push(format!("{} at {}", listed(&proven), seen.address));
        }
        if !held.is_empty() {
            reached.push(format!(
                "{} at {} by whoever holds it; that this is this host is seen once the site is there",
                listed(&held),
                seen.address
            ));
        }
    }
    conclude(&reached, notes, expected)
}

/// After it: whether the site answers, and what else does.
pub fn site(told: Told, expected: &Expected<'_>) -> Standing {
    let addresses = match addresses(told, expected) {
        Ok(addresses) => addresses,
        Err(advice) => return Standing::Untold(advice),
    };
    let (mut reached, mut notes) = (Vec::new(), Vec::new());
    for seen in &addresses {
        let mut parts = Vec::new();
        for page in [Page::Health, Page::Websocket] {
            match page_stands(seen, page, expected) {
                Ok(words) => parts.extend(words),
                Err(Standing::Shut(advice)) => return Standing::Shut(advice),
                Err(_) => notes.push(uncertain(advice::no_answer(seen, &WEB[1..]))),
            }
        }
        match turn_stands(seen, expected) {
            Ok((words, more)) => {
                parts.extend(words);
                notes.extend(more);
            }
            Err(advice) => return Standing::Shut(advice),
        }
        notes.extend(exposed(seen, expected));
        if expected.proxy_is_ours
            && sight(seen, WEB[0], None).is_some_and(|sight| sight.saw == Saw::Silent)
            && is_alive(seen, Transport::Tcp)
        {
            notes.push(certain(advice::is_shut(expected, seen, &WEB[..1])));
        }
        if !parts.is_empty() {
            reached.push(format!("{} at {}", parts.join(", "), seen.address));
        }
    }
    let is_there = |turn: &IpAddr| addresses.iter().any(|seen| seen.address == *turn);
    if let Some(turn) = expected.turn.filter(|turn| !is_there(turn)) {
        notes.push(uncertain(advice::turn_elsewhere(expected, turn)));
    }
    // What is open and should not be comes first, and each thing once.
    let (mut notes, uncertain): (Vec<Note>, Vec<Note>) = notes.into_iter().partition(|note| note.is_certain);
    notes.extend(uncertain);
    notes.dedup();
    conclude(&reached, notes, expected)
}

fn conclude(reached: &[String], notes: Vec<Note>, expected: &Expected<'_>) -> Standing {
    if reached.is_empty() {
        let nobody = advice::nobody(expected);
        return Standing::Untold(nobody.with_evidence(notes.into_iter().map(|note| note.advice.saw)));
    }
    Standing::Reached {
        saw: format!("seen from outside: {}", reached.join("; ")),
        notes,
    }
}

/// The addresses that were knocked at; why there are none.
fn addresses(told: Told, expected: &Expected<'_>) -> Result<Vec<Seen>, Advice> {
    let all = match told {
        Told::Seen { addresses } => addresses,
        Told::Declined { advice } => return Err(*advice),
        Told::Unknown => {
            return Err(advice::not_understood());
        }
    };
    if all.is_empty() {
        return Err(advice::unknown_name(expected));
    }
    let (barred, open): (Vec<Seen>, Vec<Seen>) = all.into_iter().partition(|seen| seen.barred);
    if open.is_empty() {
        return Err(advice::private(expected, &barred));
    }
    Ok(open)
}

fn sight(seen: &Seen, door: Door, page: Option<Page>) -> Option<&Sight> {
    seen.sights
        .iter()
        .find(|sight| sight.door == door && sight.page == page)
}

/// Whether anything at all has come back over a transport: then the way there and back is open.
fn is_alive(seen: &Seen, transport: Transport) -> bool {
    seen.sights.iter().any(|sight| {
        let came_back = matches!(
            sight.saw,
            Saw::Answered | Saw::Other | Saw::Open | Saw::Refused | Saw::Broken
        );
        sight.door.transport == transport && came_back
    })
}

/// Voice and video are at one address.
fn concerns(door: Door, seen: &Seen, expected: &Expected<'_>) -> bool {
    !TURN.contains(&door) || expected.turn == Some(seen.address)
}

/// Without these it does not work; the others are a way round for some networks.
fn is_needed(door: Door) -> bool {
    WEB.contains(&door)
        || door == Door::udp(3478)
        || (door.transport == Transport::Udp && RELAYS.contains(&door.port))
}

fn page_stands(seen: &Seen, page: Page, expected: &Expected<'_>) -> Result<Option<String>, Standing> {
    let Some(sight) = sight(seen, WEB[1], Some(page)) else {
        return Ok(None);
    };
    let name = if page == Page::Websocket {
        "/ws"
    } else {
        "/api/health"
    };
    match sight.saw {
        Saw::Answered if page == Page::Health => match expected.version {
            Some(version) if !sight.detail.is_empty() && sight.detail != version => {
                let what = format!(
                    "chatalot {} answers there, and {version} on this host",
                    sight.detail
                );
                Err(Standing::Shut(advice::other_site(expected, seen, &what)))
            }
            _ => Ok(Some("health".to_owned())),
        },
        Saw::Answered => Ok(Some("WebSocket".to_owned())),
        Saw::Other if expected.is_limited && sight.detail == status(FORBIDDEN) => {
            Ok(Some(format!("{name} kept from strangers, as asked")))
        }
        Saw::Other => {
            let detail = crate::host::plain_line(&sight.detail);
            Err(Standing::Shut(advice::wrong_answer(
                expected, seen, name, &detail,
            )))
        }
        Saw::Refused => Err(Standing::Shut(advice::is_shut(expected, seen, &WEB[1..]))),
        Saw::Silent if is_alive(seen, Transport::Tcp) => {
            Err(Standing::Shut(advice::is_shut(expected, seen, &WEB[1..])))
        }
        _ => Err(Standing::Untold(advice::no_answer(seen, &WEB[1..]))),
    }
}

/// Whether a TURN server answers, and what is to be said of its other ports; the advice where nobody can reach it.
fn turn_stands(seen: &Seen, expected: &Expected<'_>) -> Result<(Option<String>, Vec<Note>), Advice> {
    let door = Door::udp(3478);
    let Some(main) = sight(seen, door, None).filter(|_| expected.turn == Some(seen.address)) else {
        return Ok((None, Vec::new()));
    };
    let alive = is_alive(seen, Transport::Udp);
    let words = match main.saw {
        Saw::Answered => Some("TURN".to_owned()),
        Saw::Refused => return Err(advice::is_shut(expected, seen, &[door])),
        Saw::Silent if alive => return Err(advice::is_shut(expected, seen, &[door])),
        _ => return Ok((None, vec![uncertain(advice::no_answer(seen, &[door]))])),
    };
    let stream = Door::tcp(3478);
    let is_silent = sight(seen, stream, None).is_some_and(|sight| sight.saw == Saw::Silent);
    let notes = if is_silent && is_alive(seen, Transport::Tcp) {
        vec![certain(advice::is_shut(expected, seen, &[stream]))]
    } else {
        Vec::new()
    };
    Ok((words, notes))
}

/// What is open to the world and must not be.
fn exposed(seen: &Seen, expected: &Expected<'_>) -> Vec<Note> {
    let is_open = |door: &Door| {
        let saw = sight(seen, *door, None).map(|sight| sight.saw);
        saw == Some(Saw::Open)
    };
    let named = expected.published.iter().map(|(_, port)| Door::tcp(*port));
    let mut doors = SHUT.to_vec();
    doors.extend(named.filter(|door| !SHUT.contains(door)));
    let open: Vec<Door> = doors.into_iter().filter(is_open).collect();
    let (own, others): (Vec<Door>, Vec<Door>) = open.into_iter().partition(|door| *door == SHUT[0]);
    let mut notes = Vec::new();
    if !others.is_empty() {
        notes.push(certain(advice::is_public(seen, &others, expected.published)));
    }
    if !own.is_empty() {
        notes.push(certain(advice::own_port_is_public(expected, seen)));
    }
    notes
}

/// What containers publish and of which nobody has seen whether the world reaches it.
pub fn unseen(told: &Told, published: &[(String, u16)]) -> Vec<(String, u16)> {
    let addresses = match told {
        Told::Seen { addresses } => addresses.as_slice(),
        Told::Declined { .. } | Told::Unknown => &[],
    };
    let was_seen = |(_, port): &&(String, u16)| {
        addresses.iter().any(|seen| {
            let asked = sight(seen, Door::tcp(*port), None);
            asked.is_some_and(|sight| sight.saw != Saw::Silent || is_alive(seen, Transport::Tcp))
        })
    };
    published.iter().filter(|one| !was_seen(one)).cloned().collect()
}

fn certain(advice: Advice) -> Note {
    Note {
        advice,
        is_certain: true,
    }
}

fn uncertain(advice: Advice) -> Note {
    Note {
        advice,
        is_certain: false,
    }
}

#[cfg(test)]
mod tests;
