use super::*;
use proptest::prelude::*;

#[test]
fn a_domain_is_kept_in_its_ascii_form() {
    assert_eq!(
        "Chat.Example.com.".parse::<Domain>().unwrap().as_str(),
        "chat.example.com"
    );
    assert_eq!(
        "bücher.example".parse::<Domain>().unwrap().as_str(),
        "xn--bcher-kva.example"
    );
}

#[test]
fn f61_a_domain_with_anything_else_in_it_is_refused() {
    let long = "a".repeat(1 << 20);
    for bad in [
        "",
        "localhost",
        "https://chat.example.com",
        "chat.example.com:443",
        "chat.example.com/x",
        "../etc",
        "a;$(reboot).example.com",
        "a\0b.example.com",
        "203.0.113.9",
        "*.example.com",
        "a b.example.com",
        long.as_str(),
    ] {
        assert!(bad.parse::<Domain>().is_err(), "{bad:?}");
    }
}

/// A name that looks like another one travels, and is shown, in a form that does not.
#[test]
fn f61_a_domain_of_look_alikes_is_another_domain_and_shows_it() {
    let latin: Domain = "chat.example.com".parse().unwrap();
    let cyrillic: Domain = "ch\u{430}t.example.com".parse().unwrap();
    assert_ne!(latin, cyrillic);
    assert!(cyrillic.as_str().starts_with("xn--") && cyrillic.as_str().is_ascii());
    for bad in [
        "chat.\u{202e}moc.elpmaxe",
        "chat.example.com\u{0}",
        "chat\u{2024}example\u{2024}com/..",
        "-chat.example.com",
        "chat.example.com\n",
    ] {
        assert!(bad.parse::<Domain>().is_err(), "{bad:?}");
    }
}

#[test]
fn f61_no_text_is_taken_that_is_endless_hidden_or_meant_for_a_shell() {
    let long = "a".repeat(1 << 20);
    let tricks = [
        "../../etc/passwd",
        "a;$(reboot)",
        "a\0b",
        "a\u{202e}b",
        "a\nb",
        "`id`",
        "",
        &long,
    ];
    for text in tricks {
        let path = format!("/srv/{text}");
        let url = format!("https://example.com/{text}");
        assert!(text.parse::<LoginName>().is_err(), "{text:.20?}");
        assert!(
            path.parse::<Folder>().is_err() && path.parse::<HostFile>().is_err(),
            "{text:.20?}"
        );
        // A path of an address may go up; everything else in it is refused as elsewhere.
        if !["", "../../etc/passwd"].contains(&text) {
            assert!(url.parse::<HttpsUrl>().is_err(), "{text:.20?}");
            assert!(url.parse::<Repository>().is_err() && url.parse::<GitRemote>().is_err());
            assert!(text.parse::<AdminName>().is_err() && text.parse::<Word>().is_err());
        }
        assert!(text.parse::<GitRef>().is_err() && text.parse::<PublicIpv4>().is_err());
    }
}

#[test]
fn a_turn_address_must_be_public() {
    for good in ["203.0.113.42", "8.8.8.8"] {
        assert!(good.parse::<PublicIpv4>().is_ok(), "{good}");
    }
    for bad in [
        "10.0.0.1",
        "192.168.1.1",
        "172.20.0.1",
        "100.64.0.1",
        "169.254.1.1",
        "127.0.0.1",
        "0.0.0.0",
        "::1",
        "x",
    ] {
        assert!(bad.parse::<PublicIpv4>().is_err(), "{bad}");
    }
}

#[test]
fn a_folder_has_no_way_out() {
    assert_eq!(
        "/srv/chatalot/".parse::<Folder>().unwrap().as_str(),
        "/srv/chatalot"
    );
    for bad in [
        "/",
        "/srv",
        "srv/x",
        "/srv/../etc",
        "/srv/./x",
        "/srv//x",
        "/srv/a b",
        "/srv/-x",
        "/srv/$(x)",
    ] {
        assert!(bad.parse::<Folder>().is_err(), "{bad}");
    }
}

#[test]
fn a_folder_that_the_daemon_does_not_see_is_refused() {
    for hidden in [
        "/home/alice/chatalot",
        "/root/chatalot",
        "/tmp/chatalot",
        "/var/tmp/chatalot",
        "/run/user/chatalot",
        "/proc/1",
        "/sys/x",
        "/dev/shm/chatalot",
    ] {
        assert!(hidden.parse::<Folder>().is_err(), "{hidden}");
        assert!(hidden.parse::<HostFile>().is_err(), "{hidden}");
    }
    let said = "/root/chatalot".parse::<Folder>().unwrap_err().to_string();
    assert!(said.contains("not below /home, /root,"), "{said}");
    for seen in [
        "/srv/root/x",
        "/opt/home",
        "/var/lib/chatalot",
        "/homes/x",
        "/usr/x",
    ] {
        assert!(seen.parse::<Folder>().is_ok(), "{seen}");
    }
    assert!("/etc/chatalot".parse::<Folder>().is_err());
    assert!("/etc/ssl/acme-root.pem".parse::<HostFile>().is_ok());
}

#[test]
fn a_repository_or_ref_is_never_an_option() {
    for bad in [
        "--upload-pack=x",
        "ext::sh -c x",
        "ssh://-oProxyCommand=x/y",
        "ssh://git@-oProxyCommand=x/y",
        "https://user:pw@host/x",
        "https://",
        "file://x",
        "https://a b",
    ] {
        assert!(bad.parse::<Repository>().is_err(), "{bad}");
    }
    for bad in ["-x", "a..b", "/a", "a b", "", "a~1", "a^", "x."] {
        assert!(bad.parse::<GitRef>().is_err(), "{bad}");
    }
    assert!(
        "ssh://git@forge.example.net/chatalot.git"
            .parse::<Repository>()
            .is_ok()
    );
    assert!("v0.24.0".parse::<GitRef>().is_ok());
}

proptest! {
    #[test]
    fn f61_no_accepted_value_carries_a_shell_or_path_trick(text in ".{0,60}") {
        let accepted = [
            text.parse::<Domain>().ok().map(String::from),
            text.parse::<AdminName>().ok().map(String::from),
            text.parse::<Word>().ok().map(String::from),
            text.parse::<Folder>().ok().map(String::from),
            text.parse::<GitRef>().ok().map(String::from),
        ];
        for value in accepted.into_iter().flatten() {
            prop_assert!(!value.starts_with('-'));
            prop_assert!(value.bytes().all(|b| b.is_ascii_graphic() && !b"\"'`\\$".contains(&b)), "{}", value);
        }
    }
}
