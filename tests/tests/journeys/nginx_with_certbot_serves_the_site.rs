//! Proxies that were there before us, on a host with a firewall. nginx: adopted rather than refused, a real certificate
//! by certbot from a real authority, renewed by the package's own means. Then a Caddy. What they served already stays as it
//! was.

use std::time::Duration;

use chatalot_tests::{Journey, Output, Result, Sandbox, Vps, phase};

const SOON: Duration = Duration::from_secs(30);
const SHOP: &str =
    "server {\n    listen 80;\n    server_name shop.example.org;\n    return 200 'the shop';\n}\n";

// coverage: real · Debian 13 · nginx · updater on
#[test]
fn f55_f56_an_nginx_that_is_there_serves_the_site_beside_its_own_with_a_certificate_that_is_renewed()
-> Result<()> {
    let sandbox = phase("sandbox", Sandbox::up)?;
    let journey = phase("controller, fresh vps, pasted line", || {
        Journey::joined(&sandbox, "nginx")
    })?;
    let vps = &journey.vps;
    phase("an nginx with a site, and ufw", || before_us(vps))?;

    let offered = journey.deploy(&[])?;
    let text = [offered.stdout.as_str(), &offered.stderr].concat();
    assert_eq!(offered.code, 3, "{text}");
    assert!(
        text.contains("PROXY_ADOPTABLE") && text.contains("--proxy nginx"),
        "{text}"
    );

    let deployed = phase("deploy", || deploy(&journey))?.ok()?;
    assert!(
        journey.public_health()?.contains("\"status\":\"ok\""),
        "{}",
        deployed.stdout
    );
    phase("what is served", || {
        the_site_is_served_as_the_runbook_wants(&journey)
    })?;
    assert_eq!(
        vps.must("curl -sf -m 10 -H 'Host: shop.example.org' http://127.0.0.1/")?,
        "the shop"
    );
    phase("renewal", || a_renewed_certificate_is_taken_up(&journey))?;

    let before = written(vps)?;
    let again = phase("second deploy", || deploy(&journey))?.ok()?;
    assert_eq!(
        written(vps)?,
        before,
        "the second run wrote something:\n{}",
        again.stdout
    );
    phase("drift", || {
        what_somebody_changed_is_told_until_it_is_mended(&journey)
    })?;
    phase("taken away", || {
        what_we_made_is_taken_away_and_nothing_else(&journey)
    })?;
    phase("a Caddy with a site instead", || {
        f55_a_caddy_that_is_there_serves_both(&journey)
    })?;
    phase("ufw, with nobody else behind it", || {
        what_ufw_was_told_is_taken_back(&journey)
    })?;
    phase("firewalld", || firewalld_is_opened_and_shut_again(&journey))
}

fn deploy(journey: &Journey) -> Result<Output> {
    journey.deploy(&["--proxy", "nginx"])
}

/// Only what the operator had let in gets in: the certificate needs the port that the agent has to open.
fn before_us(vps: &Vps) -> Result<()> {
    vps.must(
        "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install nginx-light ufw",
    )?;
    vps.write("/etc/nginx/sites-enabled/shop", SHOP.as_bytes(), 0o644)?;
    vps.must("systemctl reload nginx && ufw allow 22/tcp && ufw --force enable")?;
    Ok(())
}

fn the_site_is_served_as_the_runbook_wants(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    let site = format!("https://{}", journey.domain);
    let head = vps
        .must(&format!("curl -sS -m 10 -D - -o /dev/null --compressed {site}/"))?
        .to_lowercase();
    assert!(
        head.contains("strict-transport-security: max-age=31536000"),
        "{head}"
    );
    assert!(head.contains("server: nginx\r\n"), "{head}");
    let plain = vps.must(&format!(
        "curl -sS -m 10 -D - -o /dev/null http://{}/x",
        journey.domain
    ))?;
    assert!(
        plain.contains("301") && plain.contains(&format!("{site}/x")),
        "{plain}"
    );
    // A body of 100 MB comes through to chatalot, one of 120 MB does not.
    let upload = |megabytes: u32| {
        vps.must(&format!(
            "head -c {megabytes}M /dev/zero | curl -sS -m 60 -o /dev/null -w '%{{http_code}}' -H 'Expect:' --data-binary @- {site}/upload"
        ))
    };
    assert_ne!(upload(100)?, "413");
    assert_eq!(upload(120)?, "413");
    let rules = vps.must("ufw status")?;
    assert!(rules.contains("80/tcp") && rules.contains("443/tcp"), "{rules}");
    Ok(())
}

