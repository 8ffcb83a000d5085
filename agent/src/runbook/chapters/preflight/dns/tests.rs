use super::*;

const OWN: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 42);
const OTHER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

fn own() -> Own {
    Own::of(&[
        IpAddr::V4(OWN),
        "10.0.0.5".parse().unwrap(),
        "2001:db8::42".parse().unwrap(),
    ])
}

fn says(resolver: &str, a: &[Ipv4Addr], aaaa: &[&str]) -> Answers {
    Answers {
        resolver: resolver.into(),
        a: Records::Found(a.to_vec()),
        aaaa: Records::Found(aaaa.iter().map(|ip| ip.parse().unwrap()).collect()),
    }
}

fn fails(resolver: &str, why: &str) -> Answers {
    Answers {
        resolver: resolver.into(),
        a: Records::Failed(why.into()),
        aaaa: Records::Failed(why.into()),
    }
}

fn code(own: &Own, answers: &[Answers]) -> String {
    match judge("chat.example.com", own, answers) {
        Ok(Verdict::Satisfied { saw, .. }) => format!("fine: {saw}"),
        Ok(Verdict::Needed { why }) => why,
        Ok(Verdict::Blocked { advice }) => advice.code.to_string(),
        Err(StepError::Passing(advice)) => format!("passing {}", advice.code),
        Err(other) => format!("{other:?}"),
    }
}

#[test]
fn f57_the_right_record_is_enough() {
    assert_eq!(
        code(
            &own(),
            &[says("1.1.1.1", &[OWN], &[]), says("9.9.9.9", &[OWN], &[])]
        ),
        "fine: chat.example.com → 203.0.113.42"
    );
    assert!(code(&own(), &[says("1.1.1.1", &[OWN], &["2001:db8::42"])]).starts_with("fine"));
}

#[test]
fn f57_one_resolver_out_of_reach_changes_nothing() {
    assert!(
        code(
            &own(),
            &[says("1.1.1.1", &[OWN], &[]), fails("system", "timed out")]
        )
        .starts_with("fine")
    );
}

#[test]
fn f57_no_record_and_nxdomain_are_told_as_no_record() {
    assert_eq!(code(&own(), &[says("1.1.1.1", &[], &[])]), "DNS_NONE");
    assert_eq!(
        code(&own(), &[says("1.1.1.1", &[], &["2001:db8::42"])]),
        "DNS_NONE"
    );
}

#[test]
fn f57_a_wrong_record_is_named_and_so_is_a_second_one_beside_ours() {
    assert_eq!(code(&own(), &[says("1.1.1.1", &[OTHER], &[])]), "DNS_WRONG");
    assert_eq!(code(&own(), &[says("1.1.1.1", &[OWN, OTHER], &[])]), "DNS_WRONG");
}

#[test]
fn f57_a_stale_aaaa_is_found_beside_a_right_a() {
    assert_eq!(
        code(&own(), &[says("1.1.1.1", &[OWN], &["2001:db8::dead"])]),
        "DNS_STALE_AAAA"
    );
}

#[test]
fn f57_timeouts_servfail_and_cname_loops_everywhere_may_pass() {
    let answers = [fails("1.1.1.1", "timed out"), fails("9.9.9.9", "CNAME loop")];
    assert_eq!(code(&own(), &answers), "passing DNS_UNREACHABLE");
}

#[test]
fn f57_a_split_horizon_and_a_spreading_change_may_pass() {
    let split = [
        says("system", &["10.9.9.9".parse().unwrap()], &[]),
        says("1.1.1.1", &[OWN], &[]),
    ];
    assert_eq!(code(&own(), &split), "passing DNS_DISAGREE");
    let spreading = [says("system", &[], &[]), says("1.1.1.1", &[OWN], &[])];
    assert_eq!(code(&own(), &spreading), "passing DNS_DISAGREE");
}

#[test]
fn f57_cloudflare_is_recognised() {
    assert_eq!(
        code(&own(), &[says("1.1.1.1", &["104.16.5.5".parse().unwrap()], &[])]),
        "DNS_CDN"
    );
}

#[test]
fn behind_nat_the_answer_is_taken_with_a_word_of_doubt() {
    let hidden = Own::of(&["10.0.0.5".parse().unwrap()]);
    let said = code(&hidden, &[says("1.1.1.1", &[OTHER], &[])]);
    assert!(
        said.contains("fine") && said.contains("inner addresses"),
        "{said}"
    );
    assert_eq!(
        code(&hidden, &[says("1.1.1.1", &["10.0.0.6".parse().unwrap()], &[])]),
        "DNS_WRONG"
    );
}

#[test]
fn an_advice_names_the_record_to_set_and_who_said_what() {
    let Ok(Verdict::Blocked { advice }) =
        judge("chat.example.com", &own(), &[says("1.1.1.1", &[OTHER], &[])])
    else {
        panic!("a wrong record");
    };
    assert!(
        advice
            .fix
            .contains("set the A record of chat.example.com to 203.0.113.42"),
        "{advice}"
    );
    assert_eq!(advice.evidence, ["1.1.1.1: A 198.51.100.7, AAAA none"]);
}
