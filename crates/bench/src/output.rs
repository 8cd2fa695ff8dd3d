//! Figures for people and for programs.

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use serde::Serialize;

use crate::machine::Machine;

/// What a measurement found.
pub(crate) trait Findings: Serialize {
    /// What was measured, in a line or two.
    fn heading(&self) -> String;
    /// Column heads.
    fn columns(&self) -> Vec<&'static str>;
    /// A row for each variant.
    fn rows(&self) -> Vec<Vec<String>>;
}

#[derive(Serialize)]
struct Document<'a, F> {
    machine: &'a Machine,
    #[serde(flatten)]
    findings: &'a F,
}

pub(crate) fn print(findings: &impl Findings, machine: &Machine, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(&Document { machine, findings })?);
        return Ok(());
    }
    let mut table = Table::new();
    table
        .load_preset(NOTHING)
        .set_header(findings.columns())
        .add_rows(findings.rows());
    table
        .column_iter_mut()
        .skip(1)
        .for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    println!("{}\n{}\n\n{table}", machine.line(), findings.heading());
    Ok(())
}

/// A number with as many digits as mean something.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
