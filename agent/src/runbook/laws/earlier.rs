//! What an earlier site has left goes with a later one, or when that is taken away.

use super::driver::{Run, behind_nginx, behind_traefik, least};
use crate::host::fake::{FakeHost, World};
use crate::runbook::chapters::uninstall::{STEPS, WITH_DATA};
use crate::runbook::distro::DISTROS;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::ProxyChoice;

const NGINX: &str = "/etc/nginx/conf.d/chatalot-chat.example.com.conf";
const CADDY: &str = "/etc/caddy/conf.d/chat.example.com.caddy";
const OVERRIDE: &str = "/srv/chatalot/docker-compose.override.yml";
const MADE: &str = "/var/lib/chatalot-agent/made";
const CHAIN: &str = "/etc/letsencrypt/live/chat.example.com/fullchain.pem";

fn text(host: &FakeHost, path: &str) -> Option<String> {
    host.world(|world| world.text(path))
}

/// Deployed behind one proxy, then with none of ours in front.
fn left_behind(mut run: Run) -> (Run, FakeHost) {
    let host = run.host();
    run.deploy(&host).unwrap();
    run.site.proxy = ProxyChoice::None;
    (run, host)
}

#[test]
fn whichever_proxy_was_in_front_before_nothing_of_ours_stays_in_it() {
    let (mut run, host) = left_behind(behind_nginx(&DISTROS[0]));
    assert!(text(&host, NGINX).is_some());
    run.walk(&host, STEPS).unwrap();
    assert_eq!(text(&host, NGINX), None);
    // A file that names it would keep nginx from starting.
    assert_eq!(text(&host, CHAIN), None);

    let (mut run, host) = left_behind(behind_traefik(&DISTROS[0]));
    assert!(text(&host, OVERRIDE).unwrap().contains("traefik"));
    run.walk(&host, STEPS).unwrap();
    assert!(text(&host, OVERRIDE).is_none_or(|text| !text.contains("traefik")));

    let (mut run, host) = left_behind(least(&DISTROS[0]));
    assert!(text(&host, CADDY).is_some());
    run.walk(&host, STEPS).unwrap();
    assert_eq!(text(&host, CADDY), None);
}

#[test]
fn an_nginx_that_reads_no_folder_is_had_read_ours_and_is_as_it_was_afterwards() {
    let arch = DISTROS.iter().find(|row| row.name == "Arch Linux").unwrap();
    let mut run = behind_nginx(arch);
    let host = run.host();
    run.deploy(&host).unwrap();
    let main = text(&host, "/etc/nginx/nginx.conf").unwrap();
    assert!(main.ends_with("# by chatalot-agent\n}\n"), "{main}");
    run.walk(&host, STEPS).unwrap();
    let after = text(&host, "/etc/nginx/nginx.conf").unwrap();
    let ours = |line: &&str| line.contains("by chatalot-agent");
    let before: Vec<&str> = main.lines().filter(|line| !ours(line)).collect();
    assert_eq!(after.lines().collect::<Vec<_>>(), before);
}

#[test]
fn labels_that_an_operator_has_written_stay() {
    let (_, host) = left_behind(behind_traefik(&DISTROS[0]));
    let labels = text(&host, OVERRIDE).unwrap();
    let mut run = least(&DISTROS[0]);
    run.site.proxy = ProxyChoice::None;
    let host = run.host();
    host.world(|world| world.put(OVERRIDE, &labels));
    run.walk(&host, STEPS).unwrap();
    assert_eq!(text(&host, OVERRIDE), Some(labels));
}

#[test]
fn what_an_operator_has_started_besides_is_not_taken_for_switched_off() {
    let mut run = least(&DISTROS[0]);
    run.site.updates = true;
    let host = run.host();
    run.deploy(&host).unwrap();
    host.world(|world| {
        let mut tunnel = world.containers["chatalot-server"].clone();
        "chatalot-tunnel".clone_into(&mut tunnel.name);
        "cloudflared".clone_into(&mut tunnel.service);
        tunnel.ports.clear();
        world.containers.insert(tunnel.name.clone(), tunnel);
    });
    let writes = host.writes();
    run.deploy(&host).unwrap();
    assert_eq!(host.writes(), writes);
    let there = || host.world(|world| world.containers.keys().cloned().collect::<Vec<_>>());
    assert!(there().contains(&"chatalot-updater".to_owned()));
    run.site.updates = false;
    run.site.overwrite_env = true;
    run.deploy(&host).unwrap();
    // The updates have ended, and his tunnel runs on.
    assert_eq!(there(), ["chatalot-db", "chatalot-server", "chatalot-tunnel"]);
}

#[test]
fn what_a_deployment_has_started_before_there_were_notes_ends_by_what_is_remembered_of_it() {
    let mut run = least(&DISTROS[0]);
    run.site.updates = true;
    let host = run.host();
    run.deploy(&host).unwrap();
    host.world(|world| {
        let made = world.text(MADE).unwrap();
        let older = made
            .split_inclusive('\n')
            .filter(|line| !line.starts_with("service "));
        let older: String = older.collect();
        world.put(MADE, older);
    });
    (run.site.updates, run.site.overwrite_env) = (false, true);
    run.deploy(&host).unwrap();
    assert!(host.world(|world| !world.containers.contains_key("chatalot-updater")));
    let writes = host.writes();
    run.deploy(&host).unwrap();
    assert_eq!(host.writes(), writes);
}

