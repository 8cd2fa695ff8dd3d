//! Asking before something that cannot be undone.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Result;

use super::{Global, print};
use crate::exit::{Exit, Failure};

/// Whether to ask.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Confirm {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Say what would be done, and do nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

/// What came of asking.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// Go ahead.
    Given,
    /// It has been said what would be done; nothing is to be done.
    NotWanted,
}

impl Confirm {
    /// Whether nothing is to be done but to say what would be.
    pub(super) fn only_says(&self) -> bool {
        self.dry_run
    }

    /// Asks on a terminal; without one `--yes` must have been given.
    pub(super) fn ask(&self, global: &Global, what: &str) -> Result<Consent> {
        if self.yes {
            return Ok(Consent::Given);
        }
        if self.dry_run {
            would(global, what)?;
            return Ok(Consent::NotWanted);
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
            Ok(Consent::Given)
        } else {
            Err(Failure::new(Exit::Failed, "nothing was changed").into())
        }
    }
}

fn would(global: &Global, what: &str) -> Result<()> {
    if global.json {
        return print::json(&serde_json::json!({ "would": what }));
    }
    print::line(format!("would {what}"))
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
