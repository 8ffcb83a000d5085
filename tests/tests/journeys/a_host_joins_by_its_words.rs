//! Joining without a secret, on a real VPS: the printed line carries only where and whom to trust, the host shows six
//! words and waits, and the operator's word decides. Whoever is turned away is left as it was.

use std::time::Duration;

use chatalot_tests::{Controller, Result, Sandbox, Vps, phase};

const SOON: Duration = Duration::from_mins(1);
const LEFT_NOTHING: &str = "test ! -e /usr/local/bin/chatalot-agent && test ! -e /var/lib/chatalot-agent && test ! -e /etc/systemd/system/chatalot-agent.service";

#[test]
fn a_host_without_a_secret_joins_when_its_words_are_approved_and_leaves_nothing_when_they_are_not()
-> Result<()> {
    let sandbox = Sandbox::up()?;
    let vps = Vps::fresh(&sandbox, "words")?;
    let controller = Controller::start("words")?;
    let line = added(&controller)?;
    for secret in ["cja1_", "cat1_"] {
        assert!(!line.contains(secret), "{line}");
    }

    phase("turned away", || {
        let words = begun(&vps, &line)?;
        let id = waiting(&controller, &words)?;
        controller.ctl(&["host", "deny", &id])?.ok()?;
        vps.wait_for("test -s /root/code", SOON)?;
        let said = vps.must("cat /root/said")?;
        assert!(said.contains("JOIN_REFUSED"), "{said}");
        assert_ne!(vps.must("cat /root/code")?.trim(), "0");
        vps.must(LEFT_NOTHING)?;
        Ok(())
    })?;
    phase("approved", || {
        let words = begun(&vps, &line)?;
        let id = waiting(&controller, &words)?;
        let unasked = controller.ctl(&["host", "approve", "chat-1"])?;
        assert_eq!(unasked.code, 2, "{}", unasked.stderr);
        let wrong = "zoo zoo zoo zoo zoo zoo";
        let other = controller.ctl(&["host", "approve", &id, "--fingerprint", wrong])?;
        assert!(
            other.code == 4 && other.stderr.contains("FINGERPRINT_DIFFERS"),
            "{}",
            other.stderr
        );
        controller
            .ctl(&["host", "approve", "chat-1", "--fingerprint", &words])?
            .ok()?;
        vps.wait_for("test -s /root/code", SOON)?;
        let said = vps.must("cat /root/said")?;
        assert_eq!(vps.must("cat /root/code")?.trim(), "0", "{said}");
        assert!(said.contains("as chat-1"), "{said}");
        controller.wait_for_session("chat-1", SOON)
    })?;
    phase("the same line again", || {
        let again = vps.sh(&line)?.ok()?;
        assert!(
            again.stdout.contains("keeps its identity as chat-1"),
            "{}",
            again.stdout
        );
        controller.wait_for_session("chat-1", SOON)
    })
}

/// Awaits `chat-1`; the line that is printed for it.
fn added(controller: &Controller) -> Result<String> {
    let printed = controller
        .ctl(&["host", "add", "chat-1", "--approve"])?
        .ok()?
        .stdout;
    let line = printed
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("curl "));
    Ok(line.unwrap_or_default().to_owned())
}

/// Runs the line as a terminal that may go away would, and reads the six words that it shows.
fn begun(vps: &Vps, line: &str) -> Result<String> {
    let script = format!("#!/bin/sh\ncd /root\n({line}) >/root/said 2>&1\necho $? >/root/code\n");
    vps.write("/root/join", script.as_bytes(), 0o755)?;
    vps.must("rm -f /root/said /root/code; systemd-run --quiet --collect --unit=joining /root/join")?;
    vps.wait_for("grep -q 'waits until the key is approved' /root/said", SOON)?;
    let words = vps.must("sed -n \"s/.*this host's key: *//p\" /root/said")?;
    assert_eq!(words.split_whitespace().count(), 6, "{words}");
    Ok(words.trim().to_owned())
}

/// The id under which the controller shows these words.
fn waiting(controller: &Controller, words: &str) -> Result<String> {
    let listed = controller.ctl(&["host", "pending"])?.ok()?.stdout;
    let line = listed.lines().find(|line| line.contains(words));
    let id = line.and_then(|line| line.split_whitespace().next());
    assert!(id.is_some(), "`{words}` is not in\n{listed}");
    Ok(id.unwrap_or_default().to_owned())
}
