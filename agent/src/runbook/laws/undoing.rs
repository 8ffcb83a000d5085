//! The laws of taking away: it ends with nothing of ours, wherever it is cut off, and never with less than what was
//! there before.

use super::driver::{Run, behind_nginx, behind_traefik, least, with_everything};
use super::{differ, every_case};
use crate::host::fake::{FakeHost, Mode, World};
use crate::host::{Container, Unit};
use crate::runbook::Step;
use crate::runbook::chapters::uninstall::{STEPS, WITH_DATA};
use crate::runbook::distro::DISTROS;
use chatalot_protocol::site::ProxyChoice;
use std::collections::{BTreeMap, BTreeSet};

fn deployed(run: &mut Run) -> FakeHost {
    let host = run.host();
    run.memory.clear();
    run.deploy(&host).unwrap();
    host
}

fn ours(world: &World, folder: &str) -> Vec<String> {
    let mut left: Vec<String> = world
        .files
        .keys()
        .map(|path| path.display().to_string())
        .collect();
    let places = ["conf.d", "sources.list.d", "keyrings", "yum.repos.d", "rpm-gpg"];
    left.retain(|path| path.starts_with(folder) || places.iter().any(|place| path.contains(place)));
    let containers = world.containers.values().filter(|one| one.folder == folder);
    left.extend(containers.map(|one| one.name.clone()));
    left.extend(
        world
            .text("/etc/caddy/Caddyfile")
            .filter(|text| text.contains("conf.d")),
    );
    left
}

#[test]
fn what_deployments_have_made_is_gone_and_data_stays() {
    for (name, mut run) in every_case() {
        let host = deployed(&mut run);
        let folder = run.site.folder.to_string();
        let made = host.world(|world| ours(world, &folder));
        run.walk(&host, STEPS).unwrap();
        let left = host.world(|world| ours(world, &folder));
        // Whatever the installer has made there: which keys, the site decides.
        let data = |path: &String| path.ends_with("/.env") || path.contains("/secrets/");
        let kept: Vec<String> = made.into_iter().filter(data).collect();
        assert!(kept.len() >= 3, "{name}: {kept:?}");
        let before = run.host().world(|world| ours(world, &folder));
        let new: Vec<&String> = left.iter().filter(|one| !before.contains(one)).collect();
        assert_eq!(new, kept.iter().collect::<Vec<_>>(), "{name}");
        assert!(before.iter().all(|one| left.contains(one)), "{name}: {before:?}");
        assert_eq!(host.world(|world| world.volumes.len()), 1, "{name}");
        assert!(
            !host.world(|world| world.logins["alice"].contains("docker")),
            "{name}"
        );
        let writes = host.writes();
        run.walk(&host, STEPS).unwrap();
        assert_eq!(host.writes(), writes, "{name}: {:?}", host.log());
        assert!(
            host.world(|world| world.unknown.is_empty()),
            "{:?}",
            host.world(|world| world.unknown.clone())
        );
    }
}

#[test]
fn data_goes_with_its_own_steps_only() {
    for (name, mut run) in every_case() {
        let host = deployed(&mut run);
        let folder = run.site.folder.to_string();
        run.walk(&host, WITH_DATA).unwrap();
        let before = run.host().world(|world| ours(world, &folder));
        assert_eq!(host.world(|world| ours(world, &folder)), before, "{name}");
        assert!(
            host.world(|world| world.volumes.is_empty() && world.owner(folder.as_ref()).is_none()),
            "{name}"
        );
    }
}

#[test]
fn a_site_that_was_taken_away_can_be_deployed_again_with_its_data() {
    for (name, mut run) in every_case() {
        let host = deployed(&mut run);
        let secrets = host.world(|world| world.text(format!("{}/.env", run.site.folder)));
        run.walk(&host, STEPS).unwrap();
        run.memory.clear();
        run.deploy(&host)
            .unwrap_or_else(|stop| panic!("{name}: {stop:?}"));
        assert_eq!(
            host.world(|world| world.text(format!("{}/.env", run.site.folder))),
            secrets,
            "{name}"
        );
    }
}

type Spoil = fn(&FakeHost, usize, Mode);
type Steps = &'static [&'static dyn Step];

/// The same steps behind every kind of proxy.
fn every_front(steps: Steps) -> [(Steps, Run); 4] {
    let row = &DISTROS[0];
    // One that has two repositories of third parties.
    let rocky = DISTROS.iter().find(|row| row.name == "Rocky Linux 9").unwrap();
    let runs = [
        with_everything(row),
        behind_nginx(row),
        behind_traefik(row),
        least(rocky),
    ];
    runs.map(|run| (steps, run))
}

