use super::*;
use chatalot_protocol::inputs::Inputs;

fn site(acme: Acme) -> Site {
    let inputs = Inputs {
        domain: Some("chat.example.com".into()),
        admin_username: Some("alice".into()),
        ..Inputs::default()
    };
    Site {
        acme,
        ..inputs.complete().unwrap().0
    }
}

fn private(directory: &str) -> Acme {
    Acme::Private {
        directory: directory.parse().unwrap(),
        root: "/etc/ssl/acme-root.pem".parse().unwrap(),
    }
}

#[test]
fn the_block_is_the_runbooks() {
    let text = render(&site(Acme::Production), None).unwrap();
    let wanted = "chat.example.com {\n\tencode zstd gzip\n\treverse_proxy 127.0.0.1:8080\n\theader {\n\
                  \t\tStrict-Transport-Security \"max-age=31536000; includeSubDomains\"\n\t\t-Server\n\t}\n}\n";
    assert_eq!(text.split_once('\n').unwrap().1, wanted);
}

#[test]
fn another_authority_is_named_in_our_own_file() {
    let text = render(&site(private("https://127.0.0.1:14000/dir")), None).unwrap();
    assert!(
        text.contains("\tissuer acme {\n\t\t\tdir \"https://127.0.0.1:14000/dir\"\n"),
        "{text}"
    );
    assert!(
        text.contains("trusted_roots \"/etc/ssl/acme-root.pem\""),
        "{text}"
    );
    assert!(
        render(&site(Acme::Staging), None)
            .unwrap()
            .contains("acme-staging-v02")
    );
}

#[test]
fn f61_an_address_that_caddy_would_fill_in_is_refused() {
    let odd = render(&site(private("https://a.example/{env.SECRET}")), None).unwrap_err();
    assert_eq!(odd.code, "ACME_DIRECTORY_ODD");
}

#[test]
fn the_import_is_added_once_and_the_rest_is_kept() {
    let once = with_import(":80 {\n}").unwrap();
    assert_eq!(once, ":80 {\n}\nimport /etc/caddy/conf.d/*.caddy\n");
    assert_eq!(with_import(&once), None);
    assert_eq!(with_import("import conf.d/*\n"), None);
}

#[test]
fn f55_the_packages_own_caddyfile_is_nobodys() {
    // In the shape of Debian 13's /etc/caddy/Caddyfile, shortened.
    let own = "# The Caddyfile is an easy way\n\n:80 {\n\t# Set this\n\troot * /usr/share/caddy\n\n\tfile_server\n\n\t# reverse_proxy x\n}\n";
    assert_eq!(settings(own), PRISTINE);
    let foreign =
        settings("{\n\temail a@b.c\n}\nblog.example.com {\n\theader {\n\t}\n}\nshop.example.com {\n}\n");
    assert_eq!(addresses(&foreign), ["blog.example.com", "shop.example.com"]);
    assert_eq!(
        in_words(addresses(&foreign).into_iter()),
        "blog.example.com, shop.example.com"
    );
}

#[test]
fn f56_a_refusal_is_read_from_the_journal() {
    // Assumed: the shape is Caddy 2.6's in the journal, the values are made up.
    let line = r#"1795468683.522309 vps caddy[812]: {"level":"error","ts":1795468683.5,"logger":"tls.obtain","msg":"could not get certificate from issuer","identifier":"chat.example.com","issuer":"acme-v02.api.letsencrypt.org-directory","error":"HTTP 400 urn:ietf:params:acme:error:connection - 203.0.113.42: Timeout during connect"}"#;
    let told = refusal(line, "chat.example.com").unwrap();
    assert_eq!(told.at_ms, 1_795_468_683_000);
    assert!(
        !told.rate_limited && told.words.starts_with("HTTP 400 urn:"),
        "{told:?}"
    );
    assert!(
        told.counts
            && !refusal(&line.replace("acme-v02", "acme-staging-v02"), "chat.example.com")
                .unwrap()
                .counts
    );
    assert!(refusal(line, "other.example.com").is_none());
    let many = line.replace(
        "HTTP 400 urn:ietf:params:acme:error:connection",
        "HTTP 429 urn:ietf:params:acme:error:rateLimited",
    );
    assert!(refusal(&many, "chat.example.com").unwrap().rate_limited);
}

#[test]
fn f55_a_site_of_the_same_domain_is_recognised_however_it_is_written() {
    let domain = "chat.example.com".parse().unwrap();
    let serves = |text: &str| serve(&addresses(&settings(text)), &domain);
    assert!(serves("blog.example.com, https://chat.example.com:443 {\n}\n"));
    assert!(serves("Chat.example.com {\n}\n"));
    assert!(!serves("(chat.example.com) {\n}\nchat.example.com.evil {\n}\n"));
    assert!(!serves(
        "blog.example.com {\n\thandle chat.example.com {\n\t}\n}\n"
    ));
}

#[test]
fn f55_a_caddyfile_without_braces_is_told_from_those_that_take_a_second_site() {
    for (text, is_short) in [
        ("example.org\nreverse_proxy :3000\n", true),
        ("# mine\n:80\nfile_server\n", true),
        ("example.org {\n\tfile_server\n}\n", false),
        ("a.example.org,\nb.example.org {\n}\n", false),
        ("{\n\temail a@example.org\n}\n", false),
        ("(common) {\n}\n", false),
        ("import sites/*.caddy\n", false),
        ("", false),
    ] {
        assert_eq!(is_without_braces(&settings(text)), is_short, "{text}");
    }
}
