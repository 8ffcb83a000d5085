//! What a deployment does with hosts that are neither fresh nor broken.

use super::bad_inputs::{block, container, deployed, fails, foreign_engine, said};
use super::driver::{Stop, full, with_everything};
use crate::host::fake::{Checkout, FakeHost, Outcome, World};
use crate::host::{Fetched, Owner, TlsFacts};
use crate::runbook::distro::DISTROS;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::{Acme, ProxyChoice};

#[test]
fn f55_a_caddy_that_we_set_up_is_ours_on_a_second_run() {
    let (host, run) = deployed();
    let verdict = run.check(&host, "preflight.ports").unwrap();
    assert_eq!(
        verdict,
        Verdict::satisfied("80, 443, 8080, 3478 ours already, the others free")
    );
}

#[test]
fn an_engine_from_elsewhere_is_used_and_left_alone() {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(foreign_engine);
    run.deploy(&host).unwrap();
    assert!(host.world(|world| !world.packages.contains("docker.io")));
}

#[test]
fn a_unit_that_runs_but_is_not_started_at_boot_is_enabled() {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(|world| {
        foreign_engine(world);
        world.units.get_mut("docker.service").unwrap().enabled = false;
    });
    run.deploy(&host).unwrap();
    assert!(host.world(|world| world.units["docker.service"].enabled));
}

#[test]
fn f38_what_dpkg_left_half_done_is_finished_first() {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(|world| {
        world.half_installed.insert("docker.io".into());
    });
    run.deploy(&host).unwrap();
    assert!(host.world(|world| world.half_installed.is_empty()));
}

#[test]
fn f38_what_dpkg_was_cut_off_in_while_it_unpacked_is_unpacked_anew() {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(|world| {
        world.half_installed.insert("git".into());
        world.torn.insert("docker.io".into());
    });
    run.deploy(&host).unwrap();
    assert!(host.world(|world| world.torn.is_empty() && world.half_installed.is_empty()));
}

#[test]
fn a_lock_that_a_killed_git_left_is_removed() {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(|world| {
        world.put("/srv/chatalot/.git/index.lock", "");
        world
            .checkouts
            .insert("/srv/chatalot".into(), Checkout::default());
    });
    run.deploy(&host).unwrap();
}

#[test]
fn local_changes_are_never_overwritten() {
    let (host, mut run) = deployed();
    host.world(|world| {
        let newer = "2e".repeat(20);
        let remote = world.remotes.values_mut().next().unwrap();
        let tree = remote.trees.values().next().unwrap().clone();
        remote.trees.insert(newer.clone(), tree);
        remote.refs.insert("refs/heads/main".into(), newer);
        let checkout = world.checkouts.values_mut().next().unwrap();
        checkout.changed.insert("docker-compose.yml".into());
    });
    assert_eq!(run.deploy(&host).unwrap_err().code(), "CHECKOUT_DIRTY");
}

#[test]
fn a_site_that_crashes_is_installed_again_and_then_told_why() {
    let (host, mut run) = deployed();
    host.advance(3600);
    host.world(|world| {
        container(world, "chatalot-server").state = "restarting".into();
        world.outputs.insert(
            "/srv/chatalot/scripts/install.sh --non".into(),
            said(&block("alice")),
        );
        world
            .logs
            .insert("chatalot-server".into(), vec!["Error: InvalidKeyFormat".into()]);
    });
    let verdict = run.check(&host, "install.run").unwrap();
    assert!(matches!(verdict, Verdict::Needed { .. }), "{verdict:?}");
    assert_eq!(run.deploy(&host).unwrap_err().code(), "CONTAINER_CRASHING");
}

#[test]
fn f56_a_second_run_asks_again_though_the_journal_still_holds_the_refusal() {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(|world| world.acme_refuses = Some("HTTP 400 connection".into()));
    assert_eq!(run.deploy(&host).unwrap_err().code(), "ACME_FAILED");
    host.world(|world| world.acme_refuses = None);
    host.advance(600);
    run.deploy(&host).unwrap();
}

