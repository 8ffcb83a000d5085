//! The command line from afar: the real program, over the one port, with a token that no process list shows.

use crate::agent::joined;
use crate::world::World;
use chatalotctl::access::Role;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `chatalotctl` as somebody with this home.
async fn run(home: &Path, args: &str, token: Option<&str>, input: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatalotctl"));
    command
        .args(args.split_whitespace())
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(token) = token {
        command.env("CHATALOTCTL_TOKEN", token);
    }
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads nothing may be over already.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let done = child.wait_with_output().await.unwrap();
    Ran {
        code: done.status.code(),
        out: String::from_utf8(done.stdout).unwrap(),
        err: String::from_utf8(done.stderr).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_work_from_afar_as_they_do_here() {
    let world = World::start().await;
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let token = world.token("alice", Role::Admin, json!({})).await;
    let there = format!("--controller {}", world.address);
    let here = format!("--socket {}", world.centre.config.socket().display());

    let none = run(home, &format!("whoami {there}"), None, "").await;
    assert_eq!(none.code, Some(2), "{}", none.err);
    let me = run(home, &format!("whoami {there} --output json"), Some(&token), "").await;
    let told: Value = serde_json::from_str(&me.out).unwrap();
    assert_eq!((me.code, &told["name"]), (Some(0), &json!("alice")), "{}", me.err);
    let root = run(home, &format!("whoami {here} --output json"), None, "").await;
    let told: Value = serde_json::from_str(&root.out).unwrap();
    assert!(
        told["identity"].as_str().unwrap().starts_with("local uid "),
        "{told}"
    );

    let added = run(
        home,
        &format!("host add chat-1 --label eu {there}"),
        Some(&token),
        "",
    )
    .await;
    assert!(
        added.code == Some(0) && added.out.contains("CHATALOT_JOIN="),
        "{}",
        added.err
    );
    for way in [&there, &here] {
        let listed = run(home, &format!("host list --output json {way}"), Some(&token), "").await;
        let listed: Value = serde_json::from_str(&listed.out).unwrap();
        assert_eq!(listed[0]["labels"], json!(["eu"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_checked_kept_and_forgotten() {
    let world = World::start().await;
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let token = world.token("bob", Role::Read, json!({})).await;
    let login = format!("login {}", world.address);
    let refused = run(home, &login, None, "hunter2\n").await;
    assert_eq!(refused.code, Some(2), "{}", refused.err);
    let kept = run(home, &login, None, &format!("{token}\n")).await;
    assert!(
        kept.code == Some(0) && kept.out.starts_with("bob (token "),
        "{}{}",
        kept.out,
        kept.err
    );
    let listed = run(home, "host list", None, "").await;
    assert_eq!(listed.code, Some(0), "{}", listed.err);
    // A role too small is a refusal with its advice, and its own exit code.
    let refused = run(home, "token list --output json", None, "").await;
    let told: Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!(
        (refused.code, &told["advice"][0]["code"]),
        (Some(4), &json!("NOT_ALLOWED"))
    );
    assert_eq!(run(home, "logout", None, "").await.code, Some(0));
    assert_eq!(
        std::fs::read_dir(home.join(".config/chatalotctl"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_to_no_other_controller() {
    let (ours, other) = (World::start().await, World::start().await);
    let home = tempfile::tempdir().unwrap();
    let token = ours.token("alice", Role::Admin, json!({})).await;
    let there = format!("whoami --controller {} --output json", other.address);
    let refused = run(home.path(), &there, Some(&token), "").await;
    let told: Value = serde_json::from_str(&refused.out).unwrap();
    let code = &told["advice"][0]["code"];
    assert_eq!(
        (refused.code, code),
        (Some(5), &json!("CONTROLLER_IS_ANOTHER")),
        "{}",
        refused.out
    );
    assert!(other.audit().await.is_empty(), "nothing was shown to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_approval_and_audit_are_told_as_people_read_them() {
    let world = World::start().await;
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let here = format!("--socket {}", world.centre.config.socket().display());
    let added = run(
        home,
        &format!("token add alice --role plan --ttl 30d {here}"),
        None,
        "",
    )
    .await;
    assert!(
        added.out.starts_with("cat1_") && added.out.lines().count() == 1,
        "{}",
        added.out
    );
    assert!(
        added.err.contains("alice may plan on every host until "),
        "{}",
        added.err
    );
    let listed = run(home, &format!("token list {here}"), None, "").await;
    assert!(listed.out.starts_with("TOKEN  ROLE  REACH"), "{}", listed.out);
    let audit = run(home, &format!("audit list {here}"), None, "").await;
    assert!(
        audit.out.contains("token.add") && audit.out.contains("done"),
        "{}",
        audit.out
    );
    let whole = run(home, &format!("audit verify {here}"), None, "").await;
    assert_eq!(
        (whole.code, whole.out.split(':').next()),
        (Some(0), Some("2")),
        "{}",
        whole.err
    );
    let cut = format!("audit verify --anchor 3:{} {here}", "0".repeat(64));
    let cut = run(home, &cut, None, "").await;
    assert!(cut.code == Some(1) && cut.err.contains("cut off"), "{}", cut.err);
    let none = run(home, &format!("approval list {here}"), None, "").await;
    assert!(
        none.code == Some(0) && none.err.contains("Nothing waits"),
        "{}",
        none.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_the_authority_is_rotated_and_rolled_back_by_command_and_nothing_happens_unasked() {
    let world = World::start().await;
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let here = format!("--socket {}", world.centre.config.socket().display());
    let ran = |args: &str| {
        let args = format!("ca {args} {here}");
        async move { run(home, &args, None, "").await }
    };
    let status = |ran: &Ran| -> Value { serde_json::from_str(&ran.out).unwrap() };
    let first = ran("status").await;
    assert!(
        first.out.starts_with("phase  standby\nroot   1 ("),
        "{}",
        first.out
    );
    let unasked = ran("rotate").await;
    assert_eq!(unasked.code, Some(2), "{}", unasked.err);
    assert!(unasked.err.contains("--yes"), "{}", unasked.err);
    assert_eq!(status(&ran("status --output json").await)["phase"], "standby");
    let published = ran("rotate --yes --output json").await;
    assert_eq!(status(&published)["phase"], "publish");
    // A host that has not heard of it.
    joined(&world, "chat-1").await;
    let told = ran("status").await;
    assert!(
        told.out.contains("\nnext   2 (") && told.out.contains("chat-1"),
        "{}",
        told.out
    );
    let refused = ran("rotate --yes").await;
    assert_eq!(refused.code, Some(4), "{}", refused.err);
    assert!(
        refused.err.contains("CA_HOSTS_BEHIND") && refused.err.contains("host revoke"),
        "{}",
        refused.err
    );
    let back = ran("rollback --yes --output json").await;
    assert_eq!(status(&back)["phase"], "standby");
    let again = ran("rollback --yes").await;
    assert_eq!(again.code, Some(4), "{}", again.err);
    let elsewhere = home.join("none");
    let none = run(
        home,
        &format!("ca replace --yes --state {}", elsewhere.display()),
        None,
        "",
    )
    .await;
    assert_eq!(none.code, Some(2), "{}", none.err);
}
