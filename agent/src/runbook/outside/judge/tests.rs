use super::*;

fn expected() -> Expected<'static> {
    Expected {
        domain: "chat.example.com",
        turn: Some("203.0.113.42".parse().unwrap()),
        version: Some("0.24.1"),
        journal: "see the log",
        may_shut: true,
        proxy_is_ours: true,
        is_limited: false,
        published: &[],
    }
}

fn seen(address: &str, sights: &[(Door, Option<Page>, Saw)]) -> Seen {
    let sights = sights.iter().map(|(door, page, saw)| Sight {
        door: *door,
        page: *page,
        saw: *saw,
        detail: String::new(),
    });
    Seen {
        address: address.parse().unwrap(),
        barred: false,
        sights: sights.collect(),
    }
}

fn doors() -> Vec<Door> {
    [&WEB[..], &TURN[..]].concat()
}

/// What is seen where all doors answer but these.
fn but(odd: &[(Door, Saw)]) -> Told {
    let saw = |door: Door| {
        odd.iter()
            .find(|(odd, _)| *odd == door)
            .map_or(Saw::Answered, |(_, saw)| *saw)
    };
    let sights: Vec<_> = doors().into_iter().map(|door| (door, None, saw(door))).collect();
    Told::Seen {
        addresses: vec![seen("203.0.113.42", &sights)],
    }
}

fn code(standing: &Standing) -> String {
    match standing {
        Standing::Reached { notes, .. } => {
            let notes: Vec<&str> = notes.iter().map(|note| note.advice.code.as_ref()).collect();
            format!("reached {}", notes.join(" ")).trim_end().to_owned()
        }
        Standing::Shut(advice) => format!("shut {}", advice.code),
        Standing::Untold(advice) => format!("untold {}", advice.code),
    }
}

fn probed(told: Told) -> String {
    code(&probe(told, &expected(), &doors(), &[]))
}

#[test]
fn a_door_that_a_proxy_holds_is_reached_where_anything_comes_back_and_shut_where_it_alone_is_silent() {
    let at = |saw: Saw| {
        let told = Told::Seen {
            addresses: vec![seen(
                "203.0.113.42",
                &[(WEB[0], None, saw), (WEB[1], None, Saw::Answered)],
            )],
        };
        code(&probe(told, &expected(), &WEB[1..], &WEB[..1]))
    };
    for saw in [Saw::Other, Saw::Broken, Saw::Open, Saw::Refused, Saw::NoRoute] {
        assert_eq!(at(saw), "reached", "{saw:?}");
    }
    assert_eq!(at(Saw::Silent), "shut OUTSIDE_PORT_SHUT");
}

#[test]
fn a_door_that_is_shut_is_told_apart_from_a_way_that_is() {
    let udp = |saw| -> Vec<(Door, Saw)> {
        let datagrams = doors()
            .into_iter()
            .filter(|door| door.transport == Transport::Udp);
        datagrams.map(|door| (door, saw)).collect()
    };
    for (odd, wanted) in [
        (vec![], "reached"),
        (vec![(Door::tcp(443), Saw::Silent)], "shut OUTSIDE_PORT_SHUT"),
        (vec![(Door::tcp(80), Saw::Refused)], "shut OUTSIDE_PORT_SHUT"),
        (vec![(Door::tcp(80), Saw::Other)], "shut OUTSIDE_ELSEWHERE"),
        (vec![(Door::udp(3478), Saw::Silent)], "shut OUTSIDE_TURN_SHUT"),
        (vec![(Door::udp(49_200), Saw::Silent)], "shut OUTSIDE_TURN_SHUT"),
        // A way round for some networks, which is not in the way of all others.
        (vec![(Door::tcp(5349), Saw::Silent)], "reached OUTSIDE_TURN_SHUT"),
        // No datagram has come back: this firewall or the controller's.
        (udp(Saw::Silent), "reached OUTSIDE_PARTLY_UNTOLD"),
        (
            vec![(Door::tcp(443), Saw::Broken)],
            "reached OUTSIDE_PARTLY_UNTOLD",
        ),
        (
            vec![(Door::tcp(443), Saw::Unknown)],
            "reached OUTSIDE_PARTLY_UNTOLD",
        ),
    ] {
        assert_eq!(probed(but(&odd)), wanted, "{odd:?}");
    }
    let all = doors()
        .into_iter()
        .map(|door| (door, Saw::Silent))
        .collect::<Vec<_>>();
    assert_eq!(probed(but(&all)), "untold OUTSIDE_NO_ANSWER");
    // Only SSH answers: then it is the firewall before this host.
    let mut sights: Vec<_> = doors()
        .into_iter()
        .map(|door| (door, None, Saw::Silent))
        .collect();
    sights.push((Door::tcp(22), None, Saw::Refused));
    let told = Told::Seen {
        addresses: vec![seen("203.0.113.42", &sights)],
    };
    assert_eq!(probed(told), "shut OUTSIDE_PORT_SHUT");
}

