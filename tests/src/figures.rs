//! Figures of the benches, for people: one line each, as they come.

use std::fs;
use std::io::{Write, stdout};

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// Told for its own sake.
    None,
}

/// What was measured so far.
pub struct Figures {
    missed: usize,
}

impl Figures {
    /// Says what is special about this machine at this moment, and what the columns are.
    pub fn begin() -> Self {
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        say(&format!(
            "{cores} cores, load {}",
            load.split(' ').next().unwrap_or("?")
        ));
        say(&format!("{:<52}{:>12} {:<9}{:>12}", "figure", "", "", "target"));
        Self { missed: 0 }
    }

    /// One figure with its target and the verdict.
    pub fn row(&mut self, name: &str, figure: f64, unit: &str, bound: Bound) {
        let (target, met) = match bound {
            Bound::AtMost(most) => (format!("≤ {most}"), figure <= most),
            Bound::AtLeast(least) => (format!("≥ {least}"), figure >= least),
            Bound::None => (String::new(), true),
        };
        let verdict = match bound {
            Bound::None => "",
            _ if met => "met",
            _ => "MISSED",
        };
        self.missed += usize::from(!met);
        say(&format!(
            "{name:<52}{figure:>12.3} {unit:<9}{target:>12}  {verdict}"
        ));
    }

    /// How many were missed.
    pub const fn missed(&self) -> usize {
        self.missed
    }
}

/// One line for whoever reads along.
pub fn say(line: &str) {
    // A reader that went away needs no word.
    drop(writeln!(stdout(), "{line}"));
}

/// A count as a figure.
#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
pub const fn float(count: u64) -> f64 {
    count as f64
}

/// The value that so many per mille of all do not exceed; sorts them.
pub fn quantile(values: &mut [f64], per_mille: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() * per_mille / 1000).min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or(f64::NAN)
}

/// The middle one.
pub fn median(values: &mut [f64]) -> f64 {
    quantile(values, 500)
}
