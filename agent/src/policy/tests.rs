use super::parse::LONGEST;
use super::*;
use crate::host::Owner;
use crate::host::fake::{FakeHost, World};
use crate::runbook::distro::DISTROS;
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::site::Site;
use chatalot_protocol::work::Work;

const ALL: &str = "enabled = true\nverbs = [\"deploy\"]\n";

fn site() -> Site {
    site_with(Inputs::default())
}

fn site_with(inputs: Inputs) -> Site {
    let inputs = Inputs {
        domain: inputs.domain.or(Some("chat.example.com".into())),
        admin_username: Some("alice".into()),
        ..inputs
    };
    inputs.complete().unwrap().0
}

fn judged(more: &str, site: &Site) -> Result<(), String> {
    let policy = Policy::parse(&format!("{ALL}{more}")).unwrap();
    policy.judge(site, 0).map_err(|advice| advice.code.into_owned())
}

fn effect(more: &str, packages: &[&'static str], minutes: u64) -> Result<(), String> {
    let policy = Policy::parse(&format!("{ALL}{more}")).unwrap();
    let effect = Effect {
        work: Work::Deploy,
        packages,
        repositories: &["docker"],
        running: Duration::from_secs(minutes * 60),
    };
    let judged = policy.judge_effect(&site(), effect, 0);
    judged.map_err(|advice| advice.code.into_owned())
}

#[test]
fn each_rule_refuses_what_it_does_not_name_and_names_itself() {
    let refused = |code: &str| Err(code.to_owned());
    assert_eq!(judged("", &site()), Ok(()));
    assert_eq!(judged("domains = []", &site()), refused("POLICY_DOMAIN"));
    assert_eq!(
        judged("domains = [\"other.example.com\"]", &site()),
        refused("POLICY_DOMAIN")
    );
    assert_eq!(judged("domains = [\"Chat.Example.com.\"]", &site()), Ok(()));
    assert_eq!(judged("git_remotes = []", &site()), refused("POLICY_GIT_REMOTE"));
    assert_eq!(judged("git_remotes = [\"*\"]", &site()), Ok(()));
    assert_eq!(judged("proxies = [\"none\"]", &site()), refused("POLICY_PROXY"));
    assert_eq!(judged("proxies = [\"caddy\"]", &site()), Ok(()));
    assert_eq!(
        judged("install_dir = \"/opt/apps\"", &site()),
        refused("POLICY_INSTALL_DIR")
    );
    assert_eq!(
        judged("install_dir = \"/srv/chat\"", &site()),
        refused("POLICY_INSTALL_DIR")
    );
    assert_eq!(judged("install_dir = \"/srv/chatalot\"", &site()), Ok(()));
    // The epoch began on a Thursday at midnight.
    assert_eq!(
        judged("windows = [\"fri 00:00-24:00\"]", &site()),
        refused("POLICY_WINDOW")
    );
    assert_eq!(judged("windows = [\"thu 00:00-00:01\"]", &site()), Ok(()));
    let docker = &["docker.io", "git"];
    assert_eq!(
        effect("packages = [\"git\"]", docker, 0),
        refused("POLICY_PACKAGES")
    );
    assert_eq!(effect("packages = [\"git\", \"docker.io\"]", docker, 0), Ok(()));
    assert_eq!(effect("packages = []", &[], 0), Ok(()));
    assert_eq!(
        effect("repositories = [\"caddy\"]", &[], 0),
        refused("POLICY_REPOSITORIES")
    );
    assert_eq!(effect("repositories = [\"docker\"]", &[], 0), Ok(()));
    assert_eq!(
        effect("max_runtime_minutes = 60", &[], 61),
        refused("POLICY_MAX_RUNTIME")
    );
    assert_eq!(effect("max_runtime_minutes = 60", &[], 60), Ok(()));
    assert_eq!(effect("domains = []", &[], 0), refused("POLICY_DOMAIN"));
    for (text, code, key) in [
        ("", "POLICY_DISABLED", "enabled"),
        (
            "enabled = false\nverbs = [\"deploy\"]",
            "POLICY_DISABLED",
            "enabled",
        ),
        ("enabled = true", "POLICY_VERB", "verbs"),
    ] {
        let advice = Policy::parse(text).unwrap().judge(&site(), 0).unwrap_err();
        assert_eq!(advice.code, code);
        assert!(advice.saw.contains(&format!("rule `{key}`")), "{advice}");
    }
}

#[test]
fn taking_away_and_deleting_data_are_words_of_their_own() {
    let refused = |code: &str| Err(code.to_owned());
    let judged = |verbs: &str, work: Work| {
        let policy = Policy::parse(&format!("enabled = true\nverbs = [{verbs}]\ndomains = []\n")).unwrap();
        policy
            .judge_work(&site(), work, 0)
            .map_err(|advice| advice.code.into_owned())
    };
    let like_a_deployment = judged("\"deploy\"", Work::Open);
    assert_eq!(
        like_a_deployment,
        refused("POLICY_DOMAIN"),
        "it is the end of one"
    );
    assert_eq!(judged("\"uninstall\"", Work::Open), refused("POLICY_VERB"));
    assert_eq!(judged("\"deploy\"", Work::Uninstall), refused("POLICY_VERB"));
    assert_eq!(judged("\"uninstall\"", Work::Uninstall), Ok(()));
    assert_eq!(
        judged("\"uninstall\"", Work::UninstallWithData),
        refused("POLICY_VERB")
    );
    assert_eq!(judged("\"uninstall_with_data\"", Work::UninstallWithData), Ok(()));
    assert_eq!(judged("\"uninstall\"", Work::Deploy), refused("POLICY_VERB"));
}

#[test]
fn without_a_list_of_remotes_only_chatalots_own_is_cloned() {
    let with = |remote: &str| {
        let repository = Some(remote.to_owned());
        judged(
            "",
            &site_with(Inputs {
                repository,
                ..Inputs::default()
            }),
        )
    };
    let own = parse::own_remote();
    assert_eq!(with(own), Ok(()));
    assert_eq!(with(own.strip_suffix(".git").unwrap()), Ok(()));
    for other in [
        "https://evil.example.com/chatalot.git",
        &format!("{own}/x"),
        &own.replace("https", "git"),
    ] {
        assert_eq!(with(other), Err("POLICY_GIT_REMOTE".to_owned()), "{other}");
    }
}

#[test]
fn f60_a_word_that_is_not_known_or_not_understood_refuses_everything() {
    for text in [
        "enabled = true\nverb = [\"deploy\"]",
        "enabled = \"true\"",
        "verbs = [\"deploy\", \"shell\"]",
        "domains = [\"chat.example.com/x\"]",
        "domains = [\"ch\u{430}t.example.com; rm\"]",
        "git_remotes = [\"ext::sh -c id\"]",
        "install_dir = \"/srv/../etc\"",
        "windows = [\"always\"]",
        "proxies = [\"apache\"]",
        "max_runtime_minutes = -1",
        "enabled = true\nenabled = true",
        "[enabled]",
        "\u{0}",
    ] {
        let advice = Policy::parse(text).unwrap_err();
        assert_eq!(advice.code, "POLICY_INVALID", "{text}");
        assert!(!advice.saw.contains('\u{0}'));
    }
}

#[test]
fn f60_a_policy_of_which_the_end_might_not_be_read_refuses_everything() {
    let text = |room: usize| format!("{ALL}{}\ndomains = []\n", "#".repeat(room));
    let spare = LONGEST - text(0).len();
    assert!(Policy::parse(&text(spare)).is_ok());
    let advice = Policy::parse(&text(spare + 1)).unwrap_err();
    assert_eq!(
        (&*advice.code, &*advice.saw),
        (
            "POLICY_TOO_LONG",
            "more than 64 KiB of policy: nothing may be changed"
        )
    );
}

#[test]
fn a_policy_that_cannot_be_read_is_told_with_the_line_to_mend() {
    for (text, line) in [
        ("= 1", "line 1:"),
        ("enabled = true\nverb = []", "line 2:"),
        ("# \u{e4}\n\n[[x", "line 3:"),
    ] {
        let advice = Policy::parse(text).unwrap_err();
        assert!(advice.saw.starts_with(line), "{}", advice.saw);
    }
}

#[tokio::test]
async fn f60_a_policy_that_is_missing_or_anybody_else_could_have_written_refuses_everything() {
    let code = async |change: fn(&mut World)| {
        let host = FakeHost::fresh(&DISTROS[0]);
        host.world(change);
        Policy::in_force(&host)
            .await
            .map_err(|advice| advice.code.into_owned())
    };
    let owner = |world: &mut World, path: &str, uid, mode| {
        world.owners.insert(path.into(), Owner { uid, mode });
    };
    assert!(code(|_| {}).await.is_ok());
    let is = |found: Result<Policy, String>, code: &str| assert_eq!(found, Err(code.to_owned()));
    is(code(|world| world.files.clear()).await, "POLICY_MISSING");
    is(
        code(|world| world.put(PATH, "enabled = ")).await,
        "POLICY_INVALID",
    );
    is(code(|world| world.put(PATH, [0xff])).await, "POLICY_INVALID");
    for (path, uid, mode) in [
        (PATH, 0, 0o666),
        (PATH, 0, 0o664),
        (PATH, 1000, 0o644),
        ("/etc/chatalot-agent", 0, 0o777),
        ("/etc/chatalot-agent", 1000, 0o755),
    ] {
        let host = FakeHost::fresh(&DISTROS[0]);
        host.world(|world| owner(world, path, uid, mode));
        let advice = Policy::in_force(&host).await.unwrap_err();
        assert_eq!(advice.code, "POLICY_UNSAFE", "{path} {uid} {mode:o}");
    }
}

#[test]
fn the_file_that_joining_writes_says_what_the_host_was_added_with() {
    let domains = ["chat.example.com".parse().unwrap()];
    let remotes = ["https://git.example.com/chatalot.git".to_owned()];
    let policy = |origin| Policy::parse(&written(origin)).unwrap();
    let joined = policy(Origin::Joining {
        domains: &domains,
        remotes: &remotes,
    });
    assert_eq!(joined.domains.as_deref(), Some(&domains[..]));
    assert_eq!(joined.remotes, Remotes::Only(remotes.to_vec()));
    let any = policy(Origin::Joining {
        domains: &[],
        remotes: &[],
    });
    assert_eq!(
        (any.domains.clone(), any.remotes.clone()),
        (None, Remotes::default())
    );
    assert!(any.judge(&site(), 0).is_ok());
    let alone = policy(Origin::Alone);
    assert_eq!(
        (alone.domains.clone(), alone.remotes.clone()),
        (None, Remotes::Any)
    );
    // What it only proposes is understood too.
    let text = written(Origin::Alone);
    let proposed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.contains(" = "))
        .collect();
    assert_eq!(proposed.len(), 7);
    let proposed = proposed.join("\n");
    let policy = Policy::parse(&proposed).unwrap();
    assert!(policy.windows.is_some() && policy.packages.is_some() && policy.repositories.is_some());
    assert!(alone.words().iter().any(|words| words.contains("from anywhere")));
    assert_eq!(
        Policy::default().words(),
        ["Nothing may be changed on this host."]
    );
}
