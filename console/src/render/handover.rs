//! The handover: what the user is told when the site runs, with the real names in it.

use crate::output::{Page, Style};
use crate::text::{labelled, padded, safe, width, wrapped};
use chatalot_protocol::handover::{Duty, DutyStanding, Handover};
use std::fmt::Write as _;

/// For a terminal.
pub fn handover(handover: &Handover, page: Page) -> String {
    let mut text = String::new();
    let title = format!("Chatalot is running at https://{}", handover.domain);
    let _ = writeln!(text, "{}", page.paint(Style::Strong, &title));
    let _ = writeln!(text, "{}\n", page.paint(Style::Quiet, &built_from(handover)));
    let (urgent, first) = register(handover);
    if urgent {
        let _ = writeln!(text, "{}", page.paint(Style::Bad, "URGENT: register now."));
    }
    for said in [first, recovery_code(), updates(handover)] {
        text.push_str(&paragraph(&said.replace("**", ""), page));
    }
    let _ = writeln!(text, "{}", page.paint(Style::Strong, "Important files"));
    let widest = handover.files.iter().map(|file| width(&safe(&file.path))).max();
    let widest = widest.unwrap_or(0).min(32) + 4;
    for file in &handover.files {
        let path = format!("  {}", safe(&file.path));
        text.push_str(&row(&path, widest, &safe(&file.what), page));
    }
    text.push('\n');
    text.push_str(&paragraph(&back_up(handover).replace("**", ""), page));
    let _ = writeln!(
        text,
        "{}",
        page.paint(Style::Strong, "What stays yours to keep up")
    );
    for duty in &handover.duties {
        text.push_str(&duty_block(duty, page));
    }
    text
}

/// For a file or a chat.
pub fn markdown(handover: &Handover) -> String {
    let mut text = format!("# Chatalot is running at https://{}\n\n", handover.domain);
    let _ = writeln!(text, "_{}_\n", built_from(handover));
    let (urgent, first) = register(handover);
    if urgent {
        let _ = writeln!(text, "> **URGENT: register now.**\n");
    }
    for said in [first, recovery_code(), updates(handover)] {
        let _ = writeln!(text, "{said}\n");
    }
    text.push_str("## Important files\n\n| path | what it is |\n|---|---|\n");
    for file in &handover.files {
        let path = safe(&file.path).replace(['`', '|'], "");
        let _ = writeln!(text, "| `{path}` | {} |", cell(&file.what));
    }
    let _ = writeln!(text, "\n{}\n", back_up(handover));
    text.push_str(
        "## What stays yours to keep up\n\n| duty | standing | seen | to do |\n|---|---|---|---|\n",
    );
    for duty in &handover.duties {
        let (_, _, standing) = standing(duty.standing);
        let _ = writeln!(
            text,
            "| {} | {standing} | {} | {} |",
            cell(&duty.name),
            cell(&duty.saw),
            cell(&duty.todo)
        );
    }
    text
}

fn built_from(handover: &Handover) -> String {
    format!(
        "version {}, commit {}, in {}",
        safe(&handover.version),
        safe(&handover.commit),
        handover.folder
    )
}

/// Whether it is urgent, and why the administrator has to be the first.
fn register(handover: &Handover) -> (bool, String) {
    let admin = &handover.admin;
    let register = format!(
        "Register the user **{admin}** first, at https://{}.",
        handover.domain
    );
    let rule = "Whoever registers first becomes the administrator and owner, whatever the name";
    if let Some(let_in) = handover.let_in.as_deref().map(safe) {
        let limited = format!(
            "Until then only {let_in} and the host itself are let in; once that account exists, the agent lets \
             everybody in by itself, and `open` does it at once. The limit is the reverse proxy's: close TCP 8080 in \
             the provider's firewall, for there it can be walked past."
        );
        return match handover.open_to_first_comer {
            Some(true) => (
                false,
                format!("{register} {rule}, and nobody has registered yet. {limited}"),
            ),
            Some(false) => (
                true,
                format!(
                    "Somebody has registered, and not as **{admin}** as far as this host can tell: whoever it was is \
                     the administrator and owner. Only {let_in} and the host itself are let in until that is \
                     settled; if it was you, `open` lets everybody in."
                ),
            ),
            None => (
                true,
                format!(
                    "{register} {rule}; whether somebody already has cannot be told from here, so the agent does \
                     not let everybody in by itself. {limited}"
                ),
            ),
        };
    }
    match handover.open_to_first_comer {
        Some(true) => (true, format!("{register} {rule}, and nobody has registered yet.")),
        None => (
            true,
            format!("{register} {rule}; whether somebody already has cannot be told from here."),
        ),
        Some(false) => (
            false,
            format!(
                "Somebody has registered and is the administrator and owner by now. If that was not you as \
                 **{admin}**, a stranger owns this site: take it off the network and install it anew."
            ),
        ),
    }
}

fn recovery_code() -> String {
    "Save the **recovery code** shown on the registration screen in a password manager: it is the only way back \
     if you lose both your password and your TOTP device."
        .to_owned()
}

