//! Enums as they come from the wire: absent, one of the allowed values, or refused.

use contract::{
    Refusal,
    v1::{
        CheckKind, CommandState, ConfigMode, ConfigScope, Connectivity, Criticality, Drift, JobState,
        MaintenanceKind, Restriction, Role, Severity, Stage, TransferState,
    },
};

/// An enum of the contract, without its `UNSPECIFIED`.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// Every value that may be chosen.
    const ALL: &'static [Self];

    /// The value's number on the wire.
    fn number(self) -> i32;

    /// The value's name in JSON.
    fn name(self) -> &'static str;
}

macro_rules! choices {
    ($($name:ident: $($value:ident)*;)*) => {$(
        impl Choice for $name {
            const ALL: &'static [$name] = &[$($name::$value),*];

            fn number(self) -> i32 {
                self as i32
            }

            fn name(self) -> &'static str {
                self.as_str_name()
            }
        }
    )*};
}

choices! {
    Stage: Planned Registered Provisioned Active Maintenance Retiring Retired;
    Restriction: None Suspended Quarantined;
    Criticality: Low Medium High Critical;
    Severity: Low Medium High Critical;
    // As it is told: a device in its grace counts as online.
    Connectivity: Never Online Offline;
    Drift: None Unreported Different Withheld Failed;
    Role: Viewer Operator ReleaseManager SecurityOfficer Admin;
    ConfigMode: Merge Replace;
    ConfigScope: Type Group;
    CommandState: Queued Sent Running Succeeded Failed Rejected TimedOut Cancelled Waiting;
    TransferState: Offered Accepted Cancelled Expired Locked;
    MaintenanceKind: Inspection Repair Battery PartReplaced Calibration Cleaning Other;
    JobState: Collecting Running Ending Succeeded Failed Cancelled TimedOut;
    CheckKind: SelfTest FirmwareAtLeast Reported Attested TestRollout;
}

/// Reads a field that may be absent.
pub(crate) fn optional<C: Choice>(field: &str, number: i32) -> Result<Option<C>, Refusal> {
    if number == 0 {
        return Ok(None);
    }
    required(field, number).map(Some)
}

/// Reads a field that must be given.
pub(crate) fn required<C: Choice>(field: &str, number: i32) -> Result<C, Refusal> {
    C::ALL
        .iter()
        .copied()
        .find(|value| value.number() == number)
        .ok_or_else(|| {
            let message = match number {
                0 => format!("`{field}` must be given"),
                _ => format!("`{field}` has no value {number}"),
            };
            Refusal::invalid(field, message).allowing(C::ALL.iter().map(|value| value.name()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_known_and_unknown_values() {
        assert_eq!(optional::<Stage>("stage", 0), Ok(None));
        assert_eq!(optional::<Stage>("stage", 4), Ok(Some(Stage::Active)));
        let refusal = optional::<Criticality>("criticality", 9).unwrap_err();
        assert_eq!(refusal.field, "criticality");
        assert_eq!(refusal.allowed.first().unwrap(), "CRITICALITY_LOW");
        assert!(
            required::<Role>("role", 0)
                .unwrap_err()
                .message
                .contains("must be given")
        );
    }

    #[test]
    fn every_value_but_unspecified_may_be_chosen() {
        fn known<C: Choice + TryFrom<i32>>() -> usize {
            (1..100).filter(|n| C::try_from(*n).is_ok()).count()
        }
        assert_eq!(known::<Stage>(), Stage::ALL.len());
        assert_eq!(known::<Restriction>(), Restriction::ALL.len());
        assert_eq!(known::<Criticality>(), Criticality::ALL.len());
        assert_eq!(known::<Role>(), Role::ALL.len());
    }
}
