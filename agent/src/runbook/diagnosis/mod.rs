//! What is wrong, and why: facts gathered once, then a table of rows, each a pure function of the facts.
//!
//! | module | what |
//! |---|---|
//! | [`facts`] | what is gathered, by looking and nothing else |
//! | [`rows`] | the table: evidence → cause → fix → may we fix it |
//! | [`bundle`] | all of it in one text to hand on, without secrets |
//!
//! The rows stand in the order in which a host is built: what is below is the cause of what is above. A row that only
//! tells a symptom is silent once a cause has been found, by a row or by a check. `docs/diagnosis.md` is made from the table.

pub mod bundle;
pub mod facts;
mod rows;
#[cfg(test)]
mod tests;

pub use facts::Facts;
pub use rows::ROWS;

use chatalot_protocol::advice::Advice;
use std::fmt::Write as _;

/// How many findings a person is shown at once.
const MOST: usize = 8;

/// How many layers are below everything of chatalot's.
const GROUND: usize = 2;

/// What may be missing where a site is being taken away.
const GONE: &[&str] = &["ENGINE_ABSENT", "COMPOSE_MISSING"];

/// One cause, and how it is recognised.
pub struct Row {
    /// Stable, upper case.
    pub code: &'static str,
    /// What is wrong.
    pub cause: &'static str,
    /// What shows it.
    pub shown_by: &'static str,
    /// What to do, in general; a finding may know more.
    pub fix: &'static str,
    /// Whether deploying again mends it.
    pub ours: bool,
    /// Whether it tells how something shows rather than why.
    pub symptom: bool,
    /// How it is found.
    pub find: Find,
}

/// How a row is found.
pub enum Find {
    /// A check says so now, or the deployment that ended last said so.
    Told,
    /// The deployment that ended last said so.
    Ended,
    /// The facts show it.
    Seen(fn(&Facts) -> Option<Seen>),
}

/// What a row has seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// What was seen.
    pub saw: String,
    /// The exact thing to do, where it is more than the row's own words.
    pub fix: Option<String>,
    /// What it rests on.
    pub lines: Vec<String>,
    /// Whether deploying again mends it, where that is otherwise than the row says.
    pub ours: Option<bool>,
}

impl Seen {
    fn of(saw: impl Into<String>) -> Self {
        Self {
            saw: saw.into(),
            ..Self::default()
        }
    }
}

impl Row {
    fn finding(&self, facts: &Facts) -> Option<Advice> {
        let (advice, ours) = match self.find {
            Find::Told => (facts.told(self.code)?.clone(), None),
            Find::Ended => (facts.ended(self.code)?.clone(), None),
            Find::Seen(find) => {
                let seen = find(facts)?;
                let fix = seen.fix.unwrap_or_else(|| self.fix.to_owned());
                let advice = Advice::new(self.code, seen.saw, format!("not: {}", self.cause), fix);
                (advice.with_evidence(seen.lines), seen.ours)
            }
        };
        Some(Advice {
            fixable: ours.unwrap_or(self.ours),
            ..advice
        })
    }
}

/// What the facts mean: causes from the ground up; where no row knows one, what the checks and the last deployment say
/// in their own words, for it is not nothing; and how it shows only where there is not that either.
pub fn diagnose(facts: &Facts) -> Vec<Advice> {
    let (causes, symptoms) = ROWS.split_at(ROWS.len() - 1);
    let mut found = told(facts, causes);
    if found.is_empty() {
        let last = facts.last.iter().filter(|advice| row(advice).is_none());
        // A row that has its own eyes may not have seen what the check has.
        let now = facts.found.values();
        let now = now.filter(|advice| row(advice).is_none_or(|row| !row.symptom));
        found.extend(last.chain(now).take(MOST).cloned());
    }
    if found.is_empty() {
        return told(facts, symptoms);
    }
    found
}

/// What the facts say of host and Engine alone: where a site is being taken away, what is gone is no fault, and deploying
/// mends nothing.
pub fn diagnose_ground(facts: &Facts) -> Vec<Advice> {
    let mut found = told(facts, &ROWS[..GROUND]);
    found.retain(|advice| !GONE.contains(&&*advice.code));
    for advice in &mut found {
        advice.fixable = false;
    }
    found
}

/// What rows of these layers find; a symptom only where that is nothing yet.
fn told(facts: &Facts, layers: &[rows::Layer]) -> Vec<Advice> {
    let mut found: Vec<Advice> = Vec::new();
    for row in layers.iter().flat_map(|layer| layer.rows) {
        if found.len() < MOST && (found.is_empty() || !row.symptom) {
            found.extend(row.finding(facts));
        }
    }
    found
}

fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().flat_map(|layer| layer.rows)
}

/// The row that judges what is told under this code.
fn row(advice: &Advice) -> Option<&'static Row> {
    rows().find(|row| advice.code == row.code)
}

/// The table as a page for people.
pub fn page() -> String {
    let mut page = String::from(
        "# What `diagnose` knows\n\nMade from the agent's table; a test fails when this page is stale. Rows stand from the \
         ground up: what is below causes what is above. *Deploy* means that deploying again mends it, unless the finding \
         itself knows better. Where no row has found a cause, what a check or the last deployment found is told in its \
         own words; a *symptom* is told only where there is nothing of that kind either.\n",
    );
    for layer in ROWS {
        let _ = write!(
            page,
            "\n## {}\n\n| code | cause | shown by | fix | deploy |\n|---|---|---|---|---|\n",
            layer.name
        );
        for row in layer.rows {
            let symptom = if row.symptom { " *(symptom)*" } else { "" };
            let ours = if row.ours { "yes" } else { "no" };
            let _ = writeln!(
                page,
                "| `{}` | {}{symptom} | {} | {} | {ours} |",
                row.code, row.cause, row.shown_by, row.fix
            );
        }
    }
    page
}
