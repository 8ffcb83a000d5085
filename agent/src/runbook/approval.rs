//! What was approved, against what would be done now. A deployment that goes on after a restart runs under its own
//! approval: what the host looks like by then is for the checks. It stops only if this agent would do something else
//! than what was shown, because the agent or the system under it was exchanged.

use super::{Cx, Step, plan};
use crate::ledger::LedgerError;
use chatalot_protocol::advice::Advice;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many differing lines are shown.
const MOST: usize = 20;

/// The intentions of a plan, in lines that can be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    recipe: u32,
    distribution: String,
    /// The steps in order, each with what it would do.
    steps: Vec<(String, Vec<String>)>,
}

impl Approved {
    /// What this agent would do for a site.
    pub fn of(steps: &[&'static dyn Step], cx: Cx<'_>) -> Self {
        let intent = super::Intent {
            site: cx.site,
            distro: cx.distro,
        };
        Self {
            recipe: super::RECIPE,
            distribution: cx.distro.name.to_owned(),
            steps: plan::steps_of(steps, intent)
                .map(|step| (step.id().to_owned(), step.effects(&intent)))
                .collect(),
        }
    }

    /// Keeps it with its deployment.
    pub fn keep(&self, connection: &Connection, deployment: &str) -> Result<(), LedgerError> {
        connection.execute(
            "INSERT OR REPLACE INTO approval VALUES (?1, ?2)",
            [deployment, &serde_json::to_string(self)?],
        )?;
        Ok(())
    }

    /// What was kept with a deployment.
    pub fn find(connection: &Connection, deployment: &str) -> Result<Option<Self>, LedgerError> {
        let text: Option<String> = connection
            .query_row(
                "SELECT plan FROM approval WHERE deployment = ?1",
                [deployment],
                |row| row.get(0),
            )
            .optional()?;
        Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// Why a deployment that was approved as `self` must not go on as `now`.
    pub fn foreign_change(&self, now: &Self) -> Option<Advice> {
        if self == now {
            return None;
        }
        let (before, after) = (self.lines(), now.lines());
        let mut differing: Vec<String> = differing("approved: ", &before, &after);
        differing.extend(differing_in_order(&before, &after));
        differing.extend(self::differing("now: ", &after, &before));
        differing.truncate(MOST);
        let advice = Advice::new(
            "PLAN_CHANGED_UNDERWAY",
            "this agent would go on with something else than what was approved",
            "the agent and the system that the plan was made with",
            "look at the difference, then deploy again and approve the new plan",
        );
        Some(advice.with_evidence(differing))
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("recipe {}", self.recipe),
            format!("distribution {}", self.distribution),
        ];
        for (step, effects) in &self.steps {
            lines.push(step.clone());
            lines.extend(effects.iter().map(|effect| format!("{step}: {effect}")));
        }
        lines
    }
}

fn differing(whose: &str, lines: &[String], others: &[String]) -> Vec<String> {
    let mut left: BTreeMap<&String, usize> = BTreeMap::new();
    for line in others {
        *left.entry(line).or_default() += 1;
    }
    let only = lines.iter().filter(|line| match left.get_mut(line) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    });
    only.map(|line| format!("{whose}{line}")).collect()
}

/// Where the same lines stand in another order, the first that does.
fn differing_in_order(before: &[String], after: &[String]) -> Option<String> {
    let same = differing("", before, after).is_empty() && before.len() == after.len();
    let moved = before.iter().zip(after).find(|(before, after)| before != after);
    let (_, now) = moved.filter(|_| same)?;
    Some(format!("now earlier: {now}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approved() -> Approved {
        let step = |id: &str, effects: &[&str]| {
            let effects = effects.iter().map(|effect| (*effect).to_owned()).collect();
            (id.to_owned(), effects)
        };
        Approved {
            recipe: 1,
            distribution: "Debian 13".to_owned(),
            steps: vec![
                step("packages.install", &["run `apt-get update`", "install git"]),
                step("install.run", &["run the installer"]),
            ],
        }
    }

    fn evidence(now: &Approved) -> Vec<String> {
        approved().foreign_change(now).unwrap().evidence
    }

    #[test]
    fn what_differs_from_what_was_approved_is_shown_line_by_line() {
        assert_eq!(approved().foreign_change(&approved()), None);
        let mut now = approved();
        now.recipe = 2;
        now.steps[1].1[0] = "run another installer".to_owned();
        assert_eq!(
            evidence(&now),
            [
                "approved: recipe 1",
                "approved: install.run: run the installer",
                "now: recipe 2",
                "now: install.run: run another installer",
            ]
        );
        let mut moved = approved();
        moved.steps.swap(0, 1);
        assert_eq!(evidence(&moved), ["now earlier: install.run"]);
        let mut less = approved();
        less.steps.truncate(1);
        assert_eq!(
            evidence(&less),
            [
                "approved: install.run",
                "approved: install.run: run the installer"
            ]
        );
    }
}
