//! The lifecycle as one table. Every row publishes `moved` and the device's fact; a change of stage
//! that is not in the table does not happen.

use contract::{
    Code, Refusal, names,
    v1::{Device, Stage, Stage::*},
};

use crate::choice::Choice;

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
    /// It arrived with its order.
    Receive,
    /// An operator takes a retired device back.
    Readmit,
}

/// What must hold besides the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Nothing.
    Always,
    /// The retiring device's time is over.
    DeadlineReached,
    /// The acceptance checks of the device's type have passed.
    Accepted,
}

/// What guards are judged by, besides the device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ground {
    /// The time, milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// Acceptance checks that have not passed, each in a sentence.
    pub(crate) pending: Vec<String>,
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
    /// Begins the record of the device's end.
    OpenRecord,
    /// The end has come: what the record still lacks is asked for.
    CloseRecord,
    /// Takes the device out of all its groups.
    LeaveGroups,
    /// Forgets the former life's receipt, reports and checks.
    BeginAgain,
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

use Effect::{
    BeginAgain, CloseRecord, KeepReceipt, LeaveGroups, LiftDeadline, OpenRecord, OrderErasure, SetDeadline,
};
use Guard::{Accepted, Always, DeadlineReached};

#[rustfmt::skip]
const TABLE: &[Transition] = &[
    row(Planned,     Cause::Operator,    Always,          Registered,  &[]),
    row(Planned,     Cause::Receive,     Always,          Registered,  &[]),
    row(Registered,  Cause::Certificate, Always,          Provisioned, &[]),
    row(Provisioned, Cause::Report,      Accepted,        Active,      &[]),
    row(Active,      Cause::Operator,    Always,          Maintenance, &[]),
    row(Maintenance, Cause::Operator,    Accepted,        Active,      &[]),
    // What never had a certificate has nothing to erase.
    row(Planned,     Cause::Retire,      Always,          Retired,     &[OpenRecord, CloseRecord, LeaveGroups]),
    row(Registered,  Cause::Retire,      Always,          Retired,     &[OpenRecord, CloseRecord, LeaveGroups]),
    row(Provisioned, Cause::Retire,      Always,          Retiring,    &[OpenRecord, SetDeadline, OrderErasure]),
    row(Active,      Cause::Retire,      Always,          Retiring,    &[OpenRecord, SetDeadline, OrderErasure]),
    row(Maintenance, Cause::Retire,      Always,          Retiring,    &[OpenRecord, SetDeadline, OrderErasure]),
    row(Retiring,    Cause::Receipt,     Always,          Retired,     &[LiftDeadline, KeepReceipt, CloseRecord, LeaveGroups]),
    row(Retiring,    Cause::Deadline,    DeadlineReached, Retired,     &[CloseRecord, LeaveGroups]),
    // The only way back, and an explicit act.
    row(Retired,     Cause::Readmit,     Always,          Registered,  &[BeginAgain]),
];

/// The transition that a cause leads to, if it leads anywhere now.
pub(crate) fn find(device: &Device, cause: Cause, ground: &Ground) -> Option<&'static Transition> {
    let mut rows = from(device.stage()).filter(|row| row.cause == cause);
    rows.find(|row| obstacles(row, device, ground).is_empty())
}

/// The transition to the stage that an operator chose, or why there is none.
pub(crate) fn moving(device: &Device, to: Stage, ground: &Ground) -> Result<&'static Transition, Refusal> {
    let mut rows = from(device.stage()).filter(|row| row.cause == Cause::Operator);
    let row = rows.find(|row| row.to == to).ok_or_else(|| no_move(device, to))?;
    match obstacles(row, device, ground).as_slice() {
        [] => Ok(row),
        failed => {
            let message = format!("the device may not be {} yet: {}", said(to), failed.join("; "));
            Err(Refusal {
                present_version: device.version,
                ..Refusal::new(Code::Precondition, message).at("stage")
            })
        }
    }
}

/// The rows that begin at a stage.
pub(crate) fn from(stage: Stage) -> impl Iterator<Item = &'static Transition> {
    TABLE.iter().filter(move |row| row.from == stage)
}

