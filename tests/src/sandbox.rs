//! The world that the VPSes live in: images, network, and the container that is their internet.

use std::{
    env,
    fs::File,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use crate::command::{Failed, Output, Result, docker, run};

/// The container with DNS, ACME, forge, registry and Debian's mirror.
const INTERNET: &str = "chatalot-sandbox-internet";

/// A sandbox that is up. Any number of tests and processes may hold one at a time.
#[derive(Debug)]
pub struct Sandbox {
    _private: (),
}

impl Sandbox {
    /// Where the machine that runs the tests (and so a controller) is seen by a VPS.
    pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
    /// Where a VPS's resolver, and everything else of the world, is.
    pub const INTERNET: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
    /// The directory of the ACME authority.
    pub const ACME: &str = "https://acme.example.net:14000/dir";
    /// The repository of the stand-in, tags `v0.24.0` and `v0.17.0`, branch `main`.
    pub const REPOSITORY: &str = "https://forge.example.net/chatalot.git";
    /// The registry that asks who one is, and what it accepts.
    pub const PRIVATE_REGISTRY: (&str, &str, &str) =
        ("private-registry.example.net", "deploy", "sandbox-token");

    /// Builds and starts whatever is not there yet, and removes VPSes whose tests are gone.
    pub fn up() -> Result<Self> {
        Self::up_with(&[])
    }

    /// The same with what VPSes of other systems than Debian 13 need, which takes minutes the first time.
    pub fn up_with_all() -> Result<Self> {
        Self::up_with(&["--all"])
    }

    fn up_with(args: &[&str]) -> Result<Self> {
        run(&script("up.sh").to_string_lossy(), args)?.ok()?;
        Self::sweep()?;
        Ok(Self { _private: () })
    }

    /// Makes `name` answer with these addresses; with neither, it does not exist.
    /// Names under `example.com` and `example.org` are the tests' own.
    pub fn dns(&self, name: &str, a: Option<Ipv4Addr>, aaaa: Option<Ipv6Addr>) -> Result<()> {
        let addresses = a.map(IpAddr::V4).into_iter().chain(aaaa.map(IpAddr::V6));
        let hosts: Vec<String> = addresses.map(|each| format!("{each} {name}\n")).collect();
        let set = "cat >/srv/dns/.new; if [ -s /srv/dns/.new ]; then mv /srv/dns/.new \"/srv/dns/$1\"; \
                   else rm -f /srv/dns/.new \"/srv/dns/$1\"; fi; pkill -HUP dnsmasq";
        let args = [
            "exec", "-i", INTERNET, "flock", "/srv", "sh", "-c", set, "sh", name,
        ];
        crate::run_with_input("docker", &args, hosts.concat().as_bytes())?.ok()?;
        Ok(())
    }

    /// A shell script in the container that is the internet (the forge is `/srv/git/chatalot.git`).
    pub fn internet(&self, script: &str) -> Result<Output> {
        run("docker", &["exec", INTERNET, "sh", "-c", script])
    }

    /// The certificates a VPS must trust: of the sandbox's services, and of what its ACME authority issues.
    pub fn authorities(&self) -> Result<[String; 2]> {
        let services = self.internet("cat /srv/tls/ca.crt")?.ok()?.stdout;
        let issued = self
            .internet("curl -sfk https://203.0.113.2:15000/roots/0")?
            .ok()?
            .stdout;
        Ok([services, issued])
    }

    fn sweep() -> Result<()> {
        let _lock = lock()?;
        let format = "{{.ID}} {{.Label \"chatalot-sandbox.owner\"}}";
        let all = docker(&[
            "ps",
            "-a",
            "--filter",
            "label=chatalot-sandbox.owner",
            "--format",
            format,
        ])?;
        for (id, owner) in all.lines().filter_map(|line| line.split_once(' ')) {
            if owner.parse::<u32>().is_ok() && !Path::new("/proc").join(owner).exists() {
                docker(&["rm", "-fv", id])?;
            }
        }
        Ok(())
    }
}

/// The lock that `up.sh` takes too: one change of the sandbox at a time on this machine.
pub(crate) fn lock() -> Result<File> {
    let path = env::temp_dir().join("chatalot-sandbox.lock");
    let failed = |source| Failed::File {
        path: path.display().to_string(),
        source,
    };
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sandbox").join(name)
}
