//! Whatever the repository and its installer do, the host keeps standing, the reason is told, and a good one after it
//! deploys. One VPS for all of it: what an earlier fault leaves behind is in the way of the next one.

use std::time::Duration;

use chatalot_tests::{Failed, Journey, Output, Result, Sandbox, Vps, full, phase, run, wait_until};

const SOON: Duration = Duration::from_mins(1);
const SECRET: &str = "sandbox-token";
/// All that may stay of an effect: neither a unit nor a process.
const NOTHING_LEFT: &str = "! systemctl list-units --all --no-legend 'chatalot-step*' | grep . && \
    ! pgrep -f scripts/[i]nstall.sh && ! pgrep -x sleep";

#[test]
fn f42_f43_f44_a_bad_repository_or_installer_is_contained_and_a_good_one_deploys() -> Result<()> {
    let sandbox = Sandbox::up()?;
    let journey = phase("joined", || Journey::joined(&sandbox, "badinst"))?;
    phase("policy", || {
        f61_a_repository_outside_of_the_policy_is_refused(&journey)
    })?;
    phase("repository", || {
        a_repository_that_is_not_what_it_should_be(&journey)
    })?;
    phase("exit codes", || {
        an_exit_code_is_told_with_the_last_lines(&journey)
    })?;
    phase("f42", || {
        f42_a_flood_and_what_is_no_text_are_bounded_and_escaped(&journey)
    })?;
    phase("f43 cancel", || {
        f43_a_silent_installer_that_ignores_sigterm_ends_when_cancelled(&journey)
    })?;
    phase("f43 daemon", || {
        f43_a_daemon_that_was_left_behind_is_cleaned_up(&journey)
    })?;
    phase("f44", || f44_success_without_the_closing_block_is_none(&journey))?;
    phase("healed", || a_good_installer_after_all_that_deploys(&journey))?;
    phase("secret", || {
        the_registry_token_is_nowhere_but_where_the_installer_put_it(&journey)
    })
}

/// One finding as a person reads it; all its fields are there.
#[track_caller]
fn ends(output: &Output, code: i32, finding: &str, words: &[&str]) {
    let text = [output.stdout.as_str(), &output.stderr].concat();
    let block = text.split(&format!("\n✗ {finding}\n")).nth(1).unwrap_or_default();
    assert_eq!(output.code, code, "{} ended otherwise:\n{text}", output.command);
    for word in ["\n  wanted  ", "\n  fix     "].iter().chain(words) {
        assert!(block.contains(word), "no `{word}` in {finding}:\n{text}");
    }
    assert!(block.starts_with("  saw     "), "{finding} saw nothing:\n{text}");
}

fn deploy(journey: &Journey, reference: &str, repository: &str, more: &[&str]) -> Result<Output> {
    let mut site = journey.site();
    for value in &mut site {
        match value.as_str() {
            "v0.24.0" => reference.clone_into(value),
            Sandbox::REPOSITORY => repository.clone_into(value),
            _ => {}
        }
    }
    let site: Vec<&str> = site.iter().map(String::as_str).collect();
    journey
        .controller
        .ctl(&[&["deploy", &journey.name, "--yes"], &site[..], more].concat())
}

/// The host was added with the sandbox's forge only; its admin then lets it clone from anywhere.
fn f61_a_repository_outside_of_the_policy_is_refused(journey: &Journey) -> Result<()> {
    let other = "https://forge.example.net/another.git";
    let refused = deploy(journey, "v0.24.0", other, &[])?;
    ends(&refused, 4, "POLICY_GIT_REMOTE", &[other, "git_remotes"]);
    journey
        .vps
        .must("sed -i 's|^git_remotes = .*|git_remotes = [\"*\"]|' /etc/chatalot-agent/policy.toml")?;
    let explained = journey.vps.must("chatalot-agent policy explain")?;
    assert!(explained.contains("from anywhere"), "{explained}");
    Ok(())
}

