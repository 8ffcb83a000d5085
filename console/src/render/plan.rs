//! A plan, for approval.

use super::{heading, site, title_width};
use crate::advice;
use crate::output::{Page, Style};
use crate::text::{labelled, padded, safe, shortened};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::plan::{Plan, PlannedStep, Standing};
use chatalot_protocol::report::Verdict;
use chatalot_protocol::work::Work;
use std::fmt::Write as _;

/// The inputs, then each step with what it will do and how it stands, then the hash.
pub fn plan(plan: &Plan, page: Page) -> String {
    let given = |name: &str| plan.secret_tags.contains_key(name);
    let mut text = if plan.work.takes_away() {
        taken_away(plan, page)
    } else {
        site(&plan.site, &given, page)
    };
    let _ = writeln!(
        text,
        "\n{} for {} (recipe {})",
        page.paint(Style::Strong, "Plan"),
        safe(&plan.distribution),
        plan.recipe
    );
    let titles = title_width(plan.steps.iter().map(|step| step.title.as_str()));
    let mut chapter = "";
    for step in &plan.steps {
        if step.id.chapter() != chapter {
            chapter = step.id.chapter();
            let _ = writeln!(text, "\n{}", heading(chapter, page));
        }
        text.push_str(&line(step, titles, page));
    }
    let _ = writeln!(text, "\n{}", counts(&plan.steps));
    let _ = writeln!(text, "hash {}", page.paint(Style::Quiet, &plan.hash.to_string()));
    text
}

/// What a plan that takes a site away is about: its inputs matter to nobody any more.
fn taken_away(plan: &Plan, page: Page) -> String {
    let site = &plan.site;
    let what = format!(
        "Take {} away from {}",
        safe(site.domain.as_str()),
        safe(site.folder.as_str())
    );
    let data = if plan.work == Work::UninstallWithData {
        "its database, uploads and secrets are deleted too, for ever"
    } else {
        "its database, uploads and secrets stay"
    };
    format!("{}\n  {data}\n", page.paint(Style::Strong, &what))
}

/// The advice of each blocked step, as it follows a plan.
pub fn blocked(plan: &Plan, page: Page) -> String {
    let mut text = String::new();
    for advice in advice_of(plan) {
        let _ = write!(text, "\n{}", advice::render(&advice, page));
    }
    text
}

/// The advice of each blocked step.
pub(crate) fn advice_of(plan: &Plan) -> Vec<Advice> {
    let blocked = plan.steps.iter().filter_map(|step| match &step.standing {
        Standing::Known {
            verdict: Verdict::Blocked { advice },
        } => Some(advice.clone()),
        _ => None,
    });
    blocked.collect()
}

fn line(step: &PlannedStep, titles: usize, page: Page) -> String {
    let (mark, style, saw) = standing(&step.standing);
    let title = padded(&shortened(&safe(&step.title), titles), titles);
    let mut text = format!("  {} {title}  ", page.paint(style, mark));
    let room = page.width.map(|width| width.saturating_sub(titles + 6).max(12));
    let saw = safe(&saw).into_owned();
    let saw = room.map_or_else(|| saw.clone(), |room| shortened(&saw, room));
    text.push_str(&page.paint(Style::Quiet, &saw));
    text.truncate(text.trim_end().len());
    text.push('\n');
    for effect in &step.effects {
        text.push_str(&labelled("      ·", 8, &safe(effect), page.width));
    }
    text
}

fn standing(standing: &Standing) -> (&'static str, Style, String) {
    match standing {
        Standing::Known { verdict } => match verdict {
            Verdict::Satisfied { saw, .. } => ("✓", Style::Good, saw.clone()),
            Verdict::Needed { why } => ("→", Style::Attention, why.clone()),
            Verdict::Blocked { advice } => ("✗", Style::Bad, advice.code.to_string()),
        },
        Standing::DecidedAfter { step } => ("○", Style::Quiet, format!("decided after {step}")),
    }
}

fn counts(steps: &[PlannedStep]) -> String {
    let count = |mark: &str| {
        steps
            .iter()
            .filter(|step| standing(&step.standing).0 == mark)
            .count()
    };
    let mut parts = vec![format!("{} steps", steps.len())];
    for (mark, word) in [
        ("✓", "satisfied"),
        ("→", "to do"),
        ("○", "decided later"),
        ("✗", "blocked"),
    ] {
        let count = count(mark);
        if count > 0 {
            parts.push(format!("{count} {word} {mark}"));
        }
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing;

    #[test]
    fn a_plan_reads_as_inputs_steps_with_effects_and_its_hash() {
        let text = plan(&testing::plan(), Page::PLAIN);
        let steps = &text[text.find("Plan for").unwrap()..];
        assert_eq!(
            steps,
            "Plan for Debian 13 (recipe 3)\n\
             \n\
             Preflight\n\
             \x20 ✓ Operating system           Debian GNU/Linux 13, x86_64\n\
             \x20 ✗ Domain points to the host  DNS_WRONG_ADDRESS\n\
             \n\
             Packages\n\
             \x20 → Docker is installed        docker is not installed\n\
             \x20     · apt-get install docker.io docker-compose\n\
             \x20     · start and enable docker.service\n\
             \n\
             Install\n\
             \x20 ○ Chatalot is installed      decided after packages.docker\n\
             \x20     · run scripts/install.sh\n\
             \n\
             4 steps · 1 satisfied ✓ · 1 to do → · 1 decided later ○ · 1 blocked ✗\n\
             hash 0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b\n"
        );
    }

    #[test]
    fn a_plan_fits_into_eighty_columns() {
        let page = Page {
            colour: false,
            width: Some(80),
        };
        let text = plan(&testing::plan(), page);
        assert!(text.lines().all(|line| crate::text::width(line) <= 80), "{text}");
    }
}