#[test]
fn each_address_is_judged_by_itself_and_voice_at_its_own() {
    let web = |saw| [(WEB[0], None, saw), (WEB[1], None, saw)];
    let two = |six: &[(Door, Option<Page>, Saw)]| Told::Seen {
        addresses: vec![
            seen("203.0.113.42", &doors().map_sights(Saw::Answered)),
            seen("2001:db8::42", six),
        ],
    };
    assert_eq!(probed(two(&web(Saw::Answered))), "reached");
    assert_eq!(probed(two(&web(Saw::NoRoute))), "reached OUTSIDE_PARTLY_UNTOLD");
    assert_eq!(probed(two(&web(Saw::Refused))), "shut OUTSIDE_PORT_SHUT");
    let Standing::Shut(advice) = probe(two(&web(Saw::Refused)), &expected(), &doors(), &[]) else {
        panic!("not shut");
    };
    assert!(
        advice.fix.contains("AAAA") && advice.saw.contains("2001:db8::42"),
        "{advice}"
    );
}

trait Sights {
    fn map_sights(self, saw: Saw) -> Vec<(Door, Option<Page>, Saw)>;
}

impl Sights for Vec<Door> {
    fn map_sights(self, saw: Saw) -> Vec<(Door, Option<Page>, Saw)> {
        self.into_iter().map(|door| (door, None, saw)).collect()
    }
}

#[test]
fn what_a_controller_cannot_tell_is_never_in_the_way() {
    let private = Told::Seen {
        addresses: vec![Seen {
            address: "10.0.0.5".parse().unwrap(),
            barred: true,
            sights: Vec::new(),
        }],
    };
    for (told, wanted) in [
        (Told::Unknown, "untold OUTSIDE_OTHER_CONTROLLER"),
        (Told::Seen { addresses: vec![] }, "untold OUTSIDE_NAME_UNKNOWN"),
        (private, "untold OUTSIDE_PRIVATE"),
        (
            Told::declined(Advice::new("OUTSIDE_NOT_ITS_OWN", "x", "y", "z")),
            "untold OUTSIDE_NOT_ITS_OWN",
        ),
    ] {
        assert_eq!(probed(told.clone()), wanted);
        assert_eq!(code(&site(told.clone(), &expected())), wanted);
        assert!(site(told, &expected()).verdict().is_satisfied());
    }
}

/// The site as it should be, with these doors otherwise.
fn after(odd: &[(Door, Option<Page>, Saw)]) -> Standing {
    let mut sights = vec![
        (WEB[1], Some(Page::Health), Saw::Answered),
        (WEB[1], Some(Page::Websocket), Saw::Answered),
        (WEB[0], None, Saw::Open),
        (Door::udp(3478), None, Saw::Answered),
        (Door::tcp(3478), None, Saw::Answered),
        (Door::udp(5349), None, Saw::Refused),
        (Door::tcp(5349), None, Saw::Refused),
    ];
    sights.extend(SHUT.map(|door| (door, None, Saw::Silent)));
    for (door, page, saw) in odd {
        for sight in sights.iter_mut().filter(|one| one.0 == *door && one.1 == *page) {
            sight.2 = *saw;
        }
    }
    let told = Told::Seen {
        addresses: vec![seen("203.0.113.42", &sights)],
    };
    site(told, &expected())
}

