//! The power goes between any two calls: what was acknowledged is there, and the job goes on.

use crate::agent::{ALONE, JOIN};
use crate::controller::ENROL;
use crate::image::{Call, Disk, Loss};
use crate::strace::{Story, copied, full, said, spread};
use std::fs;
use std::path::{Path, PathBuf};

/// What is traced: everything that changes a folder.
const SEEN: &str =
    "trace=openat,write,pwrite64,fsync,fdatasync,rename,unlink,unlinkat,rmdir,mkdir,symlink,ftruncate";

/// A recorded life: the folder that it began with, where it was lived, and its calls.
struct Recorded {
    template: tempfile::TempDir,
    place: PathBuf,
    calls: Vec<Call>,
}

fn recorded(story: Story) -> Recorded {
    let template = story.prepared();
    let folder = copied(template.path());
    let log = tempfile::NamedTempFile::new().unwrap();
    let options = [
        "-y",
        "-xx",
        "-s",
        "2000000",
        "-e",
        SEEN,
        "-o",
        log.path().to_str().unwrap(),
    ];
    let ended = story.traced(&options, folder.path());
    assert!(ended.status.success(), "undisturbed: {}", said(&ended));
    let text = fs::read_to_string(log.path()).unwrap();
    let calls = text
        .lines()
        .filter_map(call)
        .filter(|call| place(call).starts_with(folder.path()));
    Recorded {
        template,
        place: folder.path().to_owned(),
        calls: calls.collect(),
    }
}

fn place(call: &Call) -> &Path {
    match call {
        Call::Create(path)
        | Call::Write(path, ..)
        | Call::Append(path, _)
        | Call::Cut(path, _)
        | Call::Rename(path, _)
        | Call::Unlink(path)
        | Call::Folder(path)
        | Call::Link(_, path)
        | Call::Sync(path) => path,
    }
}

/// A line of the trace, if it changes anything and has succeeded. What is shared memory is not on the disk.
fn call(line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let (words, result) = rest.rsplit_once(") = ")?;
    if result.starts_with('-') {
        return None;
    }
    let words: Vec<&str> = words.split(", ").collect();
    let text = |at: usize| bytes(words.get(at)?);
    let path = |at: usize| Some(PathBuf::from(String::from_utf8(text(at)?).ok()?));
    let held = || {
        Some(PathBuf::from(
            String::from_utf8(inside(words.first()?, '<', '>')?).ok()?,
        ))
    };
    // A name in a folder that is held open, or a whole path.
    let below = || Some(held()?.join(path(1)?));
    let number = |at: usize| words.get(at)?.parse().ok();
    let found = match name {
        "openat" if words.get(2)?.contains("O_CREAT") => Call::Create(below()?),
        "write" => Call::Append(held()?, text(1)?),
        "pwrite64" => Call::Write(held()?, number(3)?, text(1)?),
        "ftruncate" => Call::Cut(held()?, number(1)?),
        "rename" => Call::Rename(path(0)?, path(1)?),
        "unlink" | "rmdir" => Call::Unlink(path(0)?),
        "unlinkat" => Call::Unlink(below()?),
        "symlink" => Call::Link(path(0)?, path(1)?),
        "mkdir" => Call::Folder(path(0)?),
        "fsync" | "fdatasync" => Call::Sync(held()?),
        _ => return None,
    };
    (!place(&found).to_string_lossy().ends_with("-shm")).then_some(found)
}

/// What stands between two signs, in hexadecimal or plain.
fn inside(word: &str, open: char, close: char) -> Option<Vec<u8>> {
    let (_, rest) = word.split_once(open)?;
    let (text, _) = rest.rsplit_once(close)?;
    if !text.starts_with("\\x") {
        return Some(text.as_bytes().to_vec());
    }
    text.split("\\x")
        .skip(1)
        .map(|digits| u8::from_str_radix(digits, 16).ok())
        .collect()
}

