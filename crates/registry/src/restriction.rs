//! The restriction beside the stage, as one table. Every row publishes `restricted` and the fact.

use contract::{
    Code, Refusal,
    id::{Kind, Principal},
    names::said,
    v1::{Device, Restriction, Restriction::*, Stage},
};

use crate::{choice::Choice, lifecycle};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Shut it out.
    Suspend,
    /// Leave it the verbs that repair it.
    Quarantine,
    /// Lift either.
    Release,
}

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// Whoever may use the verb.
    Anyone,
    /// It lets the device do more than before: no automatic response may.
    Operator,
}

struct Row(Restriction, Measure, Guard, Restriction);

const TABLE: &[Row] = &[
    Row(None, Measure::Suspend, Guard::Anyone, Suspended),
    Row(None, Measure::Quarantine, Guard::Anyone, Quarantined),
    Row(Quarantined, Measure::Suspend, Guard::Anyone, Suspended),
    Row(Suspended, Measure::Quarantine, Guard::Operator, Quarantined),
    Row(Suspended, Measure::Release, Guard::Operator, None),
    Row(Quarantined, Measure::Release, Guard::Operator, None),
];

/// The restriction that a measure leads to, or why there is none.
pub(crate) fn take(device: &Device, measure: Measure, caller: &Principal) -> Result<Restriction, Refusal> {
    if !carries_restriction(device.stage()) {
        let what = "only what is registered and not yet retired can be restricted or released";
        return Err(lifecycle::refusal(device, what));
    }
    let present = device.restriction();
    let mut open = TABLE
        .iter()
        .filter(|row| row.0 == present && permits(row.2, caller));
    let found = open.clone().find(|row| row.1 == measure).map(|row| row.3);
    found.ok_or_else(|| {
        let present = match present {
            None => "not restricted".to_owned(),
            other => said(other.name()),
        };
        let message = format!("the device is {present}; `{}` does not apply", measure.verb());
        let refusal = Refusal::new(Code::NotAllowed, message).allowing(open.by_ref().map(|row| row.1.verb()));
        Refusal {
            present_version: device.version,
            ..refusal
        }
    })
}

impl Measure {
    /// The verb that asks for it.
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Measure::Suspend => "suspend",
            Measure::Quarantine => "quarantine",
            Measure::Release => "release",
        }
    }
}

fn carries_restriction(stage: Stage) -> bool {
    use Stage::*;
    matches!(stage, Registered | Provisioned | Active | Maintenance | Retiring)
}

fn permits(guard: Guard, caller: &Principal) -> bool {
    guard == Guard::Anyone || caller.kind == Kind::Operator
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(stage: Stage, restriction: Restriction) -> Device {
        Device {
            stage: stage.into(),
            restriction: restriction.into(),
            ..Device::default()
        }
    }

    #[test]
    fn measures_follow_the_table() {
        use Measure::*;
        let cases = [
            (None, Suspend, Some(Suspended)),
            (None, Quarantine, Some(Quarantined)),
            (None, Release, Option::None),
            (Suspended, Suspend, Option::None),
            (Suspended, Quarantine, Some(Quarantined)),
            (Suspended, Release, Some(None)),
            (Quarantined, Suspend, Some(Suspended)),
            (Quarantined, Quarantine, Option::None),
            (Quarantined, Release, Some(None)),
        ];
        let ada = "operators/ada".parse().unwrap();
        for (present, measure, expected) in cases {
            let taken = take(&device(Stage::Active, present), measure, &ada).ok();
            assert_eq!(taken, expected, "{present:?} {measure:?}");
        }
    }

    #[test]
    fn an_automatic_response_never_loosens() {
        let monitoring = "services/monitoring".parse().unwrap();
        let refusal = take(
            &device(Stage::Active, Suspended),
            Measure::Quarantine,
            &monitoring,
        )
        .unwrap_err();
        assert_eq!(refusal.code, Code::NotAllowed);
        assert!(refusal.allowed.is_empty());
        assert!(take(&device(Stage::Active, Quarantined), Measure::Suspend, &monitoring).is_ok());
    }

    #[test]
    fn only_the_living_are_restricted() {
        let ada = "operators/ada".parse().unwrap();
        for stage in Stage::ALL {
            let taken = take(&device(*stage, None), Measure::Suspend, &ada);
            assert_eq!(
                taken.is_err(),
                matches!(stage, Stage::Planned | Stage::Retired),
                "{stage:?}"
            );
        }
    }
}
