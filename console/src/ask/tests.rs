use super::*;
use script::Script;

fn least() -> Inputs {
    Inputs {
        domain: Some("chat.example.com".into()),
        admin_username: Some("alice".into()),
        ..Inputs::default()
    }
}

#[test]
fn nobody_is_asked_when_nothing_is_missing() {
    let mut person = Script::of(&[]);
    let (site, _) = complete(least(), true, &mut person).unwrap();
    assert_eq!(site.admin.as_str(), "alice");
    assert!(person.heard.is_empty());
}

#[test]
fn a_full_conversation_offers_every_usual_input_in_order() {
    let mut person = Script::of(&[
        "chat.example.com",
        "alice",
        "",
        "203.0.113.42",
        "n",
        "deploy-alice",
        "t0ken",
        "https://auth.example.com/",
        "chatalot-prod",
        "s3cret",
    ]);
    let (site, secrets) = complete(Inputs::default(), true, &mut person).unwrap();
    assert!(site.turn.is_some() && !site.updates);
    assert_eq!(secrets.present().count(), 2);
    assert_eq!(person.heard.len(), 11, "{:#?}", person.heard);
    assert!(person.heard[2].contains("[invite_only]"));
    assert!(person.heard[6].starts_with("(hidden)"));
}

#[test]
fn what_was_declined_is_not_asked_for_in_part() {
    let mut person = Script::of(&["chat.example.com", "alice", "", "", "", "", ""]);
    let (site, _) = complete(Inputs::default(), true, &mut person).unwrap();
    assert!(site.updates && site.oidc.is_none() && site.registry_user.is_none());
    assert!(!person.heard.iter().any(|heard| heard.contains("token")));
}

#[test]
fn a_bad_answer_is_explained_and_asked_for_again() {
    let inputs = Inputs {
        domain: Some("https://chat.example.com".into()),
        ..least()
    };
    let mut person = Script::of(&["also bad", "chat.example.com"]);
    let (site, _) = complete(inputs, true, &mut person).unwrap();
    assert_eq!(site.domain.as_str(), "chat.example.com");
    let explained = person
        .heard
        .iter()
        .filter(|heard| heard.contains("without scheme"));
    assert_eq!(explained.count(), 2, "{:#?}", person.heard);
}

#[test]
fn without_a_person_everything_is_named_at_once() {
    let mut nobody = Script::of(&[]);
    let inputs = Inputs {
        turn_external_ip: Some("10.0.0.1".into()),
        ..Inputs::default()
    };
    let Err(Failure::Inputs(problems)) = complete(inputs, false, &mut nobody) else {
        panic!("the inputs are not complete");
    };
    let names: Vec<&str> = problems.iter().map(|problem| problem.input.as_str()).collect();
    assert_eq!(names, ["domain", "admin_username", "turn_external_ip"]);
    assert!(nobody.heard.is_empty());
}

#[test]
fn the_end_of_the_input_ends_the_questions() {
    let mut person = Script::of(&["chat.example.com"]);
    let ended = complete(Inputs::default(), true, &mut person);
    assert!(matches!(ended, Err(Failure::Prompt(_))));
}

#[test]
fn a_plan_is_approved_by_yes_alone() {
    for (answer, approved) in [
        ("y", true),
        ("YES", true),
        ("", false),
        ("n", false),
        ("deploy", false),
    ] {
        assert_eq!(
            confirm(&mut Script::of(&[answer]), "Deploy?").unwrap(),
            approved,
            "{answer}"
        );
    }
}

#[test]
fn every_input_has_a_place() {
    for row in INPUTS {
        assert!(place(&mut Inputs::default(), row.name).is_some(), "{}", row.name);
    }
}
