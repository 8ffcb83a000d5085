//! The bootstrap script in the hands of an adversary and of a user of a bare VPS: it leaves nothing or a working agent.

use std::fs;
use std::net::Ipv4Addr;

use chatalot_tests::{Result, Sandbox, phase, run, wait_until};

mod bootstrap;

use bootstrap::{FAKE, SCRIPT, SOON, Server, WRONG_PIN, World, folder, foreign, inside, served, silent};

const SHELLS: [&str; 3] = ["dash", "busybox ash", "bash"];

#[test]
fn f01_a_wrong_pin_ends_the_printed_line_with_90_and_the_server_sees_no_request() {
    let server = Server::start("f01-line", Ipv4Addr::LOCALHOST);
    server.offer("i", "200 OK", b"echo ran >ran\n");
    let here = folder("f01-line-here");
    let paste = |pin: &str| {
        let line = format!(
            "cd '{}' && curl --proto '=https' --tlsv1.3 --http1.1 -fsSk --pinnedpubkey '{pin}' https://{}/i \
             -o chatalot-join.sh && CHATALOT_JOIN=cja1_x sh chatalot-join.sh",
            here.display(),
            server.address
        );
        run("sh", &["-c", &line]).unwrap()
    };
    let next = format!("{WRONG_PIN};{WRONG_PIN}");
    for pin in [WRONG_PIN, &next, ""] {
        let refused = paste(pin);
        assert_ne!(refused.code, 0, "{pin}: {}", refused.stderr);
        assert!(pin.is_empty() || refused.code == 90, "{pin}: {}", refused.stderr);
        assert_eq!(server.requests(), 0, "{pin}");
        assert_eq!(fs::read_dir(&here).unwrap().count(), 0, "{pin}");
    }
    paste(&format!("{WRONG_PIN};{}", server.pin)).ok().unwrap();
    assert_eq!(server.requests(), 1);
    assert!(here.join("ran").exists());
}

#[test]
fn f01_a_wrong_pin_in_the_script_shows_the_server_no_request_and_runs_nothing() -> Result<()> {
    let world = World::new("f01")?;
    world.server.offer("agent/x86_64", "200 OK", &FAKE.0);
    let before = world.files()?;
    let said = world.refused(
        &world.join(&world.server.address, WRONG_PIN, &FAKE.1),
        "curl: (90)",
    )?;
    assert!(said.contains("wanted: ") && said.contains("fix: "), "{said}");
    assert_eq!(world.server.requests(), 0);
    world.assert_unchanged(&before)?;
    Ok(())
}

#[test]
fn f02_a_script_cut_at_any_byte_does_nothing_in_dash_and_in_busybox_ash() -> Result<()> {
    let world = World::new("f02")?;
    let nobody = silent(Sandbox::GATEWAY);
    let address = nobody.local_addr().unwrap().to_string();
    let served = served(&format!(
        "--controller '{address}' --sha256-x86_64 {0} --sha256-aarch64 {0} --pin '{WRONG_PIN};{WRONG_PIN}'",
        FAKE.1
    ));
    let jobs = [
        ("dash", SCRIPT, "--standalone"),
        ("busybox ash", SCRIPT, "--standalone"),
        ("dash", &served, ""),
        ("busybox ash", &served, ""),
    ];
    for (n, (_, script, _)) in jobs.iter().enumerate() {
        world
            .vps
            .write(&format!("/dev/shm/{n}/whole.sh"), script.as_bytes(), 0o644)?;
        world
            .vps
            .write(&format!("/dev/shm/{n}/chatalot-agent"), &FAKE.0, 0o755)?;
    }
    // What came and went within a run shows in the time of its folder.
    let times = "stat -c '%n %y' /root /srv /usr/local/bin /usr/local/lib";
    let (before, touched) = (world.files()?, world.vps.must(times)?);
    phase("every cut", || {
        std::thread::scope(|scope| {
            for (n, (shell, script, argument)) in jobs.iter().enumerate() {
                let world = &world;
                scope.spawn(move || {
                    // Without its last byte, a line feed, the script is whole.
                    let cuts = script.len() - 1;
                    let cut = format!(
                        "cd /dev/shm/{n} && cuts=0 && while [ $cuts -lt {cuts} ]; do head -c $cuts whole.sh >cut.sh; \
                         {shell} cut.sh </dev/null >>said 2>>errors; \
                         {shell} cut.sh {argument} </dev/null >>said 2>>errors; cuts=$((cuts + 1)); done; echo $cuts; ls"
                    );
                    let done = world.vps.must(&cut).unwrap();
                    assert_eq!(done, format!("{cuts}\nchatalot-agent\ncut.sh\nerrors\nsaid\nwhole.sh\n"));
                    assert_eq!(world.vps.must(&format!("cat /dev/shm/{n}/said")).unwrap(), "", "{shell}");
                });
            }
        });
    });
    world.assert_unchanged(&before)?;
    assert_eq!(world.vps.must(times)?, touched);
    assert!(nobody.accept().is_err(), "something called the controller");
    let whole = "cd /dev/shm/0 && head -c -1 whole.sh >cut.sh && dash cut.sh --standalone";
    world.vps.must(whole)?;
    assert_eq!(
        world.trace()?,
        "install --standalone token=\n",
        "the whole script does run the agent"
    );
    Ok(())
}