#[test]
fn what_a_deployment_has_started_ends_with_the_next_one_though_it_came_to_nothing() {
    let mut run = behind_nginx(&DISTROS[0]);
    let host = run.host();
    run.deploy(&host).unwrap();
    // It never got as far as remembering what it was given.
    run.memory.clear();
    run.site.turn = None;
    assert_eq!(run.deploy(&host).unwrap_err().code(), "INSTALLER_KEPT_ENV");
    run.site.overwrite_env = true;
    run.deploy(&host).unwrap();
    assert!(host.world(|world| !world.containers.contains_key("chatalot-turn")));
}

#[test]
fn another_folders_installation_is_not_taken_away_for_having_the_same_projects_name() {
    let mut run = least(&DISTROS[0]);
    run.site.updates = true;
    let host = run.host();
    run.deploy(&host).unwrap();
    // Moved by its operator, who has had compose start it there.
    host.world(|world| {
        for one in world.containers.values_mut() {
            "/opt/chatalot".clone_into(&mut one.folder);
        }
    });
    let there = |host: &FakeHost| host.world(|world| world.containers.keys().cloned().collect::<Vec<_>>());
    let before = there(&host);
    run.walk(&host, STEPS).unwrap();
    assert_eq!(there(&host), before);
    assert!(text(&host, "/var/lib/chatalot-agent/made").is_none_or(|made| !made.contains("service ")));
}

#[test]
fn the_copies_of_an_env_that_was_written_anew_are_data() {
    const COPIES: &str = "/srv/chatalot/copies/";
    for (steps, stay) in [(STEPS, true), (WITH_DATA, false)] {
        let mut run = least(&DISTROS[0]);
        let host = run.host();
        run.deploy(&host).unwrap();
        (run.site.registration, run.site.overwrite_env) = ("open".parse().unwrap(), true);
        run.deploy(&host).unwrap();
        let dump = "/srv/chatalot/copies/of-mine.sql";
        host.world(|world| world.put(dump, "mine"));
        run.walk(&host, steps).unwrap();
        let is_copy = |path: &&std::path::PathBuf| path.starts_with(COPIES) && !path.ends_with("of-mine.sql");
        assert_eq!(
            host.world(|world| world.files.keys().any(|path| is_copy(&path))),
            stay
        );
        assert_eq!(text(&host, dump).as_deref(), Some("mine"));
        // What stays is no reason not to deploy there again.
        run.memory.clear();
        run.deploy(&host).unwrap();
    }
}

#[test]
fn a_port_that_an_earlier_site_had_shut_goes_out_of_the_override_with_a_later_one() {
    let mut run = least(&DISTROS[0]);
    let host = run.host();
    run.site.loopback_only = true;
    run.deploy(&host).unwrap();
    run.site.loopback_only = false;
    run.walk(&host, STEPS).unwrap();
    assert_eq!(text(&host, OVERRIDE), None);
}

#[test]
fn firewalld_is_opened_in_the_zone_of_the_interface_that_leads_to_the_world_and_shut_there() {
    const ZONES: [&str; 2] = ["/run/firewalld.work.ports", "/etc/firewalld/zones/work.ports"];
    let mut run = behind_traefik(&DISTROS[0]);
    let host = run.host();
    host.world(|world| world.put("/proc/net/route", "Iface\tDestination\neth1\t00000000\n"));
    run.deploy(&host).unwrap();
    for zone in ZONES {
        let ports = text(&host, zone).unwrap();
        assert!(ports.contains("80/tcp") && ports.contains("443/tcp"), "{ports}");
    }
    assert_eq!(text(&host, "/etc/firewalld/zones/public.ports"), None);
    run.site.proxy = ProxyChoice::Caddy;
    run.walk(&host, STEPS).unwrap();
    for zone in ZONES {
        assert_eq!(text(&host, zone), None);
    }
}

#[test]
fn what_was_opened_for_a_turn_server_is_shut_when_the_site_has_none_any_more() {
    let mut run = behind_nginx(&DISTROS[0]);
    let host = run.host();
    run.deploy(&host).unwrap();
    let rules = |host: &FakeHost| text(host, "/etc/ufw/user.rules").unwrap();
    assert!(rules(&host).contains("3478"));
    // What somebody else has opened since stays.
    let theirs = "### tuple ### allow udp 5000 0.0.0.0/0 any 0.0.0.0/0 in\n";
    host.world(|world: &mut World| {
        let all = world.text("/etc/ufw/user.rules").unwrap();
        world.put("/etc/ufw/user.rules", format!("{all}{theirs}"));
    });
    run.site.turn = None;
    // While the server runs on it is reached.
    assert_eq!(run.deploy(&host).unwrap_err().code(), "INSTALLER_KEPT_ENV");
    assert!(rules(&host).contains("3478"));
    run.site.overwrite_env = true;
    run.site.proxy = ProxyChoice::None;
    let told = run.check(&host, "install.openings").unwrap();
    assert!(matches!(told, Verdict::Needed { .. }), "{told:?}");
    let step = crate::runbook::step("install.openings").unwrap();
    assert!(step.applies_to(&run.intent()), "also without a proxy of ours");
    run.site.proxy = ProxyChoice::Nginx;
    run.deploy(&host).unwrap();
    let left = rules(&host);
    assert!(
        !left.contains("3478") && left.contains("tcp 80 ") && left.contains(theirs),
        "{left}"
    );
}
