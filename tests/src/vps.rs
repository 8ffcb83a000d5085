//! One VPS: a bare Debian 13 with systemd, its own public address and its own disk.

use std::{env, fs, net::Ipv4Addr, path::Path, process, time::Duration};

use crate::{
    command::{Failed, Output, Result, docker, run, run_with_input},
    sandbox::{Sandbox, lock},
    wait::wait_until,
};

mod network;

const IMAGE: &str = "chatalot-sandbox/vps:debian13";
const DEBIAN_12: &str = "chatalot-sandbox/vps:debian12";
const UBUNTU: &str = "chatalot-sandbox/vps:ubuntu24.04";
const BOOT: Duration = Duration::from_mins(1);
/// What systemd and an inner engine need where the machine itself is short of `CAP_SYS_RESOURCE`.
const FLAGS: &[&str] = &[
    "--cap-add=ALL",
    "--cap-drop=SYS_RESOURCE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--cgroupns=host",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    "--volume=/var/lib/docker",
    // Where an Engine of 29 or newer keeps its images.
    "--volume=/var/lib/containerd",
    "--tmpfs=/run:exec,mode=755",
    "--tmpfs=/run/lock",
    "--tmpfs=/tmp:exec",
    "--label=chatalot-sandbox.recipe=vps",
];

/// A running VPS. Dropping it removes it, unless `CHATALOT_SANDBOX_KEEP` is set.
#[derive(Debug)]
pub struct Vps {
    container: String,
    address: Ipv4Addr,
}

impl Vps {
    /// Starts a VPS nobody has touched, trusting the sandbox's authorities. `name` becomes its host name.
    pub fn fresh(sandbox: &Sandbox, name: &str) -> Result<Self> {
        Self::fresh_of(sandbox, name, IMAGE)
    }

    /// The same with Ubuntu 24.04, whose image is built only where everything is asked for.
    pub fn fresh_ubuntu(sandbox: &Sandbox, name: &str) -> Result<Self> {
        Self::fresh_of(sandbox, name, UBUNTU)
    }

    /// The same with Debian 12.
    pub fn fresh_debian12(sandbox: &Sandbox, name: &str) -> Result<Self> {
        Self::fresh_of(sandbox, name, DEBIAN_12)
    }

    fn fresh_of(sandbox: &Sandbox, name: &str, image: &str) -> Result<Self> {
        let vps = Self::start(name, image)?;
        vps.wait_for_boot()?;
        let [services, issued] = sandbox.authorities()?;
        vps.write(
            "/usr/local/share/ca-certificates/sandbox.crt",
            services.as_bytes(),
            0o644,
        )?;
        vps.write(
            "/usr/local/share/ca-certificates/sandbox-acme.crt",
            issued.as_bytes(),
            0o644,
        )?;
        vps.must("update-ca-certificates")?;
        Ok(vps)
    }

    /// The name of its container, for `docker exec -it` by hand.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// Its public address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A shell script as root; whatever its exit code.
    pub fn sh(&self, script: &str) -> Result<Output> {
        self.exec(&["sh", "-c", script])
    }

    /// A program as root, no shell between; whatever its exit code.
    pub fn exec(&self, argv: &[&str]) -> Result<Output> {
        run("docker", &[&["exec", &self.container], argv].concat())
    }

    /// A shell script as root that must end with 0; its standard output.
    pub fn must(&self, script: &str) -> Result<String> {
        Ok(self.sh(script)?.ok()?.stdout)
    }

    /// Polls until a shell script ends with 0.
    pub fn wait_for(&self, script: &str, patience: Duration) -> Result<()> {
        wait_until(script, patience, || {
            self.sh(script).is_ok_and(|output| output.is_ok())
        })
    }

    /// Copies a file of this machine to the VPS, folders made as needed.
    pub fn push(&self, local: &Path, remote: &str, mode: u32) -> Result<()> {
        let failed = |source| Failed::File {
            path: local.display().to_string(),
            source,
        };
        self.write(remote, &fs::read(local).map_err(failed)?, mode)
    }

