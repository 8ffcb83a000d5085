//! The inputs that are kept, `corpus/TARGET/NAME`: a file is never edited, and one that was a bug once says so in its name.

use crate::Target;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The folder of all of them.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The name and content of each input of a target, in order.
pub fn inputs(target: &Target) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for file in fs::read_dir(root().join(target.name))? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        found.push((name, fs::read(file.path())?));
    }
    found.sort();
    Ok(found)
}
