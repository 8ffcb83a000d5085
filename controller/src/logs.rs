//! Output of steps, as files: `logs/<deployment>/<stream>`, appended at the offset that the agent names.

use crate::files::{self, FileError};
use chatalot_protocol::frame::LogChunk;
use chatalot_protocol::names::DeploymentId;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// More than any agent keeps of one stream.
const LONGEST: u64 = 128 << 20;
/// More streams than any deployment has.
const MOST_STREAMS: u32 = 100_000;
/// Less than this at a time is synced: then there is time for it, and it may be the end.
const TRICKLE: usize = 256 << 10;

/// What went wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] FileError),
    /// The file.
    #[error("cannot use the log `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An agent sends more than it may.
    #[error("a log beyond all limits")]
    TooMuch,
}

/// A stream of one deployment.
pub type StreamName = (DeploymentId, u32);

/// All logs.
#[derive(Debug, Clone)]
pub struct Logs {
    folder: PathBuf,
}

impl Logs {
    /// Logs below a folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Appends chunks, and says how long each stream that was opened or written is now. Bytes that are there
    /// already are skipped, and so is what would leave a hole: the length tells the agent where to go on. Blocks.
    pub fn append(
        &self,
        opened: &[StreamName],
        chunks: &[LogChunk],
    ) -> Result<Vec<(StreamName, u64)>, LogError> {
        let mut files: HashMap<StreamName, Tail> = HashMap::new();
        let mut order = Vec::new();
        let names = opened
            .iter()
            .copied()
            .chain(chunks.iter().map(|chunk| (chunk.deployment, chunk.stream)));
        for name in names {
            if let Entry::Vacant(place) = files.entry(name) {
                place.insert(self.open(name)?);
                order.push(name);
            }
        }
        for chunk in chunks {
            if let Some(tail) = files.get_mut(&(chunk.deployment, chunk.stream)) {
                tail.append(chunk)?;
            }
        }
        let mut lengths = Vec::with_capacity(order.len());
        for name in order {
            if let Some(tail) = files.remove(&name) {
                lengths.push((name, tail.close()));
            }
        }
        Ok(lengths)
    }

    /// Reads a stream from an offset on, at most `most` bytes; nothing where nothing is. Blocks.
    pub fn read(&self, name: StreamName, offset: u64, most: usize) -> Result<Vec<u8>, LogError> {
        let path = self.path(name);
        let read = || {
            let mut file = match File::open(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                opened => opened?,
            };
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.take(most as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|source| LogError::File {
            path: path.clone(),
            source,
        })
    }

    /// The deployments that there is output of. Blocks.
    pub fn deployments(&self) -> Vec<DeploymentId> {
        let entries = std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// Forgets the output of a deployment. Blocks.
    pub fn forget(&self, deployment: DeploymentId) -> Result<(), LogError> {
        let path = self.folder.join(deployment.to_string());
        match std::fs::remove_dir_all(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(LogError::File { path, source }),
            _ => Ok(()),
        }
    }

    fn open(&self, name: StreamName) -> Result<Tail, LogError> {
        if name.1 > MOST_STREAMS {
            return Err(LogError::TooMuch);
        }
        let path = self.path(name);
        files::folder(path.parent().unwrap_or(Path::new(".")))?;
        let opened = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path);
        match opened.and_then(|file| file.metadata().map(|found| (file, found.len()))) {
            Ok((file, length)) => Ok(Tail {
                path,
                file,
                length,
                written: 0,
            }),
            Err(source) => Err(LogError::File { path, source }),
        }
    }

    fn path(&self, (deployment, stream): StreamName) -> PathBuf {
        self.folder.join(deployment.to_string()).join(stream.to_string())
    }
}

/// The open end of one log.
struct Tail {
    path: PathBuf,
    file: File,
    length: u64,
    written: usize,
}

impl Tail {
    fn append(&mut self, chunk: &LogChunk) -> Result<(), LogError> {
        let Some(known) = self
            .length
            .checked_sub(chunk.offset)
            .and_then(|known| usize::try_from(known).ok())
        else {
            return Ok(());
        };
        let Some(new) = chunk.output.get(known..).filter(|new| !new.is_empty()) else {
            return Ok(());
        };
        if self.length + new.len() as u64 > LONGEST {
            return Err(LogError::TooMuch);
        }
        if let Err(source) = self.file.write_all(new) {
            return Err(self.failed(source));
        }
        self.length += new.len() as u64;
        self.written += new.len();
        Ok(())
    }

    fn close(self) -> u64 {
        if (1..TRICKLE).contains(&self.written)
            && let Err(source) = self.file.sync_data()
        {
            files::abort_unsynced("a log", &self.failed(source));
        }
        self.length
    }

    fn failed(&self, source: io::Error) -> LogError {
        LogError::File {
            path: self.path.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(deployment: DeploymentId, offset: u64, output: &str) -> LogChunk {
        LogChunk {
            deployment,
            stream: 1,
            offset,
            output: output.as_bytes().to_vec(),
        }
    }

    #[test]
    fn f30_a_log_holds_every_byte_once_however_the_chunks_arrive() {
        let state = tempfile::tempdir().unwrap();
        let logs = Logs::new(state.path().to_owned());
        let id = DeploymentId::fresh();
        let length = |chunks: &[LogChunk]| logs.append(&[(id, 1)], chunks).unwrap()[0].1;
        assert_eq!(length(&[]), 0);
        assert_eq!(length(&[chunk(id, 0, "hello ")]), 6);
        assert_eq!(length(&[chunk(id, 9, "hole")]), 6);
        assert_eq!(length(&[chunk(id, 0, "hello "), chunk(id, 4, "o world")]), 11);
        assert_eq!(logs.read((id, 1), 0, 100).unwrap(), b"hello world");
        assert_eq!(logs.read((id, 1), 6, 3).unwrap(), b"wor");
        assert_eq!(logs.read((id, 2), 0, 3).unwrap(), b"");
    }
}
