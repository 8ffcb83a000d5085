//! The journey from a controller and a bare VPS to a handover, step by step.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use crate::command::{Failed, Output, Result};
use crate::controller::Controller;
use crate::sandbox::Sandbox;
use crate::vps::Vps;

/// A VPS that has joined a controller, and the domain that points at it.
#[derive(Debug)]
pub struct Journey {
    /// The controller.
    pub controller: Controller,
    /// The VPS.
    pub vps: Vps,
    /// The domain.
    pub domain: String,
    /// What the operator calls the VPS.
    pub name: String,
    /// The line that was pasted last.
    pub line: String,
}

/// The least inputs of a deployment, from the sandbox's forge.
pub const fn least(domain: &str) -> [&str; 8] {
    [
        "--domain",
        domain,
        "--admin-username",
        "alice",
        "--repository",
        Sandbox::REPOSITORY,
        "--ref",
        "v0.24.0",
    ]
}

/// The same, with a certificate of the sandbox's authority.
pub fn sandboxed(domain: &str) -> Vec<&str> {
    let root = "/usr/local/share/ca-certificates/sandbox.crt";
    let authority = ["--acme", Sandbox::ACME, "--acme-root", root];
    [&least(domain)[..], &authority].concat()
}

impl Journey {
    /// A controller, a fresh VPS with its domain, and the printed line pasted into it.
    pub fn joined(sandbox: &Sandbox, name: &str) -> Result<Self> {
        Self::joined_by(sandbox, name, Vps::fresh(sandbox, name)?)
    }

    /// The same with this VPS.
    pub fn joined_by(sandbox: &Sandbox, name: &str, vps: Vps) -> Result<Self> {
        Self::joined_to(sandbox, name, vps, Controller::start(name)?)
    }

    /// The same with a controller that looks from outside: it asks the sandbox's own resolver.
    pub fn looked_at(sandbox: &Sandbox, name: &str) -> Result<Self> {
        let resolver = Sandbox::INTERNET.to_string();
        let controller = Controller::start_with(name, &["--resolver", &resolver])?;
        Self::joined_to(sandbox, name, Vps::fresh(sandbox, name)?, controller)
    }

    /// A controller, a fresh VPS and the line, with this controller.
    pub fn joined_to(sandbox: &Sandbox, name: &str, vps: Vps, controller: Controller) -> Result<Self> {
        let domain = format!("{name}.example.com");
        sandbox.dns(&domain, Some(vps.address()), None)?;
        let mut journey = Self {
            controller,
            vps,
            domain,
            name: name.to_owned(),
            line: String::new(),
        };
        journey.paste()?;
        Ok(journey)
    }

    /// Asks the controller for a line and pastes it into the VPS, twice: the second time it upgrades, and keeps the
    /// identity although the token is used.
    pub fn paste(&mut self) -> Result<Output> {
        self.line = self.printed()?;
        self.paste_line(&self.line)
    }

    /// The line that the controller prints for this VPS.
    fn printed(&self) -> Result<String> {
        let printed = self
            .controller
            .ctl(&["host", "add", &self.name, "--git-remote", Sandbox::REPOSITORY])?
            .ok()?
            .stdout;
        let line = printed
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("curl "))
            .unwrap_or_default();
        Ok(line.to_owned())
    }

    fn paste_line(&self, line: &str) -> Result<Output> {
        self.vps.sh(line)?.ok()?;
        let pasted = self.vps.sh(line)?.ok()?;
        if !pasted.stdout.contains("keeps its identity") {
            return Err(Failed::Late(format!("an upgrade in `{}`", pasted.stdout), 0));
        }
        self.controller
            .wait_for_session(&self.name, Duration::from_secs(20))?;
        Ok(pasted)
    }

    /// The flags of a deployment: the least inputs, and the sandbox's forge and authority.
    pub fn site(&self) -> Vec<String> {
        let flags = sandboxed(&self.domain).into_iter();
        flags.map(str::to_owned).collect()
    }

    /// Deploys and waits for the end, with more flags; whatever the exit code.
    pub fn deploy(&self, more: &[&str]) -> Result<Output> {
        let site = self.site();
        let site: Vec<&str> = site.iter().map(String::as_str).collect();
        self.controller
            .ctl(&[&["deploy", &self.name, "--yes"], &site[..], more].concat())
    }

    /// Starts a deployment that goes on by itself; its id.
    pub fn deploy_detached(&self, more: &[&str]) -> Result<String> {
        let output = self.deploy(&[&["--detach"], more].concat())?.ok()?;
        let id = output
            .stdout
            .split_whitespace()
            .find(|word| word.len() == 36 && word.matches('-').count() == 4);
        id.map(str::to_owned)
            .ok_or_else(|| Failed::Late(format!("an id in `{}`", output.stdout), 0))
    }

    /// Waits until a deployment is over; what `deployment show` says in the end.
    pub fn wait(&self, id: &str, patience: Duration) -> Result<Output> {
        let timeout = patience.as_secs().to_string();
        let show = [
            "--output",
            "json",
            "deployment",
            "show",
            id,
            "--wait",
            "--timeout",
            &timeout,
        ];
        self.controller.ctl(&show)
    }

    /// Waits until a deployment has started a step (or is past it), by watching it.
    pub fn wait_for_step(&self, id: &str, step: &str, patience: Duration) -> Result<()> {
        let mut command = self.controller.command();
        let mut watch = command
            .args(["--output", "json", "watch", id])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| Failed::Run {
                command: "chatalotctl watch".to_owned(),
                source,
            })?;
        let (tell, told) = std::sync::mpsc::channel();
        let wanted = format!("\"step\":\"{step}\"");
        let lines = watch.stdout.take().map(BufReader::new);
        std::thread::spawn(move || {
            let lines = lines
                .into_iter()
                .flat_map(BufRead::lines)
                .map_while(std::io::Result::ok);
            let mut last = String::new();
            for line in lines {
                if line.contains("step_started") && line.contains(&wanted) {
                    last.clear();
                    break;
                }
                last = line;
            }
            // The test may have given up meanwhile.
            let _ = tell.send(last);
        });
        let seen = told.recv_timeout(patience);
        drop(watch.kill());
        drop(watch.wait());
        match seen {
            Ok(last) if last.is_empty() => Ok(()),
            Ok(last) => Err(Failed::Late(format!("step {step} after `{last}`"), 0)),
            Err(_) => Err(Failed::Late(format!("step {step}"), patience.as_secs())),
        }
    }

    /// The site as the world sees it, from inside the VPS by its public name.
    pub fn public_health(&self) -> Result<String> {
        self.vps
            .must(&format!("curl -sf -m 10 https://{}/api/health", self.domain))
    }
}