#[test]
fn f56_whom_the_staging_authority_does_not_sign_for_does_not_ask_production_and_is_not_counted() {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(|world| world.acme_refuses = Some("HTTP 400 connection".into()));
    for _ in 0..6 {
        assert_eq!(run.deploy(&host).unwrap_err().code(), "ACME_FAILED");
        let (asked, loaded) = host.world(|world| {
            let asked = world.text("/var/lib/chatalot-agent/acme.asked");
            (asked, world.caddy_loaded.clone().unwrap_or_default())
        });
        assert_eq!(asked, None);
        assert!(loaded.contains("acme-staging"), "{loaded}");
    }
    host.world(|world| world.acme_refuses = None);
    host.advance(600);
    run.deploy(&host).unwrap();
    host.world(|world| assert!(!world.caddy_loaded.as_deref().unwrap().contains("acme-staging")));
}

#[test]
fn f56_a_staging_certificate_is_driven_out_before_the_real_one_is_asked_for() {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    run.deploy(&host).unwrap();
    assert_eq!(
        host.world(|world| world.caddy_signed.clone()),
        [("chat.example.com".to_owned(), false)].into()
    );
    // The second time nothing is tried, though it is asked for anew.
    host.world(|world| world.units.get_mut("caddy.service").unwrap().active = false);
    host.world(World::reboot);
    let before = host.log().len();
    host.world(|world| {
        world
            .files
            .remove(std::path::Path::new("/etc/caddy/conf.d/chat.example.com.caddy"));
    });
    run.deploy(&host).unwrap();
    let validated = host.log()[before..]
        .iter()
        .filter(|call| call.contains("caddy validate"))
        .count();
    assert_eq!(validated, 1);
    // Whoever has had a staging certificate on purpose gets the real one, and so does who had one that only this host trusts.
    run.site.acme = Acme::Staging;
    run.deploy(&host).unwrap();
    assert!(host.world(|world| world.caddy_signed["chat.example.com"]));
    run.site.acme = Acme::Production;
    run.deploy(&host).unwrap();
    assert_eq!(
        host.world(|world| world.caddy_signed.clone()),
        [("chat.example.com".to_owned(), false)].into()
    );
}

#[test]
fn f56_what_production_has_had_enough_of_may_be_tried_at_staging() {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(|world| {
        world.acme_refuses = Some("acme-v02.api.letsencrypt.org: HTTP 429 rateLimited".into());
    });
    assert_eq!(run.deploy(&host).unwrap_err().code(), "ACME_RATE_LIMITED");
    run.site.acme = Acme::Staging;
    run.deploy(&host).unwrap();
}

