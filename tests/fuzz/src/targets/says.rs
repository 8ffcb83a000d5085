//! A host of which everything is somebody else's word.

use super::parts;
use chatalot_agent::host::fake::{EngineState, FakeHost, World};
use chatalot_agent::host::{Container, Fetched, Output, Unit};
use chatalot_agent::runbook::chapters::handover::handover;
use chatalot_agent::runbook::diagnosis::{self, bundle, facts};
use chatalot_agent::runbook::distro::DISTROS;
use chatalot_agent::runbook::drift::{Baseline, drift};
use chatalot_agent::runbook::{ActCx, Cx, chapters, steps};
use chatalot_protocol::frame::MAX_CONTROL;
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::secret::Secret;
use chatalot_protocol::site::{Secrets, Site};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use tokio::runtime::Builder;

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
pub(super) static SITES: LazyLock<[(Site, Secrets); 4]> = LazyLock::new(|| {
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

pub(super) fn cx<'a>(host: &'a FakeHost, site: &'a Site) -> Cx<'a> {
    Cx {
        site,
        distro: &DISTROS[0],
        host,
        memory: &NOTHING,
        secret_tags: &NOTHING,
    }
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
        for path in FILES {
            world.put(path, file);
        }
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
