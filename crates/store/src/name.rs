//! The names a blob may have: one path component that no file system takes for anything else.

use service::store::StoreError;

/// Refuses what is not `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`, and the name of the parts' folder.
pub(crate) fn check(name: &str) -> Result<(), StoreError> {
    let fits = name.len() <= 128
        && name != crate::files::PARTS
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || matches!(each, '.' | '_' | '-'));
    if fits {
        Ok(())
    } else {
        Err(StoreError::Engine(format!("{name:?} is no name for a blob")))
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names_are_one_plain_component() {
        let long = "a".repeat(128);
        for name in ["a", "9.bin", "crl-1_2.der", long.as_str()] {
            check(name).unwrap();
        }
        let longer = "a".repeat(129);
        for name in [
            "",
            ".",
            "..",
            ".a",
            "-a",
            "a/b",
            "a\\b",
            "a\0",
            "a b",
            "ä",
            "parts",
            longer.as_str(),
        ] {
            assert!(check(name).is_err(), "{name:?}");
        }
    }
}
