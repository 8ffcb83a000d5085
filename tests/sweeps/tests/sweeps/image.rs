//! A disk as the kernel sees it: what was written, and what of it is on the disk after the power has gone.
//!
//! The model is strict: a write is on the disk once its file was synced, a name once its folder was. What was not
//! synced may be there, or not, or in part; names come and go in the order in which they were made to, as a journal
//! has them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What was done, in order.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Create(PathBuf),
    Write(PathBuf, u64, Vec<u8>),
    Append(PathBuf, Vec<u8>),
    Cut(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
    Folder(PathBuf),
    Link(PathBuf, PathBuf),
    Sync(PathBuf),
}

#[derive(Debug, Clone)]
enum Change {
    Put(u64, Vec<u8>),
    Cut(u64),
}

#[derive(Debug, Clone)]
enum Entry {
    Name(PathBuf, usize),
    Gone(PathBuf),
    Moved(PathBuf, PathBuf, usize),
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum Kind {
    #[default]
    File,
    Folder,
    Link(PathBuf),
}

#[derive(Debug, Default, Clone)]
struct Content {
    kind: Kind,
    now: u64,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// The disk.
#[derive(Debug, Default, Clone)]
pub(crate) struct Disk {
    contents: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable: BTreeMap<PathBuf, usize>,
    entries: Vec<Entry>,
}

/// How much of what was not synced is there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Loss {
    /// None of it.
    All,
    /// Every name, but nothing of the content.
    Content,
    /// As a number decides.
    Some(u64),
}

impl Disk {
    pub(crate) fn call(&mut self, call: &Call) {
        match call {
            Call::Create(path) => self.make(path, Kind::File),
            Call::Folder(path) => self.make(path, Kind::Folder),
            Call::Link(to, path) => self.make(path, Kind::Link(to.clone())),
            Call::Write(path, at, bytes) => self.write(path, Some(*at), bytes),
            Call::Append(path, bytes) => self.write(path, None, bytes),
            Call::Cut(path, length) => {
                if let Some(content) = self.content(path) {
                    content.now = *length;
                    content.pending.push(Change::Cut(*length));
                }
            }
            Call::Rename(from, to) => {
                if let Some(number) = self.names.remove(from) {
                    self.names.insert(to.clone(), number);
                    self.entries.push(Entry::Moved(from.clone(), to.clone(), number));
                }
            }
            Call::Unlink(path) => {
                self.names.remove(path);
                self.entries.push(Entry::Gone(path.clone()));
            }
            Call::Sync(path) => self.sync(path),
        }
    }

    fn make(&mut self, path: &Path, kind: Kind) {
        if self.names.contains_key(path) {
            return;
        }
        let number = self.contents.len();
        self.contents.push(Content {
            kind,
            ..Content::default()
        });
        self.names.insert(path.to_owned(), number);
        self.entries.push(Entry::Name(path.to_owned(), number));
    }

    fn content(&mut self, path: &Path) -> Option<&mut Content> {
        let number = *self.names.get(path)?;
        self.contents.get_mut(number)
    }

    fn write(&mut self, path: &Path, at: Option<u64>, bytes: &[u8]) {
        if let Some(content) = self.content(path) {
            let at = at.unwrap_or(content.now);
            content.now = content.now.max(at + bytes.len() as u64);
            content.pending.push(Change::Put(at, bytes.to_vec()));
        }
    }

    fn sync(&mut self, path: &Path) {
        if let Some(content) = self.content(path).filter(|content| content.kind == Kind::File) {
            for change in std::mem::take(&mut content.pending) {
                change.apply(&mut content.durable);
            }
            return;
        }
        // A folder: its names, and those that a journal has before them.
        let of = |entry: &Entry| match entry {
            Entry::Name(name, _) | Entry::Gone(name) | Entry::Moved(_, name, _) => {
                name.parent() == Some(path)
            }
        };
        let upto = self.entries.iter().rposition(of).map_or(0, |last| last + 1);
        for entry in self.entries.drain(..upto) {
            entry.apply(&mut self.durable);
        }
    }

    /// Makes one name durable and no other: it is on another machine's disk.
    pub(crate) fn settle(&mut self, path: &Path) {
        if let Some(number) = self.names.get(path) {
            self.durable.insert(path.to_owned(), *number);
        }
    }

