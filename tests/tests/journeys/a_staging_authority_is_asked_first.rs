//! Let's Encrypt by its own names, over real authorities of the sandbox: the staging one is asked first, what it refuses
//! costs nothing at the production one, and a staging certificate is never what remains.

use chatalot_tests::{Journey, Output, Result, Sandbox, Vps, least, phase};

const STAGING: &str = "acme-staging-v02.api.letsencrypt.org";
const PRODUCTION: &str = "acme-v02.api.letsencrypt.org";

/// Has an authority refuse new orders, until it is dropped: `shut` for their names, `limited` as too many.
struct Refusing<'a>(&'a Sandbox, String);

impl<'a> Refusing<'a> {
    fn now(sandbox: &'a Sandbox, authority: &str, how: &str) -> Result<Self> {
        let flag = format!("/run/{authority}.{how}");
        sandbox.internet(&format!("touch {flag}"))?.ok()?;
        Ok(Self(sandbox, flag))
    }
}

impl Drop for Refusing<'_> {
    fn drop(&mut self) {
        // The next run begins with a new internet or takes it away itself.
        let _ = self.0.internet(&format!("rm -f {}", self.1));
    }
}

/// How many certificates an authority was asked for.
fn orders(sandbox: &Sandbox, authority: &str) -> Result<usize> {
    let asked = sandbox
        .internet("touch /run/acme.asked; cat /run/acme.asked")?
        .ok()?
        .stdout;
    Ok(asked
        .lines()
        .filter(|line| line.contains(&format!(" {authority} POST /order-plz ")))
        .count())
}

fn deploy(journey: &Journey) -> Result<Output> {
    let deploy = ["deploy", &journey.name, "--yes"];
    journey
        .controller
        .ctl(&[&deploy[..], &least(&journey.domain)].concat())
}

fn stopped(journey: &Journey, code: &str) -> Result<()> {
    let ended = deploy(journey)?;
    let text = [ended.stdout.as_str(), &ended.stderr].concat();
    assert_ne!(ended.code, 0, "{text}");
    assert!(text.contains(code), "no {code}:\n{text}");
    Ok(())
}

/// As if an hour had gone by since Caddy last complained.
fn an_hour_later(vps: &Vps) -> Result<()> {
    vps.must("systemctl stop caddy && journalctl --sync --rotate -q && journalctl -q --vacuum-time=1s")?;
    Ok(())
}

// coverage: real · Debian 13 · caddy · updater on
#[test]
fn f56_a_staging_authority_is_asked_first_and_what_it_refuses_costs_nothing() -> Result<()> {
    let sandbox = phase("sandbox", Sandbox::up)?;
    let clear = format!("rm -f /run/{STAGING}.* /run/{PRODUCTION}.*");
    sandbox.internet(&clear)?.ok()?;
    let journey = phase("controller, fresh vps, pasted line", || {
        Journey::joined(&sandbox, "staged")
    })?;
    let vps = &journey.vps;

    let before = orders(&sandbox, PRODUCTION)?;
    phase("the staging authority refuses", || {
        let _shut = Refusing::now(&sandbox, STAGING, "shut")?;
        stopped(&journey, "ACME_FAILED")
    })?;
    assert_eq!(orders(&sandbox, PRODUCTION)?, before, "production was asked");
    vps.must("test ! -e /var/lib/chatalot-agent/acme.asked")?;
    an_hour_later(vps)?;

    phase("the real one takes no more", || {
        let _limited = Refusing::now(&sandbox, PRODUCTION, "limited")?;
        stopped(&journey, "ACME_RATE_LIMITED")?;
        let told = journey
            .controller
            .ctl(&["--output", "json", "diagnose", &journey.name])?;
        let first = told
            .stdout
            .find("\"code\":")
            .map(|at| &told.stdout[at..])
            .unwrap_or_default();
        assert!(
            first.starts_with("\"code\":\"ACME_RATE_LIMITED\""),
            "{}",
            told.stdout
        );
        Ok(())
    })?;
    an_hour_later(vps)?;

    let tried = orders(&sandbox, STAGING)?;
    assert!(tried > 0, "the staging authority was never asked");
    phase("both sign", || deploy(&journey)?.ok())?;
    // By a root that this host trusts, which the staging one's is not.
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    assert_eq!(
        orders(&sandbox, STAGING)?,
        tried,
        "it had signed for the domain before"
    );

    let asked = orders(&sandbox, PRODUCTION)?;
    assert!(asked > before, "production was never asked");
    phase("again", || deploy(&journey)?.ok())?;
    assert_eq!(
        orders(&sandbox, PRODUCTION)?,
        asked,
        "a trusted certificate is not asked for again"
    );
    Ok(())
}
