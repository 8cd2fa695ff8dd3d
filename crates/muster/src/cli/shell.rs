//! `muster completion` and `muster man`

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use anyhow::{Context, Result};
use clap::CommandFactory;

use super::{Cli, print};

/// Print a completion script for your shell.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  muster completion bash > ~/.local/share/bash-completion/completions/muster
  muster completion zsh > ~/.zfunc/_muster
  muster completion fish > ~/.config/fish/completions/muster.fish")]
pub(super) struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Write man pages into a folder.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  muster man ~/.local/share/man/man1 && man muster-device")]
pub(super) struct Man {
    /// Where the pages are written
    folder: PathBuf,
}

impl Completion {
    pub(super) fn run(self) -> Result<()> {
        // By way of memory: the generator does not bear a reader that has heard enough.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "muster", &mut script);
        Ok(io::stdout().lock().write_all(&script)?)
    }
}

impl Man {
    pub(super) fn run(self) -> Result<()> {
        let folder = self.folder.display();
        let told = || format!("cannot write man pages into {folder}");
        fs::create_dir_all(&self.folder).with_context(told)?;
        clap_mangen::generate_to(Cli::command(), &self.folder).with_context(told)?;
        print::line(format!("man pages are in {folder}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_page_and_most_show_an_example() {
        let folder = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(Cli::command(), folder.path()).unwrap();
        for name in [
            "muster",
            "muster-device-register",
            "muster-cert-claim",
            "muster-firmware-sign",
        ] {
            let page = fs::read_to_string(folder.path().join(format!("{name}.1"))).unwrap();
            assert!(name == "muster" || page.contains("Examples:"), "{name}");
        }
    }

    #[test]
    fn scripts_know_the_commands() {
        for shell in [
            clap_complete::Shell::Bash,
            clap_complete::Shell::Zsh,
            clap_complete::Shell::Fish,
        ] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "muster", &mut script);
            assert!(
                String::from_utf8(script).unwrap().contains("quarantine"),
                "{shell}"
            );
        }
    }
}
