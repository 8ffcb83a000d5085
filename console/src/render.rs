//! Data to text, without any effect.

mod deployment;
mod findings;
mod handover;
mod inputs;
mod plan;
mod site;
mod status;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use deployment::conclusion;
pub use deployment::deployment;
pub use findings::findings;
pub use handover::{handover, markdown};
pub use inputs::{problems, schema};
pub(crate) use plan::advice_of;
pub use plan::{blocked, plan};
pub use site::site;
pub use status::status;

use crate::output::{Page, Style};
use crate::text::safe;

/// The longest title that the others are aligned to.
const WIDEST_TITLE: usize = 40;

/// How far titles are padded so that what follows them is aligned.
fn title_width<'a>(titles: impl Iterator<Item = &'a str>) -> usize {
    titles
        .map(|title| crate::text::width(&safe(title)).min(WIDEST_TITLE))
        .max()
        .unwrap_or(0)
}

/// A chapter's heading: its name with a capital.
pub(crate) fn heading(name: &str, page: Page) -> String {
    let name = safe(name);
    let mut letters = name.chars();
    let capital: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    page.paint(Style::Strong, &format!("{capital}{}", letters.as_str()))
}