fn a_renewed_certificate_is_taken_up(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    vps.must("systemctl is-enabled certbot.timer && systemctl is-active certbot.timer")?;
    let serial = format!(
        "openssl s_client -connect 127.0.0.1:443 -servername {} </dev/null 2>/dev/null | openssl x509 -noout -serial",
        journey.domain
    );
    let first = vps.must(&serial)?;
    vps.must(&format!(
        "certbot renew --force-renewal --no-random-sleep-on-renew --cert-name {}",
        journey.domain
    ))?;
    vps.wait_for(&format!("test \"$({serial})\" != '{}'", first.trim()), SOON)?;
    Ok(())
}

/// By the effect: what differs from how the last good deployment left it, and nothing that does not.
fn what_somebody_changed_is_told_until_it_is_mended(journey: &Journey) -> Result<()> {
    let (vps, ctl) = (&journey.vps, &journey.controller);
    let drift = ["drift", journey.name.as_str()];
    ctl.ctl(&drift)?.ok()?;
    vps.must(
        "cd /srv/chatalot && echo 'services: {}' >docker-compose.override.yml && echo MINE=secret-word >>.env && \
         echo >>README.md && docker stop -t 1 chatalot-updater && rm /etc/nginx/conf.d/chatalot* && systemctl reload nginx",
    )?;
    let told = ctl.ctl(&drift)?;
    assert_eq!(told.code, 1, "{}{}", told.stdout, told.stderr);
    for thing in [
        "docker-compose.override.yml",
        ".env MINE",
        "local changes in the checkout",
        "container chatalot-updater",
        "reverse proxy",
    ] {
        assert!(told.stdout.contains(thing), "no `{thing}`:\n{}", told.stdout);
    }
    for thing in ["secret-word", ".env DB_PASSWORD", "image of"] {
        assert!(!told.stdout.contains(thing), "`{thing}`:\n{}", told.stdout);
    }
    vps.must(
        "cd /srv/chatalot && rm docker-compose.override.yml && sed -i /^MINE=/d .env && git checkout -q README.md && docker start chatalot-updater",
    )?;
    deploy(journey)?.ok()?;
    ctl.ctl(&drift)?.ok()?;
    Ok(())
}

/// The site of somebody else, a container of theirs, and what cannot be made again stay.
fn what_we_made_is_taken_away_and_nothing_else(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    let kept = "find /srv/chatalot/.env /srv/chatalot/secrets -type f -not -name '*.example' -exec sha256sum {} + | sort; \
                docker volume ls -q | sort";
    let before = vps.must(kept)?;
    vps.must(
        "docker run -d --name theirs \"$(docker inspect -f '{{.Image}}' chatalot-server)\" /chatalot-stand-in idle",
    )?;
    uninstalled(journey)?;
    assert_eq!(vps.must("docker ps -a --format '{{.Names}}'")?.trim(), "theirs");
    assert_eq!(vps.must(kept)?, before);
    vps.must("! grep -r chatalot /etc/nginx && test ! -e /srv/chatalot/docker-compose.yml")?;
    // certbot would ask for ever. Its timer is as the package has left it, and what the other site is reached by is open.
    vps.must(&format!(
        "test ! -e /etc/letsencrypt/live/{0} && test -z \"$(ls -A /etc/letsencrypt/renewal)\" && test ! -e /var/www/chatalot-acme \
         && systemctl is-enabled certbot.timer",
        journey.domain
    ))?;
    let rules = vps.must("ufw status")?;
    assert!(rules.contains("80/tcp") && rules.contains("443/tcp"), "{rules}");
    assert_eq!(
        vps.must("curl -sf -m 10 -H 'Host: shop.example.org' http://127.0.0.1/")?,
        "the shop"
    );
    let again = journey.controller.ctl(&["uninstall", &journey.name, "--yes"])?;
    assert_eq!(again.code, 4, "{}", again.stdout);
    assert!(again.stderr.contains("NOTHING_DEPLOYED"), "{}", again.stderr);
    vps.must("docker rm -f theirs")?;
    Ok(())
}

