//! Looks at a site from outside, for its own host: what that host cannot see of itself.
//!
//! | module | what |
//! |---|---|
//! | here | who may have what looked at, how often, and what came of it |
//! | [`names`] | the domain's addresses, found by ourselves |
//! | [`reach`] | which addresses are knocked at |
//! | [`knock`], [`site`] | one door: TCP, UDP, a page |
//!
//! A host names its domain, and the few ports that its containers publish, which are knocked at only where its site has
//! answered: addresses, other ports and paths are ours, a private address and the controller's own are not knocked at, and of
//! an answer only its kind is told. So no host makes of its controller a way into another network.

pub mod knock;
pub mod names;
pub mod reach;
pub mod site;

use crate::centre::Centre;
use crate::config::Config;
use crate::fleet::Command;
use crate::store::hosts;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::names::HostId;
use chatalot_protocol::outside::{
    Door, Look, LookAt, Nonce, PUBLISHED, Page, SHUT, SIGN_OF_LIFE, Saw, Seen, Sight, TURN, Told, WEB,
};
use futures_util::future::{BoxFuture, join_all};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

/// How many looks there are at once, of all hosts.
const AT_ONCE: usize = 8;
/// How many looks a host has within a window.
const LOOKS: u32 = 20;
const WINDOW: Duration = Duration::from_mins(1);
/// How many addresses of each kind are looked at.
const ADDRESSES: usize = 2;
/// How long a look may take, whatever is behind the doors.
const DEADLINE: Duration = Duration::from_secs(20);

/// How often each host has had something looked at, and how much is looked at now.
pub struct Outside {
    looks: Mutex<HashMap<HostId, (Instant, u32)>>,
    room: Semaphore,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            looks: Mutex::default(),
            room: Semaphore::new(AT_ONCE),
        }
    }
}

impl Outside {
    /// Whether a host may have one more look; it counts.
    fn lets(&self, host: HostId) -> bool {
        let now = Instant::now();
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        let (_, count) = looks.entry(host).or_insert((now, 0));
        *count = count.saturating_add(1);
        *count <= LOOKS
    }
}

/// Looks for a host in a task of its own, which ends with its handle, and has its session tell what was seen.
pub fn begin(centre: &Arc<Centre>, host: HostId, id: u64, look: Look) -> AbortOnDropHandle<()> {
    let centre = Arc::clone(centre);
    AbortOnDropHandle::new(tokio::spawn(async move {
        let told = look_for(&centre, host, look).await;
        centre.fleet.tell(host, Command::Told(id, Box::new(told)));
    }))
}

async fn look_for(centre: &Centre, host: HostId, look: Look) -> Told {
    if !centre.outside.lets(host) {
        return Told::declined(Advice::new(
            "OUTSIDE_TOO_OFTEN",
            format!("{LOOKS} looks within a minute"),
            "fewer",
            "ask again in a minute",
        ));
    }
    let domain = look.domain.clone();
    let is_its_own = centre
        .store
        .read(move |c| hosts::may_be_looked_at(c, host, &domain));
    match is_its_own.await {
        Ok(true) => {}
        Ok(false) => return Told::declined(not_its_own(&look)),
        Err(error) => {
            log::error!(host:% = host, error:% = crate::chain(&error); "whether a host may have its site looked at cannot be told");
            return Told::declined(Advice::new(
                "OUTSIDE_STORE",
                "the controller's store does not answer",
                "a controller that is well",
                "look at the controller's log",
            ));
        }
    }
    let Ok(_room) = centre.outside.room.acquire().await else {
        return Told::Unknown;
    };
    let told = timeout(DEADLINE, seen(&centre.config, &look)).await;
    let told = told.unwrap_or_else(|_| Told::declined(late()));
    log::info!(host:% = host, domain:% = look.domain, told:? = told; "a site was looked at from outside");
    told
}

fn not_its_own(look: &Look) -> Advice {
    Advice::new(
        "OUTSIDE_NOT_ITS_OWN",
        format!(
            "{}, which this controller knows neither by `host add --domain` nor from a plan that was approved here",
            look.domain
        ),
        "a domain of this host",
        format!(
            "deploy from the controller, or add the host again with `--domain {}`",
            look.domain
        ),
    )
}

/// Another look of the same host is on its way.
pub fn busy() -> Advice {
    Advice::new(
        "OUTSIDE_BUSY",
        "another look at this host is on its way",
        "one at a time",
        "ask again in a moment",
    )
}

fn late() -> Advice {
    Advice::new(
        "OUTSIDE_LATE",
        format!("no end of the look within {} s", DEADLINE.as_secs()),
        "an end",
        "ask again",
    )
}

async fn seen(config: &Config, look: &Look) -> Told {
    if look.at == LookAt::Unknown {
        return Told::Unknown;
    }
    let found = match names::addresses(&config.resolvers, look.domain.as_str()).await {
        Ok(found) => found,
        Err(why) => {
            return Told::declined(Advice::new(
                "OUTSIDE_DNS",
                format!("the controller's resolvers, asked for {}: {why}", look.domain),
                "resolvers that answer",
                "see that the controller's resolvers work, or give it another with `serve --resolver`",
            ));
        }
    };
    let four = found.iter().filter(|ip| ip.is_ipv4()).take(ADDRESSES);
    let six = found.iter().filter(|ip| ip.is_ipv6()).take(ADDRESSES);
    let seen = four.chain(six).map(|ip| at(config, *ip, look));
    Told::Seen {
        addresses: join_all(seen).await,
    }
}

