//! A real Traefik that was there before us, with somebody's site behind it: adopted, told by labels, and left as it was.

use std::time::Duration;

use chatalot_tests::{Journey, Output, Result, Sandbox, Vps, phase, says};

const SOON: Duration = Duration::from_secs(30);
const OVERRIDE: &str = "/srv/chatalot/docker-compose.override.yml";
/// What the operator had written for the site.
const MINE: &str = "# mine\nservices:\n  postgres:\n    shm_size: 128m # more\n";
/// The operator's Traefik, its certificates from the sandbox's authority, and a shop behind it: any web server, here
/// another copy of the same program, that answers `/ping`.
const BEFORE: &str = "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install docker.io docker-cli && \
    docker network create edge && docker pull -q registry.example.net/chatalot/traefik:3.7.15 && \
    docker tag registry.example.net/chatalot/traefik:3.7.15 traefik:v3.7.15 && docker tag traefik:v3.7.15 shop:1 && \
    docker run -d --name proxy --restart unless-stopped --network edge -p 80:80 -p 443:443 \
        -v /var/run/docker.sock:/var/run/docker.sock:ro -v /srv/acme:/acme -v /etc/ssl/certs/ca-certificates.crt:/ca.crt:ro \
        -e LEGO_CA_CERTIFICATES=/ca.crt traefik:v3.7.15 \
        --providers.docker=true --providers.docker.exposedbydefault=false --entrypoints.web.address=:80 \
        --entrypoints.secure.address=:443 --certificatesresolvers.le.acme.email=alice@example.com \
        --certificatesresolvers.le.acme.storage=/acme/acme.json --certificatesresolvers.le.acme.caserver=$ACME \
        --certificatesresolvers.le.acme.httpchallenge.entrypoint=web && \
    docker run -d --name shop --restart unless-stopped --network edge --label traefik.enable=true \
        --label 'traefik.http.routers.shop.rule=Host(`shop.example.org`)' --label traefik.http.routers.shop.entrypoints=web \
        --label traefik.http.services.shop.loadbalancer.server.port=8080 shop:1 --ping=true";

// coverage: real · Debian 13 · traefik · updater on
#[test]
fn f55_a_traefik_that_is_there_serves_the_site_beside_its_own_and_is_left_as_it_was() -> Result<()> {
    let sandbox = phase("sandbox", Sandbox::up)?;
    let journey = phase("controller, fresh vps, pasted line", || {
        Journey::joined(&sandbox, "traefik")
    })?;
    let vps = &journey.vps;
    phase("a Traefik with a site", || {
        vps.must(&format!("ACME={}; {BEFORE}", Sandbox::ACME))?;
        the_shop_is_served(vps)
    })?;
    let offered = journey.deploy(&[])?;
    assert_eq!(offered.code, 3, "{}{}", offered.stdout, offered.stderr);
    says(&offered, &["PROXY_ADOPTABLE", "--proxy traefik"]);

    phase("an authority that does not reach it", || {
        f56_a_certificate_that_is_refused_is_told_in_traefiks_own_words(&journey)
    })?;
    phase("deploy", || deploy(&journey))?.ok()?;
    phase("what is served", || {
        the_site_is_served_as_the_runbook_wants(&journey)
    })?;
    the_shop_is_served(vps)?;
    let before = written(vps)?;
    let again = phase("second deploy", || deploy(&journey))?.ok()?;
    assert_eq!(
        written(vps)?,
        before,
        "the second run wrote something:\n{}",
        again.stdout
    );

    phase("merged into what the operator wrote since", || {
        labels_are_merged(&journey)
    })?;
    phase("drift", || what_somebody_took_out_is_told_and_put_back(&journey))?;
    phase("an override that cannot be merged", || {
        f56_an_override_that_cannot_be_merged_is_told_and_stays(&journey)
    })?;
    phase("containers that do not come up", || {
        f56_containers_that_do_not_come_up_are_told_and_the_override_is_as_it_was(&journey)
    })?;
    phase("taken away", || {
        what_we_made_is_taken_away_and_nothing_else(&journey)
    })?;
    phase("a database without its `.env`", || {
        a_database_that_is_there_without_its_env_is_told(&journey)
    })?;
    phase("its data too", || {
        data_goes_where_root_allows_it_and_the_domain_is_typed(&journey)
    })
}