#[test]
fn f41_taking_away_may_fail_or_be_killed_in_any_call_and_running_again_finishes() {
    let mut broken = 0;
    let (fail, kill): (Spoil, Spoil) = (FakeHost::fail_nth, FakeHost::kill_nth);
    let (without, with) = (Mode::NoEffect, Mode::EffectButAnswerLost);
    let modes = [(without, fail), (with, fail), (without, kill), (with, kill)];
    for (steps, mut run) in [STEPS, WITH_DATA].into_iter().flat_map(every_front) {
        let calm = deployed(&mut run);
        let before = calm.calls();
        run.walk(&calm, steps).unwrap();
        let (calls, end) = (calm.calls() - before, calm.snapshot());
        for (n, mode, spoil) in (1..=calls).flat_map(|n| modes.map(|(mode, spoil)| (n, mode, spoil))) {
            let host = deployed(&mut run);
            spoil(&host, n, mode);
            let _ = run.walk(&host, steps);
            host.heal();
            let what = || format!("call {n}, {mode:?}: {}", host.log()[before + n - 1]);
            run.walk(&host, steps)
                .unwrap_or_else(|stop| panic!("{}: {stop:?}", what()));
            assert!(
                host.snapshot() == end,
                "{}: {}",
                what(),
                differ(&host.snapshot(), &end)
            );
            broken += 1;
        }
    }
    assert!(broken > 600, "only {broken} faults");
}

#[test]
fn f54_what_is_not_ours_is_left_alone() {
    let mut run = least(&DISTROS[0]);
    let host = deployed(&mut run);
    host.world(|world| {
        world.put("/etc/caddy/conf.d/theirs.caddy", "blog.example.com {\n}\n");
        world.put("/srv/chatalot/notes.txt", "mine");
        let theirs = Container {
            name: "theirs".into(),
            project: "theirs".into(),
            folder: "/srv/theirs".into(),
            state: "running".into(),
            ..Container::default()
        };
        world.containers.insert("theirs".into(), theirs);
        world.volumes.insert("theirs_data".into());
    });
    run.walk(&host, WITH_DATA).unwrap();
    host.world(|world| {
        assert!(
            world
                .text("/etc/caddy/Caddyfile")
                .unwrap()
                .contains("import /etc/caddy/conf.d")
        );
        assert_eq!(
            world.text("/etc/caddy/conf.d/theirs.caddy").unwrap(),
            "blog.example.com {\n}\n"
        );
        assert_eq!(world.text("/srv/chatalot/notes.txt").unwrap(), "mine");
        assert_eq!(world.containers.keys().collect::<Vec<_>>(), ["theirs"]);
        assert_eq!(world.volumes.iter().collect::<Vec<_>>(), ["theirs_data"]);
    });
}

