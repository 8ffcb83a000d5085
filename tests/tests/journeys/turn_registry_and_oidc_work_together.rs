//! Voice and video, a private registry and single sign-on at once, with Debian's coturn, docker-registry and nginx; and
//! no secret of it is left anywhere but where the installer has put it.

mod nowhere;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chatalot_tests::{Controller, Failed, Journey, Needles, Output, Result, Sandbox, Vps, phase};

const SOON: Duration = Duration::from_mins(1);
const TOKEN: &str = "/root/registry-token";
const SECRET: &str = "/root/oidc-secret";
/// With characters that look otherwise in a URL, in JSON and in base64.
const OIDC_SECRET: &str = "oidc-cl/ent+s3cret=7";
const ISSUER: &str = "https://id.example.net/o/chatalot/";

// coverage: real · Debian 13 · caddy · TURN, updater on, registry, OIDC, SSO only
#[test]
fn turn_a_private_registry_and_single_sign_on_work_together() -> Result<()> {
    let sandbox = phase("sandbox", Sandbox::up)?;
    let journey = phase("joined", || {
        let controller = Controller::start_overheard("options")?;
        Journey::joined_to(&sandbox, "options", Vps::fresh(&sandbox, "options")?, controller)
    })?;
    journey
        .vps
        .write(TOKEN, Sandbox::PRIVATE_REGISTRY.2.as_bytes(), 0o600)?;
    journey.vps.write(SECRET, OIDC_SECRET.as_bytes(), 0o600)?;

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
    nowhere::watch_processes(&journey.vps)?;
    let operator = Operator::elsewhere(&journey)?;
    let deployed = phase("deploy", || operator.deploys(&journey))?.ok()?;
    let relays = format!("relays at {}:49", journey.vps.address());
    assert!(deployed.stdout.contains(&relays), "{}", deployed.stdout);
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    phase("the updater's credentials", || {
        the_updater_gets_its_credentials_back(&journey)
    })?;
    phase("the TURN server", || turn_is_judged_by_what_it_does(&journey))?;
    phase("f59 the secrets", || {
        f59_no_secret_that_went_in_is_in_any_artefact(&journey, &operator, &deployed)
    })
}

/// Somebody with an API token who deploys from another machine, and the files with what is secret.
struct Operator {
    folder: PathBuf,
    token: String,
}

impl Operator {
    fn elsewhere(journey: &Journey) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("chatalot-operator-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(failed(&folder))?;
        let operator = Self {
            folder,
            token: journey
                .controller
                .ctl(&["token", "add", "alice", "--role", "admin"])?
                .ok()?
                .stdout
                .trim()
                .to_owned(),
        };
        operator.keeps("token", &operator.token)?;
        operator.keeps("registry", Sandbox::PRIVATE_REGISTRY.2)?;
        operator.keeps("oidc", OIDC_SECRET)?;
        Ok(operator)
    }

    fn keeps(&self, name: &str, secret: &str) -> Result<()> {
        let path = self.file(name);
        fs::write(&path, secret).map_err(failed(&path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed(&path))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn deploys(&self, journey: &Journey) -> Result<Output> {
        let [registry, oidc] = ["registry", "oidc"].map(|name| self.file(name).display().to_string());
        let (site, options) = (journey.site(), options(journey, ISSUER, &registry, &oidc));
        let mut args = vec!["deploy", journey.name.as_str(), "--yes", "--verbose"];
        args.extend(site.iter().chain(&options).map(String::as_str));
        self.asks(journey, &args)
    }

    fn asks(&self, journey: &Journey, args: &[&str]) -> Result<Output> {
        journey.controller.from_afar(&self.file("token"), args)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // There is nobody to tell.
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn f59_no_secret_that_went_in_is_in_any_artefact(
    journey: &Journey,
    operator: &Operator,
    deployed: &Output,
) -> Result<()> {
    let turn = journey.vps.must("cat /srv/chatalot/secrets/turn_secret")?;
    let there = Needles::default()
        .and("the registry token", Sandbox::PRIVATE_REGISTRY.2)
        .and("the OIDC client secret", OIDC_SECRET)
        .and("the TURN secret", turn.trim());
    // The search finds what is there.
    let site = journey
        .vps
        .sh("find /srv/chatalot -type f -exec cat {} +")?
        .ok()?;
    assert_eq!(there.found_in(&site.bytes), there.names());
    let join = journey
        .line
        .split_once("CHATALOT_JOIN=")
        .and_then(|(_, rest)| rest.split(' ').next());
    let join = join.unwrap_or_default();
    // A token is its secret; its pin and id are public.
    let secret = |token: &str| token.split('_').nth(3).unwrap_or_default().to_owned();
    let all = there
        .and("the join token", &secret(join))
        .and("the API token", &secret(&operator.token));

    let bundle = operator.file("bundle").display().to_string();
    let mut said = vec![deployed.stdout.clone(), deployed.stderr.clone()];
    for args in [
        &["status", &journey.name][..],
        &["handover", &journey.name],
        &["verify", &journey.name],
        &["diagnose", &journey.name],
        &["host", "show", &journey.name],
        &["audit", "list", "--last", "1000"],
        &["diagnose", &journey.name, "--bundle", &bundle],
    ] {
        let output = operator.asks(journey, &[&["--output", "json"], args].concat())?;
        // That something is wrong with the TURN server by now is an answer, too.
        assert!(
            matches!(output.code, 0 | 1 | 3),
            "{args:?}: {}{}",
            output.stdout,
            output.stderr
        );
        said.extend([output.stdout, output.stderr]);
    }
    said.push(fs::read_to_string(&bundle).map_err(failed(Path::new(&bundle)))?);
    said.push(journey.vps.must("chatalot-agent audit show --output json")?);
    nowhere::are_nowhere(journey, &all, &said)?;
    nowhere::no_core_is_dumped(&journey.vps)?;
    nowhere::the_policy_says_beforehand_what_it_would_let_be_done(journey, Sandbox::REPOSITORY)?;
    nowhere::the_host_is_closed(&journey.vps)
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Failed {
    let path = path.display().to_string();
    move |source| Failed::File { path, source }
}

/// What this journey asks for besides a site.
fn options(journey: &Journey, issuer: &str, token: &str, secret: &str) -> Vec<String> {
    let address = journey.vps.address().to_string();
    [
        "--turn-external-ip",
        &address,
        "--registry-user",
        Sandbox::PRIVATE_REGISTRY.1,
        "--registry-token-file",
        token,
        "--oidc-issuer",
        issuer,
        "--oidc-client-id",
        "chatalot",
        "--oidc-client-secret-file",
        secret,
        "--oidc-disable-password-login",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn deploy(journey: &Journey, issuer: &str, token: &str) -> Result<Output> {
    let (site, options) = (journey.site(), options(journey, issuer, token, SECRET));
    let mut argv = vec!["chatalot-agent", "deploy", "--yes"];
    argv.extend(site.iter().chain(&options).map(String::as_str));
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