#[test]
fn f03_redirects_http_and_missing_pins_are_refused() -> Result<()> {
    let world = World::new("f03")?;
    let (server, hash) = (&world.server, &FAKE.1);
    let plain = silent(Sandbox::GATEWAY);
    let plainly = format!("http://{}/agent", plain.local_addr().unwrap());
    world.vps.write("/dev/shm/plain.sh", SCRIPT.as_bytes(), 0o644)?;
    server.offer("whole", "200 OK", &FAKE.0);
    let before = world.files()?;
    for to in [&plainly, &format!("https://{}/whole", server.address)] {
        let status = format!("302 Found\r\nLocation: {to}");
        server.offer("agent/x86_64", &status, &FAKE.0);
        world.refused(
            &world.join(&server.address, &server.pin, hash),
            "answers with 302",
        )?;
        let url = format!(
            "--standalone --url https://{}/agent/x86_64 --sha256 {hash}",
            server.address
        );
        world.refused(&format!("sh plain.sh {url}"), "redirects are not followed")?;
    }
    let requests = server.requests();
    let standalone = |rest: &str| format!("sh plain.sh --standalone {rest}");
    for (line, why) in [
        (
            standalone(&format!("--url {plainly} --sha256 {hash}")),
            "cannot be fetched",
        ),
        (standalone(&format!("--url {plainly}")), "--url without --sha256"),
        (standalone("--sha256 ''"), "nothing after --sha256"),
        (
            standalone(&format!("--controller {}", server.address)),
            "one of them",
        ),
        (world.join(&server.address, "", hash), "nothing after --pin"),
        (
            world.join(&server.address, "/etc/hostname", hash),
            "wanted: sha256//",
        ),
        (world.join(&plainly, &server.pin, hash), "wanted: host:port"),
        (world.join("", &server.pin, hash), "nothing after --controller"),
        (world.join(&server.address, &server.pin, &hash[1..]), "63 digits"),
        (
            world.join(&server.address, &server.pin, &hash.to_uppercase()),
            "0-9 and a-f",
        ),
    ] {
        world.refused(&line, why)?;
    }
    assert_eq!(server.requests(), requests);
    assert!(plain.accept().is_err(), "something was asked for over plain http");
    world.assert_unchanged(&before)?;
    Ok(())
}

