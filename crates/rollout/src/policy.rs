//! The rules of a rollout, each a small function over values.

use contract::{
    Code, Refusal,
    v1::{
        Artifact, Criticality, DeviceFact, Manifest, Restriction, Rollout, RolloutState, Stage, UpdateState,
        Wave,
    },
};
use service::{Caller, Sight};

/// What a device may say of its update.
pub(crate) const REPORTABLE: &[UpdateState] = &[
    UpdateState::Downloading,
    UpdateState::Verified,
    UpdateState::Installing,
    UpdateState::Succeeded,
    UpdateState::Failed,
    UpdateState::RolledBack,
    UpdateState::Refused,
];

/// How late the end of a device's time may be noticed.
const OVERSLEPT_MS: i64 = 60_000;
/// What a device is given then, or its whole time again if that is shorter: a fleet is back within minutes.
pub(crate) const ANOTHER_MS: u64 = 600_000;

/// What a report means for an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A repeat, a step back, or too late: acknowledged, nothing changes.
    Ignore,
    /// The update goes on.
    Forward,
    /// The update comes to its end.
    End,
    /// The device was not told to begin.
    Early,
}

/// How a wave stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may still come out either way.
    Open,
    /// Every device is final, and enough succeeded.
    Met,
    /// So many failed that enough can no longer succeed.
    Missed,
}

/// What a reported state means in the present one.
pub(crate) fn step(present: UpdateState, reported: UpdateState) -> Step {
    match present {
        UpdateState::Waiting => Step::Early,
        present if is_final(present) || reported as i32 <= present as i32 => Step::Ignore,
        _ if is_final(reported) => Step::End,
        _ => Step::Forward,
    }
}

/// Whether an update stays as it is.
pub(crate) fn is_final(state: UpdateState) -> bool {
    state as i32 >= UpdateState::Succeeded as i32
}

/// Whether a device has been told to begin and is not done.
pub(crate) fn is_begun(state: UpdateState) -> bool {
    (UpdateState::Assigned as i32..=UpdateState::Installing as i32).contains(&(state as i32))
}

/// Whether an update can be called off: a device that installs is left to it.
pub(crate) fn is_callable_off(state: UpdateState) -> bool {
    (state as i32) < UpdateState::Installing as i32
}

/// Whether a rollout goes on.
pub(crate) fn is_active(state: RolloutState) -> bool {
    matches!(state, RolloutState::Running | RolloutState::Paused)
}

/// What a rollout ends with when its release was recalled; `None` while it was not.
pub(crate) fn recall(artifact: &Artifact) -> Option<String> {
    (artifact.recalled_at_ms != 0).then(|| format!("the release was recalled: {}", artifact.recall_reason))
}

/// No rollout of a recalled release begins or goes on.
pub(crate) fn demand_not_recalled(artifact: &Artifact) -> Result<(), Refusal> {
    let Some(recall) = recall(artifact) else {
        return Ok(());
    };
    let message = format!(
        "{recall}; roll another release out, or lift the recall first (`recall` with `undo`) if it was a mistake"
    );
    Err(Refusal::new(Code::Precondition, message).at("artifact_id"))
}

/// Judges a wave. Devices that were called off count neither for nor against it.
pub(crate) fn verdict(wave: &Wave, success_percent: u32) -> Verdict {
    let judged = u64::from(wave.devices.saturating_sub(wave.canceled));
    let reachable = judged.saturating_sub(u64::from(wave.failed));
    if reachable * 100 < judged * u64::from(success_percent) {
        Verdict::Missed
    } else if wave.open == 0 {
        Verdict::Met
    } else {
        Verdict::Open
    }
}

/// Splits `devices` by percentages that add up to 100: no wave is empty while there are enough devices,
/// and with fewer devices than waves there are fewer waves.
pub(crate) fn wave_sizes(devices: u32, shares: &[u32]) -> Vec<u32> {
    let waves = (shares.len() as u64).min(u64::from(devices));
    let (mut cumulated, mut taken) = (0, 0);
    let mut sizes = Vec::new();
    for (number, share) in (1..=waves).zip(shares) {
        cumulated += u64::from(*share);
        let fair = (u64::from(devices) * cumulated + 50) / 100;
        let left_to_later = waves - number;
        let end = match left_to_later {
            0 => u64::from(devices),
            later => fair.clamp(taken + 1, u64::from(devices) - later),
        };
        sizes.push((end - taken) as u32);
        taken = end;
    }
    sizes
}

