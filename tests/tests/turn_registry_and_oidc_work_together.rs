//! Voice and video, a private registry and single sign-on at once, with Debian's coturn, docker-registry and nginx.

use std::time::Duration;

use chatalot_tests::{Journey, Output, Result, Sandbox, phase};

const SOON: Duration = Duration::from_mins(1);
const TOKEN: &str = "/root/registry-token";
const SECRET: &str = "/root/oidc-secret";
const ISSUER: &str = "https://id.example.net/o/chatalot/";

// coverage: real · Debian 13 · caddy · TURN, updater on, registry, OIDC
#[test]
fn turn_a_private_registry_and_single_sign_on_work_together() -> Result<()> {
    let sandbox = phase("sandbox", Sandbox::up)?;
    let journey = phase("joined", || Journey::joined(&sandbox, "options"))?;
    journey
        .vps
        .write(TOKEN, Sandbox::PRIVATE_REGISTRY.2.as_bytes(), 0o600)?;
    journey.vps.write(SECRET, b"oidc-client-s3cret", 0o600)?;

    phase("an issuer that is another one", || {
        refused(
            &deploy(&journey, "https://id.example.net/moved/", TOKEN)?,
            "OIDC_ISSUER_MISMATCH",
        );
        refused(
            &deploy(&journey, "https://id.example.net/nothing", TOKEN)?,
            "OIDC_NOT_FOUND",
        );
        assert_eq!(journey.vps.must("ls -A /srv")?, "", "something was installed");
        Ok(())
    })?;
    phase("a wrong token", || {
        journey.vps.write("/root/wrong-token", b"not-the-token", 0o600)?;
        refused(&deploy(&journey, ISSUER, "/root/wrong-token")?, "REGISTRY_DENIED");
        Ok(())
    })?;
    let deployed = phase("deploy", || deploy(&journey, ISSUER, TOKEN))?.ok()?;
    let relays = format!("relays at {}:49", journey.vps.address());
    assert!(deployed.stdout.contains(&relays), "{}", deployed.stdout);
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    phase("the updater's credentials", || {
        the_updater_gets_its_credentials_back(&journey)
    })?;
    phase("the TURN server", || turn_is_judged_by_what_it_does(&journey))
}

fn deploy(journey: &Journey, issuer: &str, token: &str) -> Result<Output> {
    let site = journey.site();
    let address = journey.vps.address().to_string();
    let mut argv = vec!["chatalot-agent", "deploy", "--yes"];
    argv.extend(site.iter().map(String::as_str));
    argv.extend(["--turn-external-ip", &address]);
    argv.extend([
        "--registry-user",
        Sandbox::PRIVATE_REGISTRY.1,
        "--registry-token-file",
        token,
    ]);
    argv.extend(["--oidc-issuer", issuer, "--oidc-client-id", "chatalot"]);
    argv.extend(["--oidc-client-secret-file", SECRET]);
    journey.vps.exec(&argv)
}

#[track_caller]
fn refused(output: &Output, code: &str) {
    let text = [output.stdout.as_str(), &output.stderr].concat();
    assert!(!output.is_ok() && text.contains(code), "no {code}:\n{text}");
}

/// The runbook's row: an empty `registry_creds` is filled and the updater started anew, by deploying again.
fn the_updater_gets_its_credentials_back(journey: &Journey) -> Result<()> {
    const FILE: &str = "/srv/chatalot/secrets/registry_creds";
    let started = "docker inspect -f '{{.State.StartedAt}}' chatalot-updater";
    let before = journey.vps.must(started)?;
    journey.vps.must(&format!(": >{FILE}"))?;
    deploy(journey, ISSUER, TOKEN)?.ok()?;
    let file = journey.vps.must(&format!("cat {FILE}"))?;
    let (server, user, token) = Sandbox::PRIVATE_REGISTRY;
    for word in [server, user, token] {
        assert!(file.contains(word), "no {word} in {FILE}");
    }
    assert_ne!(
        journey.vps.must(started)?,
        before,
        "the updater was not restarted"
    );
    let owner = journey.vps.must(&format!("stat -c '%u %a' {FILE}"))?;
    assert_eq!(owner.trim(), "999 600");
    Ok(())
}

/// Other credentials, TLS, one-to-one NAT: what `verify` says follows what coturn does.
fn turn_is_judged_by_what_it_does(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    vps.must("cd /srv/chatalot && cp secrets/turn_secret /root/ && printf other >secrets/turn_secret")?;
    says(journey, "TURN_CREDENTIALS")?;
    vps.must("cat /root/turn_secret >/srv/chatalot/secrets/turn_secret")?;

    let address = vps.address();
    let turn = |more: &str| {
        let command = format!(
            "exec turnserver -n --log-file=stdout --no-cli --realm=chatalot --min-port=49152 --max-port=49200 \
             --use-auth-secret --static-auth-secret=$$(cat /run/secrets/turn_secret) {more}"
        );
        let text = format!("services:\n  coturn:\n    command: [sh, -c, \"{command}\"]\n");
        vps.write(
            "/srv/chatalot/docker-compose.override.yml",
            text.as_bytes(),
            0o644,
        )?;
        vps.must("cd /srv/chatalot && docker compose up -d coturn")
    };
    vps.must(
        "cd /srv/chatalot/secrets && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
         -subj /CN=turn -keyout turn.key -out turn.crt 2>/dev/null",
    )?;
    turn(&format!(
        "--listening-ip={address} --cert=/run/secrets/turn.crt --pkey=/run/secrets/turn.key"
    ))?;
    says(journey, "over TLS 5349")?;

    // What chatalot's own command does behind NAT: it binds an address that the host does not have.
    turn("--no-tls --no-dtls --listening-ip=198.51.100.7")?;
    says(journey, "TURN_NOT_LISTENING")?;
    turn(&format!(
        "--no-tls --no-dtls --listening-ip={address} --min-port=60000 --max-port=60010"
    ))?;
    says(journey, "TURN_RELAY_RANGE")
}

/// Asks `verify` until it says this of the TURN server.
fn says(journey: &Journey, words: &str) -> Result<()> {
    let ask = format!("chatalot-agent verify 2>&1 | grep -F '{words}'");
    journey.vps.wait_for(&ask, SOON)
}
