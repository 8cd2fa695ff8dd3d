//! What a report comes to, before it is printed in one form or another.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;

use super::super::device::guarded;

/// One report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Table {
    /// Its name on the command line.
    pub(crate) report: &'static str,
    /// What it says, in a sentence.
    pub(crate) about: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
    /// What a page draws of it.
    #[serde(skip)]
    pub(crate) charts: Vec<Chart>,
}

/// Bars, each with its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) bars: Vec<(String, f64)>,
}

/// What stands for a value that is not there.
pub(crate) const NONE: &str = "(none)";

/// A value, or that there is none.
pub(crate) fn or_none(value: &str) -> String {
    if value.is_empty() { NONE } else { value }.to_owned()
}

impl Table {
    /// With commas, under a line of headings. A spreadsheet takes no cell of it for a formula.
    pub(crate) fn write_csv(&self, to: impl Write) -> Result<()> {
        let mut table = csv::Writer::from_writer(to);
        table.write_record(&self.columns)?;
        for row in &self.rows {
            table.write_record(row.iter().cloned().map(guarded))?;
        }
        Ok(table.flush()?)
    }
}