/// The order of devices within a rollout: the least critical go first.
pub(crate) fn rank(criticality: Criticality) -> u8 {
    match criticality {
        Criticality::Low => 1,
        Criticality::Unspecified | Criticality::Medium => 2,
        Criticality::High => 3,
        Criticality::Critical => 4,
    }
}

/// Why a device has no place in a rollout of this firmware.
pub(crate) fn unfit(fact: Option<&DeviceFact>, manifest: &Manifest) -> Option<String> {
    let Some(fact) = fact else {
        return Some("the device is not registered".into());
    };
    if let Some(reason) = out_of_service(Some(fact)) {
        return Some(reason.into());
    }
    if !matches!(
        fact.stage(),
        Stage::Provisioned | Stage::Active | Stage::Maintenance
    ) {
        return Some("the device has no certificate yet".into());
    }
    if !manifest.models.contains(&fact.model) {
        return Some(format!(
            "the firmware is not for model `{}`",
            fact.model.escape_debug()
        ));
    }
    runs(Some(fact), &manifest.version).then(|| "already installed".into())
}

/// Whether a device runs a version, by what it told the registry. What it told this service is no proof: it
/// may have fetched nothing.
pub(crate) fn runs(fact: Option<&DeviceFact>, version: &str) -> bool {
    fact.is_some_and(|fact| fact.firmware_version == version)
}

/// Whether a wake-up comes so late that this service slept through it, or the clock was set: then the
/// devices could not report in time, whatever they did.
pub(crate) fn is_overslept(due_ms: i64, now_ms: i64) -> bool {
    now_ms.saturating_sub(due_ms) > OVERSLEPT_MS
}

/// Why a device can take no firmware. A quarantined one can: it may be the repair.
pub(crate) fn out_of_service(fact: Option<&DeviceFact>) -> Option<&'static str> {
    let Some(fact) = fact else {
        return Some("the device is gone");
    };
    match (fact.stage(), fact.restriction()) {
        (Stage::Retiring, _) => Some("the device is being retired"),
        (Stage::Retired, _) => Some("the device is retired"),
        (_, Restriction::Suspended) => Some("the device is suspended"),
        _ => None,
    }
}

/// Whether a device has a certificate and is not in use: its type may ask for a test rollout before it is.
pub(crate) fn awaits_acceptance(fact: Option<&DeviceFact>) -> bool {
    fact.is_some_and(|fact| matches!(fact.stage(), Stage::Provisioned | Stage::Maintenance))
}

