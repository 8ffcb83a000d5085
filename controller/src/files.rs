//! Files that are whole or not there, whatever happens while they are written.

use nix::unistd::geteuid;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};

/// What a file's mode lets others do.
const OTHERS: u32 = 0o077;

/// What could not be done with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A folder could not be made.
    #[error("cannot make the folder `{}`", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder is not ours alone.
    #[error(
        "`{}` is open to others (mode {mode:o}) and not a controller's: give a folder of its own with `--state`, or, where \
         this one is meant, run `chmod 700 {}` as its owner",
        path.display(), path.display()
    )]
    Shared {
        /// Which.
        path: PathBuf,
        /// Who may enter it.
        mode: u32,
    },
    /// A file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Ends the process where what was written may be lost although nobody would be told again: after a sync has failed,
/// the next one succeeds and says nothing of what the first one lost. Whoever starts next reads what is there.
pub fn abort_unsynced(what: &str, error: &dyn std::error::Error) -> ! {
    log::error!(what, error:% = crate::chain(error); "the disk has lost a write: ending, to begin again from what is on it");
    std::process::abort()
}

/// Lets a write beyond the length that a file may have here fail, as one on a full disk does, instead of ending us.
pub fn survive_long_files() -> io::Result<()> {
    // A signal that is listened for once has no effect of its own any more.
    signal(SignalKind::from_raw(nix::libc::SIGXFSZ)).map(drop)
}

/// Makes a folder that only we may enter, if it is not there.
pub fn folder(path: &Path) -> Result<(), FileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| FileError::Folder {
            path: path.to_owned(),
            source,
        })
}

/// The same for a folder that is to be ours alone. One that is there and open to others is closed to them if nobody else
/// has anything in it: it is empty, or `ours` is in it. Any other is refused, and left as it is.
pub fn private_folder(path: &Path, ours: &str) -> Result<(), FileError> {
    folder(path)?;
    let failed = |source| FileError::Folder {
        path: path.to_owned(),
        source,
    };
    let facts = fs::metadata(path).map_err(failed)?;
    let mode = facts.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let is_free = path.join(ours).exists() || fs::read_dir(path).map_err(failed)?.next().is_none();
    if facts.uid() != geteuid().as_raw() || !is_free {
        return Err(FileError::Shared {
            path: path.to_owned(),
            mode,
        });
    }
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed)
}

/// Reads a file; `None` where there is none.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Writes a file that only we may read: beside it, synced, renamed, and the folder synced.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(path, bytes).map_err(|source| FileError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Removes the files of a folder that are not wanted.
pub fn keep_only(folder: &Path, is_wanted: impl Fn(&Path) -> bool) {
    let stale = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| !is_wanted(path));
    for path in stale {
        if let Err(error) = remove(&path) {
            log::warn!(error:% = error; "an old file stays");
        }
    }
}

/// Removes a file, if it is there.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(FileError::Write {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let parent = path.parent().unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_written_is_ours_alone_and_survives_a_torn_attempt() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("key");
        fs::write(state.path().join("key.new"), b"torn").unwrap();
        write(&path, b"whole").unwrap();
        write(&path, b"again").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"again");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(read(&path).unwrap().is_none());
    }
}