fn a_repository_that_is_not_what_it_should_be(journey: &Journey) -> Result<()> {
    let wrong = "https://forge.example.net/another.git";
    let refused = deploy(journey, "v0.24.0", wrong, &[])?;
    ends(&refused, 1, "REPOSITORY_REFUSED", &[wrong, "git ls-remote"]);
    // The mistyped address is not in the way of the right one.
    let unknown = deploy(journey, "v9.9.9", Sandbox::REPOSITORY, &[])?;
    ends(&unknown, 1, "REF_UNKNOWN", &["`v9.9.9`", "git ls-remote"]);
    let old = deploy(journey, "v0.17.0", Sandbox::REPOSITORY, &[])?;
    ends(&old, 3, "INSTALLER_TOO_OLD", &["v0.17.0", "newer reference"]);
    journey.vps.must("test ! -e /srv/chatalot/.env")?;
    journey.vps.wait_for(NOTHING_LEFT, SOON)
}

fn an_exit_code_is_told_with_the_last_lines(journey: &Journey) -> Result<()> {
    // A 2 that says nothing of flags is no installer that lacks some.
    for code in ["2", "1"] {
        journey.vps.stand_in_knobs(&[("installer_exit", code)])?;
        let failed = journey.deploy(&[])?;
        let said = format!("error: the knob says exit {code}");
        ends(
            &failed,
            1,
            "INSTALLER_FAILED",
            &[&format!("exit code {code}"), &said],
        );
    }
    journey
        .vps
        .must("test ! -e /srv/chatalot/.env && test -z \"$(docker ps -aq)\"")?;
    Ok(())
}

/// The most memory that any of the agent's processes has had, in KiB, once the flood is over.
fn most_memory(vps: &Vps) -> Result<u64> {
    let look = "pgrep -x sleep >/dev/null && pgrep -f 'chatalot-agent run-step' >/dev/null && \
        sed -n 's/^VmHWM:[^0-9]*\\([0-9]*\\).*/\\1/p' $(pgrep -x chatalot-agent | sed 's|.*|/proc/&/status|') | sort -n | tail -n 1";
    let mut seen = String::new();
    wait_until("the end of the flood", Duration::from_mins(10), || {
        seen = vps.sh(look).map(|output| output.stdout).unwrap_or_default();
        !seen.trim().is_empty()
    })?;
    Ok(seen.trim().parse().unwrap_or(u64::MAX))
}

fn f42_a_flood_and_what_is_no_text_are_bounded_and_escaped(journey: &Journey) -> Result<()> {
    let flood = if full() { "1000000000" } else { "100000000" };
    let knobs = [
        ("installer_nuls_and_ansi", "1"),
        ("installer_flood_bytes", flood),
        ("installer_flood_lines", "1000000"),
        // Time to look at who has flowed over.
        ("installer_slow_seconds", "5"),
        ("installer_exit", "1"),
    ];
    journey.vps.stand_in_knobs(&knobs)?;
    let (failed, memory) = std::thread::scope(|scope| {
        let memory = scope.spawn(|| most_memory(&journey.vps));
        (journey.deploy(&["-v"]), memory.join())
    });
    let failed = failed?;
    let memory = memory.map_err(|_| Failed::Late("a look at the memory".to_owned(), 0))??;
    assert!(memory < 96 << 10, "the agent took {memory} KiB of memory");
    ends(&failed, 1, "INSTALLER_FAILED", &["error: the knob says exit 1"]);
    let wild = |byte: &u8| byte.is_ascii_control() && *byte != b'\n';
    let first = failed.bytes.iter().find(|byte| wild(byte));
    assert_eq!(first, None, "a control character reached the operator");
    assert!(std::str::from_utf8(&failed.bytes).is_ok());
    let kilobytes: u64 = journey
        .vps
        .must("du -sk /var/lib/chatalot-agent | cut -f1")?
        .trim()
        .parse()
        .unwrap_or(u64::MAX);
    assert!(
        kilobytes < 128 << 10,
        "the host keeps {kilobytes} KiB of the flood"
    );
    journey.vps.must("systemctl is-active chatalot-agent")?;
    Ok(())
}

