//! The controller in one file, and a controller from one file.
//!
//! A backup is a head of two lines, `chatalot-backup-v1` and the SHA-256 of what follows, and then a database: a
//! consistent copy of the controller's own, taken while it runs, and in it the files of the authority. Orders and
//! requests that wait are not in it, for they carry secrets of sites and must not be done twice; neither is output.

use crate::ca::sha256;
use crate::clock::now_ms;
use crate::files::{self, FileError};
use crate::store::{self, DATABASE, StoreError, restored};
use chatalot_protocol::enrol::hex;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const MAGIC: &str = "chatalot-backup-v1\n";
/// The magic line, a checksum in hex, and its line end.
const HEAD: usize = MAGIC.len() + 65;
/// How often the authority may change while it is copied before that is given up.
const ATTEMPTS: u32 = 5;
const TABLE: &str = "CREATE TABLE backup_files (path TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
    CREATE TABLE backup (taken_ms INTEGER NOT NULL) STRICT;";

/// Why there is no backup, or no controller from one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no controller's state.
    #[error("there is no controller's state in `{}`", .0.display())]
    NoState(PathBuf),
    /// A file is there already.
    #[error("`{}` is there already: a backup replaces nothing", .0.display())]
    Exists(PathBuf),
    /// The folder has something in it.
    #[error("`{}` is not empty: restore into an empty folder", .0.display())]
    NotEmpty(PathBuf),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file or folder.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something else, or cut, or changed on the way.
    #[error("this is no whole backup: {0}")]
    Damaged(String),
    /// The authority changed again and again.
    #[error("the authority is being changed: try again when that is over")]
    Moving,
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(StoreError::Sql(error))
    }
}

/// Copies the controller of a state folder, whether it runs or not, into the bytes of a backup.
pub fn take(state: &Path) -> Result<Vec<u8>, BackupError> {
    let database = state.join(DATABASE);
    if !database.exists() {
        return Err(BackupError::NoState(state.to_owned()));
    }
    let beside = Scratch::new(state, "backup")?;
    for _ in 0..ATTEMPTS {
        let authority = authority(&state.join("ca"))?;
        let copy = beside.file(DATABASE)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let source = Connection::open_with_flags(&database, flags)?;
        source.busy_timeout(std::time::Duration::from_secs(10))?;
        source.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
        drop(source);
        if authority != self::authority(&state.join("ca"))? {
            continue;
        }
        let snapshot = Connection::open(&copy)?;
        check(&snapshot)?;
        snapshot.execute_batch(TABLE)?;
        snapshot.execute("INSERT INTO backup VALUES (?1)", [now_ms()])?;
        for (path, bytes) in &authority {
            snapshot.execute("INSERT INTO backup_files VALUES (?1, ?2)", (path, bytes))?;
        }
        snapshot.close().map_err(|(_, error)| error)?;
        let bytes = read(&copy)?;
        let mut whole = format!("{MAGIC}{}\n", hex(&sha256(&bytes))).into_bytes();
        whole.extend(bytes);
        return Ok(whole);
    }
    Err(BackupError::Moving)
}

/// Writes a backup to a file that only we may read; it is whole or not there.
pub fn keep(bytes: &[u8], path: &Path) -> Result<(), BackupError> {
    // Claimed first: two backups at once do not write one file.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists(path.to_owned()),
            _ => io_error(path, source),
        })?;
    Ok(files::write(path, bytes)?)
}

/// What a restored controller begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was taken, in milliseconds since 1970.
    pub taken_ms: i64,
    /// The new epoch: agents refuse a controller that goes back.
    pub epoch: u64,
    /// How many hosts may come back.
    pub hosts: u64,
    /// How many API tokens were ended.
    pub tokens_ended: u64,
    /// How many deployments that no host had taken up were ended.
    pub jobs_ended: u64,
}

