//! Every artefact that a journey leaves on either side, searched for every secret that went into it.

use std::fs;
use std::path::Path;

use chatalot_tests::{Failed, Journey, Needles, Result, Vps};

/// Writes down, again and again, how our own programs and those that they start are called.
const WATCHER: &str = "#!/bin/sh
while :; do
    for comm in /proc/[0-9]*/comm; do
        read -r name <\"$comm\" || continue
        case $name in
            chatalot-agent | systemd-run | systemctl | git | docker | apt-get | caddy)
                tr '\\0' ' ' <\"${comm%comm}cmdline\"; echo ;;
        esac
    done 2>/dev/null
    sleep 0.05
done >>/root/processes
";
/// What is ours on a host, as files: the state with ledger, outbox, audit and job folders, the units, the transient ones
/// too, and whatever logs there are.
const FILES: &str = "find /var/lib/chatalot-agent /etc/chatalot-agent /etc/systemd /run/systemd /etc/caddy /var/log /tmp /var/tmp \
    -xdev -type f -exec cat {} +";

/// Begins to watch the process list.
pub(crate) fn watch_processes(vps: &Vps) -> Result<()> {
    vps.write("/root/watcher", WATCHER.as_bytes(), 0o755)?;
    vps.must("systemd-run --quiet --unit=watcher /root/watcher && touch /root/processes")?;
    Ok(())
}

/// Fails where a secret is in what the host or the controller keeps, or in what was said on the way.
pub(crate) fn are_nowhere(journey: &Journey, needles: &Needles, said: &[String]) -> Result<()> {
    let vps = &journey.vps;
    vps.must("systemctl stop watcher")?;
    let processes = vps.must("cat /root/processes")?;
    for ours in ["chatalot-agent run-step", "chatalot-agent run "] {
        assert!(processes.contains(ours), "`{ours}` was not watched:\n{processes}");
    }
    let mut places = vec![("the process list".to_owned(), processes.into_bytes())];
    for place in [
        FILES,
        "journalctl --no-pager -o export",
        "systemctl show '*'",
        "systemctl cat '*'",
    ] {
        // What vanishes while it is read, and what is no unit file, is no reason to stop.
        let output = vps.sh(&format!("{place} 2>/dev/null"))?;
        assert!(output.bytes.len() > 1000, "`{place}` shows nothing");
        places.push((place.to_owned(), output.bytes));
    }
    for path in files(journey.controller.state())? {
        let content = fs::read(&path).map_err(failed(&path))?;
        places.push((path.display().to_string(), content));
    }
    let database = journey.controller.state().join("controller.db");
    assert!(
        places
            .iter()
            .any(|(place, _)| *place == database.display().to_string())
    );
    let frames = journey.controller.overheard();
    for heard in ["chatalot-agent/1", "http/1.1"] {
        let is_there = frames
            .iter()
            .any(|way| way.windows(heard.len()).any(|part| part == heard.as_bytes()));
        assert!(is_there, "no connection that offers `{heard}` was overheard");
    }
    places.extend(
        frames
            .into_iter()
            .map(|way| ("a connection to the controller".to_owned(), way)),
    );
    let spoken = |text: &String| {
        let begin: String = text.chars().take(60).collect();
        (format!("what was said: {begin}"), text.clone().into_bytes())
    };
    places.extend(said.iter().map(spoken));
    let found: Vec<String> = places
        .iter()
        .map(|(place, content)| (place, needles.found_in(content)))
        .filter(|(_, found)| !found.is_empty())
        .map(|(place, found)| format!("{found:?} in {place}"))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
    Ok(())
}

/// Nothing of ours leaves its memory on the disk when it dies.
pub(crate) fn no_core_is_dumped(vps: &Vps) -> Result<()> {
    let limits = vps.must("cat /proc/$(systemctl show -p MainPID --value chatalot-agent)/limits")?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let words: Vec<&str> = core.unwrap_or_default().split_whitespace().collect();
    assert_eq!(words.get(4..6), Some(["0", "0"].as_slice()), "{limits}");
    Ok(())
}

/// The host is as closed as before: nobody can dial us, the state is root's alone, and all of this was done under exactly
/// the unit that is shipped.
pub(crate) fn the_host_is_closed(vps: &Vps) -> Result<()> {
    let listening = vps.must("ss -Hlntup")?;
    assert!(
        listening.contains("docker") && !listening.contains("chatalot-agent"),
        "{listening}"
    );
    assert_eq!(
        vps.must("stat -c '%a %U' /var/lib/chatalot-agent")?.trim(),
        "700 root"
    );
    let unit = vps.must("cat /etc/systemd/system/chatalot-agent.service")?;
    assert_eq!(unit, include_str!("../../../../packaging/chatalot-agent.service"));
    assert_eq!(
        vps.must("systemctl show -p DropInPaths --value chatalot-agent")?
            .trim(),
        ""
    );
    Ok(())
}

/// Whoever administers the host can ask beforehand what its policy would say to a site.
pub(crate) fn the_policy_says_beforehand_what_it_would_let_be_done(
    journey: &Journey,
    repository: &str,
) -> Result<()> {
    let check = |repository: &str| {
        let site = format!(
            "domain = \"{}\"\nadmin_username = \"alice\"\nrepository = \"{repository}\"\n",
            journey.domain
        );
        journey.vps.write("/root/site.toml", site.as_bytes(), 0o600)?;
        journey.vps.sh("chatalot-agent policy check /root/site.toml 2>&1")
    };
    let allowed = check(repository)?;
    assert_eq!(allowed.code, 0, "{}", allowed.stdout);
    let refused = check("https://elsewhere.example.net/chatalot.git")?;
    assert!(
        refused.code == 4 && refused.stdout.contains("POLICY_GIT_REMOTE"),
        "{}",
        refused.stdout
    );
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(failed(&folder))? {
            let entry = entry.map_err(failed(&folder))?;
            match entry.file_type().map_err(failed(&folder))? {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => all.push(entry.path()),
                _ => {}
            }
        }
    }
    Ok(all)
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Failed {
    let path = path.display().to_string();
    move |source| Failed::File { path, source }
}