fn f43_a_silent_installer_that_ignores_sigterm_ends_when_cancelled(journey: &Journey) -> Result<()> {
    let knobs = [
        ("installer_hang", "1"),
        ("installer_ignores_sigterm", "1"),
        ("installer_forks_daemon", "1"),
    ];
    journey.vps.stand_in_knobs(&knobs)?;
    let id = journey.deploy_detached(&[])?;
    journey.wait_for_step(&id, "install.run", SOON)?;
    journey.vps.wait_for("pgrep -x sleep", SOON)?;
    let second = deploy(journey, "main", Sandbox::REPOSITORY, &[])?;
    ends(&second, 4, "DEPLOYMENT_RUNNING", &[&id]);
    journey.controller.ctl(&["deployment", "cancel", &id])?.ok()?;
    let ended = journey.wait(&id, SOON)?;
    assert_eq!(ended.code, 6, "{}", ended.stdout);
    assert!(
        ended.stdout.contains("\"state\":\"cancelled\""),
        "{}",
        ended.stdout
    );
    journey.vps.wait_for(NOTHING_LEFT, SOON)
}

fn f43_a_daemon_that_was_left_behind_is_cleaned_up(journey: &Journey) -> Result<()> {
    journey
        .vps
        .stand_in_knobs(&[("installer_forks_daemon", "1"), ("installer_exit", "1")])?;
    let failed = journey.deploy(&[])?;
    ends(&failed, 1, "INSTALLER_FAILED", &["left a daemon behind"]);
    journey.vps.wait_for(NOTHING_LEFT, SOON)
}

fn f44_success_without_the_closing_block_is_none(journey: &Journey) -> Result<()> {
    journey
        .vps
        .stand_in_knobs(&[("installer_forged_block", "1"), ("installer_without_block", "1")])?;
    let failed = journey.deploy(&[])?;
    ends(&failed, 1, "INSTALLER_NO_SUMMARY", &["all done, or so I say"]);
    assert!(!failed.stdout.contains("forged.example.org"), "{}", failed.stdout);
    Ok(())
}

fn a_good_installer_after_all_that_deploys(journey: &Journey) -> Result<()> {
    let (registry, user, token) = Sandbox::PRIVATE_REGISTRY;
    let file = journey.controller.state().join("token");
    let failed = |source| Failed::File {
        path: file.display().to_string(),
        source,
    };
    std::fs::write(&file, format!("{token}\n")).map_err(failed)?;
    run("chmod", &["600".as_ref(), file.as_os_str()])?.ok()?;
    // The .env of the earlier attempts would keep the public registry; the database may stay, its password too.
    journey.vps.must(
        "sed -i 's/^CHATALOT_REGISTRY=.*/CHATALOT_REGISTRY=private-registry.example.net/' /srv/chatalot/.env",
    )?;
    journey
        .vps
        .stand_in_knobs(&[("installer_forged_block", "1"), ("installer_forks_daemon", "1")])?;
    let path = file.display().to_string();
    let deployed = journey
        .deploy(&["--registry-user", user, "--registry-token-file", &path])?
        .ok()?;
    std::fs::remove_file(&file).map_err(failed)?;
    assert!(
        deployed.stdout.contains("Deployed: badinst.example.com"),
        "{}",
        deployed.stdout
    );
    assert!(
        !deployed.stdout.contains("forged.example.org"),
        "{}",
        deployed.stdout
    );
    assert!(
        journey
            .vps
            .must("docker ps --format '{{.Image}}'")?
            .contains(registry)
    );
    journey.vps.wait_for(NOTHING_LEFT, SOON)?;
    assert!(journey.public_health()?.contains("\"db_healthy\":true"));
    Ok(())
}

fn the_registry_token_is_nowhere_but_where_the_installer_put_it(journey: &Journey) -> Result<()> {
    for place in [
        "journalctl --no-pager -o export",
        "systemctl show '*'",
        "find /var/lib/chatalot-agent /run /etc/systemd /tmp -xdev -type f -exec cat {} +",
        "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ",
    ] {
        // The pattern is no argument, so that the search does not find itself.
        let search =
            format!("echo '[s]andbox-token' >/root/pattern; ! {place} 2>/dev/null | grep -aof /root/pattern");
        let found = journey.vps.sh(&search)?;
        assert!(
            found.is_ok(),
            "{SECRET} is in the output of `{place}`: {}",
            found.stdout
        );
    }
    journey
        .vps
        .must("grep -qaof /root/pattern /srv/chatalot/secrets/registry_creds")?;
    let state = journey.controller.state();
    let found = run("grep", &["-rlaF".as_ref(), SECRET.as_ref(), state.as_os_str()])?;
    assert_eq!(found.stdout, "", "the controller keeps the token");
    wait_until("the controller", SOON, || {
        !journey.controller.log().contains(SECRET)
    })
}
