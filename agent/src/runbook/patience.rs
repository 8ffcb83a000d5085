//! How long the agent waits for what may take long, as the host's configuration has it.

use super::Limits;
use serde::Deserialize;
use std::time::Duration;

/// How long something that may pass by itself is tried again, where nothing is configured.
const RETRY: Duration = Duration::from_mins(10);

/// What was typed, in seconds.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawPatience {
    #[serde(rename = "retry_secs")]
    retry: Option<u64>,
    #[serde(rename = "silence_secs")]
    silence: Option<u64>,
    #[serde(rename = "step_secs")]
    step: Option<u64>,
}

/// The least that is of any use: a slower network or disk than usual must not look like a fault.
const LEAST: RawPatience = RawPatience {
    retry: Some(5),
    silence: Some(10),
    step: Some(60),
};

/// Less patience than is of any use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {typed} is less than {least}")]
pub struct TooImpatient {
    key: &'static str,
    typed: u64,
    least: u64,
}

/// How long the agent waits for what may take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long something that may pass by itself is tried again.
    pub retry: Duration,
    /// The longest silence of a step that may be ended; each step's own where there is none.
    pub silence: Option<Duration>,
    /// The longest time of a step that may be ended; each step's own where there is none.
    pub step: Option<Duration>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            retry: RETRY,
            silence: None,
            step: None,
        }
    }
}

impl TryFrom<RawPatience> for Patience {
    type Error = TooImpatient;

    fn try_from(typed: RawPatience) -> Result<Self, TooImpatient> {
        let retry = judged("retry_secs", typed.retry, LEAST.retry)?;
        Ok(Self {
            retry: retry.unwrap_or(RETRY),
            silence: judged("silence_secs", typed.silence, LEAST.silence)?,
            step: judged("step_secs", typed.step, LEAST.step)?,
        })
    }
}

impl Patience {
    /// A step's limits under this patience. What may not be ended, such as a package manager, keeps its own.
    pub fn within(&self, limits: Limits) -> Limits {
        if !limits.interruptible {
            return limits;
        }
        Limits {
            deadline: self
                .step
                .map_or(limits.deadline, |most| limits.deadline.min(most)),
            idle: self.silence.map_or(limits.idle, |most| limits.idle.min(most)),
            ..limits
        }
    }
}

fn judged(
    key: &'static str,
    typed: Option<u64>,
    least: Option<u64>,
) -> Result<Option<Duration>, TooImpatient> {
    match (typed, least.unwrap_or_default()) {
        (Some(typed), least) if typed < least => Err(TooImpatient { key, typed, least }),
        (typed, _) => Ok(typed.map(Duration::from_secs)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_never_given_more_time_than_its_own_and_a_package_manager_never_less() {
        let patience = Patience::try_from(RawPatience {
            silence: Some(10),
            step: Some(3600),
            ..RawPatience::default()
        })
        .unwrap();
        let own = Limits::default();
        let limits = patience.within(own);
        assert_eq!((limits.idle.as_secs(), limits.deadline), (10, own.deadline));
        let kept = Limits {
            interruptible: false,
            ..own
        };
        assert_eq!(patience.within(kept), kept);
    }

    #[test]
    fn less_than_is_of_use_is_refused_by_name() {
        let typed = RawPatience {
            step: Some(59),
            ..RawPatience::default()
        };
        let refused = Patience::try_from(typed).unwrap_err();
        assert_eq!(refused.to_string(), "step_secs = 59 is less than 60");
    }
}
