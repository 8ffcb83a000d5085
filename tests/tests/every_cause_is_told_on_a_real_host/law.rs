//! Every row of docs/diagnosis.md is provoked on the warm VPS, or says here where else it is shown, and how.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{LAYERS, MORE, admin, front, refusals};
use chatalot_tests::run;

/// How a cause is shown that is not provoked here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// With real parts, by another journey in the sandbox.
    Journey,
    /// With the host's clock set by the test.
    Clock,
    /// By words that real programs have said.
    Words,
    /// On a host made of maps.
    Maps,
    /// By no test of its own: the row passes on what a step ended with.
    Unshown,
}

/// The code, the way, and the test that shows it.
pub(crate) const ELSEWHERE: &[(&str, Way, &str)] = &[
    (
        "DISTRO_UNSUPPORTED",
        Way::Maps,
        "f52_to_f57_a_deployment_stops_with_the_finding_that_fits",
    ),
    ("NOT_ROOT", Way::Journey, "nobody_is_told_to_be_root"),
    // A container under a full disk ends as on any other: by its log.
    ("DISK_FULL", Way::Maps, "each_cause_stands_before_what_it_causes"),
    (
        "CLOCK_WRONG",
        Way::Clock,
        "f19_a_wrong_clock_is_named_with_its_error",
    ),
    (
        "PACKAGES_BROKEN",
        Way::Maps,
        "how_the_last_deployment_ended_is_a_cause_until_the_next",
    ),
    (
        "TOOLS_MISSING",
        Way::Maps,
        "f52_to_f57_a_deployment_stops_with_the_finding_that_fits",
    ),
    ("APT_LOCKED", Way::Words, "f39_a_held_lock_passes_by_itself"),
    (
        "PACKAGES_UNREACHABLE",
        Way::Words,
        "a_network_that_is_away_passes_and_an_unknown_package_does_not",
    ),
    (
        "PACKAGE_UNKNOWN",
        Way::Words,
        "a_network_that_is_away_passes_and_an_unknown_package_does_not",
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
    (
        "REF_UNKNOWN",
        Way::Journey,
        "a_repository_that_is_not_what_it_should_be",
    ),
    ("CHECKOUT_DIRTY", Way::Maps, "local_changes_are_never_overwritten"),
    (
        "FOLDER_TAKEN",
        Way::Maps,
        "f52_to_f57_a_deployment_stops_with_the_finding_that_fits",
    ),
    (
        "REMOTE_DIFFERS",
        Way::Maps,
        "f52_to_f57_a_deployment_stops_with_the_finding_that_fits",
    ),
    (
        "INSTALLER_MISSING_FLAGS",
        Way::Journey,
        "an_exit_code_is_told_with_the_last_lines",
    ),
    (
        "INSTALLER_TOO_OLD",
        Way::Journey,
        "a_repository_that_is_not_what_it_should_be",
    ),
    ("INSTALLER_HUNG", Way::Journey, "f43_a_silent_installer_is_ended"),
    (
        "INSTALLER_KEPT_ENV",
        Way::Maps,
        "an_env_that_is_written_anew_on_request_loses_no_secret_and_leaves_a_copy",
    ),
    (
        "IMAGE_DAMAGED",
        Way::Words,
        "f53_a_registrys_refusals_are_told_apart",
    ),
    (
        "IMAGES_UNREACHABLE",
        Way::Words,
        "f53_a_registrys_refusals_are_told_apart",
    ),
    ("SECRET_MISSING", Way::Maps, "a_missing_secret_is_asked_for"),
    (
        "LOGIN_UNKNOWN",
        Way::Maps,
        "an_unknown_login_is_told_before_it_is_added",
    ),
    ("DOCKER_GROUP_FAILED", Way::Unshown, ""),
    (
        "DATABASE_WITHOUT_ENV",
        Way::Maps,
        "f52_to_f57_a_deployment_stops_with_the_finding_that_fits",
    ),
    (
        "SECRET_FILE_MISSING",
        Way::Words,
        "the_runbooks_own_failures_are_known",
    ),
    (
        "DNS_DISAGREE",
        Way::Maps,
        "f57_a_split_horizon_and_a_spreading_change_may_pass",
    ),
    (
        "ACME_RATE_LIMITED",
        Way::Words,
        "f56_a_refusal_is_read_from_the_journal",
    ),
    (
        "ACME_FAILED",
        Way::Journey,
        "f56_an_authority_that_cannot_reach_us_is_named",
    ),
    (
        "ACME_DIRECTORY_ODD",
        Way::Maps,
        "f61_an_address_that_caddy_would_fill_in_is_refused",
    ),
    (
        "CADDY_INVALID",
        Way::Maps,
        "f56_what_caddy_refuses_is_taken_out_again",
    ),
    (
        "CADDY_RELOAD_FAILED",
        Way::Journey,
        "f56_a_reload_that_hangs_is_given_up_and_taken_back",
    ),
    (
        "SELINUX_DENIES",
        Way::Maps,
        "each_cause_stands_before_what_it_causes",
    ),
    (
        "PUBLIC_NAME_UNKNOWN",
        Way::Maps,
        "f58_what_the_proxy_gets_wrong_is_told_by_its_layer",
    ),
    ("PROXY_ADOPTABLE", Way::Journey, "f55_a_port_of_somebody_else"),
    (
        "PROXY_DOMAIN_TAKEN",
        Way::Maps,
        "f55_a_domain_that_nginx_serves_from_elsewhere_is_named",
    ),
    (
        "FIREWALL_DENIES",
        Way::Maps,
        "f52_to_f57_a_deployment_stops_with_the_finding_that_fits",
    ),
    (
        "FIREWALL_REFUSED",
        Way::Maps,
        "f52_to_f57_a_deployment_stops_with_the_finding_that_fits",
    ),
    ("SELINUX_REFUSED", Way::Unshown, ""),
    ("ACME_DIRECTORY_UNTRUSTED", Way::Unshown, ""),
    (
        "CERTBOT_FAILED",
        Way::Maps,
        "f56_what_certbot_could_not_get_is_explained",
    ),
    ("CERTBOT_TIMER_FAILED", Way::Unshown, ""),
    (
        "NGINX_INVALID",
        Way::Maps,
        "f56_what_nginx_refuses_is_taken_out_again",
    ),
    (
        "NGINX_WITHOUT_CONF_D",
        Way::Maps,
        "a_main_file_is_asked_whether_it_reads_our_folder",
    ),
    (
        "NGINX_RELOAD_FAILED",
        Way::Maps,
        "f56_what_nginx_refuses_is_taken_out_again",
    ),
    (
        "TRAEFIK_NOT_RUNNING",
        Way::Maps,
        "a_traefik_that_cannot_serve_the_site_is_told_before_anything_is_done",
    ),
    ("TRAEFIK_WITHOUT_DOCKER", Way::Maps, "what_it_lacks_is_named"),
    ("TRAEFIK_WITHOUT_HTTPS", Way::Maps, "what_it_lacks_is_named"),
    ("TRAEFIK_ON_BRIDGE", Way::Maps, "what_it_lacks_is_named"),
    (
        "TRAEFIK_ENGINE_MISMATCH",
        Way::Maps,
        "a_traefik_that_cannot_talk_to_the_engine_is_named",
    ),
    ("TRAEFIK_WITHOUT_RESOLVER", Way::Maps, "what_it_lacks_is_named"),
    (
        "OVERRIDE_UNREADABLE",
        Way::Maps,
        "f56_an_override_that_compose_refuses_is_as_it_was",
    ),
    ("COMPOSE_INVALID", Way::Unshown, ""),
    (
        "COMPOSE_UP_FAILED",
        Way::Maps,
        "f56_an_override_that_compose_refuses_is_as_it_was",
    ),
    (
        "HEALTH_NO_ANSWER",
        Way::Maps,
        "f58_each_probe_finds_what_is_spoilt_on_a_deployed_host",
    ),
    ("HEALTH_SLOW", Way::Maps, "f58_a_slow_answer_is_told_from_none"),
    ("HEALTH_STATUS", Way::Maps, "f58_only_the_right_body_is_health"),
    (
        "HEALTH_NOT_CHATALOT",
        Way::Maps,
        "f58_only_the_right_body_is_health",
    ),
    (
        "HEALTH_DB_DOWN",
        Way::Journey,
        "f58_a_database_that_is_down_changes_the_level_and_back",
    ),
    ("HEALTH_DEGRADED", Way::Maps, "f58_only_the_right_body_is_health"),
    (
        "WEBSOCKET_REFUSED",
        Way::Maps,
        "f58_each_probe_finds_what_is_spoilt_on_a_deployed_host",
    ),
    (
        "PROXY_NO_ANSWER",
        Way::Maps,
        "f58_what_the_proxy_gets_wrong_is_told_by_its_layer",
    ),
    (
        "PROXY_NOT_SERVING",
        Way::Journey,
        "f56_a_broken_proxy_is_not_taken_for_chatalot",
    ),
    (
        "INSTALLER_FAILED",
        Way::Journey,
        "an_exit_code_is_told_with_the_last_lines",
    ),
    (
        "INSTALLER_NO_SUMMARY",
        Way::Journey,
        "f44_success_without_the_closing_block_is_none",
    ),
    (
        "INSTALLER_MISMATCH",
        Way::Words,
        "every_value_is_compared_with_what_was_asked",
    ),
    (
        "CHECKOUT_FAILED",
        Way::Words,
        "a_repository_out_of_reach_passes_and_one_that_refuses_does_not",
    ),
    ("PACKAGES_FAILED", Way::Unshown, ""),
    ("STEP_DID_NOT_FINISH", Way::Unshown, ""),
    ("STEP_HAD_NO_EFFECT", Way::Unshown, ""),
    ("STEP_KEEPS_FAILING", Way::Unshown, ""),
    ("HOST_DID_NOT_ANSWER", Way::Unshown, ""),
];

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every code that is provoked on the warm VPS, as often as it is.
fn provoked() -> Vec<&'static str> {
    let cases = LAYERS
        .iter()
        .chain(MORE)
        .flat_map(|(_, cases)| cases.iter())
        .map(|case| case.code);
    let names = front::NAMES.iter().map(|(code, ..)| *code);
    let refused = refusals::REFUSALS.iter().map(|(code, _)| *code);
    cases
        .chain(names)
        .chain(refused)
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
    for (code, way, test) in ELSEWHERE {
        let there = texts.iter().any(|text| text.contains(&format!("fn {test}(")));
        assert!(there || *way == Way::Unshown, "{code}: no test {test}");
        assert_eq!(*way == Way::Unshown, test.is_empty(), "{code}");
    }
}

#[test]
fn the_failures_of_the_runbook_are_provoked_for_real() {
    let seven = [
        ("INSTALLER_MISSING_FLAGS", "installer exits 2 with missing flags"),
        ("ENGINE_DOWN", "Docker daemon is not running"),
        ("CONTAINERS_DOWN", "nobody answers on 8080"),
        ("SECRET_FILE_MISSING", "os error 2"),
        ("TURN_NOT_LISTENING", "TURN fails for remote clients"),
        ("TURN_ADDRESS_PRIVATE", "a private TURN_EXTERNAL_IP"),
        ("PROXY_BAD_GATEWAY", "502 through the proxy"),
        ("WEBSOCKET_NOT_FORWARDED", "no WebSocket upgrades"),
        ("UPDATER_REGISTRY_DENIED", "the updater's 401"),
    ];
    let provoked = provoked();
    for (code, what) in seven {
        let elsewhere = ELSEWHERE
            .iter()
            .any(|(other, way, _)| *other == code && *way == Way::Journey);
        assert!(provoked.contains(&code) || elsewhere, "{what}: {code}");
    }
}