fn f55_a_caddy_that_is_there_serves_both(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    vps.must("systemctl disable --now nginx && DEBIAN_FRONTEND=noninteractive apt-get -q -y install caddy")?;
    let caddyfile = "# mine\nhttp://shop.example.org {\n\trespond \"the other shop\"\n}\n";
    vps.write("/etc/caddy/Caddyfile", caddyfile.as_bytes(), 0o644)?;
    vps.must("systemctl restart caddy")?;
    journey.deploy(&[])?.ok()?;
    let page = "curl -sf -m 10 -H 'Host: shop.example.org' http://127.0.0.1/";
    assert_eq!(vps.must(page)?, "the other shop");
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    let now = String::from_utf8_lossy(&vps.read("/etc/caddy/Caddyfile")?).into_owned();
    let added = now.strip_prefix(caddyfile);
    assert_eq!(added, Some("import /etc/caddy/conf.d/*.caddy\n"), "{now}");
    Ok(())
}

fn uninstalled(journey: &Journey) -> Result<()> {
    let uninstall = ["uninstall", journey.name.as_str(), "--yes"];
    journey.controller.ctl(&uninstall)?.ok()?;
    Ok(())
}

fn what_ufw_was_told_is_taken_back(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    vps.must("sed -i '/^http:/,/^}/d' /etc/caddy/Caddyfile && systemctl reload caddy")?;
    uninstalled(journey)?;
    let rules = vps.must("ufw status")?;
    assert!(rules.contains("22/tcp"), "{rules}");
    assert!(!rules.contains("80/tcp") && !rules.contains("443/tcp"), "{rules}");
    Ok(())
}

/// For now and for good, and neither once we are gone.
fn firewalld_is_opened_and_shut_again(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    vps.must(
        "ufw --force disable && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install firewalld \
         && systemctl enable --now firewalld && firewall-cmd --state && systemctl restart docker",
    )?;
    let open = "for how in --zone=public --permanent; do firewall-cmd $how --list-ports; done";
    let before = vps.must(open)?;
    assert!(!before.contains("443/tcp"), "{before}");
    journey.deploy(&[])?.ok()?;
    let opened = vps.must(open)?;
    assert_eq!(opened.matches("80/tcp").count(), 2, "{opened}");
    assert_eq!(opened.matches("443/tcp").count(), 2, "{opened}");
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    uninstalled(journey)?;
    assert_eq!(vps.must(open)?, before);
    // In the zone that the way to the world is in. One that was stopped since is changed for its next start.
    vps.must("firewall-cmd --permanent --zone=work --add-interface=eth0 && firewall-cmd --zone=work --change-interface=eth0")?;
    let open = "for how in '' --permanent; do firewall-cmd $how --zone=work --list-ports; done; firewall-cmd --zone=public --list-ports";
    let before = vps.must(open)?;
    journey.deploy(&[])?.ok()?;
    let opened = vps.must(open)?;
    assert_eq!(opened.matches("443/tcp").count(), 2, "{opened}");
    vps.must("systemctl stop firewalld && systemctl restart docker")?;
    uninstalled(journey)?;
    vps.must("systemctl start firewalld && firewall-cmd --state")?;
    assert_eq!(vps.must(open)?, before);
    Ok(())
}

/// What a deployment may have written, outside the agent's own folders.
fn written(vps: &Vps) -> Result<String> {
    vps.must(
        "find /etc/nginx /etc/letsencrypt /etc/ufw /srv/chatalot -type f -not -path '*/.git/*' -exec sha256sum {} + | sort; \
         docker ps --format '{{.ID}} {{.Image}}' | sort",
    )
}
