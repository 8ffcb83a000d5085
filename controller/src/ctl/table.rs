//! Columns for people.

use chatalot_console::output::{Page, Style};

/// One cell, and what its colour is for.
pub(super) type Cell = (String, Option<Style>);

/// A cell without colour.
pub(super) fn plain(text: impl Into<String>) -> Cell {
    (text.into(), None)
}

/// A heading, and rows below it, each column as wide as its widest cell. The text must have been made safe.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[Cell; N]], page: Page) -> String {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, (cell, _)) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = line(
        head.map(|cell| (cell.to_owned(), Some(Style::Quiet))).iter(),
        &widths,
        page,
    );
    for row in rows {
        text.push_str(&line(row.iter(), &widths, page));
    }
    text
}

fn line<'a>(cells: impl ExactSizeIterator<Item = &'a Cell>, widths: &[usize], page: Page) -> String {
    let last = cells.len().saturating_sub(1);
    let mut text = String::new();
    for (number, ((cell, style), width)) in cells.zip(widths).enumerate() {
        text.push_str(&style.map_or_else(|| cell.clone(), |style| page.paint(style, cell)));
        if number < last {
            // Padded outside of the colour, whose own characters take no room.
            text.push_str(&" ".repeat(width - cell.chars().count() + 2));
        }
    }
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_with_their_text() {
        let rows = [[plain("a"), plain("")], [plain("longer"), plain("b")]];
        assert_eq!(table(["X", "Y"], &rows, Page::PLAIN), "X       Y\na\nlonger  b\n");
    }
}
