//! The values of the contract's enums by their names in JSON, and as people say them: `CHECK_KIND_SELF_TEST` is `self test`
//! in a sentence and `self-test` where it is typed.

/// What the names of each enum's values begin with.
static BEGINNINGS: &[&str] = include!(concat!(env!("OUT_DIR"), "/beginnings.rs"));

/// A value as it is said in a sentence.
pub fn said(name: &str) -> String {
    bare(name).to_lowercase().replace('_', " ")
}

/// A value as it is typed.
pub fn typed(name: &str) -> String {
    bare(name).to_lowercase().replace('_', "-")
}

/// The name without what all of its enum begin with; one of no enum stays whole.
fn bare(name: &str) -> &str {
    let rests = BEGINNINGS.iter().filter_map(|begin| name.strip_prefix(begin));
    // `ADMISSION_STATUS_` says more than `ADMISSION_`.
    rests.min_by_key(|rest| rest.len()).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{AdmissionStatus, CheckKind, JobState, Role, Stage};

    #[test]
    fn a_value_is_said_without_what_all_of_its_enum_begin_with() {
        for (name, spoken) in [
            (Stage::Active.as_str_name(), "active"),
            (Role::ReleaseManager.as_str_name(), "release manager"),
            (CheckKind::SelfTest.as_str_name(), "self test"),
            (JobState::TimedOut.as_str_name(), "timed out"),
            (AdmissionStatus::TurnedAway.as_str_name(), "turned away"),
            ("SOMETHING_ELSE", "something else"),
        ] {
            assert_eq!(said(name), spoken);
            assert_eq!(typed(name), spoken.replace(' ', "-"));
        }
    }

    /// A value of one enum must not read as one of another.
    #[test]
    fn no_beginning_stands_in_another_but_for_whole_words() {
        for one in BEGINNINGS {
            assert!(
                one.ends_with('_') && bare(&format!("{one}UNSPECIFIED")) == "UNSPECIFIED",
                "{one}"
            );
        }
    }
}
