//! Memory and disk.

use crate::host::{HostError, Resources};
use nix::sys::statvfs::statvfs;
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
        writable: is_writable(&mounts()?, there),
    })
}

/// The mounts as the first process sees them: the daemon's own view is confined, and read-only nearly everywhere.
fn mounts() -> Result<String, HostError> {
    let path = Path::new("/proc/1/mountinfo");
    std::fs::read_to_string(path).map_err(|source| HostError::File {
        verb: "read",
        path: path.to_owned(),
        source,
    })
}

/// Whether the mount that a path is on, and its file system, may be written (see `proc_pid_mountinfo(5)`).
pub fn is_writable(mountinfo: &str, path: &Path) -> bool {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(4);
        let (point, options) = (mount.next()?, mount.next()?);
        let within = path.starts_with(point.replace("\\040", " "));
        within.then_some((point.len(), options, system.split(' ').nth(2)?))
    });
    let is_read_only = |options: &str| options.split(',').any(|option| option == "ro");
    mounts
        .max_by_key(|(length, ..)| *length)
        .is_none_or(|(_, mount, system)| !is_read_only(mount) && !is_read_only(system))
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
    fn f50_a_disk_that_is_mounted_read_only_is_not_writable() {
        let mounts = "29 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
                      31 29 0:24 / /srv ro,nosuid shared:2 - ext4 /dev/vdb rw\n\
                      32 29 0:25 / /var/lib/docker rw - ext4 /dev/vdc ro,errors=remount-ro\n";
        assert!(is_writable(mounts, Path::new("/var/lib")));
        assert!(!is_writable(mounts, Path::new("/srv/chatalot")));
        assert!(!is_writable(mounts, Path::new("/var/lib/docker/volumes")));
    }
}
