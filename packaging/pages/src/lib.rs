//! Man pages and shell completions of both programs, made from the command lines that the programs themselves read:
//! there is no second description of a flag that could age.
//!
//! They lie as below `/usr/share`: `man/man1`, `bash-completion/completions`, `zsh/vendor-completions` and
//! `fish/vendor_completions.d`.

#![forbid(unsafe_code)]

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use std::fs;
use std::io;
use std::path::Path;

/// Each shell's folder below `share`.
const SHELLS: &[(Shell, &str)] = &[
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/vendor-completions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

/// Both programs.
pub fn programs() -> [Command; 2] {
    [
        chatalot_agent::cli::Cli::command(),
        chatalotctl::ctl::Cli::command(),
    ]
}

/// Writes everything below `share`; folders are made as needed.
pub fn write(share: &Path) -> io::Result<()> {
    for program in programs() {
        let name = program.get_name().to_owned();
        for (shell, folder) in SHELLS {
            let folder = share.join(folder);
            fs::create_dir_all(&folder)?;
            let made = generate_to(*shell, &mut program.clone(), &name, &folder)?;
            // Bash looks for a file with exactly the program's name.
            if *shell == Shell::Bash {
                fs::rename(made, folder.join(&name))?;
            }
        }
        let pages = share.join("man/man1");
        fs::create_dir_all(&pages)?;
        clap_mangen::generate_to(program, &pages)?;
    }
    Ok(())
}