#[test]
fn f04_an_agent_that_is_not_the_one_announced_is_not_run_and_leaves_nothing() -> Result<()> {
    let world = World::new("f04")?;
    let (server, hash) = (&world.server, &FAKE.1);
    let mut flipped = FAKE.0.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let half = &FAKE.0[..middle];
    let join = world.join(&server.address, &server.pin, hash);
    world.vps.write("/dev/shm/plain.sh", SCRIPT.as_bytes(), 0o644)?;
    world
        .vps
        .write("/dev/shm/flipped/chatalot-agent", &flipped, 0o755)?;
    world
        .vps
        .write("/dev/shm/flipped/plain.sh", SCRIPT.as_bytes(), 0o644)?;
    let before = world.files()?;
    for content in [&flipped, half, b""] {
        server.offer("agent/x86_64", "200 OK", content);
        world.refused(&join, "an agent with SHA-256")?;
        let url = format!(
            "sh plain.sh --standalone --url https://{}/agent/x86_64",
            server.address
        );
        world.refused(&format!("{url} --sha256 {hash}"), "an agent with SHA-256")?;
    }
    server.offer("agent/x86_64", "503 Service Unavailable", b"");
    world.refused(&join, "error: 503")?;
    world.refused(
        &format!("sh flipped/plain.sh --standalone --sha256 {hash}"),
        "an agent with SHA-256",
    )?;
    for (content, named) in [
        (&b""[..], "empty"),
        (b"#!/bin/sh\nreboot\n", "text"),
        (&foreign(), "foreign"),
    ] {
        let beside = format!("/dev/shm/{named}");
        world
            .vps
            .write(&format!("{beside}/chatalot-agent"), content, 0o755)?;
        world.refused(
            &format!("cp plain.sh {named} && sh {named}/plain.sh --standalone"),
            "no program for x86_64",
        )?;
    }
    world.assert_unchanged(&before)?;
    Ok(())
}

#[test]
fn a_host_that_will_not_do_is_told_what_is_wanted_and_how_to_mend_it() -> Result<()> {
    let world = World::new("hosts")?;
    let vps = &world.vps;
    vps.write("/dev/shm/plain.sh", SCRIPT.as_bytes(), 0o644)?;
    vps.write("/dev/shm/chatalot-agent", &FAKE.0, 0o755)?;
    vps.write("/run/old/uname", b"#!/bin/sh\necho i686\n", 0o755)?;
    let before = world.files()?;
    let standalone = "sh /dev/shm/plain.sh --standalone";
    let url = format!(
        "{standalone} --url https://{}/x --sha256 {}",
        world.server.address, FAKE.1
    );
    for (line, saw, fix) in [
        (
            format!("setpriv --reuid=65534 --clear-groups {standalone}"),
            "nobody, not root",
            "sudo -i",
        ),
        (
            inside("mount -t tmpfs none /run/systemd", standalone),
            "not systemd",
            "Debian 13",
        ),
        (
            format!("PATH=/run/old:$PATH {standalone}"),
            "kind i686",
            "another host",
        ),
        (
            inside("mount --bind /dev/null /usr/bin/curl", &url),
            "no curl",
            "apt-get install -y curl",
        ),
        (
            inside("mount -t tmpfs -o noexec none /usr/local/lib", standalone),
            "not run",
            "remount,exec",
        ),
        (
            inside("mount -t tmpfs -o ro none /usr/local/lib", standalone),
            "no folder can be made",
            "mend",
        ),
        (
            inside("mount -t tmpfs -o size=16k none /usr/local/lib", standalone),
            "No space left",
            "",
        ),
        (
            "sh /dev/shm/plain.sh".to_owned(),
            "no arguments",
            "chatalotctl has printed",
        ),
        (
            "sh /dev/shm/plain.sh --help".to_owned(),
            "an unknown argument --help",
            "as it was printed",
        ),
        (
            "cd /; sh </dev/shm/plain.sh -s -- --standalone".to_owned(),
            "no file ./chatalot-agent",
            "--sha256",
        ),
    ] {
        let said = world.refused(&line, saw)?;
        assert!(said.contains(fix), "{line}: {said}");
    }
    world.assert_unchanged(&before)?;
    Ok(())
}

