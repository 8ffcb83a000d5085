//! Every row that looks is provoked on a host made of maps; the page is the table.

mod fixes;
mod rows;

use super::*;
use crate::host::fake::{EngineState, FakeHost, World};
use crate::host::{Answers, Container, Fetched, Owner, PortOwner, Records, Transport};
use crate::runbook::distro::DISTROS;
use crate::runbook::drift::{BASELINE, Baseline};
use crate::runbook::{Cx, laws};
use chatalot_protocol::outside::Door;
use chatalot_protocol::site::Site;
use std::collections::BTreeMap;

type Spoil = fn(&mut World);

struct Case {
    host: FakeHost,
    site: Site,
    memory: BTreeMap<String, String>,
}

impl Case {
    async fn deployed() -> Self {
        let (host, site, memory) = laws::deployed();
        let mut case = Self { host, site, memory };
        let baseline = Baseline::now(&case.cx(&BTreeMap::new()), "salt").await.unwrap();
        case.memory.insert(BASELINE.to_owned(), baseline.text());
        case
    }

    fn cx<'a>(&'a self, secret_tags: &'a BTreeMap<String, String>) -> Cx<'a> {
        Cx {
            site: &self.site,
            distro: &DISTROS[0],
            host: &self.host,
            memory: &self.memory,
            secret_tags,
        }
    }

    async fn found(&self, last: Option<Advice>) -> Vec<Advice> {
        let tags = BTreeMap::new();
        diagnose(&facts::gather(&self.cx(&tags), last).await)
    }
}

fn container<'a>(world: &'a mut World, name: &str) -> &'a mut Container {
    world.containers.get_mut(name).unwrap()
}

fn crashes(world: &mut World, line: &str) {
    container(world, "chatalot-server").state = "restarting".into();
    world.logs.insert("chatalot-server".into(), vec![line.to_owned()]);
}

fn answers(world: &mut World, url: &str, status: u16) {
    let page = Fetched {
        status,
        ..Fetched::default()
    };
    world.pages.insert(url.into(), Ok(page));
}

fn leads_to(world: &mut World, a: &str, aaaa: &[&str]) {
    let answers = Answers {
        resolver: "1.1.1.1".into(),
        a: Records::Found(vec![a.parse().unwrap()]),
        aaaa: Records::Found(aaaa.iter().map(|ip| ip.parse().unwrap()).collect()),
    };
    world.dns.insert("chat.example.com".into(), vec![answers]);
}

fn ufw_without_rules(world: &mut World) {
    world.programs.insert("ufw".into());
    world.put("/etc/ufw/ufw.conf", "ENABLED=yes\n");
}

const PUBLIC: &str = "https://chat.example.com/api/health";

