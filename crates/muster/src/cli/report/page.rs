//! Reports as a page: one file with everything in it, to be mailed and printed.

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    super::print,
    chart,
    table::{Chart, Table},
};

/// Rows that a page shows of one report.
const ROWS: usize = 1_000;

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; text-transform: capitalize; }
p.made, p.more { color: #777; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
th { font-size: .8rem; text-transform: uppercase; letter-spacing: .03em; color: #777; }
td.number { text-align: right; }
th.number { text-align: right; }
figure { display: inline-block; vertical-align: top; margin: .5rem 1rem .5rem 0; background: #fff; border-radius: 4px; max-width: 100%; }
figure svg { display: block; max-width: 100%; height: auto; }
@media print { body { margin: 0; max-width: none; } h2 { break-after: avoid; } tr, figure { break-inside: avoid; } }
";

/// The whole page.
pub(crate) fn page(site: &str, query: &str, now_ms: i64, tables: &[Table]) -> Result<String> {
    let sections: Vec<_> = tables.iter().map(section).collect::<Result<_>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing is loaded from anywhere, and nothing in it runs.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { "Fleet report, " (site) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Fleet report, " (site) }
                p.made {
                    (print::time(now_ms))
                    @if !query.is_empty() { ", devices that fit " code { (query) } }
                }
                @for section in sections { (section) }
            }
        }
    };
    Ok(page.into_string())
}

fn section(table: &Table) -> Result<Markup> {
    let charts = table.charts.iter().filter(|chart| !chart.bars.is_empty());
    let charts: Vec<_> = charts.map(draw).collect::<Result<_>>()?;
    let numeric: Vec<bool> = (0..table.columns.len())
        .map(|column| is_numeric(table, column))
        .collect();
    let class = |column: usize| numeric[column].then_some("number");
    let more = table.rows.len().saturating_sub(ROWS);
    Ok(html! {
        section id=(table.report) {
            h2 { (table.report) }
            p { (table.about) }
            @for chart in charts { figure { (chart) } }
            @if !table.rows.is_empty() {
                table {
                    thead { tr {
                        @for (n, column) in table.columns.iter().enumerate() { th class=[class(n)] { (column) } }
                    } }
                    tbody {
                        @for row in table.rows.iter().take(ROWS) {
                            tr { @for (n, cell) in row.iter().enumerate() { td class=[class(n)] { (print::clean(cell)) } } }
                        }
                    }
                }
            }
            @if more > 0 { p.more { "and " (more) " more; the tables with commas have them all" } }
        }
    })
}

/// The chart is written by our own hand from here on: its texts are escaped by what draws it.
fn draw(chart: &Chart) -> Result<Markup> {
    Ok(PreEscaped(chart::svg(chart)?))
}

fn is_numeric(table: &Table, column: usize) -> bool {
    let mut cells = table
        .rows
        .iter()
        .filter_map(|row| row.get(column))
        .filter(|cell| !cell.is_empty());
    !table.rows.is_empty() && cells.all(|cell| cell.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_devices_are_called_is_text_and_never_markup() {
        let hostile = "<script>alert(1)</script>&\"'";
        let table = Table {
            report: "inventory",
            about: hostile.into(),
            columns: vec!["by", "value", "devices"],
            rows: vec![vec!["site".into(), format!("{hostile}\u{1b}[31m"), "7".into()]],
            charts: vec![Chart {
                title: hostile.into(),
                bars: vec![(hostile.into(), 7.0)],
            }],
        };
        let page = page(hostile, hostile, 0, &[table]).unwrap();
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains('\u{1b}') && page.contains("&lt;script&gt;"));
        assert!(page.contains("<td class=\"number\">7</td>"));
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let table = Table {
            report: "unseen",
            about: String::new(),
            columns: vec!["id"],
            rows: (0..ROWS + 5).map(|n| vec![format!("d-{n}")]).collect(),
            charts: vec![],
        };
        let page = page("hq", "", 0, &[table]).unwrap();
        assert_eq!(page.matches("<tr>").count(), 1 + ROWS);
        assert!(page.contains("and 5 more"));
    }
}
