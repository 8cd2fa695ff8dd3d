//! Why a certificate is revoked.

use contract::Refusal;
use pki::Reason;

/// The words of RFC 5280, section 5.3.1, that make sense here.
const REASONS: [(&str, Reason); 7] = [
    ("unspecified", Reason::Unspecified),
    ("keyCompromise", Reason::KeyCompromise),
    ("cACompromise", Reason::CaCompromise),
    ("affiliationChanged", Reason::AffiliationChanged),
    ("superseded", Reason::Superseded),
    ("cessationOfOperation", Reason::CessationOfOperation),
    ("privilegeWithdrawn", Reason::PrivilegeWithdrawn),
];

/// Their words.
pub(crate) fn reasons() -> [&'static str; REASONS.len()] {
    REASONS.map(|(word, _)| word)
}

/// A reason by its word; empty means unspecified.
pub(crate) fn reason(word: &str) -> Result<(&'static str, Reason), Refusal> {
    let wanted = if word.is_empty() { REASONS[0].0 } else { word };
    let found = REASONS.into_iter().find(|(known, _)| *known == wanted);
    found.ok_or_else(|| {
        let message = "not a reason of RFC 5280, section 5.3.1, that is used here";
        Refusal::invalid("reason", message).allowing(REASONS.map(|(known, _)| known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_those_of_the_standard() {
        assert_eq!(reason("").unwrap().1, Reason::Unspecified);
        assert_eq!(reason("keyCompromise").unwrap().1, Reason::KeyCompromise);
        assert!(
            reason("removeFromCRL")
                .unwrap_err()
                .allowed
                .contains(&"superseded".to_owned())
        );
    }
}