/// What is spoilt, and the cause that must stand first.
const SPOILT: &[(&str, Spoil)] = &[
    ("DISK_FULL", |w| w.resources.disk_free = 10 << 20),
    ("DISK_FULL", |w| {
        crashes(w, "Error: No space left on device (os error 28)");
    }),
    ("INODES_SHORT", |w| w.resources.inodes_free = 3),
    ("DISK_READ_ONLY", |w| w.resources.writable = false),
    ("MEMORY_SHORT", |w| w.resources.memory = 400_000_000),
    ("CLOCK_WRONG", |w| w.now_ms = 1_600_000_000_000),
    ("PACKAGES_BROKEN", |w| {
        w.half_installed.insert("git".into());
    }),
    ("ENGINE_ABSENT", |w| w.engine = EngineState::Absent),
    ("ENGINE_DOWN", |w| w.engine = EngineState::Down),
    ("COMPOSE_MISSING", |w| w.compose = Some("1.29.2".into())),
    ("CONTAINER_NAME_TAKEN", |w| {
        container(w, "chatalot-db").folder = "/srv/theirs".into();
    }),
    ("ENV_MISSING", |w| {
        w.files.remove("/srv/chatalot/.env".as_ref() as &std::path::Path);
    }),
    ("SECRET_FILE_MISSING", |w| {
        w.files
            .remove("/srv/chatalot/secrets/totp_key".as_ref() as &std::path::Path);
        crashes(w, "Error: No such file or directory (os error 2)");
    }),
    ("SECRET_UNREADABLE", |w| {
        let shut = Owner { uid: 0, mode: 0o600 };
        w.owners
            .insert("/srv/chatalot/secrets/jwt_private.pem".into(), shut);
        crashes(w, "Error: Permission denied (os error 13)");
    }),
    ("SECRET_DAMAGED", |w| {
        w.put("/srv/chatalot/secrets/jwt_private.pem", "");
        crashes(w, "Error: InvalidKeyFormat");
    }),
    ("DATABASE_PASSWORD", |w| {
        crashes(w, "Error: password authentication failed for user \"chatalot\"");
    }),
    ("CONTAINER_OUT_OF_MEMORY", |w| {
        let one = container(w, "chatalot-server");
        (one.state, one.oom_killed) = ("restarting".into(), true);
    }),
    ("DATABASE_DOWN", |w| {
        container(w, "chatalot-db").state = "paused".into();
    }),
    ("DATABASE_DOWN", |w| {
        container(w, "chatalot-db").health = Some("unhealthy".into());
    }),
    ("CONTAINERS_DOWN", |w| {
        container(w, "chatalot-server").state = "exited".into();
    }),
    ("CONTAINERS_DOWN", |w| {
        container(w, "chatalot-updater").health = Some("unhealthy".into());
    }),
    ("CONTAINER_KILLED", |w| {
        let one = container(w, "chatalot-server");
        (one.state, one.exit_code) = ("exited".into(), 137);
    }),
    ("CONTAINER_CRASHING", |w| crashes(w, "Error: something new")),
    ("DNS_WRONG", |w| leads_to(w, "198.51.100.7", &[])),
    ("DNS_STALE_AAAA", |w| {
        leads_to(w, "203.0.113.42", &["2001:db8::1"]);
    }),
    ("PROXY_BAD_GATEWAY", |w| answers(w, PUBLIC, 502)),
    ("SELINUX_DENIES", |w| {
        answers(w, PUBLIC, 502);
        w.put("/sys/fs/selinux/enforce", "1");
        w.put("/sys/fs/selinux/booleans/httpd_can_network_connect", "0 0");
    }),
    ("FIREWALL_CLOSED", ufw_without_rules),
    ("WEBSOCKET_NOT_FORWARDED", |w| {
        answers(w, "https://chat.example.com/ws", 400);
    }),
    ("TURN_ADDRESS_PRIVATE", |w| {
        let env = w.text("/srv/chatalot/.env").unwrap();
        w.put("/srv/chatalot/.env", format!("{env}TURN_EXTERNAL_IP=10.0.0.5\n"));
    }),
    ("TURN_BEHIND_NAT", |w| {
        let env = w.text("/srv/chatalot/.env").unwrap();
        w.put(
            "/srv/chatalot/.env",
            format!("{env}TURN_EXTERNAL_IP=198.51.100.9\n"),
        );
        let line = "bind: Cannot bind local socket to addr: errno=99".to_owned();
        w.logs.insert("chatalot-turn".into(), vec![line]);
    }),
    ("UPDATER_REGISTRY_DENIED", |w| {
        let line = "pull phase: 401 Unauthorized".to_owned();
        w.logs.insert("chatalot-updater".into(), vec![line]);
    }),
];

#[tokio::test]
async fn each_cause_stands_before_what_it_causes() {
    for (code, spoil) in SPOILT {
        let case = Case::deployed().await;
        case.host.world(spoil);
        let found = case.found(None).await;
        let codes: Vec<&str> = found.iter().map(|advice| &*advice.code).collect();
        assert_eq!(codes.first(), Some(code), "{found:#?}");
        for advice in found {
            let texts = [&advice.saw, &advice.wanted, &advice.fix];
            assert!(texts.iter().all(|text| !text.trim().is_empty()), "{advice}");
        }
    }
}