#[test]
fn a_checkout_and_a_group_member_from_before_are_left_alone() {
    let mut run = with_everything(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    let folder = run.site.folder.to_string();
    // Somebody has cloned it by hand, and is in the group already.
    run.deploy(&host).unwrap();
    host.world(|world| {
        for one in world.checkouts.values_mut() {
            one.made = false;
        }
    });
    host.world(|world| world.put("/var/lib/chatalot-agent/made", ""));
    run.walk(&host, WITH_DATA).unwrap();
    host.world(|world| {
        assert!(world.text(format!("{folder}/docker-compose.yml")).is_some());
        assert!(
            world.text(format!("{folder}/.env")).is_some(),
            "a checkout of theirs stays whole"
        );
        assert!(world.logins["alice"].contains("docker"));
    });
}

/// What a deployment changes beside chatalot's own things.
fn around(world: &World) -> Vec<(String, String)> {
    let places = [
        "/etc/ufw/user.rules",
        "/run/firewalld.ports",
        "/etc/firewalld/zones/public.ports",
        "/sys/fs/selinux/booleans/httpd_can_network_connect",
        "/var/lib/chatalot-agent/made",
    ];
    let folders = ["/etc/letsencrypt", "/var/www/chatalot-acme"];
    let about = |path: &std::path::Path| {
        places.iter().any(|place| path == std::path::Path::new(place))
            || folders.iter().any(|folder| path.starts_with(folder))
    };
    let files = world.files.iter().filter(|(path, _)| about(path));
    let mut all: Vec<_> = files
        .map(|(path, text)| {
            (
                path.display().to_string(),
                String::from_utf8_lossy(text).into_owned(),
            )
        })
        .collect();
    let webroot = world.folders.iter().filter(|path| path.starts_with(folders[1]));
    all.extend(webroot.map(|path| (path.display().to_string(), String::new())));
    let timer = world.units.get(world.distro.certbot_timer);
    all.push(("timer".into(), timer.is_some_and(|unit| unit.enabled).to_string()));
    all
}

fn firewalld(world: &mut World) {
    let unit = Unit {
        exists: true,
        active: true,
        enabled: true,
    };
    world.units.insert("firewalld.service".into(), unit);
}

#[test]
fn what_was_opened_allowed_started_and_signed_is_taken_back() {
    // firewalld with voice, and ufw with nginx; the timer of the second row is not enabled by its package.
    let rocky = DISTROS.iter().find(|row| row.name == "Rocky Linux 9").unwrap();
    let mut voiced = with_everything(&DISTROS[0]);
    voiced.before = firewalld;
    for (name, mut run) in [("voice", voiced), ("nginx", behind_nginx(rocky))] {
        let before = run.host().world(|world| around(world));
        let host = deployed(&mut run);
        let made = host.world(|world| around(world));
        assert!(made.len() > before.len(), "{name}: {made:?}");
        run.walk(&host, STEPS).unwrap();
        assert_eq!(host.world(|world| around(world)), before, "{name}");
        assert!(
            host.world(|world| world.unknown.is_empty()),
            "{name}: {:?}",
            host.world(|world| world.unknown.clone())
        );
    }
}

#[test]
fn a_firewalld_that_was_stopped_since_opens_nothing_of_ours_when_it_is_started_again() {
    let mut run = with_everything(&DISTROS[0]);
    run.before = firewalld;
    let before = run.host().world(|world| around(world));
    let host = deployed(&mut run);
    host.world(|world| {
        world.units.get_mut("firewalld.service").unwrap().active = false;
        world.files.remove(std::path::Path::new("/run/firewalld.ports"));
        world.programs.insert("firewall-offline-cmd".into());
    });
    assert_ne!(host.world(|world| around(world)), before);
    run.walk(&host, STEPS).unwrap();
    assert_eq!(host.world(|world| around(world)), before);
}

#[test]
fn f54_what_was_open_signed_or_allowed_before_stays_and_so_does_what_other_sites_live_on() {
    let rocky = DISTROS.iter().find(|row| row.name == "Rocky Linux 9").unwrap();
    let mut run = behind_nginx(rocky);
    let host = deployed(&mut run);
    host.world(|world| {
        world.put(
            "/etc/nginx/conf.d/theirs.conf",
            "server {\n listen 80;\n server_name blog.example.com;\n}\n",
        );
        world.put("/etc/letsencrypt/renewal/blog.example.com.conf", "server = x\n");
    });
    run.walk(&host, STEPS).unwrap();
    let rules = host.world(|world| world.text("/etc/ufw/user.rules")).unwrap();
    assert!(rules.contains("tcp 80 ") && rules.contains("tcp 443 "), "{rules}");
    assert!(!rules.contains("3478") && !rules.contains("49152"), "{rules}");
    host.world(|world| {
        let allowed = world.text("/sys/fs/selinux/booleans/httpd_can_network_connect");
        assert_eq!(allowed.as_deref(), Some("1 1"));
        assert!(world.units[rocky.certbot_timer].enabled, "it renews theirs");
        assert_eq!(
            world
                .text("/etc/letsencrypt/renewal/blog.example.com.conf")
                .as_deref(),
            Some("server = x\n")
        );
        assert_eq!(world.text("/etc/letsencrypt/renewal/chat.example.com.conf"), None);
    });
    // With the other site gone, the rest goes too.
    host.world(|world| {
        world
            .files
            .remove(std::path::Path::new("/etc/nginx/conf.d/theirs.conf"));
        world.files.remove(std::path::Path::new(
            "/etc/letsencrypt/renewal/blog.example.com.conf",
        ));
    });
    run.walk(&host, STEPS).unwrap();
    assert_eq!(
        host.world(|world| around(world)),
        run.host().world(|world| around(world))
    );

    // Everything was there before we came.
    let host = deployed(&mut run);
    let theirs = host.world(|world| {
        world.put("/var/lib/chatalot-agent/made", "");
        around(world)
    });
    run.walk(&host, STEPS).unwrap();
    let left = host.world(|world| around(world));
    let ours = ["/etc/letsencrypt/renewal-hooks", "/var/www/chatalot-acme"];
    let kept: Vec<_> = theirs
        .into_iter()
        .filter(|(path, _)| !ours.iter().any(|one| path.starts_with(one)))
        .collect();
    assert_eq!(left, kept);
}

#[test]
fn what_an_earlier_site_has_made_goes_with_a_later_one() {
    // Behind nginx, with a login in the group; then behind Caddy, under another name, with neither.
    let rocky = DISTROS.iter().find(|row| row.name == "Rocky Linux 9").unwrap();
    let mut run = behind_nginx(rocky);
    run.site.docker_group = with_everything(rocky).site.docker_group;
    let before = run.host().world(|world| around(world));
    let host = deployed(&mut run);
    assert!(host.world(|world| world.logins["alice"].contains("docker")));
    host.world(|world| {
        world.units.remove("nginx.service");
        world.nginx_loaded = None;
    });
    (run.site.proxy, run.site.docker_group) = (ProxyChoice::Caddy, None);
    run.deploy(&host).unwrap();
    run.walk(&host, STEPS).unwrap();
    assert_eq!(host.world(|world| around(world)), before);
    assert!(!host.world(|world| world.logins["alice"].contains("docker")));
}

#[test]
fn f54_without_a_proxy_of_ours_the_ports_stay_open_for_whose_it_is_now() {
    let mut run = behind_nginx(&DISTROS[0]);
    let host = deployed(&mut run);
    run.site.proxy = ProxyChoice::None;
    run.walk(&host, STEPS).unwrap();
    let rules = host.world(|world| world.text("/etc/ufw/user.rules")).unwrap();
    assert!(rules.contains("tcp 80 ") && !rules.contains("3478"), "{rules}");
}

#[test]
fn f54_a_certificate_that_another_site_shows_and_a_port_that_was_half_open_stay() {
    let mut run = behind_nginx(&DISTROS[0]);
    let mut host = deployed(&mut run);
    let theirs = "server {\n ssl_certificate /etc/letsencrypt/live/chat.example.com/fullchain.pem;\n}\n";
    host.world(|world| world.put("/etc/nginx/conf.d/theirs.conf", theirs));
    run.walk(&host, STEPS).unwrap();
    let chain = "/etc/letsencrypt/live/chat.example.com/fullchain.pem";
    assert!(host.world(|world| world.text(chain)).is_some());

    let mut run = with_everything(&DISTROS[0]);
    run.before = |world| {
        firewalld(world);
        world.put("/etc/firewalld/zones/public.ports", "443/tcp ");
    };
    host = deployed(&mut run);
    run.walk(&host, STEPS).unwrap();
    let stays = host.world(|world| world.text("/etc/firewalld/zones/public.ports"));
    assert_eq!(stays.as_deref(), Some("443/tcp "));
}

#[test]
fn a_checkout_with_a_commit_from_before_is_not_marked_as_ours() {
    let mut run = least(&DISTROS[0]);
    let host = deployed(&mut run);
    host.world(|world| {
        let one = world.checkouts.values_mut().next().unwrap();
        (one.made, one.head) = (false, Some("00".repeat(20)));
    });
    run.deploy(&host).unwrap();
    assert!(!host.world(|world| world.checkouts.values().next().unwrap().made));
}

#[test]
fn steps_of_taking_away_are_named_after_it_announce_what_they_do_and_are_found() {
    let rocky = DISTROS.iter().find(|row| row.name == "Rocky Linux 9").unwrap();
    let mut seen = BTreeSet::new();
    let all = || [STEPS, WITH_DATA].into_iter().flatten();
    for run in [
        with_everything(rocky),
        with_everything(&DISTROS[0]),
        behind_nginx(rocky),
    ] {
        let intent = run.intent();
        let mut means = BTreeMap::new();
        for step in all().filter(|step| step.applies_to(&intent)) {
            assert_eq!(step.step_id().chapter(), "uninstall");
            assert!(
                !step.effects(&intent).is_empty() && !step.title().is_empty(),
                "{}",
                step.id()
            );
            assert!(crate::runbook::step(step.id()).is_some_and(|found: &dyn Step| found.id() == step.id()));
            let effects = step.effects(&intent);
            let before = means.insert(step.id(), effects.clone());
            assert!(
                before.is_none_or(|same| same == effects),
                "one id with two meanings"
            );
            seen.insert(step.id());
        }
    }
    // There was something for each to do.
    assert_eq!(seen, all().map(|step| step.id()).collect());
}
