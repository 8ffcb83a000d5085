//! Memory and disk.

use crate::host::{HostError, Resources};
use nix::sys::statvfs::{FsFlags, statvfs};
use std::path::Path;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// The memory, and the disk that a path is on or, where nothing is there yet, will be on.
pub(super) fn resources(path: &Path) -> Result<Resources, HostError> {
    let there = existing(path);
    let disk = statvfs(there).map_err(|errno| HostError::File {
        verb: "measure",
        path: there.to_owned(),
        source: errno.into(),
    })?;
    let block = disk.fragment_size();
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let memory = System::new_with_specifics(memory).map_err(|e| HostError::Unknown {
        what: "the memory's size",
        why: super::chain(&e),
    })?;
    Ok(Resources {
        memory: memory.total_memory(),
        disk: disk.blocks().saturating_mul(block),
        disk_free: disk.blocks_available().saturating_mul(block),
        inodes: disk.files(),
        inodes_free: disk.files_available(),
        writable: !disk.flags().contains(FsFlags::ST_RDONLY),
    })
}

/// The nearest ancestor that is there.
fn existing(path: &Path) -> &Path {
    path.ancestors()
        .find(|ancestor| ancestor.exists())
        .unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_measured_where_it_will_be() -> Result<(), HostError> {
        let here = tempfile::tempdir().unwrap();
        let facts = resources(&here.path().join("not/yet/there"))?;
        assert!(facts.memory > 0 && facts.disk > 0 && facts.disk_free <= facts.disk);
        assert!(facts.writable);
        assert_eq!(facts.disk, resources(here.path())?.disk);
        Ok(())
    }

    #[test]
    fn f50_a_disk_that_is_mounted_read_only_is_not_writable() -> Result<(), HostError> {
        // The kernel's own list of mounts says which are read-only; sysfs often is, in a container.
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let read_only = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (path, options) = (fields.next()?, fields.nth(1)?);
            (options.split(',').any(|o| o == "ro") && Path::new(path).exists()).then_some(path)
        });
        if let Some(path) = read_only {
            assert!(!resources(Path::new(path))?.writable, "{path}");
        }
        Ok(())
    }
}
