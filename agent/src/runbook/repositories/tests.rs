use super::*;
use crate::runbook::distro::DISTROS;

fn repository(distro: &str, name: &str) -> &'static Repository {
    let row = DISTROS.iter().find(|row| row.name == distro).unwrap();
    row.repositories.iter().find(|one| one.name == name).unwrap()
}

fn of(repository: &Repository) -> String {
    source(repository, &Mirrors::default().place(repository))
}

#[test]
fn the_files_are_what_apt_and_dnf_read() {
    assert_eq!(
        of(repository("Debian 12", "docker")).replace(MARK, "#"),
        "#\nTypes: deb\nURIs: https://download.docker.com/linux/debian\nSuites: bookworm\nComponents: stable\n\
         Signed-By: /etc/apt/keyrings/chatalot-docker.asc\n"
    );
    assert_eq!(
        of(repository("Rocky Linux 9", "docker")).replace(MARK, "#"),
        "#\n[chatalot-docker]\nname=Docker\nbaseurl=https://download.docker.com/linux/centos/9/$basearch/stable\n\
         enabled=1\ngpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-chatalot-docker\n"
    );
}

#[test]
fn a_source_that_is_switched_off_or_a_comment_is_not_in_force() {
    let docker = || ["download.docker.com/linux/"].into_iter();
    let line = "deb [signed-by=/etc/apt/keyrings/docker.gpg] https://download.docker.com/linux/debian bookworm stable";
    assert!(in_force(line, docker()));
    assert!(!in_force(&format!("# {line}"), docker()));
    let stanza = "Types: deb\nURIs: https://download.docker.com/linux/debian\nSuites: bookworm\n";
    assert!(in_force(stanza, docker()));
    assert!(!in_force(&format!("{stanza}Enabled: no\n"), docker()));
    let off = "[docker-ce-test]\nbaseurl=https://download.docker.com/linux/rhel/9/x/test\nenabled=0\n";
    assert!(!in_force(off, docker()));
    assert!(in_force(
        &format!(
            "{off}[docker-ce-stable]\nbaseurl=https://download.docker.com/linux/rhel/9/x/stable\nenabled = 1\n"
        ),
        docker()
    ));
    assert!(in_force(
        "[epel]\nmetalink=https://mirrors.fedoraproject.org/x\n",
        ["[epel]"].into_iter()
    ));
    assert!(!in_force("", docker()));
}

#[test]
fn a_mirror_is_used_whole_and_a_nonsensical_one_is_refused() {
    let docker = repository("Debian 12", "docker");
    let print = "ab".repeat(20);
    let text = format!(
        "[repositories.docker]\nurl = \"http://mirror.example.net/docker\"\nkey = \"https://mirror.example.net/key\"\n\
         fingerprint = \"{print}\"\n"
    );
    let place = crate::config::mirrors(&text).unwrap().place(docker);
    assert_eq!(place.fingerprint, print.to_uppercase());
    assert!(place.mirrored && source(docker, &place).contains("URIs: http://mirror.example.net/docker\n"));
    // What is not said stays as it is: a mirror of the same packages has the same key.
    let only = crate::config::mirrors("[repositories.docker]\nurl = \"https://m.example.net\"\n").unwrap();
    assert_eq!(only.place(docker).fingerprint, docker.fingerprint);
    for (text, why) in [
        (
            "[repositories.dokcer]\n",
            "no repository is called `dokcer`; there are caddy, docker, epel",
        ),
        (
            "[repositories.docker]\nurl = \"ftp://x\"\n",
            "`url` of repository `docker`",
        ),
        (
            "[repositories.docker]\nkey = \"https://x\\nEnabled: no\"\n",
            "`key` of repository `docker`",
        ),
        (
            "[repositories.docker]\nfingerprint = \"0EBFCD88\"\n",
            "a whole fingerprint",
        ),
        ("[repositories.docker]\nuri = \"https://x\"\n", "uri"),
    ] {
        let error = crate::chain(&crate::config::mirrors(text).unwrap_err());
        assert!(error.contains(why), "{error}");
    }
}
