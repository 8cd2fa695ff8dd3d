//! Progress on long work: on stderr, and only when it is a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over `length` things.
pub(super) fn bar(length: u64, things: &'static str) -> ProgressBar {
    let template = format!("{{wide_bar}} {{pos}}/{{len}} {things}, {{eta}} left");
    styled(length, &template)
}

/// A bar over `length` bytes.
pub(super) fn bytes(length: u64) -> ProgressBar {
    styled(
        length,
        "{wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
    )
}

/// What is being done, where nobody knows how much there is.
pub(super) fn steps() -> ProgressBar {
    let bar = styled(0, "{elapsed} {msg}");
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}

fn styled(length: u64, template: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length), target).with_style(style)
}
