//! Every row of docs/diagnosis.md is provoked on the warm VPS, or says here where else it is shown, and how.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{LAYERS, admin, answers, front, refusals, stops};
use chatalot_tests::run;

/// How a cause is shown that is not provoked here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// With real parts, by another journey in the sandbox.
    Journey,
    /// With the host's clock set by the test.
    Clock,
    /// On a host made of maps.
    Maps,
}

/// The code, the way, and the test that shows it.
pub(crate) const ELSEWHERE: &[(&str, Way, &str)] = &[
    ("NOT_ROOT", Way::Journey, "nobody_is_told_to_be_root"),
    (
        "CLOCK_WRONG",
        Way::Clock,
        "f19_a_wrong_clock_is_named_with_its_error",
    ),
    (
        "PACKAGES_LOCKED",
        Way::Journey,
        "f39_a_held_rpm_lock_passes_by_itself",
    ),
    (
        "ENGINE_TOO_OLD",
        Way::Journey,
        "f52_an_engine_of_long_ago_is_not_used",
    ),
    (
        "REPOSITORY_UNREACHABLE",
        Way::Journey,
        "a_repository_out_of_reach_is_tried_for_a_while",
    ),
    (
        "REPOSITORY_REFUSED",
        Way::Journey,
        "a_repository_that_is_not_what_it_should_be",
    ),
    ("INSTALLER_HUNG", Way::Journey, "f43_a_silent_installer_is_ended"),
    ("SECRET_MISSING", Way::Maps, "a_missing_secret_is_asked_for"),
    (
        "OUTSIDE_PORT_SHUT",
        Way::Journey,
        "the_controller_tells_what_the_world_reaches_and_what_it_must_not",
    ),
    (
        "OUTSIDE_TURN_SHUT",
        Way::Journey,
        "the_controller_tells_what_the_world_reaches_and_what_it_must_not",
    ),
    (
        "TUNNEL_NAME_NONE",
        Way::Journey,
        "a_site_behind_a_tunnel_has_no_proxy_and_an_env_that_is_written_anew_loses_no_secret",
    ),
    (
        "TUNNEL_NAME_ELSEWHERE",
        Way::Journey,
        "a_site_behind_a_tunnel_has_no_proxy_and_an_env_that_is_written_anew_loses_no_secret",
    ),
    (
        "TUNNEL_NOT_CONNECTED",
        Way::Journey,
        "a_site_behind_a_tunnel_has_no_proxy_and_an_env_that_is_written_anew_loses_no_secret",
    ),
    (
        "TUNNEL_BAD_SERVICE",
        Way::Journey,
        "a_site_behind_a_tunnel_has_no_proxy_and_an_env_that_is_written_anew_loses_no_secret",
    ),
    (
        "TUNNEL_NO_HOSTNAME",
        Way::Journey,
        "a_site_behind_a_tunnel_has_no_proxy_and_an_env_that_is_written_anew_loses_no_secret",
    ),
    (
        "OUTSIDE_ELSEWHERE",
        Way::Journey,
        "the_controller_tells_what_the_world_reaches_and_what_it_must_not",
    ),
    (
        "OUTSIDE_WRONG_ANSWER",
        Way::Journey,
        "the_controller_tells_what_the_world_reaches_and_what_it_must_not",
    ),
    (
        "ACME_RATE_LIMITED",
        Way::Journey,
        "f56_a_staging_authority_is_asked_first_and_what_it_refuses_costs_nothing",
    ),
    (
        "SELINUX_DENIES",
        Way::Maps,
        "each_cause_stands_before_what_it_causes",
    ),
    (
        "SELINUX_REFUSED",
        Way::Maps,
        "an_selinux_that_takes_no_setting_is_told",
    ),
    (
        "STEP_KEEPS_FAILING",
        Way::Maps,
        "a_step_that_never_succeeds_is_given_up_after_so_many_attempts",
    ),
    (
        "OIDC_ISSUER_MISMATCH",
        Way::Journey,
        "turn_a_private_registry_and_single_sign_on_work_together",
    ),
    (
        "OIDC_NOT_FOUND",
        Way::Journey,
        "turn_a_private_registry_and_single_sign_on_work_together",
    ),
    (
        "TURN_CREDENTIALS",
        Way::Journey,
        "turn_a_private_registry_and_single_sign_on_work_together",
    ),
    (
        "TURN_RELAY_RANGE",
        Way::Journey,
        "turn_a_private_registry_and_single_sign_on_work_together",
    ),
    (
        "REPOSITORY_KEY_WRONG",
        Way::Journey,
        "a_debian_12_vps_ends_deployed_with_dockers_engine_and_survives_a_reboot",
    ),
    (
        "OIDC_UNREACHABLE",
        Way::Maps,
        "an_option_that_cannot_work_stops_before_anything_is_written",
    ),
    (
        "OIDC_NOT_DISCOVERY",
        Way::Maps,
        "an_option_that_cannot_work_stops_before_anything_is_written",
    ),
    (
        "OIDC_ENDPOINTS",
        Way::Maps,
        "an_option_that_cannot_work_stops_before_anything_is_written",
    ),
    (
        "TURN_IP_NOT_OURS",
        Way::Maps,
        "an_option_that_cannot_work_stops_before_anything_is_written",
    ),
    (
        "TURN_SECRET_MISSING",
        Way::Maps,
        "each_option_is_looked_at_by_its_effect",
    ),
    (
        "TURN_NO_RELAY",
        Way::Maps,
        "each_option_is_looked_at_by_its_effect",
    ),
    ("TURN_OPEN", Way::Maps, "each_option_is_looked_at_by_its_effect"),
    (
        "TURN_RELAY_ADDRESS",
        Way::Maps,
        "each_option_is_looked_at_by_its_effect",
    ),
    ("TURN_NO_TCP", Way::Maps, "each_option_is_looked_at_by_its_effect"),
    ("TURN_NO_TLS", Way::Maps, "each_option_is_looked_at_by_its_effect"),
    (
        "REGISTRY_UNREACHABLE",
        Way::Maps,
        "each_option_is_looked_at_by_its_effect",
    ),
    (
        "PODMAN_DOCKER",
        Way::Maps,
        "podman_under_dockers_name_is_recognised",
    ),
    (
        "KERNEL_REPLACED",
        Way::Maps,
        "a_kernel_that_was_replaced_under_the_engine_is_named",
    ),
    (
        "REPOSITORY_KEY_UNREACHABLE",
        Way::Maps,
        "a_key_that_cannot_be_fetched_is_tried_again",
    ),
    (
        "MIRROR_UNUSABLE",
        Way::Maps,
        "a_mirror_that_anybody_might_have_named_does_not_count",
    ),
    (
        "CONTAINERS_STAY",
        Way::Maps,
        "a_later_deployment_that_the_host_does_not_carry_out_says_what_to_do_by_hand",
    ),
    (
        "ENV_NOT_TAKEN_UP",
        Way::Maps,
        "a_later_deployment_that_the_host_does_not_carry_out_says_what_to_do_by_hand",
    ),
    (
        "UPDATER_NOT_RESTARTED",
        Way::Maps,
        "a_later_deployment_that_the_host_does_not_carry_out_says_what_to_do_by_hand",
    ),
    (
        "SECRETS_LOST",
        Way::Maps,
        "a_deployment_whose_secrets_are_gone_ends_and_says_so",
    ),
];

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every code that is provoked on the warm VPS, as often as it is.
fn provoked() -> Vec<&'static str> {
    let cases = LAYERS
        .iter()
        .flat_map(|(_, cases)| cases.iter())
        .map(|case| case.code);
    let names = front::NAMES.iter().map(|(code, ..)| *code);
    let refused = refusals::REFUSALS.iter().map(|(code, _)| *code);
    let answers = answers::ANSWERS.iter().map(|(code, _)| *code);
    cases
        .chain(names)
        .chain(refused)
        .chain(answers)
        .chain(stops::all().map(|stop| stop.code))
        .chain(admin::TOLD.iter().copied())
        .collect()
}

