//! Who may come in.

use super::*;
use std::process::{Command, Output};

/// Somebody else on this host who asks, however open the way to the socket has become.
fn visit(socket: &Path, uid: &str) -> Output {
    Command::new("setpriv")
        .args([&format!("--reuid={uid}"), "--clear-groups", "curl", "--silent"])
        .args(["--max-time", "10", "--unix-socket"])
        .arg(socket)
        .args(["--data", "{\"ask\":\"ping\"}", "http://agent/v1/ask"])
        .output()
        .unwrap()
}

#[tokio::test]
async fn f62_another_user_on_the_host_is_refused_even_where_the_socket_stands_open() {
    assert!(geteuid().is_root(), "only root can stand for others");
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let listener = bind(&socket).unwrap();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let stop = CancellationToken::new();
    tokio::spawn(serve(
        listener,
        watch::tests::service(folder.path()),
        stop.clone(),
    ));
    let ask = async |uid: &'static str| {
        let socket = socket.clone();
        tokio::task::spawn_blocking(move || visit(&socket, uid))
            .await
            .unwrap()
    };
    // 7: could not connect.
    assert_eq!(ask("1000").await.status.code(), Some(7));
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    let other = ask("1000").await;
    assert!(!other.status.success() && other.stdout.is_empty(), "{other:?}");
    let root = ask("0").await;
    assert_eq!(
        String::from_utf8_lossy(&root.stdout),
        "{\"answer\":\"pong\"}",
        "{root:?}"
    );
    stop.cancel();
}

#[tokio::test]
async fn f62_a_socket_is_not_bound_where_somebody_else_could_exchange_it() {
    let here = tempfile::tempdir().unwrap();
    let (real, link) = (here.path().join("real"), here.path().join("link"));
    fs::create_dir(&real).unwrap();
    let refused = |folder: &Path| {
        let bound = bind(&folder.join("agent.sock"));
        bound.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    };
    for mode in [0o777, 0o770, 0o1777] {
        fs::set_permissions(&real, Permissions::from_mode(mode)).unwrap();
        assert!(refused(&real), "{mode:o}");
    }
    fs::set_permissions(&real, Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    assert!(refused(&link));
    std::os::unix::fs::chown(&real, Some(1000), None).unwrap();
    assert!(refused(&real));
    std::os::unix::fs::chown(&real, Some(0), None).unwrap();
    // A link in the socket's own place is replaced, and what it leads to is left alone.
    let victim = here.path().join("victim");
    fs::write(&victim, "kept").unwrap();
    std::os::unix::fs::symlink(&victim, real.join("agent.sock")).unwrap();
    let listener = bind(&real.join("agent.sock")).unwrap();
    drop(listener);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
    assert_eq!(fs::metadata(&victim).unwrap().permissions().mode() & 0o777, 0o644);
}
