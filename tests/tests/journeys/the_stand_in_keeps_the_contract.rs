//! What the stand-in's installer refuses, and how: all of it before any effect, so it runs on this machine.

use chatalot_tests::{Output, run};

const NEW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stand-in/repo/scripts/install.sh");
const OLD: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/stand-in/repo-v0.17.0/scripts/install.sh"
);
const ENOUGH: [&str; 5] = [
    "--non-interactive",
    "--domain",
    "chat.example.com",
    "--admin-username",
    "alice",
];

#[test]
fn all_missing_flags_are_named_at_once_with_exit_2() {
    let said = install(&["--non-interactive"]);
    assert_eq!(said.code, 2);
    assert_eq!(
        said.stderr,
        "error: missing more flags: --domain --admin-username\n"
    );
}

#[test]
fn flags_that_belong_together_are_refused_alone() {
    for (flags, together) in [
        (vec!["--enable-turn"], "--enable-turn --turn-external-ip"),
        (
            vec!["--turn-external-ip", "203.0.113.42"],
            "--enable-turn --turn-external-ip",
        ),
        (
            vec!["--registry-user", "deploy"],
            "--registry-user --registry-token",
        ),
        (
            vec!["--oidc-issuer", "https://a.example", "--oidc-client-id", "b"],
            "--oidc-issuer --oidc-client-id --oidc-client-secret",
        ),
    ] {
        let said = install(&[&ENOUGH[..], &flags].concat());
        assert_eq!(
            (said.code, said.stderr),
            (2, format!("error: required together: {together}\n")),
            "{flags:?}"
        );
    }
}

#[test]
fn values_outside_their_set_and_unknown_flags_are_refused() {
    for flags in [
        &["--registration", "anybody"][..],
        &["--expose", "everything"],
        &["--expose", "named-tunnel"],
        &["--oidc-disable-password-login"],
        &["--frobnicate"],
        &["--expose"],
    ] {
        let said = install(&[&ENOUGH[..], flags].concat());
        assert_eq!(said.code, 2, "{flags:?}: {}", said.stderr);
    }
}

#[test]
fn help_lists_every_flag_of_the_runbook() {
    let said = install(&["--help"]);
    assert_eq!(said.code, 0);
    for flag in [
        "--non-interactive",
        "--domain",
        "--admin-username",
        "--registration",
        "--enable-turn",
        "--turn-external-ip",
        "--enable-updater",
        "--registry-user",
        "--registry-token",
        "--oidc-issuer",
        "--oidc-client-id",
        "--oidc-client-secret",
        "--oidc-disable-password-login",
        "--expose",
        "--cloudflare-token",
        "--overwrite-env",
        "--use-prebuilt",
    ] {
        assert!(said.stdout.contains(flag), "{flag}");
    }
}

#[test]
fn the_old_installer_only_prompts_and_gives_up_without_input() {
    let said = run("bash", &[OLD, "--non-interactive"]).unwrap();
    assert_eq!(said.code, 1);
    assert!(said.stdout.contains("Domain"), "{}", said.stdout);
}

fn install(flags: &[&str]) -> Output {
    #[expect(clippy::unwrap_used, reason = "a helper of the tests")]
    run("bash", &[&[NEW], flags].concat()).unwrap()
}