fn count<'a>(codes: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counted = BTreeMap::new();
    for code in codes {
        *counted.entry(code).or_default() += 1;
    }
    counted
}

#[test]
fn every_row_of_the_page_is_provoked_for_real_or_says_where_else_it_is_shown() {
    let page = fs::read_to_string(root().join("docs/diagnosis.md")).unwrap_or_default();
    let code = |line: &'_ str| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned());
    let rows: Vec<String> = page.lines().filter_map(code).collect();
    assert!(rows.len() > 90, "the page is read: {}", rows.len());
    let rows = count(rows.iter().map(String::as_str));
    let provoked = provoked();
    let shown = count(
        provoked
            .iter()
            .copied()
            .chain(ELSEWHERE.iter().map(|(code, ..)| *code)),
    );
    for (code, rows) in &rows {
        let shown = shown.get(code).copied().unwrap_or_default();
        assert!(
            shown >= *rows,
            "{code}: {rows} rows, shown {shown} times: add a case, or a line to ELSEWHERE"
        );
    }
    for code in shown.keys() {
        assert!(rows.contains_key(code), "{code} has no row");
    }
    let twice = ELSEWHERE
        .iter()
        .filter(|(code, ..)| provoked.contains(code) && rows.get(code) == Some(&1));
    assert_eq!(twice.count(), 0, "what is provoked here needs no other place");
}

