//! What the controller sees of this host from outside, and what that means for the site.
//!
//! [`judge`] is pure: sights in, a standing out. What only a controller can tell is never made up: where it is away, older
//! or has no way here, the standing is [`Standing::Untold`], which holds no deployment up.

mod advice;
pub mod judge;

use super::{Cx, StepError, answer, proxies};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::outside::{Look, LookAt};
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use judge::Expected;

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
    proxies::chosen(site).is_some()
}

/// What the controller sees of the site once it is installed.
pub async fn look(cx: &Cx<'_>) -> Result<Standing, StepError> {
    let version = answer::local(cx.host).await.ok().map(|health| health.version);
    let at = LookAt::Site {
        turn: cx.site.turn.is_some(),
        direct: is_direct(cx.site),
    };
    let domain = cx.site.domain.clone();
    let told = cx.host.outside(Look { domain, at }).await;
    let expected = Expected {
        domain: cx.site.domain.as_str(),
        turn: cx.site.turn.map(|turn| turn.address().into()),
        version: version.as_deref(),
        journal: proxies::journal(cx.site),
        may_shut: is_direct(cx.site) && !cx.site.loopback_only,
    };
    Ok(judge::site(told, &expected))
}