#[test]
fn an_installed_site_is_judged_by_what_answers_and_by_what_must_not() {
    let https = |page, saw| (WEB[1], Some(page), saw);
    for (odd, wanted) in [
        (vec![], "reached"),
        (vec![https(Page::Health, Saw::Silent)], "shut OUTSIDE_PORT_SHUT"),
        (vec![https(Page::Health, Saw::Other)], "shut OUTSIDE_WRONG_ANSWER"),
        (
            vec![https(Page::Websocket, Saw::Other)],
            "shut OUTSIDE_WRONG_ANSWER",
        ),
        (
            vec![https(Page::Health, Saw::Broken)],
            "reached OUTSIDE_PARTLY_UNTOLD",
        ),
        (
            vec![(Door::udp(3478), None, Saw::Silent)],
            "shut OUTSIDE_TURN_SHUT",
        ),
        (
            vec![(Door::tcp(3478), None, Saw::Silent)],
            "reached OUTSIDE_TURN_SHUT",
        ),
        (vec![(WEB[0], None, Saw::Silent)], "reached OUTSIDE_PORT_SHUT"),
        (
            vec![(Door::tcp(8080), None, Saw::Open)],
            "reached PORT_8080_PUBLIC",
        ),
        (
            vec![
                (Door::tcp(8080), None, Saw::Open),
                (Door::tcp(2375), None, Saw::Open),
            ],
            "reached PORT_PUBLIC PORT_8080_PUBLIC",
        ),
    ] {
        assert_eq!(code(&after(&odd)), wanted, "{odd:?}");
    }
}

#[test]
fn several_notes_become_one_that_names_them_all() {
    let verdict = after(&[
        (Door::tcp(8080), None, Saw::Open),
        (Door::tcp(5432), None, Saw::Open),
    ])
    .verdict();
    let chatalot_protocol::report::Verdict::Satisfied { note: Some(note), .. } = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(note.code, "PORT_PUBLIC");
    assert!(note.saw.contains("TCP 5432"), "{note}");
    assert!(
        note.evidence[0].starts_with("PORT_8080_PUBLIC: TCP 8080"),
        "{note:?}"
    );
}

#[test]
fn another_version_at_the_name_is_another_chatalot() {
    let mut told = Told::Seen {
        addresses: vec![seen(
            "203.0.113.42",
            &[(WEB[1], Some(Page::Health), Saw::Answered)],
        )],
    };
    if let Told::Seen { addresses } = &mut told {
        addresses[0].sights[0].detail = "0.17.0".to_owned();
    }
    assert_eq!(code(&site(told, &expected())), "shut OUTSIDE_ELSEWHERE");
}

#[test]
fn a_controller_that_a_limit_keeps_out_has_reached_the_site() {
    let told = |detail: &str| {
        let kept = |page| Sight {
            door: WEB[1],
            page: Some(page),
            saw: Saw::Other,
            detail: detail.to_owned(),
        };
        let mut there = seen("203.0.113.42", &[]);
        there.sights = vec![kept(Page::Health), kept(Page::Websocket)];
        Told::Seen {
            addresses: vec![there],
        }
    };
    let mut limited = expected();
    limited.turn = None;
    let told_403 = || told("status 403");
    assert_eq!(code(&site(told_403(), &limited)), "shut OUTSIDE_WRONG_ANSWER");
    limited.is_limited = true;
    assert_eq!(code(&site(told_403(), &limited)), "reached");
    assert_eq!(
        code(&site(told("status 404"), &limited)),
        "shut OUTSIDE_WRONG_ANSWER"
    );
}

#[test]
fn a_turn_server_where_the_domain_does_not_lead_is_not_told_as_reached() {
    let answers = [Page::Health, Page::Websocket].map(|page| (WEB[1], Some(page), Saw::Answered));
    let told = || Told::Seen {
        addresses: vec![seen("198.51.100.9", &answers)],
    };
    assert_eq!(code(&site(told(), &expected())), "reached OUTSIDE_PARTLY_UNTOLD");
    let mut none = expected();
    none.turn = None;
    assert_eq!(code(&site(told(), &none)), "reached");
}