/// Whoever sees some groups only sees the rollouts to one of them, and those that are theirs.
pub(crate) fn in_sight(caller: &Caller, rollout: &Rollout) -> bool {
    let is_own = rollout.created_by == caller.principal.to_string();
    match rollout.group.as_str() {
        "" => caller.sight == Sight::Everything || is_own,
        group => caller.sight.has_group(group),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use UpdateState as U;
    use proptest::prelude::*;

    #[test]
    fn waves_of_known_sizes() {
        for (devices, shares, expected) in [
            (0, &[100][..], &[][..]),
            (1, &[10, 30, 60], &[1]),
            (2, &[10, 30, 60], &[1, 1]),
            (3, &[10, 30, 60], &[1, 1, 1]),
            (4, &[10, 30, 60], &[1, 1, 2]),
            (10, &[10, 30, 60], &[1, 3, 6]),
            (15, &[10, 30, 60], &[2, 4, 9]),
            (100, &[1, 99], &[1, 99]),
            (7, &[100], &[7]),
            (50_000, &[10, 30, 60], &[5_000, 15_000, 30_000]),
        ] {
            assert_eq!(wave_sizes(devices, shares), expected, "{devices} by {shares:?}");
        }
    }

    #[test]
    fn verdicts() {
        let wave = |devices, succeeded, failed, canceled| Wave {
            devices,
            succeeded,
            failed,
            canceled,
            open: devices - succeeded - failed - canceled,
            ..Wave::default()
        };
        for (wave, percent, expected) in [
            (wave(10, 0, 0, 0), 90, Verdict::Open),
            (wave(10, 9, 1, 0), 90, Verdict::Met),
            (wave(10, 0, 2, 0), 90, Verdict::Missed),
            (wave(10, 9, 0, 0), 90, Verdict::Open),
            (wave(10, 9, 0, 1), 100, Verdict::Met),
            (wave(10, 0, 0, 10), 100, Verdict::Met),
            (wave(1, 0, 1, 0), 1, Verdict::Missed),
            (wave(3, 2, 1, 0), 66, Verdict::Met),
            (wave(3, 2, 1, 0), 67, Verdict::Missed),
        ] {
            assert_eq!(verdict(&wave, percent), expected, "{wave:?} at {percent}");
        }
    }

    #[test]
    fn reports_go_forward_only() {
        for (present, reported, expected) in [
            (U::Waiting, U::Downloading, Step::Early),
            (U::Assigned, U::Downloading, Step::Forward),
            (U::Assigned, U::Installing, Step::Forward),
            (U::Assigned, U::Refused, Step::End),
            (U::Downloading, U::Downloading, Step::Ignore),
            (U::Installing, U::Downloading, Step::Ignore),
            (U::Installing, U::Succeeded, Step::End),
            (U::Succeeded, U::Failed, Step::Ignore),
            (U::TimedOut, U::Succeeded, Step::Ignore),
            (U::Canceled, U::Installing, Step::Ignore),
        ] {
            assert_eq!(step(present, reported), expected, "{reported:?} in {present:?}");
        }
    }

    #[test]
    fn who_has_no_place() {
        let manifest = Manifest {
            models: vec!["pump".into()],
            version: "2".into(),
            ..Manifest::default()
        };
        let fact = |stage, restriction, model: &str, version: &str| DeviceFact {
            stage: stage as i32,
            restriction: restriction as i32,
            model: model.into(),
            firmware_version: version.into(),
            ..DeviceFact::default()
        };
        use Restriction::{None as Free, Quarantined, Suspended};
        for (fact, expected) in [
            (fact(Stage::Active, Free, "pump", "1"), None),
            (fact(Stage::Provisioned, Quarantined, "pump", ""), None),
            (
                fact(Stage::Maintenance, Suspended, "pump", "1"),
                Some("suspended"),
            ),
            (fact(Stage::Registered, Free, "pump", "1"), Some("no certificate")),
            (fact(Stage::Retiring, Free, "pump", "1"), Some("being retired")),
            (fact(Stage::Retired, Free, "pump", "1"), Some("is retired")),
            (fact(Stage::Active, Free, "valve", "1"), Some("not for model")),
            (fact(Stage::Active, Free, "pump", "2"), Some("already installed")),
        ] {
            let reason = unfit(Some(&fact), &manifest);
            assert_eq!(reason.is_some(), expected.is_some(), "{reason:?}");
            assert!(reason.unwrap_or_default().contains(expected.unwrap_or_default()));
        }
        assert!(unfit(None, &manifest).is_some());
    }

    proptest! {
        #[test]
        fn waves_add_up(devices in 0u32..60_000, cuts in prop::collection::btree_set(1u32..100, 0..19)) {
            let mut ends: Vec<u32> = cuts.into_iter().collect();
            ends.push(100);
            let shares: Vec<u32> = ends.iter().scan(0, |last, end| Some(end - std::mem::replace(last, *end))).collect();
            let sizes = wave_sizes(devices, &shares);
            prop_assert_eq!(sizes.iter().sum::<u32>(), devices);
            prop_assert!(sizes.iter().all(|size| *size > 0));
            prop_assert_eq!(sizes.len(), shares.len().min(devices as usize));
        }
    }
}
