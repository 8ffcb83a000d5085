//! What is read of a host: its files, its programs, its Engine.

use super::{parts, runtime, scratch, texts};
use chatalot_agent::host::fake::{EngineState, FakeHost, Outcome, World};
use chatalot_agent::host::linux::{Config, LinuxHost, reading};
use chatalot_agent::host::{Container, Fetched, Look, Output, Transport, Unit, plain_line};
use chatalot_agent::runbook::chapters::handover::handover;
use chatalot_agent::runbook::diagnosis::{self, bundle, facts};
use chatalot_agent::runbook::distro::{DISTROS, detect};
use chatalot_agent::runbook::drift::{Baseline, drift};
use chatalot_agent::runbook::proxies::traefik::{merge, proof};
use chatalot_agent::runbook::{ActCx, Cx, chapters, step, steps};
use chatalot_protocol::frame::MAX_CONTROL;
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::secret::Secret;
use chatalot_protocol::site::{Secrets, Site};
use futures_util::{FutureExt, StreamExt};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use tokio::net::UnixListener;
use tokio::runtime::{Builder, Runtime};

fn site(change: impl FnOnce(&mut Inputs)) -> (Site, Secrets) {
    let mut inputs = Inputs {
        domain: Some("chat.example.com".to_owned()),
        admin_username: Some("alice".to_owned()),
        ..Inputs::default()
    };
    change(&mut inputs);
    inputs.complete().unwrap()
}

/// One site a proxy, each with something else besides.
static SITES: LazyLock<[(Site, Secrets); 4]> = LazyLock::new(|| {
    [
        site(|_| ()),
        site(|inputs| {
            inputs.proxy = Some("nginx".to_owned());
            inputs.turn_external_ip = Some("203.0.113.42".to_owned());
            inputs.overwrite_env = Some(true);
        }),
        site(|inputs| {
            inputs.proxy = Some("traefik".to_owned());
            inputs.registry_user = Some("deploy-alice".to_owned());
            inputs.registry_token = Some(Secret::new("registry-token-1"));
            inputs.docker_group = Some("alice".to_owned());
        }),
        site(|inputs| {
            inputs.oidc_issuer = Some("https://auth.example.com/o/chatalot/".to_owned());
            inputs.oidc_client_id = Some("chatalot".to_owned());
            inputs.oidc_client_secret = Some(Secret::new("oidc-secret-1"));
            inputs.cloudflare_token = Some(Secret::new("tunnel-token-1"));
        }),
    ]
});

static NOTHING: BTreeMap<String, String> = BTreeMap::new();

fn cx<'a>(host: &'a FakeHost, site: &'a Site) -> Cx<'a> {
    Cx {
        site,
        distro: &DISTROS[0],
        host,
        memory: &NOTHING,
        secret_tags: &NOTHING,
    }
}

/// The heading, and what of the summary is believed.
const HEADING: &str = "Install complete.";
const ASKED: [(&str, &str); 5] = [
    ("public_url", "https://chat.example.com"),
    ("admin_username", "alice"),
    ("registration_mode", "invite_only"),
    ("turn_enabled", "0"),
    ("updater_enabled", "1"),
];

/// Only a block at the very end counts, and only one that says what was asked for.
pub(super) fn installer_output(input: &[u8]) {
    let [text] = texts(input);
    let (site, secrets) = &SITES[0];
    let host = FakeHost::fresh(&DISTROS[0]);
    host.world(|world| world.installer.outcome = Outcome::Pretends(text.clone()));
    let act = ActCx {
        look: cx(&host, site),
        host: &host,
        secrets,
    };
    let run = step("install.run").unwrap();
    let Ok(applied) = run
        .apply(&act)
        .now_or_never()
        .expect("a host of maps answers at once")
    else {
        return;
    };
    let lines: Vec<String> = text.lines().map(plain_line).collect();
    let heading = lines
        .iter()
        .rposition(|line| line == HEADING)
        .expect("a heading on a line of its own");
    let block: Vec<&String> = lines[heading + 1..]
        .iter()
        .take_while(|line| line.contains('=') && !line.starts_with(' '))
        .collect();
    for (key, value) in ASKED {
        assert!(
            block
                .iter()
                .any(|line| line.split_once('=') == Some((key, value))),
            "{key}"
        );
        assert_eq!(
            applied
                .remember
                .get(&format!("installer.{key}"))
                .map(String::as_str),
            Some(value)
        );
    }
    let after = &lines[heading + 1 + block.len()..];
    assert!(
        after
            .iter()
            .all(|line| line.is_empty() || line.starts_with(' ') || line == "Next:")
    );
}

