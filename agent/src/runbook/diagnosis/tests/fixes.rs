//! What a finding advises is right for this host.

use super::*;
use crate::runbook::chapters::handover::handover;
use chatalot_protocol::handover::{Duty, DutyStanding};

#[tokio::test]
async fn a_firewall_that_is_shut_is_opened_by_its_own_commands_and_none_that_take_dockers_rules_away() {
    let shuts: [(Spoil, &str); 2] = [
        (ufw_without_rules, "ufw allow 443/tcp"),
        (firewalld_without_rules, "--permanent --add-port=443/tcp"),
    ];
    for (shuts, fix) in shuts {
        let case = Case::deployed().await;
        case.host.world(shuts);
        let found = case.found(None).await;
        assert_eq!(found[0].code, "FIREWALL_CLOSED", "{found:#?}");
        assert!(
            found[0].fix.contains(fix) && !found[0].fix.contains("--reload"),
            "{found:#?}"
        );
    }
}

fn firewalld_without_rules(world: &mut World) {
    let unit = crate::host::Unit {
        exists: true,
        active: true,
        enabled: true,
    };
    world.units.insert("firewalld.service".into(), unit);
}

#[tokio::test]
async fn a_port_of_the_turn_server_that_ufw_shuts_is_told_by_its_rules_and_what_it_lets_through_is_not() {
    let case = Case::deployed().await;
    let rule = |what: &str| format!("### tuple ### allow {what} 0.0.0.0/0 any 0.0.0.0/0 in\n");
    let but = ["tcp 80", "tcp 443", "any 5349", "udp 49152:49200"]
        .map(rule)
        .concat();
    case.host.world(|world| {
        ufw_without_rules(world);
        world.put("/etc/ufw/user.rules", &but);
        world.outside.declined = Some(Advice::new("OUTSIDE_LATE", "no answer", "one", "ask again"));
    });
    let found = case.found(None).await;
    assert_eq!(found[0].code, "FIREWALL_CLOSED", "{found:#?}");
    assert_eq!(found[0].saw, "ufw is at work and shuts 3478/udp, 3478/tcp");
    let duty = firewall_duty(&case).await;
    assert_eq!(duty.saw, "ufw keeps 3478/udp, 3478/tcp shut");
    assert_eq!(duty.standing, DutyStanding::NotInPlace);
    let all = [but, rule("any 3478")].concat();
    case.host.world(|world| world.put("/etc/ufw/user.rules", &all));
    let found = case.found(None).await;
    assert!(
        found.iter().all(|advice| advice.code != "FIREWALL_CLOSED"),
        "{found:#?}"
    );
    assert_eq!(
        firewall_duty(&case).await.standing,
        DutyStanding::CannotBeTold,
        "a firewall before the host is out of sight"
    );
}

async fn firewall_duty(case: &Case) -> Duty {
    let tags = BTreeMap::new();
    let handover = handover(&case.cx(&tags)).await.unwrap();
    let mut duties = handover.duties.into_iter();
    duties.find(|duty| duty.name == "Firewall").unwrap()
}

#[tokio::test]
async fn a_fix_is_told_in_the_commands_of_the_distribution() {
    for (name, install, mend) in [
        (
            "Debian 13",
            "apt-get install docker-compose",
            "dpkg --configure -a",
        ),
        ("Fedora", "dnf install ", "dnf remove --duplicates"),
        ("Arch Linux", "pacman -S docker-compose", "db.lck"),
    ] {
        let case = Case::deployed().await;
        let tags = BTreeMap::new();
        let distro = DISTROS.iter().find(|row| row.name == name).unwrap();
        let mut facts = facts::gather(&case.cx(&tags), None).await;
        facts.distro = distro;
        facts.compose = None;
        facts.half_installed = vec!["half".to_owned()];
        let found = diagnose(&facts);
        let fix = |code: &str| &found.iter().find(|advice| advice.code == code).unwrap().fix;
        assert!(fix("COMPOSE_MISSING").contains(install), "{found:#?}");
        assert!(fix("PACKAGES_BROKEN").contains(mend), "{found:#?}");
    }
}

/// What is found first.
async fn first(case: &Case) -> Advice {
    let mut found = case.found(None).await;
    assert!(!found.is_empty());
    found.remove(0)
}

