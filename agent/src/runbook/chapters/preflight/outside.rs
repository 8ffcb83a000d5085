//! Before anything is installed: does the world reach this host by the site's name?
//!
//! A step of its own that answers on the free ports, in a unit of its own, while the controller looks. It is an
//! observation: nothing stays of it but what was seen, which counts for a few minutes.

use crate::runbook::firewalls::{self, ever_opened, openings};
use crate::runbook::outside::judge::{self, Expected};
use crate::runbook::outside::{Standing, is_direct};
use crate::runbook::{ActCx, Applied, Cx, Intent, Limits, Step, StepError, answer, proxies, recent};
use async_trait::async_trait;
use chatalot_protocol::outside::{Door, TURN, WEB, listed};
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where it is remembered what was seen.
const SEEN: &str = "outside.before";
/// How long that counts.
const FRESH_MS: i64 = 10 * 60 * 1000;
const MINUTE: Duration = Duration::from_mins(1);

/// The world reaches this host.
pub(super) struct Outside;

#[derive(Serialize, Deserialize)]
struct Remembered {
    at_ms: i64,
    verdict: Verdict,
}

#[async_trait]
impl Step for Outside {
    fn id(&self) -> &'static str {
        "preflight.outside"
    }

    fn title(&self) -> &'static str {
        "The world reaches this host"
    }

    fn applies(&self, site: &Site) -> bool {
        is_direct(site)
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        vec![format!(
            "answer on {}, where they are free, with a random number for at most 60 s, while the controller looks for it at {}, and knocks at a proxy that is there",
            listed(&wanted(intent.site)),
            intent.site.domain
        )]
    }

    fn limits(&self) -> Limits {
        Limits {
            deadline: MINUTE,
            idle: MINUTE,
            interruptible: true,
        }
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let doors = Doors::of(cx).await?;
        if doors.asked().is_empty() {
            return Ok(Verdict::satisfied(format!(
                "{}; the site itself is looked at once it is there",
                doors.why_none()
            )));
        }
        let seen = cx
            .memory
            .get(SEEN)
            .map(|text| serde_json::from_str::<Remembered>(text));
        Ok(match seen {
            Some(Ok(seen)) if (0..FRESH_MS).contains(&(cx.host.now_ms() - seen.at_ms)) => seen.verdict,
            _ => Verdict::needed(format!(
                "{} not looked at from outside yet",
                listed(&doors.asked())
            )),
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let site = cx.look.site;
        let doors = Doors::of(&cx.look).await?;
        let (opened, told) = cx.host.answer_outside(&site.domain, &doors.asked()).await?;
        let expected = Expected {
            domain: site.domain.as_str(),
            turn: site.turn.map(|turn| turn.address().into()),
            version: None,
            journal: proxies::journal(site),
            may_shut: false,
            proxy_is_ours: proxies::chosen(site).is_some(),
            is_limited: false,
            published: &[],
        };
        let verdict = match judge::probe(told, &expected, &opened, &doors.held) {
            Standing::Shut(advice) => return Err(StepError::last(advice)),
            other => other.verdict(),
        };
        let remembered = Remembered {
            at_ms: cx.host.now_ms(),
            verdict,
        };
        let text = serde_json::to_string(&remembered).unwrap_or_default();
        Ok(Applied {
            remember: BTreeMap::from([(SEEN.to_owned(), text)]),
        })
    }
}

/// The ports that the world must reach; of the relays' range those that are looked at. A proxy of the operator's own may
/// do without 80.
fn wanted(site: &Site) -> Vec<Door> {
    let mut wanted = if proxies::chosen(site).is_some() {
        WEB.to_vec()
    } else {
        WEB[1..].to_vec()
    };
    if site.turn.is_some() {
        wanted.extend(TURN);
    }
    wanted
}

/// Which of them can be answered on.
struct Doors {
    free: Vec<Door>,
    /// A proxy's that is there before the site is.
    held: Vec<Door>,
    taken: Vec<Door>,
    /// For a proxy of the operator's own, which is not there yet, may be elsewhere, or is shut off by the host's firewall.
    theirs: Vec<Door>,
}

impl Doors {
    async fn of(cx: &Cx<'_>) -> Result<Self, StepError> {
        // What the site needs open is open by now, or will be; what an operator's own proxy needs is his to open.
        let needed = openings(cx.site);
        let mut theirs = ever_opened();
        theirs.retain(|opening| !needed.contains(opening));
        let shut = firewalls::look(cx.host, &theirs).await?;
        let is_shut = |door: &Door| {
            let closed = shut.shut.iter().map(|(_, opening, _)| opening);
            let mut gates = closed.chain(shut.denied.iter().map(|(_, opening)| opening));
            gates.any(|opening| {
                opening.transport == door.transport && (opening.first..=opening.last).contains(&door.port)
            })
        };
        let mut doors = Self {
            free: Vec::new(),
            held: Vec::new(),
            taken: Vec::new(),
            theirs: Vec::new(),
        };
        // One that was installed from here is looked at when it is there; another one answers.
        let is_new = !cx.memory.contains_key(recent::INSTALLED) && answer::local(cx.host).await.is_err();
        for door in wanted(cx.site) {
            // Where a TURN server runs, the ports of its relays are its own although they are free now.
            let is_its = TURN.contains(&door) && doors.taken.iter().any(|taken| TURN.contains(taken));
            let is_taken = is_its || cx.host.port_is_taken(door.transport, door.port).await?;
            let is_theirs = WEB.contains(&door) && proxies::chosen(cx.site).is_none();
            let kind = if is_theirs && (!is_taken || is_shut(&door)) {
                &mut doors.theirs
            } else if is_taken && is_new && WEB.contains(&door) {
                &mut doors.held
            } else if is_taken {
                &mut doors.taken
            } else {
                &mut doors.free
            };
            kind.push(door);
        }
        Ok(doors)
    }

    /// Those that the controller is to look at.
    fn asked(&self) -> Vec<Door> {
        [&self.held[..], &self.free].concat()
    }

    fn why_none(&self) -> String {
        let mut why = Vec::new();
        if !self.taken.is_empty() {
            why.push(format!("{} taken already", listed(&self.taken)));
        }
        if !self.theirs.is_empty() {
            why.push(format!(
                "{} left to a proxy of your own, which is not there yet or behind the host's firewall",
                listed(&self.theirs)
            ));
        }
        why.join(", ")
    }
}
