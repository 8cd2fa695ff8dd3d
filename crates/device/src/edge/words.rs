//! What the device says in words, as the server takes it: one line, of bounded length.

use contract::limits::TEXT_CHARS;

/// One line.
pub(super) fn line(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(TEXT_CHARS).collect()
}

/// Why something was not done; never empty.
pub(super) fn reason(why: &str) -> String {
    let line = line(why);
    if line.trim().is_empty() {
        "it gives no reason".to_owned()
    } else {
        line
    }
}
