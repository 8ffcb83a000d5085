use super::*;
use clap::Parser;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use tempfile::NamedTempFile;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    site: SiteFlags,
}

fn flags(words: &[&str]) -> SiteFlags {
    Line::try_parse_from(["x"].iter().chain(words)).unwrap().site
}

fn file(text: &str, mode: u32) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(mode))
        .unwrap();
    file
}

fn with_file(file: &NamedTempFile, words: &[&str]) -> Result<Inputs, Failure> {
    let path = file.path().to_str().unwrap();
    flags(&[&["--site", path], words].concat()).collect()
}

#[test]
fn every_input_is_a_flag_and_every_secret_a_file() {
    use chatalot_protocol::inputs::INPUTS;
    use clap::CommandFactory;
    let command = Line::command();
    let names: Vec<&str> = command.get_arguments().filter_map(|arg| arg.get_long()).collect();
    for row in INPUTS {
        let dashed = row.name.replace('_', "-");
        let wanted = if row.secret {
            format!("{dashed}-file")
        } else {
            dashed.clone()
        };
        assert!(names.contains(&wanted.as_str()), "{wanted}");
        assert!(!row.secret || !names.contains(&dashed.as_str()), "{dashed}");
    }
}

#[test]
fn a_flag_overrides_the_site_file() {
    let site = file(
        "domain = \"a.example.com\"\nupdates = false\nref = \"v1\"\nturn_external_ip = \"203.0.113.9\"\n",
        0o644,
    );
    let inputs = with_file(&site, &["--domain", "b.example.com", "--updates", "--turn", ""]).unwrap();
    assert_eq!(inputs.domain.as_deref(), Some("b.example.com"));
    assert_eq!(inputs.updates, Some(true));
    assert_eq!(inputs.reference.as_deref(), Some("v1"));
    assert_eq!(inputs.turn_external_ip, None);
}

#[test]
fn a_site_file_with_a_secret_that_others_can_read_is_refused_with_the_fix() {
    let text = "registry_user = \"u\"\nregistry_token = \"t0ken\"\n";
    let why = with_file(&file(text, 0o644), &[]).unwrap_err().to_string();
    assert!(why.contains("chmod 600") && why.contains("0644"), "{why}");
    let inputs = with_file(&file(text, 0o600), &[]).unwrap();
    assert_eq!(inputs.registry_token.unwrap().expose(), "t0ken");
}

#[test]
fn no_error_shows_a_secret() {
    for text in [
        "registry_token = 73129\n",
        "registry_token = \"73129\n",
        "registry_token = 73129 abc\n",
        "registry_token = [\"73129\"]\n",
        "registry_token 73129\n",
    ] {
        let why = with_file(&file(text, 0o600), &[]).unwrap_err().to_string();
        assert!(!why.contains("73129"), "{why}");
    }
}

#[test]
fn a_misspelt_input_is_named() {
    let why = with_file(&file("domian = \"a.example.com\"\n", 0o644), &[]).unwrap_err();
    assert!(why.to_string().contains("domian"), "{why}");
    let endless = format!("{} = 1\n", "x".repeat(60_000));
    let why = with_file(&file(&endless, 0o644), &[]).unwrap_err().to_string();
    assert!(why.contains("unknown field `xxx") && why.len() < 1000, "{why}");
}

#[test]
fn a_secret_comes_from_a_file_without_its_line_end() {
    let token = file("t0ken\n", 0o600);
    let path = token.path().to_str().unwrap();
    let inputs = flags(&["--registry-token-file", path]).collect().unwrap();
    assert_eq!(inputs.registry_token.unwrap().expose(), "t0ken");
    let open = file("t0ken\n", 0o640);
    let path = open.path().to_str().unwrap();
    assert!(flags(&["--registry-token-file", path]).collect().is_err());
}

#[test]
fn standard_input_is_not_read_twice() {
    let twice = flags(&["--registry-token-file", "-", "--secrets-stdin"]);
    assert!(twice.takes_standard_input());
    assert!(matches!(twice.collect(), Err(Failure::Usage(_))));
}
