//! `chatalot-pages FOLDER`: writes man pages and completions below it.

#![forbid(unsafe_code)]

use std::io::{self, Error};
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let share = std::env::args_os().nth(1).map(PathBuf::from);
    chatalot_pages::write(&share.ok_or_else(|| Error::other("which folder? chatalot-pages FOLDER"))?)
}
