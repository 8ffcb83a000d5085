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
        vps.must("printf '[patience]\\nretry_secs = 8\\n' >/etc/chatalot-agent/config.toml; systemctl restart chatalot-agent")?;
        vps.wait_for("chatalot-agent status", SOON)?;
        let warm = Self { vps };
        warm.deploy("")?.ok()?;
        warm.vps
            .must("cp -a /etc/caddy/conf.d/causes.example.com.caddy /root/limited.caddy; cp -a /srv/chatalot/.env /root/env")?;
        Ok(warm)
    }

    /// Deploys with more flags; whatever comes of it.
    pub(crate) fn deploy(&self, more: &str) -> Result<Output> {
        self.vps.sh(&format!(
            "chatalot-agent deploy --yes --domain {DOMAIN} --admin-username alice --repository {} --ref v0.24.0 \
             --acme {} --acme-root /usr/local/share/ca-certificates/sandbox.crt --turn-external-ip {} \
             --limit-until-admin 198.51.100.7,2001:db8::/48 {more}",
            Sandbox::REPOSITORY,
            Sandbox::ACME,
            self.vps.address()
        ))
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
}

/// The code of the first cause.
fn first(output: &Output) -> Option<String> {
    let line = output
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix('✗'))?;
    Some(line.trim().to_owned())
}