fn updates(handover: &Handover) -> String {
    if handover.updates {
        "Managed updates are on. Look at \"Updates\" in the admin panel every few weeks: signed releases are \
         offered there, and you approve each one."
            .to_owned()
    } else {
        "Managed updates are **off**: no signed release will be offered, security fixes are yours to notice and \
         install, and coming back to signed updates later is not easy."
            .to_owned()
    }
}

fn back_up(handover: &Handover) -> String {
    format!(
        "**Back up {}/secrets/ now**, offline: losing it ends every login session, every TOTP enrolment and every \
         managed update. An encrypted copy in a password manager is enough.",
        handover.folder
    )
}

fn paragraph(text: &str, page: Page) -> String {
    wrapped(text, page.width).join("\n") + "\n\n"
}

/// A label with its text beside it, or below where the label is too long.
fn row(label: &str, column: usize, text: &str, page: Page) -> String {
    if width(label) + 2 > column {
        return format!("{label}\n{}", labelled("", column, text, page.width));
    }
    labelled(label, column, text, page.width)
}

const fn standing(standing: DutyStanding) -> (&'static str, Style, &'static str) {
    match standing {
        DutyStanding::InPlace => ("✓", Style::Good, "in place"),
        DutyStanding::NotInPlace => ("✗", Style::Bad, "not in place"),
        DutyStanding::CannotBeTold => ("?", Style::Attention, "cannot be told from here"),
    }
}

fn duty_block(duty: &Duty, page: Page) -> String {
    const COLUMN: usize = 24;
    let (mark, style, word) = standing(duty.standing);
    let saw = safe(&duty.saw);
    let seen = if saw.is_empty() {
        word.to_owned()
    } else {
        format!("{word}: {saw}")
    };
    let label = format!("  {mark} {}", safe(&duty.name));
    // Painted after it was measured.
    let mut text = row(&label, COLUMN, &seen, page).replacen(mark, &page.paint(style, mark), 1);
    if !duty.todo.is_empty() {
        let arrow = padded("", COLUMN) + "→";
        text.push_str(&labelled(&arrow, COLUMN + 2, &safe(&duty.todo), page.width));
    }
    text
}

/// Foreign text within a table of Markdown: it starts no cell, no tag and no link.
fn cell(text: &str) -> String {
    let mut clean = String::new();
    for c in safe(text).chars() {
        if matches!(c, '|' | '<' | '>' | '`' | '*' | '[' | ']' | '\\') {
            clean.push('\\');
        }
        clean.push(c);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing;

    #[test]
    fn the_handover_says_what_the_runbook_says_with_the_real_names() {
        let text = handover(&testing::handover(), Page::PLAIN);
        assert_eq!(text, include_str!("handover.txt"));
    }

    #[test]
    fn the_handover_as_markdown_is_ready_to_be_sent() {
        assert_eq!(markdown(&testing::handover()), include_str!("handover.md"));
    }

    #[test]
    fn registering_is_urgent_until_somebody_is_known_to_have_done_it() {
        for (open, urgent) in [(Some(true), true), (None, true), (Some(false), false)] {
            let mut site = testing::handover();
            site.open_to_first_comer = open;
            for text in [handover(&site, Page::PLAIN), markdown(&site)] {
                assert_eq!(text.contains("URGENT"), urgent, "{open:?}");
                assert!(text.contains("alice"));
            }
        }
    }

    #[test]
    fn a_limited_route_is_told_with_what_ends_it_and_what_walks_past_it() {
        for (open, urgent, words) in [
            (
                Some(true),
                false,
                "nobody has registered yet. Until then only 198.51.100.7",
            ),
            (Some(false), true, "not as alice as far as this host can tell"),
            (None, true, "cannot be told from here, so the agent does not"),
        ] {
            let mut site = testing::handover();
            (site.open_to_first_comer, site.let_in) = (open, Some("198.51.100.7".to_owned()));
            let text = handover(&site, Page::PLAIN);
            assert_eq!(text.contains("URGENT"), urgent, "{open:?}");
            assert!(text.contains(words) && text.contains("`open`"), "{text}");
        }
    }

    #[test]
    fn opting_out_of_updates_is_told_with_its_price() {
        let mut site = testing::handover();
        site.updates = false;
        let text = handover(&site, Page::PLAIN);
        assert!(text.contains("no signed release will be offered") && !text.contains("updates are on"));
    }

    #[test]
    fn a_host_cannot_smuggle_markup_into_the_handover() {
        let mut site = testing::handover();
        site.duties[0].saw = "a | b <img src=x> [x](y)".to_owned();
        assert!(markdown(&site).contains(r"a \| b \<img src=x\> \[x\](y)"));
    }

    #[test]
    fn the_handover_fits_into_eighty_columns() {
        let page = Page {
            colour: false,
            width: Some(80),
        };
        let text = handover(&testing::handover(), page);
        assert!(text.lines().all(|line| width(line) <= 80), "{text}");
    }
}
