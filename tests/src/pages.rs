//! What a page of the documents shows to type or to run.

/// The fenced blocks of one language, `sh` for example, in their order.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        match (&mut open, line) {
            (None, line) if line == fence => open = Some(String::new()),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), line) => *block = format!("{block}{line}\n"),
            (None, _) => {}
        }
    }
    blocks
}
