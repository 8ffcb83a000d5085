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
    /// By words that real programs have said.
    Words,
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
        "IMAGE_DAMAGED",
        Way::Words,
        "f53_a_registrys_refusals_are_told_apart",
    ),
    ("SECRET_MISSING", Way::Maps, "a_missing_secret_is_asked_for"),
    (
        "DATABASE_WITHOUT_ENV",
        Way::Journey,
        "a_database_that_is_there_without_its_env_is_told",
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
        Way::Maps,
        "a_tunnels_name_must_lead_to_cloudflare",
    ),
    (
        "TUNNEL_NAME_ELSEWHERE",
        Way::Maps,
        "a_tunnels_name_must_lead_to_cloudflare",
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
        Way::Maps,
        "a_firewall_before_the_host_stops_a_deployment_before_anything_is_installed",
    ),
    (
        "OUTSIDE_WRONG_ANSWER",
        Way::Maps,
        "what_the_controller_cannot_reach_is_told",
    ),
    (
        "ACME_RATE_LIMITED",
        Way::Journey,
        "f56_a_staging_authority_is_asked_first_and_what_it_refuses_costs_nothing",
    ),
    (
        "ACME_FAILED",
        Way::Journey,
        "f56_an_authority_that_cannot_reach_us_is_named",
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
        "TRAEFIK_ENGINE_MISMATCH",
        Way::Maps,
        "a_traefik_that_cannot_talk_to_the_engine_is_named",
    ),
    (
        "OVERRIDE_UNREADABLE",
        Way::Journey,
        "f56_an_override_that_cannot_be_merged_is_told_and_stays",
    ),
    (
        "COMPOSE_UP_FAILED",
        Way::Journey,
        "f56_containers_that_do_not_come_up_are_told_and_the_override_is_as_it_was",
    ),
    (
        "PROXY_NOT_SERVING",
        Way::Maps,
        "f56_what_a_traefik_is_made_to_ask_for_counts_too_though_the_host_has_booted",
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
    (
        "STEP_KEEPS_FAILING",
        Way::Maps,
        "a_step_that_never_succeeds_is_given_up_after_so_many_attempts",
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
