//! The real dpkg and apt over a root folder of their own, with the commands of a distribution's row: dpkg killed at its
//! calls, apt with its lock held by somebody else, and a configuration file that was changed by hand.

use crate::strace::{copied, full, spread};
use chatalot_agent::runbook::distro::DISTROS;
use chatalot_agent::runbook::packaging::{TORN, UPDATES, was_cut_off};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A root with one package installed, and a repository that has its next version.
struct Root(TempDir);

fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    output
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    format!("{}: {}", output.status, String::from_utf8_lossy(&both))
}

impl Root {
    fn made() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let root = Self(folder);
        for below in [
            "root/var/lib/dpkg/info",
            "root/var/lib/dpkg/updates",
            "root/var/lib/dpkg/triggers",
            "root/var/lib/apt/lists/partial",
            "root/var/cache/apt/archives/partial",
            "root/var/log/apt",
            "root/etc/apt/apt.conf.d",
            "root/etc/apt/preferences.d",
            "repository",
        ] {
            fs::create_dir_all(root.at(below)).unwrap();
        }
        fs::write(root.at("root/var/lib/dpkg/status"), "").unwrap();
        let index = [root.package(1), root.package(2)].concat();
        fs::write(root.at("repository/Packages"), index).unwrap();
        root.configure();
        // The copies read from here too.
        let source = format!("deb [trusted=yes] file:{} ./\n", root.at("repository").display());
        fs::write(root.at("root/etc/apt/sources.list"), source).unwrap();
        run(root
            .dpkg(&["dpkg", "--log=/dev/null", "-i"])
            .arg(root.at("repository/tiny_1.deb")));
        run(&mut root.apt(DISTROS[0].refresh));
        root
    }

    fn at(&self, below: &str) -> std::path::PathBuf {
        self.0.path().join(below)
    }

    fn copy(&self) -> Self {
        let copy = Self(copied(self.0.path()));
        copy.configure();
        copy
    }

    /// Builds a version of the package; its paragraph in the index.
    fn package(&self, version: u8) -> String {
        let (tree, file) = (self.at(&format!("tree-{version}")), format!("tiny_{version}.deb"));
        for below in ["DEBIAN", "etc", "usr/share/tiny"] {
            fs::create_dir_all(tree.join(below)).unwrap();
        }
        let control = format!(
            "Package: tiny\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\nDescription: tiny\n"
        );
        fs::write(tree.join("DEBIAN/control"), &control).unwrap();
        fs::write(tree.join("DEBIAN/conffiles"), "/etc/tiny.conf\n").unwrap();
        fs::write(tree.join("etc/tiny.conf"), format!("version = {version}\n")).unwrap();
        for name in ["one", "two", "three"] {
            fs::write(
                tree.join("usr/share/tiny").join(name),
                format!("{name} {version}\n"),
            )
            .unwrap();
        }
        let deb = self.at("repository").join(&file);
        run(Command::new("dpkg-deb")
            .args(["--root-owner-group", "--build"])
            .arg(&tree)
            .arg(&deb));
        let sum = run(Command::new("sha256sum").arg(&deb));
        let sum = String::from_utf8(sum.stdout).unwrap();
        let (sum, size) = (sum.split(' ').next().unwrap(), fs::metadata(&deb).unwrap().len());
        format!("{control}Filename: ./{file}\nSize: {size}\nSHA256: {sum}\n\n")
    }

    /// What makes apt work here and nowhere else.
    fn configure(&self) {
        let root = self.at("root");
        let root = root.display();
        let conf = format!(
            "Dir \"{root}\";\nDir::State::status \"{root}/var/lib/dpkg/status\";\nDir::Bin::methods \"/usr/lib/apt/methods\";\n\
             Dir::Bin::dpkg \"/usr/bin/dpkg\";\nDPkg::Options:: \"--root={root}\";\nDPkg::Options:: \"--log=/dev/null\";\n\
             APT::Sandbox::User \"root\";\n"
        );
        fs::write(self.at("apt.conf"), conf).unwrap();
    }

    fn dpkg(&self, words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .env("DPKG_ROOT", self.at("root"))
            .env("LC_ALL", "C.UTF-8");
        command
    }

    fn apt(&self, words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .env("APT_CONFIG", self.at("apt.conf"))
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C.UTF-8");
        command
    }

    fn said(&self, words: &[&str]) -> String {
        let output = self.dpkg(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// The step `packages.dpkg`, and then the one that installs: what each of them asks and does.
    fn next_run(&self) -> Result<(), String> {
        let row = &DISTROS[0];
        let below = format!("root{UPDATES}");
        let updates: Vec<String> = fs::read_dir(self.at(&below))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        if was_cut_off(updates.iter().map(String::as_str)) || !self.said(row.audit).trim().is_empty() {
            // Its exit code says no more than the audit after it.
            self.dpkg(row.repair).output().unwrap();
            let found = self.said(TORN);
            let torn: Vec<&str> = found
                .lines()
                .filter_map(|line| line.strip_suffix("\treinstreq"))
                .collect();
            if !torn.is_empty() {
                let again = self
                    .apt(&[row.install, &["--reinstall"], &torn].concat())
                    .output()
                    .unwrap();
                if !again.status.success() {
                    return Err(text(&again));
                }
            }
        }
        let left = self.said(row.audit);
        if !left.trim().is_empty() {
            return Err(format!("still half installed: {left}"));
        }
        let installed = self.apt(&[row.install, &["tiny"]].concat()).output().unwrap();
        let found = self.said(&[row.query, &["tiny"]].concat());
        let now = fs::read_to_string(self.at("root/usr/share/tiny/two")).unwrap_or_default();
        if installed.status.success() && found == "tiny\tinstalled\n" && now == "two 2\n" {
            Ok(())
        } else {
            Err(format!("{found}{now}{}", text(&installed)))
        }
    }
}

#[test]
fn f38_dpkg_killed_at_any_of_its_calls_is_finished_by_the_next_run() {
    let root = Root::made();
    let points: Vec<(&str, usize)> = [
        ("rename", 16, 1),
        ("fsync", 28, 4),
        ("unlink", 16, 5),
        ("write", 48, 9),
    ]
    .into_iter()
    .flat_map(|(call, count, stride)| {
        let stride = if full() { 1 } else { stride };
        (1..=count).step_by(stride).map(move |nth| (call, nth))
    })
    .collect();
    let torn = std::sync::atomic::AtomicUsize::new(0);
    let bad = spread(&points, |(call, nth)| {
        let root = root.copy();
        let (trace, inject) = (
            format!("trace={call}"),
            format!("inject={call}:signal=SIGKILL:when={nth}"),
        );
        let strace = ["strace", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let upgrade = ["dpkg", "--log=/dev/null", "-i"];
        let mut killed = root.dpkg(&[&strace[..], &upgrade].concat());
        killed.arg(root.at("repository/tiny_2.deb")).output().unwrap();
        let configured = root.dpkg(DISTROS[0].audit).output().unwrap();
        if String::from_utf8_lossy(&configured.stdout).contains("in a mess") {
            torn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        root.next_run().map_err(|why| format!("{call} {nth}: {why}"))
    });
    assert!(
        bad.is_empty(),
        "{} of {}:\n{}",
        bad.len(),
        points.len(),
        bad.join("\n")
    );
    let torn = torn.into_inner();
    eprintln!(
        "dpkg: killed at {} points, {torn} of them while it unpacked",
        points.len()
    );
    assert!(torn > 5, "{torn}");
}

#[test]
fn f39_apt_waits_for_a_lock_that_somebody_holds_and_asks_nobody_about_a_changed_file() {
    let root = Root::made();
    fs::write(root.at("root/etc/tiny.conf"), "mine\n").unwrap();
    let lock = held(&root.at("root/var/lib/dpkg/lock-frontend"));
    let (mut said, writer) = std::io::pipe().unwrap();
    let mut command = root.apt(&[DISTROS[0].install, &["tiny"]].concat());
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone().unwrap())
        .stderr(writer);
    let mut waiting = command.spawn().unwrap();
    // Its end of the pipe is its own alone.
    drop(command);
    // It says so where it waits; a lock that it did not wait for would end it instead.
    let (mut told, mut piece) = (String::new(), [0; 4096]);
    while !told.contains("Waiting for cache lock") {
        let length = said.read(&mut piece).unwrap();
        assert!(length > 0, "it has not waited: {told}");
        told.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    assert!(waiting.try_wait().unwrap().is_none(), "{told}");
    drop(lock);
    said.read_to_string(&mut told).unwrap();
    assert!(waiting.wait().unwrap().success(), "{told}");
    assert_eq!(
        fs::read_to_string(root.at("root/etc/tiny.conf")).unwrap(),
        "mine\n"
    );
    assert_eq!(
        root.said(&[DISTROS[0].query, &["tiny"]].concat()),
        "tiny\tinstalled\n"
    );
}

/// A lock as dpkg takes it, until it is dropped.
fn held(path: &Path) -> File {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .unwrap();
    let whole = nix::libc::flock {
        l_type: i16::try_from(nix::libc::F_WRLCK).unwrap(),
        l_whence: i16::try_from(nix::libc::SEEK_SET).unwrap(),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETLK(&whole)).unwrap();
    file
}