/// Each reader of the host's own files and tables, given the same text.
pub(super) fn files(input: &[u8]) {
    let [text] = texts(input);
    let system = reading::os_release(&text);
    let words = [&system.id, &system.version, &system.codename, &system.pretty];
    assert!(
        !words
            .iter()
            .any(|word| word.contains(|c: char| c.is_control() && c != '\t'))
    );
    let _ = detect(&system);
    let home = reading::home(&text);
    assert!(
        home.unit
            .is_none_or(|unit| unit.ends_with(".service") && !unit.contains(char::is_control))
    );
    assert!(home.container.is_none_or(|id| id.len() == 64));
    assert!(reading::resolvers(&text).len() <= 3);
    let _ = reading::hosts(&text, "chat.example.com");
    let _ = reading::unit(&text);
    let _ = reading::is_writable(&text, Path::new("/srv/chatalot"));
    for line in text.lines() {
        let _ = (
            reading::listener(line, Transport::Tcp, 443),
            reading::listener(line, Transport::Udp, 3478),
        );
    }
    let mut found = Vec::new();
    let _ = reading::collect(input, 443, &mut found);
    assert!(found.len() <= input.len() / 16, "a socket takes a message");
}

/// The paths that steps read.
const FILES: [&str; 13] = [
    "/srv/chatalot/.env",
    "/srv/chatalot/docker-compose.override.yml",
    "/srv/chatalot/scripts/install.sh",
    "/srv/chatalot/secrets/turn_secret",
    "/etc/caddy/Caddyfile",
    "/etc/nginx/nginx.conf",
    "/etc/nginx/conf.d/other.conf",
    "/etc/ufw/ufw.conf",
    "/etc/ufw/user.rules",
    "/etc/letsencrypt/live/chat.example.com/fullchain.pem",
    "/root/.docker/config.json",
    "/etc/crontab",
    "/srv/traefik.yml",
];
const PAGES: [&str; 4] = [
    "http://127.0.0.1:8080/api/health",
    "https://chat.example.com/api/health",
    "https://chat.example.com/",
    "https://auth.example.com/o/chatalot/.well-known/openid-configuration",
];

/// A host on which all that is looked at is somebody else's word: every step is checked and applied there, and what
/// it is like is put into words.
pub(super) fn says(input: &[u8]) {
    let Some((which, input)) = input.split_first() else {
        return;
    };
    let [file, output, page, container] = parts(input);
    let (site, secrets) = &SITES[usize::from(which % 4)];
    let host = FakeHost::fresh(&DISTROS[0]);
    host.world(|world| {
        FILES.iter().for_each(|path| world.put(path, file));
        let said = Output {
            code: i32::from(which / 4 % 3),
            stdout: String::from_utf8_lossy(output).into_owned(),
            stderr: String::from_utf8_lossy(file).into_owned(),
        };
        world.outputs.insert(String::new(), said);
        for url in PAGES {
            world.pages.insert(url.to_owned(), Ok(page_of(page)));
        }
        runs(world, &String::from_utf8_lossy(container));
    });
    // What waits for the host to get better gets no time at all.
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(everything(&host, site, secrets));
}

fn page_of(page: &[u8]) -> Fetched {
    Fetched {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: page.to_vec(),
        tls: None,
    }
}

