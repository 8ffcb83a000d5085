use super::*;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

/// A program that says a version and counts how often it was asked.
fn program(path: &Path, version: &str) -> PathBuf {
    let folder = path.parent().unwrap().display().to_string();
    std::fs::write(
        path,
        format!("#!/bin/sh\necho \"$@\" >> {folder}/asked\n{version}\n"),
    )
    .unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

/// How often `docker` was asked; a plugin that does not know the question does not count.
fn asked(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join("asked"))
        .unwrap_or_default()
        .lines()
        .filter(|words| *words != "docker-cli-plugin-metadata")
        .count()
}

#[tokio::test]
async fn compose_is_asked_once_for_each_plugin_that_is_new() {
    let here = tempfile::tempdir().unwrap();
    let folders = [here.path().join("none"), here.path().to_owned()];
    let seen = Mutex::new(None);
    let docker = program(&here.path().join("docker"), "echo v2.26.1-4");
    assert_eq!(
        version(&folders, Some(docker.clone()), &seen).await.unwrap(),
        None
    );
    let plugin = program(&here.path().join("docker-compose"), "");
    for _ in 0..3 {
        let told = version(&folders, Some(docker.clone()), &seen).await.unwrap();
        assert_eq!(told.as_deref(), Some("2.26.1-4"));
    }
    assert_eq!(asked(here.path()), 1);
    std::fs::remove_file(&plugin).unwrap();
    assert_eq!(
        version(&folders, Some(docker.clone()), &seen).await.unwrap(),
        None
    );
    std::fs::write(here.path().join("other"), "").unwrap();
    program(&plugin, "true");
    assert!(version(&folders, Some(docker), &seen).await.unwrap().is_some());
    assert_eq!(asked(here.path()), 2);
}

#[tokio::test]
async fn a_plugin_that_says_its_version_itself_is_asked_once_and_docker_never() {
    let here = tempfile::tempdir().unwrap();
    let (folders, seen) = ([here.path().to_owned()], Mutex::new(None));
    let docker = program(&here.path().join("docker"), "exit 1");
    program(
        &here.path().join("docker-compose"),
        r#"echo '{"SchemaVersion":"0.1.0","Vendor":"Docker Inc.","Version":"v2.26.1-4"}'"#,
    );
    for _ in 0..3 {
        let told = version(&folders, Some(docker.clone()), &seen).await.unwrap();
        assert_eq!(told.as_deref(), Some("2.26.1-4"));
    }
    let asked = std::fs::read_to_string(here.path().join("asked")).unwrap();
    assert_eq!(asked, "docker-cli-plugin-metadata\n");
}

#[tokio::test]
async fn compose_without_docker_is_none_and_a_broken_one_is_told() {
    let here = tempfile::tempdir().unwrap();
    let folders = [here.path().to_owned()];
    program(&here.path().join("docker-compose"), "");
    let seen = Mutex::new(None);
    assert_eq!(version(&folders, None, &seen).await.unwrap(), None);
    let docker = program(
        &here.path().join("docker"),
        "echo \"unknown flag: --short\" >&2; exit 125",
    );
    let failed = version(&folders, Some(docker), &seen).await.unwrap_err();
    assert_eq!(
        failed.to_string(),
        "cannot tell compose's version: unknown flag: --short"
    );
}

#[tokio::test]
async fn compose_is_asked_for_services_again_only_when_a_file_has_changed() {
    let here = tempfile::tempdir().unwrap();
    let site = here.path().join("site");
    std::fs::create_dir(&site).unwrap();
    std::fs::write(site.join("docker-compose.yml"), "").unwrap();
    let docker = program(&here.path().join("docker"), "printf 'chatalot\\npostgres\\n'");
    let folder = site.display().to_string();
    let ask = Command::new(&docker.display().to_string(), &["compose"]).within(&folder);
    let seen = Mutex::new(None);
    let wanted = Some(vec!["chatalot".to_owned(), "postgres".to_owned()]);
    for _ in 0..3 {
        assert_eq!(services(&[], &folder, &ask, &seen).await.unwrap(), wanted);
    }
    assert_eq!(asked(here.path()), 1);
    std::fs::write(site.join(".env"), "COMPOSE_PROFILES=turn").unwrap();
    assert_eq!(services(&[], &folder, &ask, &seen).await.unwrap(), wanted);
    assert_eq!(asked(here.path()), 2);
    let plugins = [here.path().to_owned()];
    program(&here.path().join("docker-compose"), "");
    assert_eq!(services(&plugins, &folder, &ask, &seen).await.unwrap(), wanted);
    assert_eq!(asked(here.path()), 3);
}

#[tokio::test]
async fn services_that_compose_cannot_tell_are_asked_for_every_time() {
    let here = tempfile::tempdir().unwrap();
    let docker = program(&here.path().join("docker"), "exit 15");
    let folder = here.path().display().to_string();
    let ask = Command::new(&docker.display().to_string(), &["compose"]).within(&folder);
    let seen = Mutex::new(None);
    for times in 1..3 {
        assert_eq!(services(&[], &folder, &ask, &seen).await.unwrap(), None);
        assert_eq!(asked(here.path()), times);
    }
}
