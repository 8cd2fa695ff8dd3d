//! Patterns: `*` any characters, `?` one, capitals alike.

/// A pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    parts: Vec<char>,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Pattern {
        let parts = text.to_lowercase().chars().collect();
        Pattern { parts }
    }

    /// Whether a text fits, in time that grows with the product of both lengths at most.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.to_lowercase().chars().collect();
        let (mut at, mut of) = (0, 0);
        // Where the last `*` stands, and how much it has taken so far.
        let mut retry: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.parts.get(of) {
                Some('*') => {
                    retry = Some((of + 1, at));
                    of += 1;
                }
                Some(c) if *c == '?' || *c == text[at] => {
                    at += 1;
                    of += 1;
                }
                _ => match retry {
                    None => return false,
                    Some((after, taken)) => {
                        retry = Some((after, taken + 1));
                        (of, at) = (after, taken + 1);
                    }
                },
            }
        }
        self.parts.iter().skip(of).all(|c| *c == '*')
    }

    /// What every text that fits begins with, in small letters.
    pub(super) fn beginning(&self) -> String {
        self.parts
            .iter()
            .take_while(|c| !matches!(c, '*' | '?'))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, fits) in [
            ("pump-*", "Pump-7", true),
            ("pump-*", "pump", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*ab*ab*", "xxabyyabzz", true),
            ("*ab*ab", "abx", false),
            ("É*", "étage", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn hostile_patterns_end() {
        let pattern = Pattern::new(&"*a".repeat(500));
        assert!(!pattern.matches(&"a".repeat(499)));
        assert!(pattern.matches(&"a".repeat(1_000)));
        assert!(!Pattern::new(&format!("{}b", "*a".repeat(500))).matches(&"a".repeat(1_024)));
    }
}
