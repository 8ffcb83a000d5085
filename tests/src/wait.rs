//! Waiting for conditions instead of sleeping, and telling how long things take.

use std::{
    io::{Write, stderr},
    thread,
    time::{Duration, Instant},
};

use crate::command::{Failed, Result};

const PAUSE: Duration = Duration::from_millis(100);

/// Polls until `condition` holds; an error names `what` was waited for.
pub fn wait_until(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    let started = Instant::now();
    loop {
        if condition() {
            return Ok(());
        }
        if started.elapsed() >= patience {
            return Err(Failed::Late(what.to_owned(), patience.as_secs()));
        }
        thread::park_timeout(PAUSE);
    }
}

/// Does something and writes how long it took to standard error.
pub fn phase<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    drop(writeln!(
        stderr(),
        "{name}: {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_comes_true_ends_the_wait() {
        let mut asked = 0;
        wait_until("the third time", Duration::from_secs(5), || {
            asked += 1;
            asked == 3
        })
        .unwrap();
        assert_eq!(asked, 3);
    }

    #[test]
    fn a_condition_that_stays_false_is_named() {
        let late = wait_until("the moon", Duration::ZERO, || false)
            .unwrap_err()
            .to_string();
        assert_eq!(late, "the moon did not come true within 0 s");
    }
}
