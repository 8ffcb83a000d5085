use super::*;

fn least() -> Inputs {
    Inputs {
        domain: Some("chat.example.com".into()),
        admin_username: Some("alice".into()),
        ..Inputs::default()
    }
}

fn names(inputs: Inputs) -> Vec<String> {
    inputs
        .complete()
        .unwrap_err()
        .into_iter()
        .map(|problem| problem.input)
        .collect()
}

#[test]
fn two_inputs_are_enough() {
    let (site, secrets) = least().complete().unwrap();
    assert!(site.updates && site.turn.is_none() && site.oidc.is_none());
    assert_eq!(site.folder.as_str(), "/srv/chatalot");
    assert_eq!(secrets.present().count(), 0);
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    assert_eq!(names(Inputs::default()), ["domain", "admin_username"]);
}

#[test]
fn inputs_that_belong_together_are_asked_for_together() {
    let registry = Inputs {
        registry_user: Some("u".into()),
        ..least()
    };
    assert_eq!(names(registry), ["registry_token"]);
    let oidc = Inputs {
        oidc_issuer: Some("https://a.example".into()),
        ..least()
    };
    assert_eq!(names(oidc), ["oidc_client_id", "oidc_client_secret"]);
    let only = Inputs {
        oidc_disable_password_login: Some(true),
        ..least()
    };
    assert_eq!(names(only), ["oidc_issuer"]);
}

#[test]
fn a_wrong_value_is_told_from_a_missing_one() {
    let problems = Inputs {
        domain: Some("https://x".into()),
        ..least()
    }
    .complete()
    .unwrap_err();
    assert!(
        !problems[0].missing && problems[0].why.contains("without scheme"),
        "{problems:?}"
    );
}

#[test]
fn every_partner_in_the_table_is_in_the_table() {
    for row in INPUTS {
        assert!(
            row.with
                .iter()
                .all(|other| INPUTS.iter().any(|row| row.name == *other)),
            "{}",
            row.name
        );
    }
}

#[test]
fn a_tunnel_comes_with_its_token_and_needs_no_proxy() {
    let tunnel = Inputs {
        cloudflare_token: Some(Secret::new("t0ken")),
        ..least()
    };
    let site = tunnel.complete().unwrap().0;
    assert!(site.tunnel && site.proxy == ProxyChoice::None);
    assert!(!least().complete().unwrap().0.tunnel);
}

#[test]
fn what_a_site_does_not_have_does_not_change_what_is_approved() {
    let (site, secrets) = least().complete().unwrap();
    let text = serde_json::to_string(&(site, secrets)).unwrap();
    for new in ["tunnel", "overwrite_env", "cloudflare_token", "limit_until_admin"] {
        assert!(!text.contains(new), "{text}");
    }
}

#[test]
fn a_limit_is_said_to_a_proxy_of_ours_and_refused_where_there_is_none() {
    let limited = |more: Inputs| Inputs {
        limit_until_admin: Some("198.51.100.7, 2001:db8::/48".into()),
        domain: Some("chat.example.com".into()),
        admin_username: Some("alice".into()),
        ..more
    };
    for proxy in [None, Some("caddy"), Some("nginx"), Some("traefik")] {
        let inputs = limited(Inputs {
            proxy: proxy.map(str::to_owned),
            ..Inputs::default()
        });
        let site = inputs.complete().unwrap().0;
        assert_eq!(site.limit_until_admin.to_string(), "198.51.100.7, 2001:db8::/48");
    }
    let tunnel = limited(Inputs {
        cloudflare_token: Some(Secret::new("t0ken")),
        ..Inputs::default()
    });
    let own = limited(Inputs {
        proxy: Some("none".into()),
        ..Inputs::default()
    });
    for (inputs, why) in [(tunnel, "Access policy"), (own, "a reverse proxy of your own")] {
        let problems = inputs.complete().unwrap_err();
        assert!(
            problems.len() == 1 && problems[0].input == "limit_until_admin" && problems[0].why.contains(why),
            "{problems:?}"
        );
    }
    let everybody = Inputs {
        limit_until_admin: Some("0.0.0.0/0".into()),
        ..least()
    };
    assert_eq!(names(everybody), ["limit_until_admin"]);
}

#[test]
fn f42_a_secret_that_no_scrubber_could_tell_from_text_is_refused_in_any_alphabet() {
    for (token, fine) in [
        ("t0k", false),
        ("\u{e9}\u{e9}", false),
        ("a b c", false),
        ("t\u{e9}ken", true),
    ] {
        let inputs = Inputs {
            cloudflare_token: Some(Secret::new(token)),
            ..least()
        };
        assert_eq!(inputs.complete().is_ok(), fine, "{token}");
    }
}
