//! The rows of Fedora, the RHEL family and Arch, driven against the real rpm, dnf and pacman: the agent's own steps, on
//! an empty system of each kind, with small repositories that hold tiny packages of the right names.
//!
//! dnf is version 4, as the RHEL family has it; Fedora's own is version 5, which Debian does not package.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose helpers are outside of test functions"
)]

use std::time::Duration;

use chatalot_agent::host::fake::FakeHost;
use chatalot_agent::runbook::distro::{DISTROS, Distro, Manager, PACMAN_LOCK};
use chatalot_agent::runbook::{ActCx, Cx, Step, StepError, packaging, step};
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::{Secrets, Site};
use chatalot_tests::{Result, Sandbox, wait_until};
use machine::{Machine, Packages};

mod machine;

/// A row with a machine of its kind, and a site.
struct Case {
    row: &'static Distro,
    machine: Machine,
    site: Site,
    secrets: Secrets,
    runtime: tokio::runtime::Runtime,
}

impl Case {
    fn new(name: &str, proxy: &str, packages: &Packages) -> Self {
        let row = DISTROS.iter().find(|row| row.name == name).unwrap();
        let inputs = Inputs {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            proxy: Some(proxy.into()),
            ..Inputs::default()
        };
        let (site, secrets) = inputs.complete().unwrap();
        let machine = Machine::fresh(packages, FakeHost::fresh(row), row).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self {
            row,
            machine,
            site,
            secrets,
            runtime,
        }
    }

