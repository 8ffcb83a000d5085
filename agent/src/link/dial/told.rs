//! What is told of a controller that is away for long: enough to see it, and not the same line for days.

use super::SessionEnd;
use std::time::Duration;
use tokio::time::Instant;

/// How many attempts are told of one by one.
const MOST: u32 = 6;
/// Within how long.
const SPAN: Duration = Duration::from_hours(1);

/// How much was told of late.
#[derive(Default)]
pub(super) struct Told {
    since: Option<Instant>,
    lines: u32,
    untold: u32,
}

impl Told {
    /// Tells of an attempt that failed, or only counts it.
    pub(super) fn tell(&mut self, end: &SessionEnd, pause: Duration) {
        let (error, pause_ms) = (crate::chain(end), pause.as_millis());
        match self.turn(Instant::now()) {
            Some(untold) => log::info!(error, pause_ms, untold; "no session with the controller"),
            None => log::debug!(error, pause_ms; "no session with the controller"),
        }
    }

    /// Whether this one is to be told, and how many before it were not.
    fn turn(&mut self, now: Instant) -> Option<u32> {
        if self.since.is_none_or(|since| now - since >= SPAN) {
            (self.since, self.lines) = (Some(now), 0);
        }
        if self.lines == MOST {
            self.untold += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f20_a_week_without_a_controller_is_told_in_a_few_lines_an_hour_and_none_is_passed_over_silently() {
        let (mut told, begin) = (Told::default(), Instant::now());
        let week = (0..7 * 24 * 120).filter_map(|half| told.turn(begin + Duration::from_secs(30) * half));
        let week: Vec<u32> = week.collect();
        assert_eq!(week.len(), 7 * 24 * 6);
        assert_eq!((week[0], week[5], week[6]), (0, 0, 114));
    }
}
