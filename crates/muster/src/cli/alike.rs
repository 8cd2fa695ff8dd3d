//! The word that somebody may have meant.

/// How alike words are that are worth naming: clap's own measure and bound.
const ALIKE: f64 = 0.7;
/// More of them would be a list to read.
const MOST: usize = 3;

/// `; perhaps you mean pump-7`, or nothing where no word is alike.
pub(super) fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let word = word.to_lowercase();
    let likeness = |known: &'a str| (strsim::jaro(&word, &known.to_lowercase()), known);
    let mut alike: Vec<_> = known.into_iter().map(likeness).collect();
    alike.retain(|(likeness, _)| *likeness > ALIKE);
    alike.sort_by(|one, other| other.0.total_cmp(&one.0));
    let words: Vec<_> = alike.iter().take(MOST).map(|(_, word)| *word).collect();
    match words.as_slice() {
        [] => String::new(),
        words => format!("; perhaps you mean {}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_keyboard_are_seen_and_other_words_are_not() {
        let known = ["retire", "replace", "release", "suspend", "pump-7", "pump-8"];
        for (typed, expected) in [
            ("retrie", "; perhaps you mean retire"),
            ("RETIRE", "; perhaps you mean retire"),
            ("pump7", "; perhaps you mean pump-7, pump-8"),
            ("dance", ""),
            ("", ""),
        ] {
            let hint = hint(typed, known);
            assert!(
                hint.starts_with(expected) && hint.is_empty() == expected.is_empty(),
                "{typed}: {hint}"
            );
        }
    }
}