/// What stands in a transition's way, in sentences.
pub(crate) fn obstacles(row: &Transition, device: &Device, ground: &Ground) -> Vec<String> {
    match row.guard {
        Guard::Always => Vec::new(),
        Guard::DeadlineReached if device.retire_deadline_ms <= ground.now_ms => Vec::new(),
        Guard::DeadlineReached => {
            let until = contract::event::rfc3339(device.retire_deadline_ms);
            vec![format!("its receipt is waited for until {until}")]
        }
        Guard::Accepted => ground.pending.clone(),
    }
}

/// Whether a transition from this stage is guarded by the type's acceptance checks.
pub(crate) fn asks_for_acceptance(stage: Stage) -> bool {
    from(stage).any(|row| row.guard == Guard::Accepted)
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
    names::said(stage.name())
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
            Cause::Receive => "receive",
            Cause::Readmit => "readmit",
        }
    }

    /// Who does what.
    pub(crate) const fn how(self) -> &'static str {
        match self {
            Cause::Operator => "an operator moves it: `muster device move`",
            Cause::Certificate => "the device asks for a certificate, and provisioning issues it",
            Cause::Report => "the device reports over its certificate",
            Cause::Retire => "an operator retires it: `muster device retire`",
            Cause::Receipt => "the device erases its keys and sends its receipt",
            Cause::Deadline => "its receipt does not come by the deadline",
            Cause::Receive => "it arrives with its order: `muster order receive`",
            Cause::Readmit => "an admin takes it back: `muster device readmit`",
        }
    }
}

fn no_move(device: &Device, to: Stage) -> Refusal {
    let from = device.stage();
    let why = match to {
        _ if to == from => return refusal(device, "it cannot be moved to where it is").at("stage"),
        _ if from == Retired => "a retired device stays retired, unless it is readmitted",
        Planned => "a device is planned only when it is registered as such",
        Registered => "only a planned device is moved to registered",
        Provisioned => "a device becomes provisioned when its certificate is issued",
        Active => "a device becomes active by its first report, or when its maintenance ends",
        Maintenance => "only an active device is taken into maintenance",
        Retiring | Retired | Unspecified => "use `retire` to end a device's life",
    };
    let moves = self::from(from).filter(|row| row.cause == Cause::Operator);
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

    fn ground(now_ms: i64) -> Ground {
        Ground {
            now_ms,
            pending: Vec::new(),
        }
    }

    const CAUSES: [Cause; 8] = [
        Cause::Operator,
        Cause::Certificate,
        Cause::Report,
        Cause::Retire,
        Cause::Receipt,
        Cause::Deadline,
        Cause::Receive,
        Cause::Readmit,
    ];

    #[test]
    fn retired_is_left_by_readmission_only_and_is_the_only_such_stage() {
        for stage in Stage::ALL {
            let ways = CAUSES
                .iter()
                .filter(|cause| find(&device(*stage), **cause, &ground(1_000)).is_some());
            let only_readmitted = ways.copied().collect::<Vec<_>>() == [Cause::Readmit];
            assert_eq!(only_readmitted, *stage == Retired, "{stage:?}");
        }
    }

    #[test]
    fn what_has_not_passed_its_checks_is_not_active() {
        let pending = Ground {
            now_ms: 0,
            pending: vec!["`burn-in` has not been attested".into()],
        };
        assert!(find(&device(Provisioned), Cause::Report, &pending).is_none());
        let refusal = moving(&device(Maintenance), Active, &pending).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.field.as_str()),
            (Code::Precondition, "stage")
        );
        assert!(refusal.message.contains("burn-in"));
        assert!(
            TABLE
                .iter()
                .filter(|row| row.to == Active)
                .all(|row| row.guard == Accepted)
        );
        assert!(asks_for_acceptance(Provisioned) && !asks_for_acceptance(Active));
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
            let to = find(&device(stage), Cause::Retire, &ground(0)).unwrap().to;
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
                let moved = moving(&device(*from), *to, &ground(0));
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
            moving(&device(Active), Retired, &ground(0)).unwrap_err().allowed,
            ["STAGE_MAINTENANCE"]
        );
    }

    #[test]
    fn a_deadline_counts_only_when_it_is_reached() {
        assert!(find(&device(Retiring), Cause::Deadline, &ground(99)).is_none());
        assert!(find(&device(Retiring), Cause::Deadline, &ground(100)).is_some());
    }
}
