//! The acceptance checks of a device's type.

use contract::v1::{Check, CheckKind, Device, DeviceType, Tested};

use crate::language::{self, Pattern};

/// Checks of one type.
pub(crate) const CHECKS_MAX: usize = 16;
/// What a self-test's attribute says when all is well.
pub(crate) const PASSED: &str = "passed";

/// What a device has not passed yet, each in a sentence.
pub(crate) fn pending(kind: &DeviceType, device: &Device) -> Vec<String> {
    kind.checks
        .iter()
        .filter_map(|check| lacks(check, device).map(|lack| format!("check `{}`: {lack}", check.name)))
        .collect()
}

/// Whether a rollout is the one that a check asks for.
pub(crate) fn asks_for(check: &Check, rollout: &Tested) -> bool {
    let wanted = check.argument.as_str();
    check.kind() == CheckKind::TestRollout
        && (wanted.is_empty()
            || wanted == rollout.artifact_id
            || Pattern::new(wanted).matches(&rollout.rollout_id))
}

fn lacks(check: &Check, device: &Device) -> Option<String> {
    let argument = check.argument.as_str();
    let told = device.attributes.get(argument);
    match check.kind() {
        CheckKind::Unspecified => Some("it has no kind".to_owned()),
        CheckKind::SelfTest => match told {
            Some(told) if told == PASSED => None,
            Some(told) => Some(format!(
                "the device reports `{argument}` as `{}`, not `{PASSED}`",
                told.escape_debug()
            )),
            None => Some(format!("the device has not reported `{argument}`")),
        },
        CheckKind::Reported => told
            .is_none()
            .then(|| format!("the device has not reported `{argument}`")),
        CheckKind::FirmwareAtLeast => {
            let present = &device.firmware_version;
            let new_enough = match (language::version(present), language::version(argument)) {
                (Some(present), Some(least)) => present >= least,
                _ => false,
            };
            (!new_enough).then(|| match present.as_str() {
                "" => "the device has not reported its firmware".to_owned(),
                present => format!("its firmware is {present}, not {argument} or later"),
            })
        }
        CheckKind::Attested => match device.checks.get(&check.name) {
            Some(result) if result.passed => None,
            Some(result) => Some(format!("{} says that it failed", result.by)),
            None => Some("nobody has attested it".to_owned()),
        },
        CheckKind::TestRollout => match device.checks.get(&check.name) {
            Some(result) if result.passed => None,
            Some(result) => Some(format!("the test failed: {}", result.note)),
            None if argument.is_empty() => Some("no rollout has succeeded on it".to_owned()),
            None => Some(format!("no rollout of `{argument}` has succeeded on it")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::v1::CheckResult;

    fn kind(check: CheckKind, argument: &str) -> DeviceType {
        let mut row = Check {
            name: "c".into(),
            argument: argument.into(),
            ..Check::default()
        };
        row.set_kind(check);
        DeviceType {
            checks: vec![row],
            ..DeviceType::default()
        }
    }

    #[test]
    fn each_kind_of_check_passes_on_its_own_evidence() {
        use CheckKind::{Attested, FirmwareAtLeast, Reported, SelfTest, TestRollout};
        let mut device = Device {
            firmware_version: "1.10.0".into(),
            ..Device::default()
        };
        device.attributes.insert("self-test".into(), "failed".into());
        let passes =
            |device: &Device, check, argument: &str| pending(&kind(check, argument), device).is_empty();
        for (check, argument, passed) in [
            (SelfTest, "self-test", false),
            (SelfTest, "other", false),
            (Reported, "self-test", true),
            (Reported, "other", false),
            (FirmwareAtLeast, "1.9", true),
            (FirmwareAtLeast, "1.10.0", true),
            (FirmwareAtLeast, "1.11", false),
            (Attested, "", false),
            (TestRollout, "", false),
            (TestRollout, "trial-*", false),
        ] {
            assert_eq!(passes(&device, check, argument), passed, "{check:?} {argument}");
        }
        device.attributes.insert("self-test".into(), PASSED.into());
        assert!(passes(&device, SelfTest, "self-test"));
        for passed in [false, true] {
            let result = CheckResult {
                passed,
                ..CheckResult::default()
            };
            device.checks.insert("c".into(), result);
            assert_eq!(passes(&device, Attested, ""), passed);
            assert_eq!(passes(&device, TestRollout, "trial-*"), passed);
        }
    }

    #[test]
    fn a_check_names_its_test_by_the_rollout_or_the_artifact() {
        let rollout = Tested {
            rollout_id: "trial-7".into(),
            artifact_id: "ab12".into(),
            ..Tested::default()
        };
        for (argument, fits) in [
            ("", true),
            ("trial-7", true),
            ("TRIAL-?", true),
            ("trial-*", true),
            ("ab12", true),
            ("ab*", false),
            ("trial-", false),
            ("r-*", false),
        ] {
            let mut check = kind(CheckKind::TestRollout, argument).checks.remove(0);
            assert_eq!(asks_for(&check, &rollout), fits, "{argument}");
            check.set_kind(CheckKind::Attested);
            assert!(!asks_for(&check, &rollout));
        }
    }
}