    fn with<T>(&self, ask: impl AsyncFnOnce(&ActCx<'_>) -> T) -> T {
        let (memory, secret_tags) = Default::default();
        let look = Cx {
            site: &self.site,
            distro: self.row,
            host: &self.machine,
            memory: &memory,
            secret_tags: &secret_tags,
        };
        let cx = ActCx {
            look,
            host: &self.machine,
            secrets: &self.secrets,
        };
        self.runtime.block_on(ask(&cx))
    }

    fn check(&self, step: &dyn Step) -> Verdict {
        self.with(async |cx| step.check(&cx.look).await).unwrap()
    }

    /// Check, apply, check.
    fn converge(&self, id: &str) {
        let step = step(id).unwrap();
        let before = self.check(step);
        assert!(
            matches!(before, Verdict::Needed { .. }),
            "{} {id}: {before:?}",
            self.row.name
        );
        self.with(async |cx| step.apply(cx).await)
            .unwrap_or_else(|error| panic!("{} {id}: {error:?}", self.row.name));
        self.is_satisfied(id);
    }

    fn is_satisfied(&self, id: &str) {
        let after = self.check(step(id).unwrap());
        assert!(after.is_satisfied(), "{} {id}: {after:?}", self.row.name);
    }

    fn install(&self, names: &[&'static str]) -> std::result::Result<(), StepError> {
        self.with(async |cx| packaging::install(cx, names).await)
    }

    fn fails_with(&self, names: &[&'static str], code: &str) {
        let error = self.install(names).unwrap_err();
        let found = match &error {
            StepError::Final(advice) | StepError::Passing(advice) => advice.code.to_string(),
            other => other.to_string(),
        };
        assert_eq!(found, code, "{}: {error:?}", self.row.name);
    }

    /// Everything that a deployment installs, then the same once more, which runs nothing.
    fn journey(&self) {
        self.is_satisfied("packages.dpkg");
        let steps = ["packages.repository", "packages.install", "proxy.package"];
        let (first, others) = if self.row.repositories.is_empty() {
            (0, &steps[1..])
        } else {
            (1, &steps[1..])
        };
        for id in &steps[..first] {
            self.converge(id);
        }
        for id in others {
            self.converge(id);
        }
        let ran = self.machine.ran();
        for id in steps {
            self.is_satisfied(id);
        }
        assert_eq!(self.machine.ran(), ran, "{} runs something twice", self.row.name);
        self.fails_with(&["no-such-package"], "PACKAGE_UNKNOWN");
    }
}

/// Makes what the rows of a package manager need, all of them or those of these names, and does something with each.
fn every(manager: Manager, names: &[&str], each: impl Fn(&Packages, &'static Distro)) -> Result<()> {
    let _sandbox = Sandbox::up()?;
    let mut rows: Vec<_> = DISTROS.iter().filter(|row| row.manager == manager).collect();
    rows.retain(|row| names.is_empty() || names.contains(&row.name));
    let packages = Packages::make(&rows)?;
    for row in rows {
        each(&packages, row);
    }
    Ok(())
}

// coverage: real-packages · Fedora, RHEL 9, RHEL 10, AlmaLinux 9, AlmaLinux 10, Rocky Linux 9, Rocky Linux 10 · caddy, nginx
#[test]
fn real_dnf_installs_what_the_rows_name_and_a_second_run_installs_nothing() -> Result<()> {
    every(Manager::Dnf, &[], |packages, row| {
        Case::new(row.name, "nginx", packages).journey();
        Case::new(row.name, "caddy", packages).journey();
    })
}

// coverage: real-packages · Arch Linux · caddy, nginx
#[test]
fn real_pacman_installs_what_the_row_names_and_a_second_run_installs_nothing() -> Result<()> {
    every(Manager::Pacman, &[], |packages, row| {
        Case::new(row.name, "nginx", packages).journey();
        Case::new(row.name, "caddy", packages).journey();
    })
}

#[test]
fn f38_what_dnf_left_in_two_versions_is_made_one_again() -> Result<()> {
    every(Manager::Dnf, &["Rocky Linux 9"], |packages, row| {
        let case = Case::new(row.name, "caddy", packages);
        case.converge("packages.repository");
        case.converge("packages.install");
        // As an upgrade that was cut off leaves it: the newer one is there, the older one is not gone.
        case.machine.must(machine::NEWER_GIT).unwrap();
        case.converge("packages.dpkg");
        let left = case.machine.must("rpm -q git").unwrap();
        assert_eq!(left.trim(), "git-2.0-1.noarch");
    })
}

#[test]
fn f39_a_held_rpm_lock_passes_by_itself() -> Result<()> {
    every(Manager::Dnf, &["Fedora"], |packages, row| {
        let case = Case::new(row.name, "caddy", packages);
        case.machine.hold_rpm_lock().unwrap();
        let error = case.install(&["git"]).unwrap_err();
        assert!(
            matches!(&error, StepError::Passing(advice) if advice.code == "PACKAGES_LOCKED"),
            "{error:?}"
        );
        case.machine.must("touch /run/let-go").unwrap();
        wait_until("the lock to be let go", Duration::from_secs(10), || {
            case.machine.must("! fuser /var/lib/rpm/.rpm.lock").is_ok()
        })
        .unwrap();
        case.converge("packages.install");
    })
}

#[test]
fn f39_a_held_pacman_lock_passes_by_itself_and_one_that_nobody_holds_is_taken_away() -> Result<()> {
    every(Manager::Pacman, &[], |packages, row| {
        let case = Case::new(row.name, "caddy", packages);
        case.machine.must("touch /var/lib/pacman/db.lck").unwrap();
        case.machine.hold(PACMAN_LOCK).unwrap();
        // Somebody is at work: nothing is half done, and installing says so.
        case.is_satisfied("packages.dpkg");
        let error = case.install(&["git"]).unwrap_err();
        assert!(
            matches!(&error, StepError::Passing(advice) if advice.code == "PACKAGES_LOCKED"),
            "{error:?}"
        );
        // They were killed.
        case.machine.must("touch /run/let-go").unwrap();
        wait_until("the lock to be let go", Duration::from_secs(10), || {
            case.machine.must("! fuser /var/lib/pacman/db.lck").is_ok()
        })
        .unwrap();
        case.converge("packages.dpkg");
        case.converge("packages.install");
    })
}

#[test]
fn a_package_that_another_key_has_signed_is_not_installed() -> Result<()> {
    every(Manager::Dnf, &["Rocky Linux 9"], |packages, row| {
        let case = Case::new(row.name, "caddy", packages);
        case.converge("packages.repository");
        // The right key in our file, and packages of somebody else's at the address.
        case.machine.must(machine::SWAP_DOCKER).unwrap();
        case.fails_with(&["docker-ce"], "PACKAGES_UNSIGNED");
        case.machine.must("! rpm -q docker-ce").unwrap();
    })
}
