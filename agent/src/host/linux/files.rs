//! Files and folders.

use crate::host::{HostError, Owner, Strictly};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Where programs are; nothing else is searched.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The most that is read of a file.
const MOST: u64 = 1024 * 1024;

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> HostError {
    move |source| HostError::File {
        verb,
        path: path.to_owned(),
        source,
    }
}

/// A file's content, at most 1 MiB of it; `None` if there is none. A pipe or device in its place is refused.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, HostError> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(failed("read", path)(e)),
    };
    let mut content = Vec::new();
    file.metadata()
        .and_then(|facts| {
            if !facts.is_file() {
                return Err(std::io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
            }
            file.take(MOST).read_to_end(&mut content)
        })
        .map_err(failed("read", path))?;
    Ok(Some(content))
}

/// A file that nobody but root could have written. Its folder is judged first: then the file cannot be exchanged
/// between being judged and being read.
pub(super) fn read_strictly(path: &Path) -> Result<Strictly, HostError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    for place in [folder, path] {
        let facts = match place.symlink_metadata() {
            Ok(facts) => facts,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Strictly::Absent);
            }
            Err(e) => return Err(failed("look at", place)(e)),
        };
        let owner = Owner {
            uid: facts.uid(),
            mode: facts.mode() & 0o7777,
        };
        let right_kind = if place == folder {
            facts.is_dir()
        } else {
            facts.is_file()
        };
        if let Some(why) = owner.distrusted(place, right_kind) {
            return Ok(Strictly::Unsafe(why));
        }
    }
    Ok(read(path)?.map_or(Strictly::Absent, Strictly::Content))
}

/// The names in a folder, sorted; empty if there is none.
pub(super) fn list(path: &Path) -> Result<Vec<String>, HostError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed("list", path)(e)),
    };
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed("list", path))?;
    names.sort_unstable();
    Ok(names)
}

/// Where a program is: a regular file that may be run, in one of the system's own folders.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    if name.is_empty() || name.contains('/') {
        return None;
    }
    PATH.split(':')
        .map(|folder| Path::new(folder).join(name))
        .find(|path| {
            path.metadata()
                .is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
        })
}

/// Whose a file or folder is, a link followed; `None` if there is none.
pub(super) fn owner(path: &Path) -> Result<Option<Owner>, HostError> {
    match path.metadata() {
        Ok(facts) => Ok(Some(Owner {
            uid: facts.uid(),
            mode: facts.mode() & 0o7777,
        })),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(failed("look at", path)(e)),
    }
}

/// Puts a file in place whole, and makes its folders.
pub(super) fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), HostError> {
    make_folder(path.parent().unwrap_or(Path::new("/")), 0o755)?;
    replace(path, content, mode).map_err(failed("write", path))
}

/// The same for a file that stays whose it is, with the mode that it has.
pub(super) fn rewrite(path: &Path, content: &[u8]) -> Result<(), HostError> {
    match path.metadata() {
        Ok(facts) => {
            let owner = Some((facts.uid(), facts.gid()));
            put(path, content, facts.mode() & 0o7777, owner).map_err(failed("write", path))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => write(path, content, 0o644),
        Err(e) => Err(failed("write", path)(e)),
    }
}

/// How much is written at once. The kernel keeps together in memory what was written together and, since Linux 6.18, maps all
/// of it where a program's page is used: this program put in place at once is resident as a whole.
const PIECE: usize = 64 * 1024;

/// Puts a file in place whole, with exactly this mode; a reader sees the old content or the new, also after a power
/// loss, and an attempt that fails leaves nothing beside it.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    put(path, content, mode, None)
}

fn put(path: &Path, content: &[u8], mode: u32, owner: Option<(u32, u32)>) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}.new", uuid::Uuid::new_v4().simple()));
    let put = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        if let Some((uid, gid)) = owner {
            fchown(&file, Some(uid), Some(gid))?;
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        for piece in content.chunks(PIECE) {
            file.write_all(piece)?;
        }
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        sync_folder(folder)
    };
    put().inspect_err(|_| {
        let _ = std::fs::remove_file(&beside);
    })
}

/// What attempts to put a file in place have left beside it that were cut off. Only for its one writer: an attempt
/// that is under way looks the same.
pub(crate) fn torn(folder: &Path, name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let begins = format!(".{name}");
    entries
        .filter(|entry| {
            let found = entry.file_name();
            found.to_string_lossy().starts_with(&begins) && found.to_string_lossy().ends_with(".new")
        })
        .map(|entry| entry.path())
        .collect()
}

/// Removes a file, or an empty folder; it is fine if there is none.
pub(super) fn remove(path: &Path) -> Result<(), HostError> {
    let removed = match path.symlink_metadata() {
        Ok(facts) if facts.is_dir() => std::fs::remove_dir(path),
        Ok(_) => std::fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        Err(e) => Err(failed("remove", path)(e)),
        Ok(()) => sync_folder(path.parent().unwrap_or(Path::new("/"))).map_err(failed("remove", path)),
    }
}