async fn at(config: &Config, address: IpAddr, look: &Look) -> Seen {
    let named = config.reach.iter().any(|network| network.has(address));
    let barred = !named && (!reach::is_public(address) || reach::is_own(address));
    let knocks = if barred { Vec::new() } else { knocks(address, look) };
    let mut sights = join_all(knocks).await;
    let named = published(&sights, look);
    sights.extend(join_all(named.into_iter().map(|door| touch(address, door))).await);
    Seen {
        address,
        barred,
        sights,
    }
}

/// The doors that the host has named itself: a few, and only where its site has answered, so at nobody else's address.
fn published(sights: &[Sight], look: &Look) -> Vec<Door> {
    let LookAt::Site {
        direct: true,
        published,
        ..
    } = &look.at
    else {
        return Vec::new();
    };
    let is_health = |sight: &Sight| sight.page == Some(Page::Health) && sight.saw == Saw::Answered;
    if !sights.iter().any(is_health) {
        return Vec::new();
    }
    let asked = |door: &Door| sights.iter().any(|sight| sight.door == *door);
    let doors = published.iter().map(|port| Door::tcp(*port));
    doors.filter(|door| !asked(door)).take(PUBLISHED).collect()
}

/// What is asked at an address first: fixed doors and paths, whatever the host has said.
fn knocks(address: IpAddr, look: &Look) -> Vec<BoxFuture<'_, Sight>> {
    let mut knocks: Vec<BoxFuture<'_, Sight>> = Vec::new();
    match &look.at {
        LookAt::Probe { nonce, doors } => {
            let asked = |door: &&Door| doors.contains(door);
            for door in WEB.iter().filter(asked) {
                knocks.push(Box::pin(probe(address, *door, look, nonce)));
            }
            for door in TURN.iter().filter(asked) {
                knocks.push(Box::pin(exchange(address, *door, Some(nonce))));
            }
            knocks.push(Box::pin(touch(address, SIGN_OF_LIFE)));
        }
        LookAt::Site { turn, direct, .. } => {
            for page in [Page::Health, Page::Websocket] {
                knocks.push(Box::pin(fetched(address, page, look)));
            }
            if *direct {
                knocks.push(Box::pin(touch(address, WEB[0])));
                knocks.extend(SHUT.map(|door| Box::pin(touch(address, door)) as BoxFuture<'_, Sight>));
                knocks.push(Box::pin(touch(address, SIGN_OF_LIFE)));
            }
            // A TURN server of chatalot's is at an IPv4 address.
            if *turn && *direct && address.is_ipv4() {
                knocks
                    .extend(TURN.map(|door| Box::pin(exchange(address, door, None)) as BoxFuture<'_, Sight>));
            }
        }
        LookAt::Unknown => {}
    }
    knocks
}

async fn probe(address: IpAddr, door: Door, look: &Look, nonce: &Nonce) -> Sight {
    let to = SocketAddr::new(address, door.port);
    sight(door, None, knock::number(to, &look.domain, nonce).await)
}

async fn exchange(address: IpAddr, door: Door, nonce: Option<&Nonce>) -> Sight {
    let to = SocketAddr::new(address, door.port);
    sight(door, None, knock::binding(door.transport, to, nonce).await)
}

async fn touch(address: IpAddr, door: Door) -> Sight {
    let to = SocketAddr::new(address, door.port);
    sight(door, None, knock::touch(to).await)
}

async fn fetched(address: IpAddr, page: Page, look: &Look) -> Sight {
    let to = SocketAddr::new(address, WEB[1].port);
    sight(WEB[1], Some(page), site::ask(to, &look.domain, page).await)
}

fn sight(door: Door, page: Option<Page>, (saw, detail): (Saw, String)) -> Sight {
    Sight {
        door,
        page,
        saw,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_has_so_many_looks_a_minute_and_another_has_its_own() {
        let outside = Outside::default();
        let (one, other) = (HostId::fresh(), HostId::fresh());
        assert!((0..LOOKS).all(|_| outside.lets(one)));
        assert!(!outside.lets(one) && outside.lets(other));
        tokio::time::advance(WINDOW).await;
        assert!(outside.lets(one));
    }

    #[test]
    fn a_host_chooses_among_our_doors_and_adds_none() {
        let look = Look {
            domain: "chat.example.com".parse().unwrap(),
            at: LookAt::Probe {
                nonce: Nonce::fresh(),
                doors: vec![Door::tcp(443), Door::udp(3478), Door::tcp(6379), Door::udp(53)],
            },
        };
        let address = "203.0.113.42".parse().unwrap();
        // Two of the four, and the sign of life.
        assert_eq!(knocks(address, &look).len(), 3);
    }

    #[test]
    fn a_few_ports_that_a_host_names_are_knocked_at_where_its_site_answers_and_nowhere_else() {
        let look = |direct| Look {
            domain: "chat.example.com".parse().unwrap(),
            at: LookAt::Site {
                turn: false,
                direct,
                published: vec![5432, 9000, 9001, 9002, 9003, 9004],
            },
        };
        let health = |saw| sight(WEB[1], Some(Page::Health), (saw, String::new()));
        let database = sight(SHUT[1], None, (Saw::Open, String::new()));
        let sights = [health(Saw::Answered), database];
        let four = [9000, 9001, 9002, 9003].map(Door::tcp);
        assert_eq!(published(&sights, &look(true)), four);
        assert_eq!(published(&sights, &look(false)), []);
        assert_eq!(published(&[health(Saw::Other)], &look(true)), []);
        assert_eq!(published(&[], &look(true)), []);
    }
}
