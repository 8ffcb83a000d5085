//! The time, as it is stored and as people read it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}

/// How long ago something was, in a word.
pub fn ago(then_ms: i64, now_ms: i64) -> String {
    let secs = (now_ms - then_ms).max(0) / 1000;
    match secs {
        0..=1 => "now".to_owned(),
        2..=119 => format!("{secs} s ago"),
        120..=7199 => format!("{} min ago", secs / 60),
        7200..=172_799 => format!("{} h ago", secs / 3600),
        _ => format!("{} d ago", secs / 86_400),
    }
}

/// The day that something is on, in UTC.
pub fn day(at_ms: i64) -> String {
    x509_parser::time::ASN1Time::from_timestamp(at_ms / 1000)
        .map(|at| at.to_datetime().date().to_string())
        .unwrap_or_default()
}

/// The minute that something happened in, in UTC.
pub fn minute(at_ms: i64) -> String {
    x509_parser::time::ASN1Time::from_timestamp(at_ms / 1000)
        .map(|at| {
            let (date, (hour, minute, _)) = (at.to_datetime().date(), at.to_datetime().time().as_hms());
            format!("{date} {hour:02}:{minute:02}")
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{ago, minute};

    #[test]
    fn an_age_is_told_in_the_unit_that_people_would_use() {
        assert_eq!(ago(0, 1_000), "now");
        assert_eq!(ago(0, 90_000), "90 s ago");
        assert_eq!(ago(0, 3_600_000), "60 min ago");
        assert_eq!(ago(0, 10 * 3_600_000), "10 h ago");
        assert_eq!(ago(0, 5 * 86_400_000), "5 d ago");
        assert_eq!(minute(1_764_000_000_000), "2025-11-24 16:00");
    }
}