#[test]
fn what_is_shown_elsewhere_is_shown_by_a_test_that_exists() {
    let output = run("git", &["-C", &root().to_string_lossy(), "ls-files", "*.rs"]);
    let files = output.map(|output| output.stdout).unwrap_or_default();
    let texts: Vec<String> = files
        .lines()
        .filter_map(|file| fs::read_to_string(root().join(file)).ok())
        .collect();
    for (code, _, test) in ELSEWHERE {
        let there = texts.iter().any(|text| text.contains(&format!("fn {test}(")));
        assert!(there, "{code}: no test {test}");
    }
}

#[test]
fn the_failures_of_the_runbook_are_provoked_on_the_warm_vps() {
    let seven = [
        ("INSTALLER_MISSING_FLAGS", "installer exits 2 with missing flags"),
        ("ENGINE_DOWN", "Docker daemon is not running"),
        ("CONTAINERS_DOWN", "nobody answers on 8080"),
        ("SECRET_FILE_MISSING", "os error 2"),
        ("FIREWALL_CLOSED", "TURN fails for remote clients"),
        ("TURN_ADDRESS_PRIVATE", "a private TURN_EXTERNAL_IP"),
        ("PROXY_BAD_GATEWAY", "502 through the proxy"),
        ("WEBSOCKET_NOT_FORWARDED", "no WebSocket upgrades"),
        ("UPDATER_REGISTRY_DENIED", "the updater's 401"),
    ];
    let provoked = provoked();
    for (code, what) in seven {
        assert!(provoked.contains(&code), "{what}: {code}");
    }
}

#[test]
fn faults_of_containers_ports_proxies_packages_and_disks_are_provoked_on_the_warm_vps() {
    // A kernel with SELinux, a controller, Let's Encrypt by its own names, another package manager.
    const BUT: &[&str] = &["SELINUX_", "OUTSIDE_", "ACME_RATE_LIMITED", "PACKAGES_LOCKED"];
    const LAYERS: &[&str] = &[
        "The containers",
        "The proxies and the host's firewall",
        "Proxy, certificate and public address",
    ];
    const CODES: &[&str] = &[
        "PACKAGE",
        "DISK_",
        "INODES_",
        "PORT_",
        "CONTAINER_",
        "APT_",
        "PROXY_",
    ];
    let page = fs::read_to_string(root().join("docs/diagnosis.md")).unwrap_or_default();
    let provoked = provoked();
    let (mut layer, mut rows) = ("", 0);
    for line in page.lines() {
        layer = line.strip_prefix("## ").unwrap_or(layer);
        let Some(code) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()) else {
            continue;
        };
        let begins = |words: &[&str]| words.iter().any(|word| code.starts_with(word));
        if begins(BUT) || !(LAYERS.contains(&layer) || begins(CODES)) {
            continue;
        }
        rows += 1;
        assert!(provoked.contains(&code), "{code}, of `{layer}`");
    }
    assert!(rows > 40, "the page is read: {rows}");
}
