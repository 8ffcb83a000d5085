//! This build and one that speaks a version more, whose every message says what this one does not know: the newer agent
//! with this controller, then the newer controller with this agent, each through a whole deployment.

use std::fs;
use std::path::{Path, PathBuf};

use chatalot_tests::{Builds, Controller, Failed, Journey, Result, Sandbox, Vps, phase, run, shipped};

/// What only the newer build says.
const LATER: &[u8] = b"of_a_later_version";

#[test]
fn f29_an_agent_and_a_controller_of_the_next_version_each_work_with_the_other_of_this_one() -> Result<()> {
    let ahead = phase("the build that is ahead", built)?;
    let sandbox = phase("sandbox", Sandbox::up)?;
    let mut journey = phase("a newer agent joins", || {
        let builds = Builds {
            agent: ahead.join("chatalot-agent"),
            ..Builds::default()
        };
        let controller = Controller::start_of("ahead", &[], builds)?;
        let vps = Vps::fresh(&sandbox, "ahead")?;
        Journey::joined_to(&sandbox, "ahead", vps, controller)
    })?;
    assert_eq!(installed(&journey)?, fingerprint(&ahead.join("chatalot-agent"))?);
    let deployed = phase("deploys", || in_one_session(&journey))?;
    assert!(deployed.contains("/srv/chatalot/secrets/"), "{deployed}");

    phase("a newer controller, and this agent", || {
        journey.controller.exchange(Builds {
            controller: ahead.join("chatalotctl"),
            ..Builds::default()
        })?;
        journey.paste()
    })?;
    assert_eq!(installed(&journey)?, fingerprint(&shipped("chatalot-agent"))?);
    phase("deploys again", || in_one_session(&journey))?;
    for look in ["verify", "diagnose", "drift", "handover"] {
        journey.controller.ctl(&[look, &journey.name])?.ok()?;
    }
    let shown = journey.controller.ctl(&["host", "show", &journey.name])?.ok()?;
    assert!(!shown.stdout.contains("ALARM"), "{}", shown.stdout);
    Ok(())
}

/// A deployment through which the session lives, in the version that both know; what the operator is shown.
fn in_one_session(journey: &Journey) -> Result<String> {
    let spoken = "journalctl -u chatalot-agent -o export | grep -a '^PROTOCOL='";
    let before = journey.vps.must(spoken)?;
    // The session that stands now: while the two are exchanged, both may for a moment be of the build ahead.
    assert_eq!(before.lines().last(), Some("PROTOCOL=1"), "{before}");
    let deployed = journey.deploy(&[])?.ok()?.stdout;
    assert_eq!(journey.vps.must(spoken)?, before, "another session began");
    Ok(deployed)
}

/// The folder with the programs that are ahead, which say so; the shipped ones do not.
fn built() -> Result<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    run("sh", &[tests.join("ahead.sh")])?.ok()?;
    let ahead = tests.join("../target/ahead/debug");
    for program in ["chatalot-agent", "chatalotctl"] {
        assert!(says_more(&ahead.join(program))?, "{program} is not ahead");
        assert!(
            !says_more(&shipped(program))?,
            "what is shipped is ahead: {program}"
        );
    }
    Ok(ahead)
}

fn says_more(program: &Path) -> Result<bool> {
    let bytes = fs::read(program).map_err(|source| Failed::File {
        path: program.display().to_string(),
        source,
    })?;
    Ok(bytes.windows(LATER.len()).any(|part| part == LATER))
}

fn installed(journey: &Journey) -> Result<String> {
    let sum = journey.vps.must("sha256sum </usr/local/bin/chatalot-agent")?;
    Ok(sum.split_whitespace().next().unwrap_or_default().to_owned())
}

fn fingerprint(program: &Path) -> Result<String> {
    let sum = run("sha256sum", &[program])?.ok()?.stdout;
    Ok(sum.split_whitespace().next().unwrap_or_default().to_owned())
}