#[test]
fn an_unknown_login_is_told_before_it_is_added() {
    let mut run = with_everything(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(|world| world.logins.clear());
    assert_eq!(run.deploy(&host).unwrap_err().code(), "LOGIN_UNKNOWN");
}

#[test]
fn f44_an_installer_that_only_says_that_it_is_done_is_found_out() {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(|world| world.installer.outcome = Outcome::Pretends(block("alice")));
    let stop = run.deploy(&host).unwrap_err();
    assert!(
        matches!(&stop, Stop::Unmet("install.run", why) if why == "no .env yet"),
        "{stop:?}"
    );
}

const SITE: &str = "/etc/caddy/conf.d/chat.example.com.caddy";

#[test]
fn f56_a_file_of_ours_that_caddy_never_took_up_is_not_put_back() {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(|world| {
        world.put(
            SITE,
            "# Written by chatalot-agent, which was killed here\nnonsense {",
        );
        fails(world, "caddy validate", "Error: adapting config");
    });
    assert_eq!(run.deploy(&host).unwrap_err().code(), "CADDY_INVALID");
    assert_eq!(host.world(|world| world.text(SITE)), None);
}

#[test]
fn f56_the_file_that_caddy_serves_is_put_back() {
    let (host, mut run) = deployed();
    let served = host.world(|world| world.text(SITE)).unwrap();
    run.site.acme = Acme::Staging;
    host.world(|world| fails(world, "caddy validate", "Error: adapting config"));
    assert_eq!(run.deploy(&host).unwrap_err().code(), "CADDY_INVALID");
    assert_eq!(host.world(|world| world.text(SITE)), Some(served));
}

#[test]
fn f55_the_operators_caddyfile_keeps_its_mode_and_is_not_written_without_need() {
    const MAIN: &str = "/etc/caddy/Caddyfile";
    let closed = Owner { uid: 0, mode: 0o640 };
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(|world| {
        world.owners.insert(MAIN.into(), closed);
        fails(world, "caddy validate", "Error: adapting config");
    });
    run.deploy(&host).unwrap_err();
    assert_eq!(host.world(|world| world.owner(MAIN.as_ref())), Some(closed));
    host.world(|world| world.put(MAIN, "import conf.d/*\n"));
    let before = host.log().len();
    run.deploy(&host).unwrap_err();
    assert!(
        !host.log()[before..]
            .iter()
            .any(|call| call.contains("write /etc/caddy/Caddyfile"))
    );
}

#[test]
fn f55_a_caddy_with_other_sites_gets_ours_beside_them() {
    const MAIN: &str = "/etc/caddy/Caddyfile";
    const BLOG: &str = "blog.example.com {\n\tfile_server\n}\n";
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(|world| {
        world.put(MAIN, BLOG);
        world.install("caddy");
    });
    run.deploy(&host).unwrap();
    let main = host.world(|world| world.text(MAIN)).unwrap();
    assert_eq!(
        main.strip_prefix(BLOG),
        Some("import /etc/caddy/conf.d/*.caddy\n")
    );
    let loaded = host.world(|world| world.caddy_loaded.clone()).unwrap();
    assert!(
        loaded.contains("blog.example.com {") && loaded.contains("chat.example.com {"),
        "{loaded}"
    );
}

#[test]
fn a_changed_domain_takes_the_old_site_away_and_a_refused_one_puts_it_back() {
    const OTHER: &str = "/etc/caddy/conf.d/talk.example.com.caddy";
    let (host, mut run) = deployed();
    let old = host.world(|world| world.text(SITE));
    run.site.domain = "talk.example.com".parse().unwrap();
    run.memory.clear();
    host.world(|world| {
        let answers = world.dns["chat.example.com"].clone();
        world.dns.insert("talk.example.com".into(), answers);
        fails(world, "caddy validate", "Error: adapting config");
    });
    // chatalot itself would still go by its old name.
    assert_eq!(run.deploy(&host).unwrap_err().code(), "INSTALLER_KEPT_ENV");
    run.site.overwrite_env = true;
    assert_eq!(run.deploy(&host).unwrap_err().code(), "CADDY_INVALID");
    assert_eq!(host.world(|world| world.text(SITE)), old);
    host.world(|world| world.outputs.clear());
    run.deploy(&host).unwrap();
    host.world(|world| assert!(world.text(SITE).is_none() && world.text(OTHER).is_some()));
}

#[test]
fn f56_the_fifth_attempt_within_an_hour_is_not_made_though_the_host_has_booted() {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    // The staging authority signs.
    host.world(|world| world.acme_refuses = Some("acme-v02: HTTP 400 connection".into()));
    for attempt in 1..=4 {
        assert_eq!(run.deploy(&host).unwrap_err().code(), "ACME_FAILED", "{attempt}");
        host.world(World::reboot);
        host.world(|world| world.journal.clear());
        run.memory.retain(|key, _| !key.starts_with("proxy."));
    }
    let before = host.log().len();
    assert_eq!(run.deploy(&host).unwrap_err().code(), "ACME_RATE_LIMITED");
    assert!(
        !host.log()[before..]
            .iter()
            .any(|call| call.contains("reload caddy"))
    );
    host.world(|world| world.acme_refuses = None);
    host.advance(3600);
    run.deploy(&host).unwrap();
}

// coverage: assumed · Debian 13 · own proxy · TURN, updater on, registry, OIDC
#[test]
fn a_site_behind_the_operators_own_proxy_has_no_step_of_ours_in_front() {
    let mut run = full(&DISTROS[0]);
    run.site.proxy = ProxyChoice::None;
    let host = FakeHost::fresh(run.distro);
    host.world(|world| {
        let health = "{\"status\":\"ok\",\"version\":\"0.24.1\",\"uptime_secs\":1,\"db_healthy\":true}";
        let page = |status, body: &str| Fetched {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.into(),
            tls: Some(TlsFacts {
                issuer: "E1".into(),
                not_after: i64::MAX,
                distrust: None,
            }),
        };
        world.pages.insert(
            "https://chat.example.com/api/health".into(),
            Ok(page(200, health)),
        );
        world
            .pages
            .insert("https://chat.example.com/ws".into(), Ok(page(101, "")));
    });
    run.deploy(&host).unwrap();
    assert!(
        !host.log().iter().any(|call| call.contains("caddy")),
        "{:?}",
        host.log()
    );
}
