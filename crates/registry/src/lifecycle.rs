//! The lifecycle as one table. Every row publishes `moved` and the device's fact; a change of stage
//! that is not in the table does not happen.

use contract::{
    Code, Refusal,
    v1::{Device, Stage, Stage::*},
};

use crate::choice::{Choice, word};

/// What moves a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// An operator's `move`.
    Operator,
    /// Provisioning issued a certificate.
    Certificate,
    /// The device's first report over it.
    Report,
    /// An operator's `retire`.
    Retire,
    /// The device erased its keys.
    Receipt,
    /// No receipt came in time.
    Deadline,
}

/// What must hold besides the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Nothing.
    Always,
    /// The retiring device's time is over.
    DeadlineReached,
}

/// What follows from a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Notes when the device is retired without its receipt, and wakes up then.
    SetDeadline,
    /// Tells the device to erase its keys.
    OrderErasure,
    /// Lifts the wake-up.
    LiftDeadline,
    /// Notes that the receipt came.
    KeepReceipt,
    /// Takes the device out of all its groups.
    LeaveGroups,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Transition {
    pub(crate) from: Stage,
    pub(crate) cause: Cause,
    pub(crate) guard: Guard,
    pub(crate) to: Stage,
    pub(crate) effects: &'static [Effect],
}

const fn row(from: Stage, cause: Cause, guard: Guard, to: Stage, effects: &'static [Effect]) -> Transition {
    Transition {
        from,
        cause,
        guard,
        to,
        effects,
    }
}

use Effect::{KeepReceipt, LeaveGroups, LiftDeadline, OrderErasure, SetDeadline};
use Guard::{Always, DeadlineReached};

#[rustfmt::skip]
const TABLE: &[Transition] = &[
    row(Planned,     Cause::Operator,    Always,          Registered,  &[]),
    row(Registered,  Cause::Certificate, Always,          Provisioned, &[]),
    row(Provisioned, Cause::Report,      Always,          Active,      &[]),
    row(Active,      Cause::Operator,    Always,          Maintenance, &[]),
    row(Maintenance, Cause::Operator,    Always,          Active,      &[]),
    // What never had a certificate has nothing to erase.
    row(Planned,     Cause::Retire,      Always,          Retired,     &[LeaveGroups]),
    row(Registered,  Cause::Retire,      Always,          Retired,     &[LeaveGroups]),
    row(Provisioned, Cause::Retire,      Always,          Retiring,    &[SetDeadline, OrderErasure]),
    row(Active,      Cause::Retire,      Always,          Retiring,    &[SetDeadline, OrderErasure]),
    row(Maintenance, Cause::Retire,      Always,          Retiring,    &[SetDeadline, OrderErasure]),
    row(Retiring,    Cause::Receipt,     Always,          Retired,     &[LiftDeadline, KeepReceipt, LeaveGroups]),
    row(Retiring,    Cause::Deadline,    DeadlineReached, Retired,     &[LeaveGroups]),
];

/// The transition that a cause leads to, if it leads anywhere now.
pub(crate) fn find(device: &Device, cause: Cause, now_ms: i64) -> Option<&'static Transition> {
    let mut rows = TABLE
        .iter()
        .filter(|row| row.from == device.stage() && row.cause == cause);
    rows.find(|row| holds(row.guard, device, now_ms))
}

/// The transition to the stage that an operator chose, or why there is none.
pub(crate) fn moving(device: &Device, to: Stage) -> Result<&'static Transition, Refusal> {
    let from = device.stage();
    let mut rows = TABLE
        .iter()
        .filter(|row| row.from == from && row.cause == Cause::Operator);
    rows.find(|row| row.to == to).ok_or_else(|| no_move(device, to))
}

/// The refusal of a cause that leads nowhere from the present stage.
pub(crate) fn refusal(device: &Device, what: &str) -> Refusal {
    let message = format!("the device is {}; {what}", said(device.stage()));
    Refusal {
        present_version: device.version,
        ..Refusal::new(Code::NotAllowed, message)
    }
}

/// Whether the device is still to erase its keys.
pub(crate) fn must_erase(stage: Stage) -> bool {
    matches!(stage, Retiring | Retired)
}