#[tokio::test]
async fn deploying_again_mends_a_missing_compose_only_where_it_would_be_installed() {
    let cases: [(&[&str], bool); 3] = [
        // The Engine is from elsewhere: what is there stays as it is.
        (&["docker.io"], false),
        // The package is there, and what is in it is not.
        (&[], false),
        (&["docker-compose"], true),
    ];
    for (lacks, is_mended) in cases {
        let case = Case::deployed().await;
        case.host.world(|world| {
            world.packages.retain(|name| !lacks.contains(&name.as_str()));
            world.compose = None;
        });
        let found = first(&case).await;
        assert_eq!(
            (&*found.code, found.fixable),
            ("COMPOSE_MISSING", is_mended),
            "{found}"
        );
        assert_eq!(found.fix.contains("deploy again"), is_mended, "{found}");
        let is_well = laws::is_well_again(&case.host, &case.site, &case.memory);
        assert_eq!(is_well, is_mended, "{found}");
    }
}

#[tokio::test]
async fn deploying_again_mends_an_updater_without_credentials_only_where_the_site_has_them() {
    let file = "/srv/chatalot/secrets/registry_creds";
    for (has_user, is_there, is_mended) in [(true, false, true), (true, true, false), (false, false, false)] {
        let mut case = Case::deployed().await;
        if !has_user {
            case.site.registry_user = None;
        }
        case.host.world(|world| {
            if !is_there {
                world.put(file, "");
            }
            let line = "pull phase: 401 Unauthorized".to_owned();
            world.logs.insert("chatalot-updater".into(), vec![line]);
        });
        let found = first(&case).await;
        assert_eq!(
            (&*found.code, found.fixable),
            ("UPDATER_REGISTRY_DENIED", is_mended)
        );
        assert_eq!(
            found.fix.contains("registry_token"),
            has_user && is_there,
            "{found}"
        );
    }
}

#[tokio::test]
async fn what_is_paused_is_not_started_by_deploying_again_and_is_told_with_its_own_command() {
    for (name, code) in [
        ("chatalot-db", "DATABASE_DOWN"),
        ("chatalot-server", "CONTAINERS_DOWN"),
        ("chatalot-updater", "CONTAINERS_DOWN"),
    ] {
        for (state, is_mended) in [("paused", false), ("exited", true)] {
            let case = Case::deployed().await;
            case.host
                .world(|world| container(world, name).state = state.into());
            let found = first(&case).await;
            assert_eq!((&*found.code, found.fixable), (code, is_mended), "{found}");
            let told = found.fix.contains(&format!("docker unpause {name}"));
            assert_eq!(told, !is_mended, "{found}");
        }
    }
}

#[tokio::test]
async fn an_address_shared_behind_a_providers_nat_is_no_public_one_and_quotes_do_not_hide_it() {
    for (value, is_told) in [
        ("100.64.0.1", true),
        ("'100.127.255.254'", true),
        ("\"10.0.0.5\"", true),
        ("100.128.0.1", false),
        ("\"203.0.113.42\"", false),
    ] {
        let case = Case::deployed().await;
        case.host.world(|world| {
            let env = world.text("/srv/chatalot/.env").unwrap();
            world.put("/srv/chatalot/.env", format!("{env}TURN_EXTERNAL_IP={value}\n"));
        });
        let found = case.found(None).await;
        let codes: Vec<&str> = found.iter().map(|advice| &*advice.code).collect();
        assert_eq!(
            codes.contains(&"TURN_ADDRESS_PRIVATE"),
            is_told,
            "{value}: {codes:?}"
        );
    }
}

#[tokio::test]
async fn what_the_installer_has_not_made_anew_is_not_advised_to_be_made_anew() {
    for (not_made, advised) in [("[]", true), (r#"["of_mine"]"#, false)] {
        let mut case = Case::deployed().await;
        let baseline = case.memory.get_mut(BASELINE).unwrap();
        *baseline = baseline.replace("\"secrets\":[", "\"secrets\":[\"of_mine\",");
        *baseline = baseline.replace("\"not_made\":[]", &format!("\"not_made\":{not_made}"));
        let found = case.found(None).await;
        let fix = &found[0].fix;
        assert_eq!(found[0].code, "SECRET_FILE_MISSING", "{found:#?}");
        assert_eq!(fix.contains("Without a backup deploy again"), advised, "{fix}");
        assert_eq!(
            fix.contains("was asked to make of_mine anew and has not"),
            !advised,
            "{fix}"
        );
    }
}