fn deploy(journey: &Journey) -> Result<Output> {
    journey.deploy(&["--proxy", "traefik"])
}

fn f56_a_certificate_that_is_refused_is_told_in_traefiks_own_words(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    let rule = "FORWARD -s 203.0.113.2 -p tcp -m conntrack --ctstate NEW -j REJECT --reject-with tcp-reset";
    vps.must(&format!("iptables -I {rule}"))?;
    let refused = deploy(journey)?;
    assert_eq!(refused.code, 3, "{}", refused.stdout);
    says(&refused, &["ACME_FAILED", "start Traefik anew", "acme: error:"]);
    vps.must(&format!("iptables -D {rule} && docker restart -t 1 proxy"))?;
    let served = format!("curl -sf -m 5 https://{}/api/health", journey.domain);
    vps.wait_for(&served, Duration::from_mins(1))
}

fn the_shop_is_served(vps: &Vps) -> Result<()> {
    let ask = "test \"$(curl -sf -m 10 -H 'Host: shop.example.org' http://127.0.0.1/ping)\" = OK";
    vps.wait_for(ask, SOON)
}

fn the_site_is_served_as_the_runbook_wants(journey: &Journey) -> Result<()> {
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    let site = format!("https://{}", journey.domain);
    let head = journey
        .vps
        .must(&format!("curl -sS -m 10 -D - -o /dev/null {site}/"))?
        .to_lowercase();
    assert!(
        head.contains("strict-transport-security: max-age=31536000"),
        "{head}"
    );
    let verified = journey.controller.ctl(&["verify", &journey.name])?.ok()?;
    says(
        &verified,
        &["101 at /ws, on the host and through the proxy", "Pebble"],
    );
    Ok(())
}

/// By the real compose, which the operator's own lines go through as they are.
fn labels_are_merged(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    let ours = String::from_utf8_lossy(&vps.read(OVERRIDE)?).into_owned();
    vps.must(&format!("rm {OVERRIDE}"))?;
    vps.write(OVERRIDE, MINE.as_bytes(), 0o644)?;
    vps.must("cd /srv/chatalot && docker compose up -d -t 1 chatalot")?;
    deploy(journey)?.ok()?;
    let merged = String::from_utf8_lossy(&vps.read(OVERRIDE)?).into_owned();
    assert!(merged.starts_with(MINE) && merged.len() > MINE.len(), "{merged}");
    assert!(!ours.contains("shm_size"), "{ours}");
    let networks = vps.must("docker inspect -f '{{json .NetworkSettings.Networks}}' chatalot-server")?;
    assert!(
        networks.contains("\"edge\"") && networks.contains("\"chatalot_default\""),
        "{networks}"
    );
    vps.must(
        "cd /srv/chatalot && docker compose config --quiet && test ! -e docker-compose.chatalot-agent.yml",
    )?;
    Ok(())
}

fn what_somebody_took_out_is_told_and_put_back(journey: &Journey) -> Result<()> {
    let drift = ["drift", journey.name.as_str()];
    journey.controller.ctl(&drift)?.ok()?;
    journey.vps.must(&format!(
        "cd /srv/chatalot && sed -i 's/{}/elsewhere.example.com/' {OVERRIDE} && docker compose up -d -t 1 chatalot",
        journey.domain
    ))?;
    let told = journey.controller.ctl(&drift)?;
    assert_eq!(told.code, 1, "{}{}", told.stdout, told.stderr);
    says(&told, &["docker-compose.override.yml", "reverse proxy"]);
    deploy(journey)?.ok()?;
    journey.controller.ctl(&drift)?.ok()?;
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    Ok(())
}

/// One that is not written line by line: nothing of it is changed.
fn f56_an_override_that_cannot_be_merged_is_told_and_stays(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    let text = "services: {postgres: {shm_size: 128m}}\n";
    vps.write(OVERRIDE, text.as_bytes(), 0o644)?;
    // Without our labels it is not served, so they are to be merged.
    vps.must("cd /srv/chatalot && docker compose up -d -t 1 chatalot")?;
    let failed = deploy(journey)?;
    assert_ne!(failed.code, 0, "{}", failed.stdout);
    says(&failed, &["OVERRIDE_UNREADABLE", "traefik.enable=true"]);
    assert_eq!(String::from_utf8_lossy(&vps.read(OVERRIDE)?), text);
    the_shop_is_served(vps)?;
    vps.write(OVERRIDE, MINE.as_bytes(), 0o644)?;
    deploy(journey)?.ok()?;
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    Ok(())
}