#[tokio::test]
async fn nothing_is_found_where_all_is_well() {
    let case = Case::deployed().await;
    assert_eq!(case.found(None).await, []);
    // Not every site needs what every example is for.
    case.host
        .world(|world| world.put("/srv/chatalot/secrets/smtp_key.example", "x"));
    assert_eq!(case.found(None).await, []);
    case.host
        .world(|world| crashes(world, "Error: No such file or directory (os error 2)"));
    let found = case.found(None).await;
    assert!(found[0].saw.contains("smtp_key"), "{found:?}");
}

#[tokio::test]
async fn f52_an_engine_that_is_down_is_not_told_as_a_chatalot_that_does_not_answer() {
    let case = Case::deployed().await;
    case.host.world(|world| world.engine = EngineState::Down);
    let found = case.found(None).await;
    let codes: Vec<&str> = found.iter().map(|advice| &*advice.code).collect();
    assert_eq!(codes, ["ENGINE_DOWN"]);
    let verify = laws::findings(&case.host, &case.site, &case.memory, "verify").await;
    for advice in verify {
        assert_ne!(advice.code, "HEALTH_NO_ANSWER", "{advice}");
        assert!(!advice.fix.contains("docker logs"), "{advice}");
    }
}

#[tokio::test]
async fn how_the_last_deployment_ended_is_a_cause_until_the_next() {
    for code in [
        "INSTALLER_MISSING_FLAGS",
        "INSTALLER_TOO_OLD",
        "REGISTRY_DENIED",
        "REGISTRY_RATE_LIMITED",
        "IMAGE_UNKNOWN",
        "PACKAGES_BROKEN",
        "ACME_RATE_LIMITED",
        "ACME_FAILED",
        "SECRET_FILE_MISSING",
    ] {
        let case = Case::deployed().await;
        let last = Advice::new(code, "saw", "wanted", "fix");
        let found = case.found(Some(last)).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].code, code);
    }
}

#[tokio::test]
async fn what_no_row_is_for_is_told_in_its_own_words_where_nothing_else_is() {
    let case = Case::deployed().await;
    let last = Advice::new("POLICY_PACKAGES", "saw", "wanted", "fix");
    let found = case.found(Some(last.clone())).await;
    assert_eq!(found, std::slice::from_ref(&last));
    case.host.world(|world| world.engine = EngineState::Down);
    let found = case.found(Some(last)).await;
    let codes: Vec<&str> = found.iter().map(|advice| &*advice.code).collect();
    assert_eq!(codes, ["ENGINE_DOWN"]);
}

#[tokio::test]
async fn a_cause_that_no_row_is_for_stands_before_how_it_shows() {
    let (_, site, _) = laws::deployed();
    let (host, memory) = (FakeHost::fresh(&DISTROS[0]), BTreeMap::new());
    let never_installed = Case { host, site, memory };
    let last = Advice::new("POLICY_REPOSITORIES", "saw", "wanted", "fix");
    let found = never_installed.found(Some(last.clone())).await;
    assert_eq!(found.first(), Some(&last));
    assert!(
        found.iter().all(|advice| advice.code != "HEALTH_NO_ANSWER"),
        "{found:#?}"
    );
}

#[tokio::test]
async fn what_a_check_says_is_told_though_the_row_of_its_code_has_not_seen_it() {
    let (case, tags) = (Case::deployed().await, BTreeMap::new());
    let mut facts = facts::gather(&case.cx(&tags), None).await;
    let said = Advice::new("TURN_BEHIND_NAT", "saw", "wanted", "fix");
    facts.found.insert("verify.turn".to_owned(), said.clone());
    assert_eq!(diagnose(&facts), [said]);
}

#[tokio::test]
async fn a_tunnel_that_is_down_is_not_told_as_a_proxy_that_does_not_forward() {
    for (status, code) in [
        (530, "TUNNEL_NOT_CONNECTED"),
        (502, "TUNNEL_BAD_SERVICE"),
        (404, "TUNNEL_NO_HOSTNAME"),
    ] {
        let mut case = Case::deployed().await;
        case.site.tunnel = true;
        case.host.world(|world| {
            leads_to(world, "104.16.0.1", &[]);
            let tunnel = Container {
                name: "chatalot-tunnel".into(),
                service: "cloudflared".into(),
                ..container(world, "chatalot-server").clone()
            };
            world.containers.insert("chatalot-tunnel".into(), tunnel);
            answers(world, PUBLIC, status);
            answers(world, "https://chat.example.com/ws", status);
        });
        let found = case.found(None).await;
        assert_eq!(found[0].code, code, "{found:#?}");
    }
}

