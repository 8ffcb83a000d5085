//! What the controller sees of this host from outside, and what that means for the site.
//!
//! [`judge`] is pure: sights in, a standing out. What only a controller can tell is never made up: where it is away, older
//! or has no way here, the standing is [`Standing::Untold`], which holds no deployment up.

mod advice;
pub mod judge;

use super::{Cx, StepError, answer, proxies, route};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::outside::{Look, LookAt};
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use judge::Expected;

/// chatalot's own service, whose port has its own remark.
const SERVER: &str = "chatalot";

/// How the site stands to the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is reached.
    Reached {
        /// Where and how.
        saw: String,
        /// What should be otherwise, or cannot be told.
        notes: Vec<Note>,
    },
    /// It is not.
    Shut(Advice),
    /// Nobody can tell.
    Untold(Advice),
}

/// Something beside the point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What to do.
    pub advice: Advice,
    /// Whether it was seen, rather than that it could not be.
    pub is_certain: bool,
}

impl Standing {
    /// Adds what the host knows without a controller.
    fn remark(&mut self, advice: Advice) {
        match self {
            Self::Reached { notes, .. } => notes.insert(
                0,
                Note {
                    advice,
                    is_certain: true,
                },
            ),
            Self::Shut(first) | Self::Untold(first) => first
                .evidence
                .push(format!("{}: {}; {}", advice.code, advice.saw, advice.fix)),
        }
    }

    /// As a step's verdict: only what was seen to be shut is in the way.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Reached { saw, notes } => Verdict::noted(saw, folded(notes)),
            Self::Shut(advice) => advice.into(),
            Self::Untold(advice) => Verdict::noted(advice.saw.clone(), Some(advice)),
        }
    }
}

/// The first note, with the others as what it rests on besides.
fn folded(notes: Vec<Note>) -> Option<Advice> {
    let mut advices = notes.into_iter().map(|note| note.advice);
    let first = advices.next()?;
    let others = advices.map(|other| format!("{}: {}; {}", other.code, other.saw, other.fix));
    Some(first.with_evidence(others))
}

/// Whether the domain leads to this very host, so that its ports are seen behind it.
pub fn is_direct(site: &Site) -> bool {
    !site.tunnel
}

/// What the controller sees of the site once it is installed.
pub async fn look(cx: &Cx<'_>) -> Result<Standing, StepError> {
    let version = answer::local(cx.host).await.ok().map(|health| health.version);
    let public = published(cx).await?;
    let at = LookAt::Site {
        turn: cx.site.turn.is_some(),
        direct: is_direct(cx.site),
        published: public.iter().map(|(_, port)| *port).collect(),
    };
    let domain = cx.site.domain.clone();
    let told = cx.host.outside(Look { domain, at }).await;
    let expected = Expected {
        domain: cx.site.domain.as_str(),
        turn: cx.site.turn.map(|turn| turn.address().into()),
        version: version.as_deref(),
        journal: proxies::journal(cx.site),
        may_shut: is_direct(cx.site) && !cx.site.loopback_only,
        proxy_is_ours: proxies::chosen(cx.site).is_some(),
        is_limited: route::limit(cx).is_some(),
        published: &public,
    };
    let unseen = judge::unseen(&told, &public);
    let mut standing = judge::site(told, &expected);
    if !unseen.is_empty() {
        standing.remark(advice::is_published(&unseen));
    }
    Ok(standing)
}

/// What the site's containers besides chatalot itself, such as the updater, publish to everybody, past ufw: each one's name
/// and port, which only the host knows.
async fn published(cx: &Cx<'_>) -> Result<Vec<(String, u16)>, StepError> {
    let there = cx.host.containers(Some(cx.site.folder.as_str())).await?;
    let mut public = Vec::new();
    for one in there.iter().filter(|one| one.service != SERVER) {
        let ports = one.ports.iter().filter(|port| !one.loopback.contains(port));
        public.extend(ports.map(|port| (one.name.clone(), *port)));
    }
    Ok(public)
}