fn bytes(word: &str) -> Option<Vec<u8>> {
    inside(word, '"', '"')
}

/// A disk that holds a folder, all of it durable.
fn begun(template: &Path, at: &Path) -> Disk {
    let mut disk = Disk::default();
    hold(&mut disk, template, at);
    disk
}

fn hold(disk: &mut Disk, from: &Path, at: &Path) {
    disk.call(&Call::Folder(at.to_owned()));
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let path = at.join(entry.file_name());
        if let Ok(target) = fs::read_link(entry.path()) {
            disk.call(&Call::Link(target, path));
        } else if entry.file_type().unwrap().is_dir() {
            hold(disk, &entry.path(), &path);
        } else {
            disk.call(&Call::Create(path.clone()));
            disk.call(&Call::Append(path.clone(), fs::read(entry.path()).unwrap()));
            disk.call(&Call::Sync(path));
        }
    }
    disk.call(&Call::Sync(at.to_owned()));
}

/// What the disk may hold when the power goes: before every sync that has something to do. What somebody else has been
/// told is in a file of theirs, which loses nothing.
fn images(recorded: &Recorded, theirs: &[&str]) -> Vec<(Loss, Disk)> {
    let losses = [
        Loss::All,
        Loss::Content,
        Loss::Some(1),
        Loss::Some(2),
        Loss::Some(3),
    ];
    let losses = if full() { &losses[..] } else { &losses[..3] };
    let place = &recorded.place;
    let mut disk = begun(recorded.template.path(), place);
    let mut images = Vec::new();
    for call in &recorded.calls {
        if matches!(call, Call::Sync(_)) && !disk.is_at_rest() {
            let at = u64::try_from(images.len()).unwrap();
            images.extend(losses.iter().map(|loss| match loss {
                Loss::Some(seed) => (Loss::Some(seed * 1_000 + at), disk.clone()),
                other => (*other, disk.clone()),
            }));
        }
        disk.call(call);
        if theirs.iter().any(|name| place_is(call, &place.join(name))) {
            disk.call(&Call::Sync(self::place(call).to_owned()));
            disk.settle(self::place(call));
        }
    }
    images
}

/// Cuts the power everywhere; from each image the next life goes on.
fn cut_everywhere(story: Story, theirs: &[&str]) -> usize {
    let recorded = recorded(story);
    let images = images(&recorded, theirs);
    let numbered: Vec<usize> = (0..images.len()).collect();
    let bad = spread(&numbered, |number| {
        let (loss, disk) = &images[number];
        let image = tempfile::tempdir_in(recorded.place.parent().unwrap()).unwrap();
        disk.leave(*loss, &recorded.place, image.path());
        let ended = story.live(image.path());
        if ended.status.success() {
            Ok(())
        } else {
            Err(format!("image {number}, {loss:?}: {}", said(&ended)))
        }
    });
    assert!(
        bad.is_empty(),
        "{} of {}:\n{}",
        bad.len(),
        images.len(),
        bad.join("\n")
    );
    let calls = recorded.calls.len();
    eprintln!("{}: {} power cuts in {calls} calls", story.name, images.len());
    images.len()
}

fn place_is(call: &Call, path: &Path) -> bool {
    matches!(call, Call::Append(..) | Call::Create(_)) && place(call) == path
}

#[test]
fn f49_whenever_the_power_goes_the_ledger_has_what_was_acknowledged_and_the_job_goes_on() {
    assert!(cut_everywhere(ALONE, &["centre"]) > 60);
}

#[test]
fn f49_whenever_the_power_goes_a_controller_has_what_it_has_promised() {
    assert!(cut_everywhere(ENROL, &["promised", "certificate"]) > 20);
}

#[test]
fn f49_whenever_the_power_goes_a_host_has_one_whole_identity() {
    assert!(cut_everywhere(JOIN, &[]) > 10);
}
