//! The warm VPS, and how something is spoilt, found and mended on it.

use std::time::Duration;

use chatalot_tests::{Output, Result, Sandbox, Vps, advises, phase, shipped, wait_until};

const SOON: Duration = Duration::from_mins(1);

/// A cause: how it is provoked, its code, and how it is mended.
pub(crate) struct Case {
    pub(crate) code: &'static str,
    pub(crate) spoil: &'static str,
    pub(crate) heal: &'static str,
}

/// A cause that a deployment with more flags ends with, or that its plan is refused for.
pub(crate) struct Stop {
    pub(crate) code: &'static str,
    pub(crate) spoil: &'static str,
    pub(crate) flags: &'static str,
    pub(crate) heal: &'static str,
}

/// A deployed VPS.
pub(crate) struct Warm {
    pub(crate) vps: Vps,
}

/// The domain of its site.
pub(crate) const DOMAIN: &str = "causes.example.com";

impl Warm {
    /// Deployed by its own agent, with voice, and only the machine itself and one stranger's address let in.
    pub(crate) fn deployed(sandbox: &Sandbox) -> Result<Self> {
        let vps = Vps::fresh(sandbox, "causes")?;
        sandbox.dns(DOMAIN, Some(vps.address()), None)?;
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/bootstrap.sh");
        vps.push(&script, "/root/bootstrap.sh", 0o644)?;
        vps.push(&shipped("chatalot-agent"), "/root/chatalot-agent", 0o755)?;
        vps.must("sh /root/bootstrap.sh --standalone")?;
        let warm = Self { vps };
        warm.is_patient(20)?;
        warm.deploy("")?.ok()?;
        // From here on what may pass is wanted to fail.
        warm.is_patient(5)?;
        warm.vps
            .must("cp -a /etc/caddy/conf.d/causes.example.com.caddy /root/limited.caddy; cp -a /srv/chatalot/.env /root/env")?;
        Ok(warm)
    }

    /// What may pass by itself is tried again for this long.
    fn is_patient(&self, seconds: u32) -> Result<()> {
        self.vps.must(&format!(
            "printf '[patience]\\nretry_secs = {seconds}\\n' >/etc/chatalot-agent/config.toml; systemctl restart chatalot-agent"
        ))?;
        self.vps.wait_for("chatalot-agent status", SOON)
    }

    /// Deploys with more flags, which may be other values of the usual ones; whatever comes of it.
    pub(crate) fn deploy(&self, more: &str) -> Result<Output> {
        let address = self.vps.address().to_string();
        let usual = [
            ("--domain", DOMAIN),
            ("--admin-username", "alice"),
            ("--repository", Sandbox::REPOSITORY),
            ("--ref", "v0.24.0"),
            ("--acme", Sandbox::ACME),
            ("--acme-root", "/usr/local/share/ca-certificates/sandbox.crt"),
            ("--turn-external-ip", &address),
            ("--limit-until-admin", "198.51.100.7,2001:db8::/48"),
        ];
        let mut words = vec!["chatalot-agent", "deploy", "--yes"];
        let given: Vec<&str> = more.split_whitespace().collect();
        for (flag, value) in usual.iter().filter(|(flag, _)| !given.contains(flag)) {
            words.extend([flag, value]);
        }
        self.vps.exec(&[words, given].concat())
    }

    fn diagnose(&self) -> Result<Output> {
        self.vps.sh("chatalot-agent diagnose")
    }

    /// Waits until this cause stands first, told with everything that a person needs.
    pub(crate) fn finds(&self, code: &str) -> Result<()> {
        let mut told = self.diagnose()?;
        let found = wait_until(&format!("{code} as the first cause"), SOON, || {
            first(&told) == Some(code.to_owned())
                || self.diagnose().is_ok_and(|again| {
                    told = again;
                    first(&told) == Some(code.to_owned())
                })
        });
        assert!(
            found.is_ok(),
            "no {code} as the first cause:\n{}{}",
            told.stdout,
            told.stderr
        );
        advises(&told, told.code, code, "", "");
        Ok(())
    }

    /// Waits until nothing is known to be wrong.
    #[track_caller]
    pub(crate) fn well(&self) {
        let mut told = String::new();
        let healed = wait_until("a host that is well", SOON * 2, || {
            self.diagnose().is_ok_and(|output| {
                told.clone_from(&output.stdout);
                output.code == 0
            })
        });
        assert!(healed.is_ok(), "not well again:\n{told}");
    }

    /// Each case in turn, and a host that is well after the last.
    pub(crate) fn provoke(&self, cases: &[Case]) -> Result<()> {
        for case in cases {
            phase(case.code, || {
                self.vps.must(case.spoil)?;
                self.finds(case.code)?;
                self.vps.must(case.heal)
            })?;
        }
        self.well();
        Ok(())
    }

    /// Each deployment in turn, that it ends with its cause, and that the cause is told until the next.
    pub(crate) fn stop(&self, stops: &[Stop]) -> Result<()> {
        for stop in stops {
            phase(stop.code, || {
                self.refuse(stop)?;
                self.finds(stop.code)?;
                self.vps.must(stop.heal)
            })?;
        }
        Ok(())
    }

    /// Each plan in turn, that it is refused for its cause.
    pub(crate) fn bar(&self, stops: &[Stop]) -> Result<()> {
        for stop in stops {
            phase(stop.code, || {
                let told = self.refuse(stop)?;
                advises(&told, told.code, stop.code, "", "");
                self.vps.must(stop.heal)
            })?;
        }
        Ok(())
    }

    fn refuse(&self, stop: &Stop) -> Result<Output> {
        self.vps.must(stop.spoil)?;
        let told = self.deploy(stop.flags)?;
        let text = [told.stdout.as_str(), &told.stderr].concat();
        assert!(
            !told.is_ok() && text.contains(&format!("✗ {}", stop.code)),
            "no {}:\n{text}",
            stop.code
        );
        Ok(told)
    }
}

/// The code of the first cause.
fn first(output: &Output) -> Option<String> {
    let line = output
        .stdout
        .lines()
        .chain(output.stderr.lines())
        .find_map(|line| line.trim().strip_prefix('✗'))?;
    Some(line.trim().to_owned())
}
