//! Asking before something that cannot be undone.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Result;

use crate::exit::{Exit, Failure};

/// Whether to ask.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Confirm {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Confirm {
    /// Asks on a terminal; without one `--yes` must have been given.
    pub(super) fn ask(&self, what: &str) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::usage(format!("{what}: give --yes, there is no terminal to ask on")).into());
        }
        let mut err = io::stderr().lock();
        write!(err, "{what}? [y/N] ")?;
        err.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        if is_yes(&answer) {
            Ok(())
        } else {
            Err(Failure::new(Exit::Failed, "nothing was changed").into())
        }
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (answer, expected) in [
            ("y\n", true),
            ("YES\n", true),
            (" yes ", true),
            ("\n", false),
            ("n", false),
            ("yep", false),
        ] {
            assert_eq!(is_yes(answer), expected, "{answer:?}");
        }
    }
}