    /// Whether anything could be lost.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.entries.is_empty() && self.contents.iter().all(|content| content.pending.is_empty())
    }

    /// Puts what is left after a loss into a folder, in the place of the one that the calls were made in.
    pub(crate) fn leave(&self, loss: Loss, from: &Path, to: &Path) {
        let mut dice = match loss {
            Loss::Some(seed) => seed,
            Loss::All | Loss::Content => 0,
        };
        let mut names = self.durable.clone();
        let upto = match loss {
            Loss::All => 0,
            Loss::Content => self.entries.len(),
            Loss::Some(_) => usize::try_from(rolled(&mut dice)).unwrap() % (self.entries.len() + 1),
        };
        for entry in &self.entries[..upto] {
            entry.apply(&mut names);
        }
        for (path, number) in names {
            let content = &self.contents[number];
            let left = to.join(path.strip_prefix(from).unwrap());
            match &content.kind {
                Kind::Folder => fs::create_dir_all(&left).unwrap(),
                // What is in a folder that is not there is not there either.
                _ if !left.parent().unwrap().is_dir() => continue,
                Kind::Link(target) => std::os::unix::fs::symlink(target, &left).unwrap(),
                Kind::File => {}
            }
            if content.kind != Kind::File {
                continue;
            }
            let mut bytes = content.durable.clone();
            if matches!(loss, Loss::Some(_)) {
                for change in content.pending.iter().filter_map(|change| change.torn(&mut dice)) {
                    change.apply(&mut bytes);
                }
            }
            fs::write(left, bytes).unwrap();
        }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Put(at, new) => {
                let at = usize::try_from(*at).unwrap();
                if bytes.len() < at + new.len() {
                    bytes.resize(at + new.len(), 0);
                }
                bytes[at..at + new.len()].copy_from_slice(new);
            }
            Self::Cut(length) => bytes.resize(usize::try_from(*length).unwrap(), 0),
        }
    }

    /// All of it, nothing, or as many whole sectors as came to the disk.
    fn torn(&self, dice: &mut u64) -> Option<Self> {
        match (rolled(dice) % 3, self) {
            (0, _) => None,
            (1, Self::Put(at, new)) => {
                let sectors = usize::try_from(rolled(dice)).unwrap() % (new.len() / 512 + 1);
                Some(Self::Put(*at, new[..sectors * 512].to_vec()))
            }
            _ => Some(self.clone()),
        }
    }
}

impl Entry {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Name(path, number) => {
                names.insert(path.clone(), *number);
            }
            Self::Gone(path) => {
                names.remove(path);
            }
            Self::Moved(from, to, number) => {
                names.remove(from);
                names.insert(to.clone(), *number);
            }
        }
    }
}

fn rolled(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 29)) >> 16
}

#[test]
fn a_disk_loses_what_was_not_synced_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (from, mut disk) = (Path::new("/d"), Disk::default());
    let (a, b) = (from.join("a"), from.join("b"));
    for call in [
        Call::Folder(from.to_owned()),
        Call::Create(a.clone()),
        Call::Append(a.clone(), b"one".to_vec()),
        Call::Sync(a.clone()),
        Call::Sync(from.to_owned()),
        Call::Append(a.clone(), b"two".to_vec()),
        Call::Create(b.clone()),
        Call::Append(b.clone(), b"new".to_vec()),
        Call::Rename(b.clone(), a.clone()),
    ] {
        disk.call(&call);
    }
    assert!(!disk.is_at_rest());
    let left = |loss, name: &str| {
        let to = folder.path().join(name);
        disk.leave(loss, from, &to);
        fs::read_to_string(to.join("a")).unwrap()
    };
    assert_eq!(left(Loss::All, "all"), "one");
    assert_eq!(
        left(Loss::Content, "content"),
        "",
        "a rename overtakes what was written"
    );
    let seen: std::collections::BTreeSet<String> = (0..40)
        .map(|seed| left(Loss::Some(seed), &format!("some-{seed}")))
        .collect();
    assert!(
        seen.contains("one") && seen.contains("onetwo") && seen.contains("new"),
        "{seen:?}"
    );
}