/// Makes a state folder from a backup. It takes its place when it is whole; until then there is none.
pub fn restore(bytes: &[u8], state: &Path, keep_tokens: bool) -> Result<Restored, BackupError> {
    let body = body(bytes)?;
    if fs::read_dir(state).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(BackupError::NotEmpty(state.to_owned()));
    }
    let parent = state.parent().unwrap_or(Path::new("."));
    files::folder(parent)?;
    let fresh = Scratch::beside(state)?;
    let database = fresh.path.join(DATABASE);
    files::write(&database, body)?;
    let restored = {
        let mut connection = Connection::open(&database)?;
        check(&connection)?;
        unpack(&connection, &fresh.path.join("ca"))?;
        store::migrate(&mut connection)?;
        let restored = restored::begin(&mut connection, now_ms(), keep_tokens)?;
        connection.close().map_err(|(_, error)| error)?;
        restored
    };
    sync(&database)?;
    fs::rename(&fresh.path, state).map_err(|source| io_error(state, source))?;
    sync(parent)?;
    Ok(restored)
}

fn body(bytes: &[u8]) -> Result<&[u8], BackupError> {
    let damaged = |why: &str| BackupError::Damaged(why.to_owned());
    let head = bytes
        .get(..HEAD)
        .filter(|head| head.starts_with(MAGIC.as_bytes()))
        .ok_or_else(|| damaged("it does not begin like one"))?;
    let body = bytes.get(HEAD..).unwrap_or_default();
    let wanted = format!("{}\n", hex(&sha256(body)));
    if head.get(MAGIC.len()..) == Some(wanted.as_bytes()) {
        Ok(body)
    } else {
        Err(damaged("its checksum is another one"))
    }
}

/// Puts the authority's files back, and takes them out of the database.
fn unpack(connection: &Connection, folder: &Path) -> Result<(), BackupError> {
    files::folder(folder)?;
    let mut statement = connection.prepare("SELECT path, bytes FROM backup_files")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
    })?;
    for row in rows {
        let (path, bytes) = row?;
        let path = Path::new(&path);
        let plain = path
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if !plain {
            return Err(BackupError::Damaged(format!(
                "`{}` is no name of a file",
                path.display()
            )));
        }
        let to = folder.join(path);
        files::folder(to.parent().unwrap_or(folder))?;
        files::write(&to, &bytes)?;
    }
    drop(statement);
    Ok(connection.execute_batch("DROP TABLE backup_files")?)
}

fn check(connection: &Connection) -> Result<(), BackupError> {
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        Ok(())
    } else {
        Err(BackupError::Damaged(found))
    }
}

/// The files of the authority, by their path in its folder, in order.
fn authority(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, BackupError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).map_err(|source| io_error(&next, source))? {
            let path = entry.map_err(|source| io_error(&next, source))?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(folder)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .into_owned();
                found.push((name, read(&path)?));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, BackupError> {
    fs::read(path).map_err(|source| io_error(path, source))
}

fn sync(path: &Path) -> Result<(), BackupError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| io_error(path, source))
}

fn io_error(path: &Path, source: io::Error) -> BackupError {
    BackupError::Io {
        path: path.to_owned(),
        source,
    }
}

/// A folder that is gone when we are.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(state: &Path, name: &str) -> Result<Self, BackupError> {
        Self::at(state.join(format!("{name}.{}", std::process::id())))
    }

    fn beside(state: &Path) -> Result<Self, BackupError> {
        let mut name = state.as_os_str().to_owned();
        name.push(format!(".restore.{}", std::process::id()));
        Self::at(PathBuf::from(name))
    }

    fn at(path: PathBuf) -> Result<Self, BackupError> {
        files::folder(&path)?;
        Ok(Self { path })
    }

    /// An empty file that only we may read.
    fn file(&self, name: &str) -> Result<PathBuf, BackupError> {
        let path = self.path.join(name);
        files::remove(&path)?;
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        made.map_err(|source| io_error(&path, source))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // After a restore it has another name; else what is left of it is worthless.
        let _ = fs::remove_dir_all(&self.path);
    }
}
