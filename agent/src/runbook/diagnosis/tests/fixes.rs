//! What a finding advises is right for this host.

use super::*;

#[tokio::test]
async fn a_firewall_that_is_shut_is_opened_by_its_own_commands_and_none_that_take_dockers_rules_away() {
    for (program, says, fix) in [
        ("ufw", "Status: active", "ufw allow 443/tcp"),
        (
            "firewall-cmd",
            "running",
            "--permanent --add-port=80/tcp --add-port=443/tcp",
        ),
    ] {
        let case = Case::deployed().await;
        case.host.world(|w| {
            w.addresses.retain(|ip| ip.to_string().starts_with("10."));
            at_work(w, program, says);
        });
        let found = case.found(None).await;
        assert_eq!(found[0].code, "FIREWALL_CLOSED", "{found:#?}");
        assert!(
            found[0].fix.contains(fix) && !found[0].fix.contains("--reload"),
            "{found:#?}"
        );
    }
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
