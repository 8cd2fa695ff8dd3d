//! What the checker found.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::super::{Global, print};

/// One check.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Finding {
    /// What was to hold.
    pub(super) check: String,
    /// Whether it did.
    pub(super) held: bool,
    /// What was seen.
    pub(super) seen: String,
}

/// All checks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
}

impl Report {
    /// Adds a check.
    pub(super) fn check(&mut self, check: &str, held: bool, seen: impl Into<String>) {
        self.findings.push(Finding {
            check: check.into(),
            held,
            seen: seen.into(),
        });
    }

    /// Whether every check held. None at all is no good.
    pub(super) fn is_good(&self) -> bool {
        !self.findings.is_empty() && self.findings.iter().all(|finding| finding.held)
    }
}

pub(super) fn print(global: &Global, report: &Report, seconds: f64) -> Result<()> {
    if global.json {
        let good = report.is_good();
        return print::json(
            &serde_json::json!({ "good": good, "seconds": seconds, "findings": report.findings }),
        );
    }
    print::line("")?;
    for finding in &report.findings {
        let mark = if finding.held { "held  " } else { "FAILED" };
        print::line(format!("  {mark}  {:<58} {}", finding.check, finding.seen))?;
    }
    let held = report.findings.iter().filter(|finding| finding.held).count();
    print::line(format!(
        "\n{held} of {} checks held, {seconds:.1} s in all",
        report.findings.len()
    ))
}
