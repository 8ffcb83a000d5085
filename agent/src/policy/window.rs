//! Hours of the week: `mon-fri 22:00-04:00`, `sat,sun 00:00-24:00`, `01:00-05:00`. UTC, so that no clock change and no
//! time zone of the host decides.

use std::{fmt, str::FromStr};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: i64 = 24 * 60;

/// When something may be changed. A window that ends before it begins goes on until the next day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    days: [bool; 7],
    from: i64,
    to: i64,
    text: String,
}

impl Window {
    /// Whether a time, in milliseconds since 1970, is within it.
    pub(super) fn contains(&self, at_ms: i64) -> bool {
        let minute = at_ms.div_euclid(60_000);
        let (day, minute) = (minute.div_euclid(DAY), minute.rem_euclid(DAY));
        // 1970 began on a Thursday.
        let on = |day: i64| {
            let day = usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
            self.days[day]
        };
        if self.from < self.to {
            on(day) && (self.from..self.to).contains(&minute)
        } else {
            (on(day) && minute >= self.from) || (on(day - 1) && minute < self.to)
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Window {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let shown: String = text.escape_debug().take(80).collect();
            format!("`{shown}` is no window such as `mon-fri 22:00-04:00`, in UTC")
        };
        let (days, hours) = match text.split_once(' ') {
            Some((days, hours)) => (listed(days).ok_or_else(wrong)?, hours.trim()),
            None => ([true; 7], text),
        };
        let (from, to) = hours.split_once('-').ok_or_else(wrong)?;
        let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
        if from == to || from == DAY {
            return Err(wrong());
        }
        Ok(Self {
            days,
            from,
            to,
            text: text.to_owned(),
        })
    }
}

fn listed(text: &str) -> Option<[bool; 7]> {
    let day = |name: &str| DAYS.iter().position(|day| *day == name);
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (day(first)?, day(last)?);
        days[at] = true;
        while at != last {
            at = (at + 1) % 7;
            days[at] = true;
        }
    }
    Some(days)
}

fn minute(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| {
        let plain = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse::<i64>().ok()).flatten()
    };
    let (hour, minute) = (digits(hour)?, digits(minute)?);
    let all = hour * 60 + minute;
    (minute < 60 && all <= DAY).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    /// Monday, 5 January 1970.
    const MONDAY: i64 = 4 * 24 * HOUR;

    fn is_in(window: &str, at_ms: i64) -> bool {
        window.parse::<Window>().unwrap().contains(at_ms)
    }

    #[test]
    fn a_window_is_open_in_its_hours_on_its_days_and_may_go_past_midnight() {
        assert!(is_in("01:00-05:00", MONDAY + HOUR));
        assert!(!is_in("01:00-05:00", MONDAY + 5 * HOUR));
        assert!(is_in("mon-fri 22:00-04:00", MONDAY + 23 * HOUR));
        assert!(!is_in("mon-fri 22:00-04:00", MONDAY + HOUR));
        assert!(is_in("mon-fri 22:00-04:00", MONDAY + 25 * HOUR));
        // The night from Friday to Saturday, and not the one after.
        assert!(is_in("mon-fri 22:00-04:00", MONDAY + (5 * 24 + 1) * HOUR));
        assert!(!is_in("mon-fri 22:00-04:00", MONDAY + (6 * 24 + 1) * HOUR));
        assert!(is_in("sat-mon 00:00-24:00", MONDAY + 12 * HOUR));
        assert!(!is_in("sat,sun 00:00-24:00", MONDAY + 12 * HOUR));
        assert!(is_in("thu 00:00-01:00", 0) && is_in("wed 23:00-24:00", -1));
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for bad in [
            "",
            "always",
            "mon",
            "24:00-01:00",
            "1:00-2:00",
            "01:00-01:00",
            "01:60-02:00",
            "25:00-26:00",
            "foo 01:00-02:00",
            "mon- 01:00-02:00",
            "+1:00-02:00",
        ] {
            assert!(bad.parse::<Window>().is_err(), "{bad}");
        }
    }
}
