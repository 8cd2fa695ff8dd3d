//! The contract's enums as words on the command line: `STAGE_ACTIVE` ⇄ `active`.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use contract::{id::Kind, names::typed, v1};

/// An enum of the contract.
pub(super) trait Word: Copy + TryFrom<i32> + Into<i32> + Send + Sync + 'static {
    /// Its name in the contract.
    fn name(&self) -> &'static str;
}

macro_rules! words {
    ($($kind:ident),* $(,)?) => {
        $(impl Word for v1::$kind {
            fn name(&self) -> &'static str {
                self.as_str_name()
            }
        })*
    };
}

words! {
    Admission, AdmissionStatus, CertificateStatus, CheckKind, CommandState, ConfigScope, Comparison, Connectivity, Criticality, Drift, Erasure, FactoryIdentity, JobState, MaintenanceKind, MassRenewalState, RenewingState, Response, RetirementState, Restriction, Role, RolloutState, TransferState,
    Severity, Stage, UpdateState,
}

/// No word of the list; clap names the list before this can be seen.
#[derive(Debug, thiserror::Error)]
#[error("there is no such word")]
pub(super) struct NoSuchWord;

/// Reads a word of this enum; the unspecified value has none.
pub(super) fn parser<E: Word>() -> impl TypedValueParser<Value = E> {
    PossibleValuesParser::new(all::<E>().map(say)).try_map(|text| find(&text).ok_or(NoSuchWord))
}

/// The word for a value; empty for the unspecified one.
pub(super) fn say<E: Word>(value: E) -> String {
    if value.into() == 0 {
        String::new()
    } else {
        typed(value.name())
    }
}

/// Whether a text is such a name.
pub(super) fn is_name(text: &str) -> bool {
    text.contains('_') && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

/// The value behind a word.
pub(super) fn find<E: Word>(text: &str) -> Option<E> {
    all::<E>().find(|value| say(*value) == text)
}

/// Every word of an enum, for a sentence.
pub(super) fn list<E: Word>() -> String {
    all::<E>().map(say).collect::<Vec<_>>().join(", ")
}

/// Every word's value.
pub(super) fn all<E: Word>() -> impl Iterator<Item = E> {
    (1..).map_while(|number| E::try_from(number).ok())
}

/// When somebody was not let in, and why.
pub(super) fn refused(refused: &v1::RefusedTry) -> String {
    let (time, from, why) = (
        super::print::time(refused.time_ms),
        &refused.address,
        &refused.why,
    );
    let by = match refused.batch.as_str() {
        "" => String::new(),
        batch => format!(" by {batch}"),
    };
    let times = match refused.count {
        0 | 1 => String::new(),
        count => format!(" ({count} times)"),
    };
    format!("last refused on {time} from {from}{by}: {why}{times}")
}

/// Reads `operator` or `integrator`.
pub(super) fn person() -> impl TypedValueParser<Value = Kind> {
    kinds(&[Kind::Operator, Kind::Integrator])
}

/// Reads the kind of a certificate's owner: `device`, `claim`, `operator` …
pub(super) fn owner() -> impl TypedValueParser<Value = Kind> {
    kinds(&Kind::ALL)
}

/// Reads the kind of somebody who connects.
pub(super) fn connecting() -> impl TypedValueParser<Value = Kind> {
    kinds(&[Kind::Device, Kind::Claim, Kind::Operator, Kind::Integrator])
}

/// Topics say `devices`, people say `device`; both are taken.
fn kinds(kinds: &'static [Kind]) -> impl TypedValueParser<Value = Kind> {
    let values = kinds
        .iter()
        .map(|kind| clap::builder::PossibleValue::new(one(*kind)).alias(kind.word()));
    PossibleValuesParser::new(values).try_map(move |text| {
        kinds
            .iter()
            .copied()
            .find(|k| one(*k) == text || k.word() == text)
            .ok_or(NoSuchWord)
    })
}

fn one(kind: Kind) -> &'static str {
    kind.word().trim_end_matches('s')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_comes_back() {
        fn check<E: Word + PartialEq + std::fmt::Debug>(count: usize) {
            let values: Vec<E> = all().collect();
            assert_eq!(values.len(), count);
            for value in values {
                assert_eq!(find(&say(value)), Some(value));
                assert!(!say(value).contains('_') && say(value).chars().all(|c| !c.is_uppercase()));
            }
        }
        check::<v1::Stage>(7);
        check::<v1::Restriction>(3);
        check::<v1::Criticality>(4);
        check::<v1::Role>(5);
        check::<v1::Admission>(5);
        check::<v1::AdmissionStatus>(3);
        check::<v1::FactoryIdentity>(2);
        check::<v1::CertificateStatus>(5);
        check::<v1::CheckKind>(5);
        check::<v1::ConfigScope>(2);
        check::<v1::CommandState>(9);
        check::<v1::JobState>(7);
        check::<v1::MassRenewalState>(7);
        check::<v1::RenewingState>(5);
        check::<v1::RolloutState>(5);
        check::<v1::UpdateState>(11);
        check::<v1::Connectivity>(4);
        check::<v1::Severity>(4);
        check::<v1::Comparison>(2);
        check::<v1::Response>(2);
    }

    #[test]
    fn words_are_what_people_write() {
        assert_eq!(say(v1::Role::ReleaseManager), "release-manager");
        assert_eq!(say(v1::UpdateState::RolledBack), "rolled-back");
        assert_eq!(say(v1::CertificateStatus::Active), "active");
        assert_eq!(say(v1::JobState::TimedOut), "timed-out");
        assert_eq!(say(v1::Stage::Unspecified), "");
        assert_eq!(find::<v1::Stage>("unspecified"), None);
        assert_eq!(find::<v1::Stage>("ACTIVE"), None);
    }

    #[test]
    fn kinds_are_taken_in_both_numbers() {
        let command = clap::Command::new("x").arg(clap::Arg::new("kind").value_parser(owner()));
        for (text, kind) in [
            ("device", Kind::Device),
            ("devices", Kind::Device),
            ("claim", Kind::Claim),
        ] {
            let matches = command.clone().try_get_matches_from(["x", text]).unwrap();
            assert_eq!(matches.get_one::<Kind>("kind"), Some(&kind));
        }
        assert!(command.try_get_matches_from(["x", "gateway"]).is_err());
    }
}
