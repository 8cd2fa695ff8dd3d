//! Which devices may be certified.

use contract::{
    Code, Refusal,
    v1::{DeviceFact, Restriction, Stage},
};

/// Whether a device may have a certificate at all.
pub(crate) fn device(known: Option<&DeviceFact>) -> Result<(), Refusal> {
    let precondition = |message: &str| Err(Refusal::new(Code::Precondition, message));
    let Some(device) = known else {
        return precondition("there is no such device; register it first");
    };
    match device.stage() {
        Stage::Registered | Stage::Provisioned | Stage::Active | Stage::Maintenance => {}
        Stage::Planned => return precondition("the device is planned only; move it to registered first"),
        _ => return precondition("the device is retiring or retired; it gets no certificate any more"),
    }
    match device.restriction() {
        Restriction::Suspended => precondition("the device is suspended; release it first"),
        _ => Ok(()),
    }
}

/// Whether a device may have its first certificate. One in quarantine only renews: whoever comes with a
/// claim is not yet the device that was put there.
pub(crate) fn new_device(known: Option<&DeviceFact>) -> Result<(), Refusal> {
    device(known)?;
    match known.map(DeviceFact::restriction) {
        Some(Restriction::Quarantined) => Err(Refusal::new(
            Code::Precondition,
            "the device is in quarantine; release it first",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(stage: Stage, restriction: Restriction) -> DeviceFact {
        DeviceFact {
            stage: stage as i32,
            restriction: restriction as i32,
            ..DeviceFact::default()
        }
    }

    #[test]
    fn only_devices_that_live_are_certified() {
        for (stage, restriction, good) in [
            (Stage::Registered, Restriction::None, true),
            (Stage::Active, Restriction::Quarantined, true),
            (Stage::Active, Restriction::Suspended, false),
            (Stage::Planned, Restriction::None, false),
            (Stage::Retiring, Restriction::None, false),
            (Stage::Retired, Restriction::None, false),
        ] {
            assert_eq!(
                device(Some(&fact(stage, restriction))).is_ok(),
                good,
                "{stage:?} {restriction:?}"
            );
        }
        assert!(device(None).is_err());
        assert!(new_device(Some(&fact(Stage::Registered, Restriction::None))).is_ok());
        assert!(new_device(Some(&fact(Stage::Active, Restriction::Quarantined))).is_err());
    }
}