#[tokio::test]
async fn what_the_controller_cannot_reach_is_told() {
    let cases: &[(&str, Spoil)] = &[
        ("OUTSIDE_PORT_SHUT", |w| {
            w.outside.drops.insert(Door::tcp(443));
        }),
        ("OUTSIDE_TURN_SHUT", |w| {
            w.outside.drops.insert(Door::udp(3478));
        }),
        ("OUTSIDE_WRONG_ANSWER", |w| {
            w.outside.elsewhere.insert(Door::tcp(443));
        }),
    ];
    for (code, spoil) in cases {
        let case = Case::deployed().await;
        case.host.world(spoil);
        let found = case.found(None).await;
        assert_eq!(found[0].code, *code, "{found:#?}");
    }
}

#[tokio::test]
async fn f59_neither_facts_nor_findings_nor_the_bundle_show_a_secret() {
    let case = Case::deployed().await;
    case.host.world(|world| {
        world.put(
            "/srv/chatalot/.env",
            "DB_PASSWORD=correct-horse\nDOMAIN=chat.example.com\n",
        );
        world.put("/srv/chatalot/secrets/totp_key", "battery-staple");
        crashes(
            world,
            "Error: postgres://chatalot:correct-horse@db battery-staple",
        );
        world
            .journal
            .push((world.now_ms, "caddy.service".into(), "said battery-staple".into()));
    });
    let tags = BTreeMap::new();
    let cx = case.cx(&tags);
    let facts = facts::gather(&cx, None).await;
    let past = bundle::Past {
        events: &[],
        folder: "/nowhere".as_ref(),
        streams: &[],
    };
    let bundle = bundle::text(&cx, &facts, &past).await.unwrap();
    assert!(
        bundle.contains("CONTAINER_CRASHING") && bundle.contains("Debian 13"),
        "{bundle}"
    );
    for text in [format!("{facts:?}"), format!("{:?}", diagnose(&facts)), bundle] {
        assert!(
            !text.contains("correct-horse") && !text.contains("battery-staple"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn what_chatalot_ended_with_before_is_an_older_story() {
    let case = Case::deployed().await;
    case.host.world(|world| {
        crashes(world, "");
        let lines = [
            "Error: No such file or directory (os error 2)",
            "INFO start",
            "Error: InvalidKeyFormat",
        ];
        world.put("/srv/chatalot/secrets/smtp_key.example", "x");
        world
            .logs
            .insert("chatalot-server".into(), lines.map(str::to_owned).to_vec());
    });
    let found = case.found(None).await;
    assert_eq!(found[0].code, "SECRET_DAMAGED", "{found:?}");
}

#[tokio::test]
async fn the_port_of_a_container_that_starts_is_not_taken_for_somebody_elses() {
    for state in ["created", "exited", "paused", "restarting", "running"] {
        let case = Case::deployed().await;
        case.host.world(|world| {
            crashes(world, "Error: InvalidKeyFormat");
            container(world, "chatalot-server").state = state.into();
            let proxy = PortOwner {
                process: "docker-proxy".into(),
                unit: Some("docker.service".into()),
                ..PortOwner::default()
            };
            world.ports.insert((Transport::Tcp, 8080), proxy);
        });
        let found = case.found(None).await;
        let codes: Vec<&str> = found.iter().map(|advice| &*advice.code).collect();
        assert!(!codes.contains(&"PORT_TAKEN"), "{state}: {codes:?}");
        assert!(state != "restarting" || codes[0] == "SECRET_DAMAGED", "{codes:?}");
    }
}

#[test]
fn the_page_is_made_from_the_table() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/diagnosis.md");
    if std::env::var_os("CHATALOT_WRITE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "stale: run this test with CHATALOT_WRITE_DOCS=1"
    );
}
