//! What disks do: fill up, lose a sync, flip a bit; and what happens when there is nothing left to open.

use crate::agent::{Agent, event, joined, resumed};
use crate::world::{World, config, exchange};
use chatalot_protocol::message::{ToAgent, ToController};
use chatalot_protocol::names::DeploymentId;
use chatalotctl::centre::Centre;
use chatalotctl::clock::now_ms;
use chatalotctl::store::{Store, StoreError, old};
use hyper::StatusCode;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use uuid::Uuid;

#[tokio::test]
async fn f46_on_a_full_disk_a_session_stays_up_acknowledges_nothing_and_goes_on_when_there_is_room() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (mut agent, session) = Agent::pipe(&world, peer);
    agent.greet(Uuid::new_v4()).await;
    pages(&world, "(SELECT page_count FROM pragma_page_count())").await;
    let large = "x".repeat(200_000);
    agent
        .events(vec![event(1, DeploymentId::fresh(), resumed(&large))])
        .await;
    for n in 0..20 {
        agent.say(&ToController::Ping { n }).await;
        assert_eq!(
            agent.hear().await,
            Some(ToAgent::Pong { n }),
            "alive, and no word of the event"
        );
    }
    // What needs no room works, and what does says so.
    assert_eq!(
        world.get::<serde_json::Value>("/v1/hosts").await.0,
        StatusCode::OK
    );
    pages(&world, "1073741823").await;
    agent.hear_acked(1).await;
    drop(agent);
    session.await.unwrap().unwrap();
    let whole = world.centre.store.read(|c| {
        Ok::<_, StoreError>(c.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))?)
    });
    assert_eq!(whole.await.unwrap(), "ok");
}

/// Lets the database grow to so many pages and no further.
async fn pages(world: &World, most: &'static str) {
    let set = world.centre.store.write(move |c| {
        let most: i64 = c.query_row(&format!("SELECT {most}"), [], |row| row.get(0))?;
        c.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(()))?;
        Ok::<_, StoreError>(())
    });
    set.await.unwrap();
}

/// `chatalotctl serve` as a process of its own, started through another program that does something to it.
struct Served {
    child: Child,
    socket: std::path::PathBuf,
}