    /// Writes a file on the VPS, folders made as needed; owned by root, replaced at once.
    pub fn write(&self, remote: &str, content: &[u8], mode: u32) -> Result<()> {
        let script = "mkdir -p \"$(dirname \"$1\")\" && cat >\"$1.new\" && chmod \"$2\" \"$1.new\" && mv \"$1.new\" \"$1\"";
        let mode = format!("{mode:o}");
        let args = [
            "exec",
            "-i",
            &self.container,
            "sh",
            "-c",
            script,
            "sh",
            remote,
            &mode,
        ];
        run_with_input("docker", &args, content)?.ok()?;
        Ok(())
    }

    /// Reads a file of the VPS.
    pub fn read(&self, remote: &str) -> Result<Vec<u8>> {
        Ok(self.exec(&["cat", remote])?.ok()?.bytes)
    }

    /// The faults that the stand-in's installer shall show, as `name=value` lines; none heals it.
    pub fn stand_in_knobs(&self, knobs: &[(&str, &str)]) -> Result<()> {
        let lines: Vec<String> = knobs
            .iter()
            .map(|(name, value)| {
                format!(
                    "{name}={value}
"
                )
            })
            .collect();
        self.write("/etc/chatalot-stand-in/knobs", lines.concat().as_bytes(), 0o644)
    }

    /// Names the boot; another one after each reboot.
    pub fn boot_id(&self) -> Result<String> {
        Ok(self
            .must("cat /proc/sys/kernel/random/boot_id")?
            .trim()
            .to_owned())
    }

    /// Shuts down in order, starts again and waits until systemd is up.
    pub fn reboot(&self) -> Result<()> {
        docker(&["stop", "-t", "60", &self.container])?;
        docker(&["start", &self.container])?;
        self.wait_for_boot()
    }

    /// Pulls the plug, starts again and waits until systemd is up. What the machine had cached stays written.
    pub fn power_cycle(&self) -> Result<()> {
        docker(&["kill", &self.container])?;
        docker(&["start", &self.container])?;
        self.wait_for_boot()
    }

    fn start(name: &str, image: &str) -> Result<Self> {
        let _lock = lock()?;
        let address = free_address()?;
        let container = format!("chatalot-sandbox-{name}-{}", process::id());
        let owner = format!("--label=chatalot-sandbox.owner={}", process::id());
        let label = format!("--label=chatalot-sandbox.address={address}");
        let ip = format!("--ip={address}");
        let place = [
            "run",
            "-d",
            "--name",
            &container,
            "--hostname",
            name,
            "--network=chatalot-sandbox",
            &ip,
        ];
        docker(&[&place[..], &[&owner, &label], FLAGS, &[image]].concat())?;
        Ok(Self { container, address })
    }

    fn wait_for_boot(&self) -> Result<()> {
        wait_until("the VPS's systemd", BOOT, || {
            self.exec(&["systemctl", "is-system-running"])
                .is_ok_and(|output| matches!(output.stdout.trim(), "running" | "degraded"))
        })
    }
}

impl Drop for Vps {
    fn drop(&mut self) {
        if env::var_os("CHATALOT_SANDBOX_KEEP").is_none() {
            // There is nobody to tell; the next `Sandbox::up` sweeps what is left.
            drop(docker(&["rm", "-fv", &self.container]));
        }
    }
}

/// The lowest address that no VPS has, running or not.
fn free_address() -> Result<Ipv4Addr> {
    let label = "chatalot-sandbox.address";
    let format = format!("{{{{.Label \"{label}\"}}}}");
    let taken = docker(&[
        "ps",
        "-a",
        "--filter",
        &format!("label={label}"),
        "--format",
        &format,
    ])?;
    (10..=62)
        .map(|host| Ipv4Addr::new(203, 0, 113, host))
        .find(|address| !taken.lines().any(|line| line == address.to_string()))
        .ok_or(Failed::NoAddress)
}