#[test]
fn any_shell_umask_and_folder_leads_to_the_agent_once_and_again() -> Result<()> {
    let world = World::new("shells")?;
    let (vps, server) = (&world.vps, &world.server);
    server.offer("agent/x86_64", "200 OK", &FAKE.0);
    vps.write("/dev/shm/a b $HOME/it's.sh", SCRIPT.as_bytes(), 0o600)?;
    vps.write("/dev/shm/a b $HOME/chatalot-agent", &FAKE.0, 0o600)?;
    let join = world.join(&server.address, &format!("{WRONG_PIN};{}", server.pin), &FAKE.1);
    let join = join.rsplit(' ').next().unwrap();
    let before = world.files()?;
    for shell in SHELLS {
        for umask in ["0777", "0000"] {
            let beside =
                format!("umask {umask}; cd /; {shell} \"/dev/shm/a b \\$HOME/it's.sh\" --standalone");
            vps.must(&beside)?;
            vps.must(&format!(
                "cd '/dev/shm/a b $HOME'; {shell} \"it's.sh\" --standalone"
            ))?;
            vps.must(&format!(
                "umask {umask}; cd /dev/shm; CHATALOT_JOIN=cja1_x {shell} {join}"
            ))?;
        }
        let url = format!(
            "--url https://{}/agent/x86_64 --sha256 {}",
            server.address, FAKE.1
        );
        vps.must(&format!("export CURL_CA_BUNDLE=/dev/shm/ca.crt; cd '/dev/shm/a b $HOME'; {shell} \"it's.sh\" --standalone {url}"))?;
        let failing = vps.sh(&format!("cd /dev/shm; AGENT_EXIT=3 {shell} {join}"))?;
        assert_eq!(failing.code, 3, "{}", failing.stderr);
        let joined = format!("install --controller {} token=", server.address);
        let alone = "install --standalone token=\n";
        let round = format!("{alone}{alone}{joined}cja1_x\n");
        assert_eq!(
            world.trace()?,
            format!("{round}{round}{alone}{joined}\n"),
            "{shell}"
        );
        world.assert_unchanged(&before)?;
    }
    Ok(())
}

#[test]
fn a_run_that_is_cut_off_leaves_nothing_and_what_was_killed_outright_is_swept_later() -> Result<()> {
    let world = World::new("killed")?;
    let vps = &world.vps;
    let hanging = silent(Sandbox::GATEWAY);
    let join = world.join(&hanging.local_addr().unwrap().to_string(), WRONG_PIN, &FAKE.1);
    let join = join.rsplit(' ').next().unwrap();
    let mut calls = Vec::new();
    let works = "ls -d /usr/local/lib/chatalot* | wc -l";
    let ends = [
        ("dash", "HUP", "0\n"),
        ("dash", "TERM", "0\n"),
        ("busybox ash", "HUP", "0\n"),
        ("dash", "KILL", "1\n"),
    ];
    for (n, (shell, signal, left)) in ends.iter().enumerate() {
        vps.must(&format!(
            "cd /dev/shm; rm -f pid; setsid sh -c 'echo $$ >pid; exec {shell} {join}' >/dev/null 2>&1 &"
        ))?;
        wait_until("curl's call", SOON, || {
            calls.extend(hanging.accept());
            calls.len() == n + 1
        })?;
        assert_eq!(vps.must(works)?, "1\n");
        vps.must(&format!("kill -s {signal} -- -$(cat /dev/shm/pid)"))?;
        vps.wait_for("! kill -0 -- -$(cat /dev/shm/pid)", SOON)?;
        assert_eq!(&vps.must(works)?, left, "{shell} {signal}");
    }
    vps.must("mkdir /usr/local/lib/chatalot.config && touch -d '2 hours ago' /usr/local/lib/chatalot*")?;
    vps.write("/dev/shm/plain.sh", SCRIPT.as_bytes(), 0o644)?;
    vps.write("/dev/shm/chatalot-agent", &FAKE.0, 0o755)?;
    vps.must("sh /dev/shm/plain.sh --standalone")?;
    assert_eq!(
        vps.must("ls -d /usr/local/lib/chatalot*")?,
        "/usr/local/lib/chatalot.config\n"
    );
    Ok(())
}