/// The Engine runs, and containers in it that call themselves what they like.
fn runs(world: &mut World, words: &str) {
    world.engine = EngineState::Up;
    world.compose = Some("2.30.0".to_owned());
    for unit in [
        world.distro.engine_unit,
        "caddy.service",
        "nginx.service",
        "firewalld.service",
    ] {
        let unit_is = Unit {
            exists: true,
            active: true,
            enabled: true,
        };
        world.units.insert(unit.to_owned(), unit_is);
    }
    world
        .programs
        .extend(["docker", "git", "caddy", "nginx", "certbot", "ufw"].map(str::to_owned));
    let lines: Vec<String> = words.lines().map(str::to_owned).collect();
    let first = lines.first().cloned().unwrap_or_default();
    for (name, image) in [("chatalot-server", first.as_str()), ("traefik", "traefik:v3.6.1")] {
        let container = Container {
            name: name.to_owned(),
            service: name.trim_start_matches("chatalot-").replace("server", "chatalot"),
            folder: "/srv/chatalot".to_owned(),
            state: if first.len() % 2 == 0 {
                "running"
            } else {
                "restarting"
            }
            .to_owned(),
            image: image.to_owned(),
            version: first.clone(),
            command: lines.clone(),
            environment: lines.iter().map(|line| format!("TRAEFIK_{line}")).collect(),
            networks: lines.iter().take(3).cloned().collect(),
            mounts: vec![("/srv".to_owned(), "/etc/traefik".to_owned())],
            labels: lines
                .iter()
                .filter_map(|line| line.split_once('='))
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
            ..Container::default()
        };
        world.logs.insert(name.to_owned(), lines.clone());
        world.containers.insert(name.to_owned(), container);
    }
}

async fn everything(host: &FakeHost, site: &Site, secrets: &Secrets) {
    let look = cx(host, site);
    let undoing = chapters::uninstall::STEPS
        .iter()
        .chain(chapters::uninstall::WITH_DATA)
        .copied();
    for step in steps().chain(undoing).filter(|step| step.applies(site)) {
        let verdict = step.check(&look).await;
        if let Ok(Verdict::Blocked { advice }) = verdict {
            fits(&advice);
        }
    }
    let facts = facts::gather(&look, None).await;
    fits(&diagnosis::diagnose(&facts));
    let past = bundle::Past {
        events: &[],
        folder: Path::new("/var/lib/chatalot-agent/jobs"),
        streams: &[],
    };
    if let Ok(text) = bundle::text(&look, &facts, &past).await {
        for (name, secret) in secrets.present() {
            assert!(
                !text.contains(secret.expose()) || host.world(|world| told(world, secret)),
                "{name}"
            );
        }
        fits(&text);
    }
    if let Ok(then) = Baseline::now(&look, "salt").await {
        let back: Baseline = serde_json::from_str(&then.text()).expect("a baseline is read back");
        if let Ok(rows) = drift(&look, &back).await {
            assert!(rows.iter().all(|row| row.same), "nothing has changed: {rows:?}");
        }
    }
    if let Ok(handover) = handover(&look).await {
        fits(&handover);
    }
    let act = ActCx { look, host, secrets };
    for step in steps().filter(|step| step.applies(site)) {
        let _ = step.apply(&act).await;
    }
}

/// Whether the host itself says a secret: then it is the host's own words.
fn told(world: &World, secret: &Secret) -> bool {
    let said = world
        .files
        .values()
        .any(|text| String::from_utf8_lossy(text).contains(secret.expose()));
    said || format!("{:?}{:?}", world.outputs, world.containers).contains(secret.expose())
}

/// What is told has to go through a control message.
fn fits(value: &impl serde::Serialize) {
    let length = serde_json::to_vec(value).unwrap().len();
    assert!(length < MAX_CONTROL, "{length} bytes are too many for a message");
}