/// Compose takes it, and Docker does not.
fn f56_containers_that_do_not_come_up_are_told_and_the_override_is_as_it_was(
    journey: &Journey,
) -> Result<()> {
    let vps = &journey.vps;
    let text = "services:\n  chatalot:\n    devices: [\"/dev/nowhere:/dev/nowhere\"]\n";
    vps.write(OVERRIDE, MINE.as_bytes(), 0o644)?;
    vps.must("cd /srv/chatalot && docker compose up -d -t 1 chatalot")?;
    vps.write(OVERRIDE, text.as_bytes(), 0o644)?;
    let failed = deploy(journey)?;
    assert_ne!(failed.code, 0, "{}", failed.stdout);
    says(&failed, &["COMPOSE_UP_FAILED", "/dev/nowhere"]);
    assert_eq!(String::from_utf8_lossy(&vps.read(OVERRIDE)?), text);
    let told = journey.controller.ctl(&["diagnose", &journey.name])?;
    says(&told, &["COMPOSE_UP_FAILED"]);
    vps.write(OVERRIDE, MINE.as_bytes(), 0o644)?;
    deploy(journey)?.ok()?;
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    Ok(())
}

fn a_database_that_is_there_without_its_env_is_told(journey: &Journey) -> Result<()> {
    journey.vps.must("mv /srv/chatalot/.env /root/env")?;
    let refused = deploy(journey)?;
    assert_ne!(refused.code, 0, "{}", refused.stdout);
    says(&refused, &["DATABASE_WITHOUT_ENV"]);
    journey.vps.must("mv /root/env /srv/chatalot/.env")?;
    deploy(journey)?.ok()?;
    Ok(())
}

/// The database, `.env` and the secrets go once the policy of the host allows it and the domain is typed out.
fn data_goes_where_root_allows_it_and_the_domain_is_typed(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    let volumes = "docker volume ls -q | sort";
    vps.must("docker volume create theirs")?;
    let before = vps.must(volumes)?;
    let uninstall = |domain: &str| {
        let args = ["uninstall", &journey.name, "--yes", "--delete-data", domain];
        journey.controller.ctl(&args)
    };
    let forbidden = uninstall(&journey.domain)?;
    says(&forbidden, &["POLICY_VERB", "uninstall_with_data"]);
    vps.must(r#"sed -i 's/^verbs = .*/verbs = ["deploy", "uninstall_with_data"]/' /etc/chatalot-agent/policy.toml"#)?;
    let other = uninstall("shop.example.org")?;
    assert_ne!(other.code, 0, "{}", other.stdout);
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    assert_eq!(vps.must(volumes)?, before);

    uninstall(&journey.domain)?.ok()?;
    assert_eq!(vps.must(volumes)?.trim(), "theirs");
    assert_eq!(
        vps.must("ls -A /srv/chatalot")?.trim(),
        "docker-compose.override.yml"
    );
    assert_eq!(String::from_utf8_lossy(&vps.read(OVERRIDE)?), MINE);
    the_shop_is_served(vps)
}

/// Traefik, the shop and the operator's lines stay.
fn what_we_made_is_taken_away_and_nothing_else(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    let before = vps.must("docker inspect -f '{{.Id}} {{.State.StartedAt}}' proxy shop")?;
    journey
        .controller
        .ctl(&["uninstall", &journey.name, "--yes"])?
        .ok()?;
    assert_eq!(
        vps.must("docker inspect -f '{{.Id}} {{.State.StartedAt}}' proxy shop")?,
        before
    );
    assert_eq!(
        vps.must("docker ps -a --format '{{.Names}}' | sort")?,
        "proxy\nshop\n"
    );
    the_shop_is_served(vps)?;
    assert_eq!(String::from_utf8_lossy(&vps.read(OVERRIDE)?), MINE);
    Ok(())
}

/// What a deployment may have written, outside the agent's own folders.
fn written(vps: &Vps) -> Result<String> {
    vps.must(
        "find /srv/chatalot -type f -not -path '*/.git/*' -exec sha256sum {} + | sort; docker ps --format '{{.ID}} {{.Image}}' | sort",
    )
}
