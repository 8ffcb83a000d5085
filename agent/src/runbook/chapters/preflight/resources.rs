//! Memory and disk.

use crate::host::Resources as Facts;
use crate::runbook::distro::Manager;
use crate::runbook::{Cx, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use std::path::Path;

/// What is sold as 1 GB of memory shows up as less: the kernel and the firmware keep some.
const MEMORY_LEAST: u64 = 880_000_000;
const GIB: u64 = 1 << 30;
const INODES_LEAST: u64 = 50_000;

/// Where the Engine keeps its images and volumes.
const ENGINE_DATA: &str = "/var/lib/docker";

/// Memory, disk and inodes are enough.
pub(super) struct Resources;

#[async_trait]
impl Step for Resources {
    fn id(&self) -> &'static str {
        "preflight.resources"
    }

    fn title(&self) -> &'static str {
        "Memory and disk are enough"
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let folder = Path::new(cx.site.folder.as_str());
        // An existing chatalot has its images already.
        let installed = cx.host.read(&folder.join(".env")).await?.is_some();
        let least = if installed { GIB } else { 4 * GIB };
        let mut saw = String::new();
        for path in [Path::new(ENGINE_DATA), folder] {
            match judge(&cx.host.resources(path).await?, path, least, cx.distro.manager) {
                Ok(seen) => saw = seen,
                Err(advice) => return Ok((*advice).into()),
            }
        }
        Ok(Verdict::satisfied(saw))
    }
}

fn judge(facts: &Facts, path: &Path, least: u64, manager: Manager) -> Result<String, Box<Advice>> {
    let path = path.display();
    if facts.memory < MEMORY_LEAST {
        return Err(Advice::new(
            "MEMORY_SHORT",
            format!("{} MB of memory", facts.memory / 1_000_000),
            "1 GB",
            "give the host at least 1 GB of memory (2 GB is comfortable), then deploy again",
        )
        .into());
    }
    if !facts.writable {
        return Err(Advice::new(
            "DISK_READ_ONLY",
            format!("the disk under {path} cannot be written"),
            "a disk that can be written",
            "look at `dmesg` for why it was remounted read-only, repair it, then deploy again",
        )
        .into());
    }
    if facts.disk_free < least {
        return Err(Advice::new(
            "DISK_FULL",
            format!("{} free under {path}", gib(facts.disk_free)),
            format!(
                "{} for images, database and uploads; 20 GiB recommended",
                gib(least)
            ),
            format!(
                "free some space (`{}`, `journalctl --vacuum-size=100M`) or enlarge the disk, then deploy again",
                manager.clean()
            ),
        )
        .into());
    }
    if facts.inodes > 0 && facts.inodes_free < INODES_LEAST {
        return Err(Advice::new(
            "INODES_SHORT",
            format!("room for {} more files under {path}", facts.inodes_free),
            format!("room for {INODES_LEAST}"),
            "remove folders with many small files (`du --inodes -x / | sort -n | tail`), then deploy again",
        )
        .into());
    }
    Ok(enough(facts))
}

fn enough(facts: &Facts) -> String {
    let short = if facts.disk_free < 20 * GIB {
        ", less than the 20 GiB recommended: enough to install, watch it as uploads grow"
    } else {
        ""
    };
    format!(
        "{:.1} GB of memory, {} free{short}",
        gigabytes(facts.memory),
        gib(facts.disk_free)
    )
}

fn gib(bytes: u64) -> String {
    format!("{}.{} GiB", bytes / GIB, bytes % GIB * 10 / GIB)
}

fn gigabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1_000_000).unwrap_or(u32::MAX)) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIT: Facts = Facts {
        memory: 2_000_000_000,
        disk: 40 * GIB,
        disk_free: 30 * GIB,
        inodes: 2_000_000,
        inodes_free: 1_900_000,
        writable: true,
    };

    fn code(facts: &Facts) -> String {
        judge(facts, Path::new("/srv/chatalot"), 4 * GIB, Manager::Apt)
            .map_or_else(|advice| advice.code.to_string(), |_| "fit".to_owned())
    }

    #[test]
    fn f46_f47_f50_a_host_without_room_is_told_so_before_anything_is_done() {
        assert_eq!(code(&FIT), "fit");
        assert_eq!(
            code(&Facts {
                memory: 957_000_000,
                ..FIT
            }),
            "fit"
        );
        assert_eq!(
            code(&Facts {
                memory: 490_000_000,
                ..FIT
            }),
            "MEMORY_SHORT"
        );
        assert_eq!(
            code(&Facts {
                disk_free: 3 * GIB,
                ..FIT
            }),
            "DISK_FULL"
        );
        assert_eq!(
            code(&Facts {
                inodes_free: 20,
                ..FIT
            }),
            "INODES_SHORT"
        );
        assert_eq!(
            code(&Facts {
                inodes: 0,
                inodes_free: 0,
                ..FIT
            }),
            "fit"
        );
        assert_eq!(
            code(&Facts {
                writable: false,
                ..FIT
            }),
            "DISK_READ_ONLY"
        );
    }

    #[test]
    fn the_fix_is_in_the_words_of_the_package_manager() {
        let full = Facts {
            disk_free: GIB,
            ..FIT
        };
        for (manager, word) in [
            (Manager::Apt, "`apt-get clean`"),
            (Manager::Dnf, "`dnf clean packages`"),
            (Manager::Pacman, "`pacman -Sc`"),
        ] {
            let told = judge(&full, Path::new("/srv/chatalot"), 4 * GIB, manager).unwrap_err();
            assert!(told.fix.contains(word), "{told}");
        }
    }

    #[test]
    fn a_small_disk_is_pointed_out_without_stopping() {
        let small = Facts {
            disk_free: 9 * GIB,
            ..FIT
        };
        assert!(
            judge(&small, Path::new("/srv/chatalot"), 4 * GIB, Manager::Apt)
                .unwrap()
                .contains("20 GiB recommended")
        );
    }
}