/// Makes a folder and those above it, each entry durable; one that is there keeps its mode.
pub(crate) fn make_folder(path: &Path, mode: u32) -> Result<(), HostError> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
        .collect();
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(mode).create(folder) {
            Ok(()) => std::fs::set_permissions(folder, Permissions::from_mode(mode)),
            Err(e) if e.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
            Err(e) => Err(e),
        }
        .and_then(|()| sync_folder(folder.parent().unwrap_or(Path::new("/"))))
        .map_err(failed("make", folder))?;
    }
    Ok(())
}

pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_put_in_place_whole_with_its_mode_and_its_folders() -> Result<(), HostError> {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("a/b/site.caddy");
        write(&path, b"old", 0o640)?;
        write(&path, b"new", 0o600)?;
        assert_eq!(read(&path)?.as_deref(), Some(&b"new"[..]));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(list(path.parent().unwrap())?, ["site.caddy"]);
        remove(&path)?;
        remove(&path)?;
        assert_eq!(read(&path)?, None);
        assert_eq!(list(&here.path().join("nowhere"))?, Vec::<String>::new());
        Ok(())
    }

    #[test]
    fn new_content_leaves_a_file_whose_it_was() -> Result<(), HostError> {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("Caddyfile");
        assert_eq!(owner(&path)?, None);
        write(&path, b"old", 0o640)?;
        let facts = |path: &Path| {
            path.metadata()
                .map(|facts| (facts.uid(), facts.gid(), facts.mode()))
        };
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(0), Some(987)).unwrap();
        }
        let before = facts(&path).unwrap();
        rewrite(&path, b"new")?;
        assert_eq!(read(&path)?.as_deref(), Some(&b"new"[..]));
        assert_eq!(facts(&path).unwrap(), before);
        assert_eq!(owner(&path)?.map(|owner| owner.mode), Some(0o640));
        Ok(())
    }

    #[test]
    fn a_write_that_fails_leaves_what_was_there_and_nothing_beside_it() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("taken");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("inside"), b"x").unwrap();
        assert!(matches!(
            write(&path, b"new", 0o600),
            Err(HostError::File { verb: "write", .. })
        ));
        assert_eq!(list(here.path()).unwrap(), ["taken"]);
    }

    #[test]
    fn a_named_pipe_in_place_of_a_file_is_refused_at_once() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(read(&path), Err(HostError::File { verb: "read", .. })));
    }

    #[test]
    fn f60_a_file_counts_strictly_only_if_nobody_but_root_could_have_written_it() {
        let here = tempfile::tempdir().unwrap();
        let (folder, path) = (here.path().join("etc"), here.path().join("etc/policy.toml"));
        let mode = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let content = Strictly::Content(b"x".to_vec());
        let is_unsafe = || matches!(read_strictly(&path), Ok(Strictly::Unsafe(_)));
        assert_eq!(read_strictly(&path).unwrap(), Strictly::Absent);
        write(&path, b"x", 0o644).unwrap();
        assert!(nix::unistd::geteuid().is_root(), "what counts is root's");
        assert_eq!(read_strictly(&path).unwrap(), content);
        for bad in [0o666, 0o664, 0o622] {
            mode(&path, bad);
            assert!(is_unsafe(), "{bad:o}");
        }
        mode(&path, 0o600);
        assert_eq!(read_strictly(&path).unwrap(), content);
        for bad in [0o777, 0o775, 0o1777] {
            mode(&folder, bad);
            assert!(is_unsafe(), "{bad:o}");
        }
        mode(&folder, 0o755);
        std::os::unix::fs::chown(&path, Some(1000), None).unwrap();
        assert!(is_unsafe());
        remove(&path).unwrap();
        let elsewhere = here.path().join("elsewhere");
        write(&elsewhere, b"x", 0o644).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(is_unsafe());
        remove(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(is_unsafe());
        remove(&path).unwrap();
        std::fs::remove_dir(&folder).unwrap();
        std::os::unix::fs::symlink(here.path(), &folder).unwrap();
        std::fs::rename(&elsewhere, here.path().join("policy.toml")).unwrap();
        assert!(is_unsafe());
    }

    #[test]
    fn only_a_megabyte_of_a_file_is_read() -> Result<(), HostError> {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("big");
        std::fs::write(&path, vec![b'x'; 3 << 20]).unwrap();
        assert_eq!(read(&path)?.map(|content| content.len()), Some(1 << 20));
        Ok(())
    }

    #[test]
    fn programs_are_found_in_the_systems_folders_only() {
        assert!(program("sh").is_some_and(|path| path.ends_with("sh")));
        assert_eq!(program("../bin/sh"), None);
        assert_eq!(program("no-such-program-here"), None);
    }
}