/// Whether reports are taken: neither before a device may have an identity nor after.
pub(crate) fn may_report(stage: Stage) -> bool {
    !matches!(stage, Unspecified | Planned | Retired)
}

/// A stage in a sentence.
pub(crate) fn said(stage: Stage) -> String {
    word(stage.name())
}

impl Cause {
    /// The word in events.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Cause::Operator => "move",
            Cause::Certificate => "certificate",
            Cause::Report => "report",
            Cause::Retire => "retire",
            Cause::Receipt => "erased",
            Cause::Deadline => "deadline",
        }
    }
}

fn holds(guard: Guard, device: &Device, now_ms: i64) -> bool {
    match guard {
        Guard::Always => true,
        Guard::DeadlineReached => device.retire_deadline_ms <= now_ms,
    }
}

fn no_move(device: &Device, to: Stage) -> Refusal {
    let from = device.stage();
    let why = match to {
        _ if to == from => return refusal(device, "it cannot be moved to where it is").at("stage"),
        _ if from == Retired => "a retired device stays retired",
        Planned => "a device is planned only when it is registered as such",
        Registered => "only a planned device is moved to registered",
        Provisioned => "a device becomes provisioned when its certificate is issued",
        Active => "a device becomes active by its first report, or when its maintenance ends",
        Maintenance => "only an active device is taken into maintenance",
        Retiring | Retired | Unspecified => "use `retire` to end a device's life",
    };
    let moves = TABLE
        .iter()
        .filter(|row| row.from == from && row.cause == Cause::Operator);
    refusal(device, why)
        .at("stage")
        .allowing(moves.map(|row| row.to.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(stage: Stage) -> Device {
        Device {
            stage: stage.into(),
            retire_deadline_ms: 100,
            ..Device::default()
        }
    }

    const CAUSES: [Cause; 6] = [
        Cause::Operator,
        Cause::Certificate,
        Cause::Report,
        Cause::Retire,
        Cause::Receipt,
        Cause::Deadline,
    ];

    #[test]
    fn retired_is_terminal_and_the_only_such_stage() {
        for stage in Stage::ALL {
            let ways = CAUSES
                .iter()
                .filter(|cause| find(&device(*stage), **cause, 1_000).is_some())
                .count();
            assert_eq!(ways == 0, *stage == Retired, "{stage:?}");
        }
    }

    #[test]
    fn one_stage_and_cause_lead_to_one_stage() {
        for (n, row) in TABLE.iter().enumerate() {
            let same = |other: &&Transition| other.from == row.from && other.cause == row.cause;
            assert!(!TABLE[n + 1..].iter().any(|other| same(&other)), "{row:?}");
        }
    }

    #[test]
    fn any_living_stage_can_be_retired() {
        for stage in [Planned, Registered, Provisioned, Active, Maintenance] {
            let to = find(&device(stage), Cause::Retire, 0).unwrap().to;
            let never_provisioned = matches!(stage, Planned | Registered);
            assert_eq!(to, if never_provisioned { Retired } else { Retiring });
        }
    }

    #[test]
    fn an_operator_moves_to_three_stages_only() {
        let legal = [
            (Planned, Registered),
            (Active, Maintenance),
            (Maintenance, Active),
        ];
        for from in Stage::ALL {
            for to in Stage::ALL {
                let moved = moving(&device(*from), *to);
                assert_eq!(moved.is_ok(), legal.contains(&(*from, *to)), "{from:?} {to:?}");
                if let Err(refusal) = moved {
                    assert_eq!(
                        (refusal.code, refusal.field.as_str()),
                        (Code::NotAllowed, "stage")
                    );
                }
            }
        }
        assert_eq!(
            moving(&device(Active), Retired).unwrap_err().allowed,
            ["STAGE_MAINTENANCE"]
        );
    }

    #[test]
    fn a_deadline_counts_only_when_it_is_reached() {
        assert!(find(&device(Retiring), Cause::Deadline, 99).is_none());
        assert!(find(&device(Retiring), Cause::Deadline, 100).is_some());
    }
}