/// An override as people write it, then what compose makes of it before and after.
pub(super) fn compose_override(input: &[u8]) {
    let [text, before, after] = texts(input);
    let wanted = merge::Wanted {
        labels: vec![
            ("traefik.enable".to_owned(), "true".to_owned()),
            (
                "traefik.http.routers.chatalot.rule".to_owned(),
                "Host(`chat.example.com`)".to_owned(),
            ),
        ],
        network: Some(("edge".to_owned(), vec!["default".to_owned()])),
    };
    let without = merge::without(&text);
    assert!(
        without.len() <= text.len() + 1,
        "nothing is added where something is taken out"
    );
    if let Ok(merged) = merge::merge(&text, &wanted) {
        assert_eq!(
            merge::merge(&merged, &wanted).as_ref(),
            Ok(&merged),
            "a second time changes nothing"
        );
        for line in text.lines().filter(|line| line.trim_start().starts_with('#')) {
            assert!(merged.contains(line), "a comment of theirs stays: {line:?}");
        }
    }
    let configs = [before, after].map(|text| serde_json::from_str(&text).ok());
    if let [Some(before), Some(after)] = &configs {
        let _ = proof::networks(before);
        if proof::same_but(before, after, &wanted).is_ok() {
            assert_eq!(proof::has(after, &wanted), Ok(()));
        }
    }
}

struct Docker {
    runtime: Runtime,
    host: LinuxHost,
}

/// What the Engine says: its head, its containers, one of them, its log, its events.
static WORDS: Mutex<[Vec<u8>; 5]> = Mutex::new([const { Vec::new() }; 5]);

static DOCKER: LazyLock<Docker> = LazyLock::new(|| {
    let (runtime, socket) = (runtime(), scratch("engine").join("docker.sock"));
    let at: PathBuf = socket.clone();
    runtime.block_on(async move {
        let listener = UnixListener::bind(&at).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(engine_says));
                tokio::spawn(served);
            }
        });
    });
    let config = Config {
        docker_socket: socket,
        ..Config::default()
    };
    Docker {
        runtime,
        host: LinuxHost::new(config),
    }
});

async fn engine_says(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let [head, list, one, log, events] = WORDS.lock().unwrap().clone();
    let path = request.uri().path().to_owned();
    let reply = Response::builder();
    if path.ends_with("/_ping") {
        let head = String::from_utf8_lossy(&head).into_owned();
        let (version, api) = head.split_once(' ').unwrap_or(("26.1.5", "1.45"));
        let reply = reply
            .header("server", format!("Docker/{version}"))
            .header("api-version", api);
        return Ok(reply.body(Full::default()).unwrap_or_default());
    }
    let body = match path.rsplit('/').next().unwrap_or_default() {
        "json" if path.ends_with("/containers/json") => list,
        "json" => one,
        "logs" => log,
        "events" => events,
        _ => head,
    };
    Ok(reply
        .header("content-type", "application/json")
        .body(Full::from(body))
        .unwrap())
}

pub(super) fn open_engine() {
    LazyLock::force(&DOCKER);
}

pub(super) fn engine(input: &[u8]) {
    *WORDS.lock().unwrap() = parts(input).map(<[u8]>::to_vec);
    let Docker { runtime, host } = &*DOCKER;
    runtime.block_on(async {
        let _ = host.engine().await;
        for container in host.containers(Some("/srv/chatalot")).await.unwrap_or_default() {
            let words = [
                &container.name,
                &container.image,
                &container.service,
                &container.version,
            ];
            assert!(
                !words
                    .iter()
                    .any(|word| word.contains(|c: char| c.is_control() && c != '\t'))
            );
        }
        for line in host
            .container_log("chatalot-server", 50)
            .await
            .unwrap_or_default()
        {
            assert!(!line.contains(|c: char| c.is_control() && c != '\t'));
        }
        let mut events = std::pin::pin!(host.container_events());
        while let Some(Ok((name, action))) = events.next().await {
            assert!(
                ![name, action]
                    .concat()
                    .contains(|c: char| c.is_control() && c != '\t')
            );
        }
    });
}
