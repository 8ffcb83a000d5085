//! Counts the calls to a fake host, and lets one of them go wrong or be told.

use std::sync::Arc;
use tokio::sync::Notify;

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It fails and nothing has happened.
    NoEffect,
    /// It has happened, but the answer is lost.
    EffectButAnswerLost,
    /// It is never answered and nothing has happened.
    NoEffectNoAnswer,
    /// It has happened, but is never answered.
    EffectNoAnswer,
}

impl Mode {
    pub(super) const fn has_effect(self) -> bool {
        matches!(self, Self::EffectButAnswerLost | Self::EffectNoAnswer)
    }

    pub(super) const fn never_answers(self) -> bool {
        matches!(self, Self::NoEffectNoAnswer | Self::EffectNoAnswer)
    }

    /// The same effect, without ever an answer.
    pub(super) const fn unanswered(self) -> Self {
        if self.has_effect() {
            Self::EffectNoAnswer
        } else {
            Self::NoEffectNoAnswer
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) calls: usize,
    pub(super) writes: usize,
    pub(super) log: Vec<String>,
    /// At which call, counted from the beginning, and how.
    trap: Option<(usize, Mode)>,
    /// At which call, counted from the beginning, who is told.
    bell: Option<(usize, Arc<Notify>)>,
}

impl Meter {
    pub(super) const fn set_trap(&mut self, n: usize, mode: Mode) {
        self.trap = Some((self.calls + n, mode));
    }

    pub(super) fn set_bell(&mut self, n: usize) -> Arc<Notify> {
        let bell = Arc::new(Notify::new());
        self.bell = Some((self.calls + n, Arc::clone(&bell)));
        bell
    }

    pub(super) const fn heal(&mut self) -> bool {
        self.trap.take().is_some()
    }

    /// Counts a call; how it goes wrong, if it does.
    pub(super) fn enter(&mut self, what: &str, effect: bool) -> Option<Mode> {
        self.calls += 1;
        self.writes += usize::from(effect);
        self.log.push(what.to_owned());
        if let Some((_, bell)) = self.bell.take_if(|(n, _)| *n == self.calls) {
            bell.notify_one();
        }
        let (n, mode) = self.trap?;
        if n != self.calls {
            return None;
        }
        self.trap = None;
        Some(mode)
    }
}
