//! A controller that looks at a fake host from outside: at what is open there, through a firewall in between.

use super::world::World;
use crate::host::{Fetch, Records, TurnAsk, TurnOver};
use crate::stun::dialogue::Credentials;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::outside::{
    Door, Look, LookAt, Page, SHUT, SIGN_OF_LIFE, Saw, Seen, Sight, TURN, Told, Transport, WEB, status,
};
use chatalot_protocol::secret::Secret;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where it looks from.
const CONTROLLER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

/// How the world stands to the host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outside {
    /// Why the controller cannot tell, if it cannot.
    pub declined: Option<Advice>,
    /// What a firewall before the host lets nobody through to.
    pub drops: BTreeSet<Door>,
    /// Whether it lets nobody through at all, or the controller's own does not let it out.
    pub drops_all: bool,
    /// What somebody else answers.
    pub elsewhere: BTreeSet<Door>,
}

impl World {
    /// What the controller says; `opened` is where the agent itself answers meanwhile.
    pub(super) fn told(&self, look: &Look, opened: &[Door]) -> Told {
        if let Some(advice) = &self.outside.declined {
            return Told::declined(advice.clone());
        }
        let answers = self.dns.get(look.domain.as_str()).into_iter().flatten().next();
        let (mut all, mut six) = (Vec::new(), Vec::new());
        if let Some(answers) = answers {
            if let Records::Found(found) = &answers.a {
                all.extend(found.iter().copied().map(IpAddr::V4));
            }
            if let Records::Found(found) = &answers.aaaa {
                six.extend(found.iter().copied().map(IpAddr::V6));
            }
        }
        all.append(&mut six);
        let seen = all.into_iter().map(|address| Seen {
            address,
            barred: false,
            sights: self.sights(look, address, opened),
        });
        Told::Seen {
            addresses: seen.collect(),
        }
    }

    fn sights(&self, look: &Look, address: IpAddr, opened: &[Door]) -> Vec<Sight> {
        let mut sights = Vec::new();
        match &look.at {
            LookAt::Probe { doors, .. } => {
                for door in doors {
                    let saw = if opened.contains(door) {
                        Saw::Answered
                    } else {
                        self.at(*door)
                    };
                    sights.push(self.through(*door, None, saw, String::new()));
                }
            }
            LookAt::Site {
                turn,
                direct,
                published,
            } => {
                for page in [Page::Health, Page::Websocket] {
                    let (saw, detail) = self.page(look, page);
                    sights.push(self.through(WEB[1], Some(page), saw, detail));
                }
                if *direct {
                    let named: Vec<Door> = published.iter().map(|port| Door::tcp(*port)).collect();
                    for door in [&WEB[..1], &SHUT[..], &named].concat() {
                        sights.push(self.through(door, None, self.at(door), String::new()));
                    }
                }
                if *turn && *direct {
                    for door in TURN {
                        let saw = self.turn_door(door, address);
                        sights.push(self.through(door, None, saw, String::new()));
                    }
                }
            }
            LookAt::Unknown => {}
        }
        // SSH is there, as everywhere.
        sights.push(self.through(SIGN_OF_LIFE, None, Saw::Open, String::new()));
        sights
    }

    fn through(&self, door: Door, page: Option<Page>, saw: Saw, detail: String) -> Sight {
        let outside = &self.outside;
        let (saw, detail) = if outside.drops_all || outside.drops.contains(&door) {
            (Saw::Silent, String::new())
        } else if outside.elsewhere.contains(&door) {
            (Saw::Other, "status 404".to_owned())
        } else {
            (saw, detail)
        };
        Sight {
            door,
            page,
            saw,
            detail,
        }
    }

    fn at(&self, door: Door) -> Saw {
        let private = door == SHUT[0]
            && self
                .containers
                .values()
                .any(|one| one.loopback.contains(&door.port));
        match self.port_owner(door.transport, door.port) {
            Some(_) if !private => Saw::Open,
            _ => Saw::Refused,
        }
    }

    fn page(&self, look: &Look, page: Page) -> (Saw, String) {
        let path = if page == Page::Websocket {
            "/ws"
        } else {
            "/api/health"
        };
        let mut fetch = Fetch::page(format!("https://{}{path}", look.domain));
        if page == Page::Websocket {
            fetch = fetch.websocket();
        }
        // Whether the certificate is trusted is not asked.
        (fetch.verify, fetch.from) = (false, Some(CONTROLLER));
        match self.fetch(&fetch) {
            Ok(answer) if page == Page::Websocket && answer.status == 101 => (Saw::Answered, String::new()),
            Ok(answer) if page == Page::Health && answer.status == 200 => {
                let health: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let version = health["version"].as_str().unwrap_or_default();
                (Saw::Answered, version.to_owned())
            }
            Ok(answer) => (Saw::Other, status(answer.status)),
            Err(_) => (Saw::Refused, String::new()),
        }
    }

    fn turn_door(&self, door: Door, address: IpAddr) -> Saw {
        let over = match (door.transport, door.port) {
            (Transport::Udp, 3478) => TurnOver::Udp,
            (Transport::Tcp, 3478) => TurnOver::Tcp,
            _ => return Saw::Refused,
        };
        // Nobody needs credentials to be told his own address.
        let ask = TurnAsk {
            server: SocketAddr::new(address, door.port),
            over,
            credentials: Credentials {
                user: String::new(),
                password: Secret::new(""),
            },
        };
        if self.turn_listens(&ask).is_ok() {
            Saw::Answered
        } else {
            Saw::Refused
        }
    }
}
