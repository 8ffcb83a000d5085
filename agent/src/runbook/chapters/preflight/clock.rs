//! The clock: certificates and one-time passwords depend on it.

use crate::host::Fetch;
use crate::runbook::{Cx, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use std::time::Duration;

/// Nobody's clock shows less: this recipe did not exist.
const FLOOR_MS: i64 = 1_769_904_000_000;
/// More than this off and certificates and one-time passwords begin to be refused.
const TOLERANCE_MS: i64 = 5 * 60 * 1000;

/// The clock is right, as far as it can be told.
pub(super) struct Clock;

#[async_trait]
impl Step for Clock {
    fn id(&self) -> &'static str {
        "preflight.clock"
    }

    fn title(&self) -> &'static str {
        "The clock is right"
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let elsewhere = match page_of(cx.site.source.repository.as_str()) {
            None => None,
            // The certificate is not judged: a wrong clock is what would make it fail.
            Some(url) => {
                let page = Fetch {
                    verify: false,
                    deadline: Duration::from_secs(5),
                    ..Fetch::page(url)
                };
                let answer = cx.host.fetch(page).await.ok();
                answer.and_then(|page| page.header("date").and_then(http_date_ms))
            }
        };
        Ok(judge(cx.host.now_ms(), elsewhere))
    }
}

fn judge(now_ms: i64, elsewhere_ms: Option<i64>) -> Verdict {
    let wrong = |saw: String| {
        Verdict::from(Advice::new(
            "CLOCK_WRONG",
            saw,
            "a clock within five minutes of the rest of the world",
            "run `timedatectl set-ntp true`, see with `timedatectl` that it is synchronised, then deploy again",
        ))
    };
    match elsewhere_ms {
        _ if now_ms < FLOOR_MS => wrong("a clock that shows a time before this agent was built".to_owned()),
        Some(elsewhere) if (now_ms - elsewhere).abs() > TOLERANCE_MS => {
            let minutes = (now_ms - elsewhere) / 60_000;
            let side = if minutes < 0 { "behind" } else { "ahead" };
            wrong(format!(
                "a clock {} minutes {side} of the repository's server",
                minutes.abs()
            ))
        }
        Some(_) => Verdict::satisfied("it agrees with the repository's server"),
        None => Verdict::satisfied("it is plausible; nobody else's clock could be asked"),
    }
}

/// The front page of an https address's host.
fn page_of(url: &str) -> Option<String> {
    let host = url.strip_prefix("https://")?.split('/').next()?;
    Some(format!("https://{host}/"))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` in milliseconds since 1970.
fn http_date_ms(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split_ascii_whitespace().skip(1);
    let day: i64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = i64::try_from(MONTHS.iter().position(|month| *month == name)?).ok()? + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(str::parse::<i64>);
    let mut part = || clock.next()?.ok();
    let (hour, minute, second) = (part()?, part()?, part()?);
    let sane = (1970..10_000).contains(&year) && (1..=31).contains(&day) && hour < 24;
    sane.then(|| ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000)
}

/// Days between 1970-01-01 and a date of our calendar, counted in years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_date_is_read() {
        assert_eq!(
            http_date_ms("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777_000)
        );
        assert_eq!(
            http_date_ms("Tue, 29 Feb 2028 00:00:00 GMT"),
            Some(1_835_395_200_000)
        );
        for bad in [
            "",
            "tomorrow",
            "Sun, 99 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994",
            "Sun, 06 Nov 99999999999999 1:1:1",
        ] {
            assert_eq!(http_date_ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn f19_a_wrong_clock_is_named_with_its_error() {
        let now = 1_800_000_000_000;
        assert!(judge(now, Some(now + 60_000)).is_satisfied() && judge(now, None).is_satisfied());
        let Verdict::Blocked { advice } = judge(now, Some(now + 3_600_000)) else {
            panic!("an hour off");
        };
        assert!(
            advice.code == "CLOCK_WRONG" && advice.saw.contains("60 minutes behind"),
            "{advice}"
        );
        assert!(!judge(0, None).is_satisfied());
    }

    #[test]
    fn only_an_https_repository_has_a_page() {
        assert_eq!(
            page_of("https://git.example/a/b.git").as_deref(),
            Some("https://git.example/")
        );
        assert_eq!(page_of("file:///srv/git/a"), None);
    }
}
