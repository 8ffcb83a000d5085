//! What is written covers both command lines as they are now, and the shells themselves accept it.

use clap::Command;
use std::fs;
use std::path::Path;
use std::process::Command as Process;

/// The visible commands below one, with the names of their pages.
fn pages_of(command: &Command, name: &str) -> Vec<String> {
    let below = command.get_subcommands().filter(|one| !one.is_hide_set());
    let below = below.flat_map(|one| pages_of(one, &format!("{name}-{}", one.get_name())));
    std::iter::once(format!("{name}.1")).chain(below).collect()
}

/// The long flags of a command and all visible ones below it.
fn flags_of(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter(|flag| !flag.is_hide_set());
    let own = own.filter_map(|flag| flag.get_long().map(|long| format!("--{long}")));
    let below = command.get_subcommands().filter(|one| !one.is_hide_set());
    own.chain(below.flat_map(flags_of)).collect()
}

/// What is in a file; nothing, of which every flag is then missing, where it was not written.
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn every_command_and_flag_of_both_programs_is_in_their_pages_and_completions() {
    let share = tempfile::tempdir().unwrap();
    chatalot_pages::write(share.path()).unwrap();
    for program in chatalot_pages::programs() {
        let name = program.get_name();
        let mut pages = String::new();
        for page in pages_of(&program, name) {
            pages.push_str(&read(&share.path().join("man/man1").join(page)).replace("\\-", "-"));
        }
        let files = [
            format!("bash-completion/completions/{name}"),
            format!("zsh/vendor-completions/_{name}"),
            format!("fish/vendor_completions.d/{name}.fish"),
        ];
        let completions = files.map(|file| read(&share.path().join(file)));
        for flag in flags_of(&program) {
            assert!(pages.contains(&flag), "{flag} is in no page of {name}");
            let long = flag.trim_start_matches('-');
            for completion in &completions {
                assert!(completion.contains(long), "{flag} is not completed for {name}");
            }
        }
    }
}

#[test]
fn bash_takes_the_completions_up_and_knows_the_commands() {
    let share = tempfile::tempdir().unwrap();
    chatalot_pages::write(share.path()).unwrap();
    for program in ["chatalotctl", "chatalot-agent"] {
        let file = share.path().join("bash-completion/completions").join(program);
        let ask = format!(
            ". '{}'; how=$(complete -p {program}); how=${{how#*-F }}; COMP_WORDS=({program} de); COMP_CWORD=1; \
             ${{how%% *}} {program} de {program}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        let said = Process::new("bash").args(["-c", &ask]).output().unwrap();
        let words = String::from_utf8(said.stdout).unwrap();
        let complaints = String::from_utf8(said.stderr).unwrap();
        assert_eq!(
            words.lines().collect::<Vec<_>>(),
            ["deploy", "deployment"],
            "{complaints}"
        );
    }
}