impl Served {
    fn start(through: &[&str], state: &Path, listen: SocketAddr) -> Self {
        let mut words: Vec<String> = through.iter().map(ToString::to_string).collect();
        words.push(env!("CARGO_BIN_EXE_chatalotctl").to_owned());
        let state_text = state.display().to_string();
        words.extend(["serve", "--state", &state_text, "--listen", &listen.to_string()].map(str::to_owned));
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            child,
            socket: chatalotctl::config::socket_in(state),
        }
    }

    /// A command, once there is somebody to take it; nothing where the process has ended.
    async fn command(&mut self, method: &str, path: &str, body: &str) -> Option<StatusCode> {
        loop {
            if let Ok(stream) = UnixStream::connect(&self.socket).await {
                return try_exchange(stream, method, path, body).await;
            }
            if self.child.try_wait().unwrap().is_some() {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn end(mut self) {
        if let Some(id) = self.child.id() {
            // What runs it through itself does not always pass a signal on.
            let list = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
            let ids = list
                .split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<i32>>();
            let ids = if ids.is_empty() {
                vec![i32::try_from(id).unwrap()]
            } else {
                ids
            };
            for id in ids {
                // It may have ended by itself.
                let _ =
                    nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM);
            }
        }
        self.child.wait().await.unwrap();
    }
}

async fn try_exchange(stream: UnixStream, method: &str, path: &str, body: &str) -> Option<StatusCode> {
    let asked = tokio::spawn({
        let (method, path, body) = (method.to_owned(), path.to_owned(), body.as_bytes().to_vec());
        async move { exchange(stream, &method, &path, body).await.0 }
    });
    asked.await.ok()
}

fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn f48_a_sync_that_fails_once_ends_the_process_and_what_was_not_stored_was_not_promised() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    Served::start(&[], &state, free_port()).command_once().await;
    let mut ended = 0;
    for nth in 1..=6 {
        let inject = format!("inject=fsync,fdatasync:error=EIO:when={nth}");
        let through = [
            "strace",
            "-f",
            "-qq",
            "-e",
            "trace=fsync,fdatasync",
            "-e",
            &inject,
            "-o",
            "/dev/null",
        ];
        let mut served = Served::start(&through, &state, free_port());
        let (mut promised, mut broke_off) = (Vec::new(), false);
        for number in 0..4 {
            let name = format!("n{nth}-{number}");
            let body = format!(r#"{{"name":"{name}"}}"#);
            match served.command("POST", "/v1/hosts", &body).await {
                Some(StatusCode::CREATED) => promised.push(name),
                Some(_) => {}
                None => {
                    broke_off = true;
                    break;
                }
            }
        }
        if broke_off {
            // Whoever hangs up in the middle of an answer is at its end; what runs it through itself is the last to go.
            let gone = tokio::time::timeout(Duration::from_secs(10), served.child.wait()).await;
            ended += usize::from(gone.is_ok());
        }
        served.end().await;
        let store = Store::open(&state.join("controller.db")).unwrap();
        for name in promised {
            let found = store.read(move |c| chatalotctl::store::hosts::by_name(c, &name));
            assert!(found.await.unwrap().is_some(), "promised, at sync {nth}");
        }
    }
    assert!(ended > 0, "no sync that failed ended the process");
}

impl Served {
    async fn command_once(mut self) {
        assert_eq!(self.command("GET", "/v1/hosts", "").await, Some(StatusCode::OK));
        self.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f67_without_a_free_descriptor_strangers_wait_and_the_controller_lives() {
    let folder = tempfile::tempdir().unwrap();
    let (state, listen) = (folder.path().join("state"), free_port());
    let mut served = Served::start(&["prlimit", "--nofile=40"], &state, listen);
    assert_eq!(served.command("GET", "/v1/hosts", "").await, Some(StatusCode::OK));
    let mut strangers = Vec::new();
    for _ in 0..100 {
        strangers.push(TcpStream::connect(listen).await.unwrap());
    }
    drop(strangers);
    assert_eq!(served.command("GET", "/v1/hosts", "").await, Some(StatusCode::OK));
    assert!(served.child.try_wait().unwrap().is_none());
    served.end().await;
}

#[tokio::test]
async fn f51_a_database_with_flipped_bytes_is_refused_or_reads_as_it_was() {
    let world = World::start().await;
    world.add("chat-1").await;
    let folder = world.stop().await;
    let database = folder.path().join("state/controller.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    let whole = std::fs::read(&database).unwrap();
    let mut refused = 0;
    // The head, and then one byte in each piece of the first pages.
    for at in (0..100).chain((100..whole.len().min(40_960)).step_by(257)) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        let path = folder.path().join("flipped.db");
        for beside in ["flipped.db", "flipped.db-wal", "flipped.db-shm"] {
            let _ = std::fs::remove_file(folder.path().join(beside));
        }
        std::fs::write(&path, flipped).unwrap();
        refused += usize::from(Store::open(&path).is_err());
    }
    assert!(refused > 20, "{refused}");
    assert!(Store::open(&database).is_ok());
}

#[tokio::test]
async fn what_is_old_goes_except_the_latest_deployment_of_each_host() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (first, latest) = (DeploymentId::fresh(), DeploymentId::fresh());
    let old_ms = now_ms() - 3 * 86_400_000;
    let made = world.centre.store.write(move |c| {
        c.execute("INSERT INTO streams (id, host, epoch, last_seq) VALUES (7, ?1, x'00', 4)", [peer.host.0.as_bytes()])?;
        for (number, id) in [first, latest].iter().enumerate() {
            let at = old_ms + i64::try_from(number).unwrap();
            c.execute(
                "INSERT INTO deployments (id, host, domain, plan, requested_by, created_ms, not_after_ms, state, finished)
                 VALUES (?1, ?2, 'a.example', '', '', ?3, 0, 'succeeded', 1)",
                (id.0.as_bytes(), peer.host.0.as_bytes(), at),
            )?;
        }
        for (seq, id) in [(1, Some(first)), (2, Some(latest)), (3, None), (4, Some(first))] {
            let at = if seq == 4 { now_ms() } else { old_ms };
            c.execute(
                "INSERT INTO events (stream, seq, deployment, received_ms, body) VALUES (7, ?1, ?2, ?3, '{}')",
                (seq, id.map(|id| *id.0.as_bytes()), at),
            )?;
        }
        Ok::<_, StoreError>(())
    });
    made.await.unwrap();
    for id in [first, latest] {
        std::fs::create_dir_all(world.centre.config.state.join(format!("logs/{id}"))).unwrap();
    }
    assert!(world.centre.forget_old().await.unwrap());
    let left = world.centre.store.read(|c| {
        let mut statement = c.prepare("SELECT seq FROM events WHERE stream = 7 ORDER BY seq")?;
        let rows = statement.query_map([], |row| row.get::<_, i64>(0))?;
        Ok::<_, StoreError>(rows.collect::<Result<Vec<_>, _>>()?)
    });
    assert_eq!(left.await.unwrap(), [2, 4]);
    let logs = world.centre.logs.deployments();
    assert_eq!(logs, [latest]);
    let again = world
        .centre
        .store
        .write(move |c| old::forget_events(c, old_ms + 86_400_000))
        .await;
    assert_eq!(again.unwrap(), 0);
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_state_folder_that_others_could_enter_is_ours_alone_once_the_controller_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let state = config(folder.path()).state;
    std::fs::create_dir_all(&state).unwrap();
    let open = || std::fs::set_permissions(&state, Permissions::from_mode(0o755)).unwrap();
    open();
    let world = World::start_with(folder, |_| ()).await;
    assert_eq!(mode(&state), 0o700, "an empty one");
    open();
    let world = world.restart().await;
    assert_eq!(mode(&state), 0o700, "one with its database");
    drop(world);
}

#[tokio::test]
async fn a_folder_that_somebody_else_uses_is_left_as_it_is_and_no_controller_starts_there() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let state = config.state.clone();
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("somebodys"), "theirs").unwrap();
    for shared in [0o1777, 0o755, 0o710] {
        std::fs::set_permissions(&state, Permissions::from_mode(shared)).unwrap();
        let told = Centre::open(config.clone()).await.err().unwrap().to_string();
        let fix = format!("chmod 700 {}", state.display());
        assert!(told.contains("--state") && told.contains(&fix), "{told}");
        assert_eq!(mode(&state), shared);
        assert_eq!(
            std::fs::read_dir(&state).unwrap().count(),
            1,
            "nothing was put there"
        );
    }
    std::fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
    assert!(
        Centre::open(config).await.is_ok(),
        "it is a controller's own where it is made so"
    );
}
