//! May this firmware go onto this device? The device asks: only it knows for certain what it is and has had.

/// How far a sequence may be ahead of what a device has. A larger step would leave no room for later
/// releases.
pub const SEQUENCE_STEP_MAX: u64 = 1 << 20;

/// What a device is and has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceState {
    /// Its model.
    pub model: String,
    /// The revision of its hardware.
    pub hardware_revision: String,
    /// The sequence of the firmware it runs.
    pub installed_sequence: u64,
    /// The highest sequence it has ever confirmed; it survives a rollback to older firmware.
    pub sequence_floor: u64,
}

/// What a verified manifest demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// The models it is for.
    pub models: Vec<String>,
    /// The revisions of hardware it is for; none named means all.
    pub hardware_revisions: Vec<String>,
    /// Its sequence.
    pub sequence: u64,
    /// When it ceases to be installable, in milliseconds since 1970; nothing where it never does.
    pub expires_ms: Option<i64>,
}

/// Why firmware may not go onto a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The firmware is for other models.
    #[error("the firmware is not for model {0:?}")]
    WrongModel(String),
    /// The firmware is for other revisions of the hardware.
    #[error("the firmware is not for hardware revision {0:?}")]
    WrongHardware(String),
    /// The firmware is no newer than what the device has or once had: a repeat or a rollback.
    #[error("sequence {offered} is not newer than {newest}")]
    NotNewer {
        /// The sequence offered.
        offered: u64,
        /// The highest the device has or had.
        newest: u64,
    },
    /// The firmware is further ahead than any honest release.
    #[error("sequence {offered} is absurdly far ahead of {newest}")]
    TooFarAhead {
        /// The sequence offered.
        offered: u64,
        /// The highest the device has or had.
        newest: u64,
    },
    /// The manifest has expired.
    #[error("the firmware may no longer be installed")]
    Expired,
}

/// Lets firmware pass or says why not. `now_ms` is nothing on a device that does not know the time; the
/// expiry is then left to the server.
pub fn admit(device: &DeviceState, firmware: &Requirements, now_ms: Option<i64>) -> Result<(), Refusal> {
    demand_fit(device, firmware)?;
    demand_sequence(device, firmware.sequence)?;
    match (firmware.expires_ms, now_ms) {
        (Some(end), Some(now)) if now >= end => Err(Refusal::Expired),
        _ => Ok(()),
    }
}

fn demand_fit(device: &DeviceState, firmware: &Requirements) -> Result<(), Refusal> {
    if !firmware.models.contains(&device.model) {
        return Err(Refusal::WrongModel(device.model.clone()));
    }
    let revisions = &firmware.hardware_revisions;
    if !revisions.is_empty() && !revisions.contains(&device.hardware_revision) {
        return Err(Refusal::WrongHardware(device.hardware_revision.clone()));
    }
    Ok(())
}

fn demand_sequence(device: &DeviceState, offered: u64) -> Result<(), Refusal> {
    let newest = device.installed_sequence.max(device.sequence_floor);
    match offered.checked_sub(newest) {
        None | Some(0) => Err(Refusal::NotNewer { offered, newest }),
        Some(step) if step > SEQUENCE_STEP_MAX => Err(Refusal::TooFarAhead { offered, newest }),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(installed_sequence: u64, sequence_floor: u64) -> DeviceState {
        DeviceState {
            model: "pump".into(),
            hardware_revision: "C".into(),
            installed_sequence,
            sequence_floor,
        }
    }

    fn firmware(sequence: u64) -> Requirements {
        let models = vec!["valve".into(), "pump".into()];
        Requirements {
            models,
            hardware_revisions: vec![],
            sequence,
            expires_ms: None,
        }
    }

    #[test]
    fn sequences() {
        let step = SEQUENCE_STEP_MAX;
        let not_newer = |offered, newest| Err(Refusal::NotNewer { offered, newest });
        let too_far = |offered, newest| Err(Refusal::TooFarAhead { offered, newest });
        for (installed, floor, offered, expected) in [
            (0, 0, 1, Ok(())),
            (7, 7, 8, Ok(())),
            (7, 7, 7, not_newer(7, 7)),
            (7, 7, 6, not_newer(6, 7)),
            (7, 7, 0, not_newer(0, 7)),
            (5, 7, 6, not_newer(6, 7)),
            (9, 7, 8, not_newer(8, 9)),
            (7, 7, 7 + step, Ok(())),
            (7, 7, 8 + step, too_far(8 + step, 7)),
            (0, 0, u64::MAX, too_far(u64::MAX, 0)),
            (u64::MAX, 0, u64::MAX, not_newer(u64::MAX, u64::MAX)),
            (u64::MAX - 1, 0, u64::MAX, Ok(())),
        ] {
            let outcome = admit(&device(installed, floor), &firmware(offered), None);
            assert_eq!(outcome, expected, "{offered} onto {installed} above {floor}");
        }
    }

    #[test]
    fn models_and_hardware() {
        for models in [vec![], vec!["Pump".to_owned()], vec!["pump2".to_owned()]] {
            let firmware = Requirements {
                models,
                ..firmware(8)
            };
            assert_eq!(
                admit(&device(7, 7), &firmware, None),
                Err(Refusal::WrongModel("pump".into()))
            );
        }
        let wrong = || Err(Refusal::WrongHardware("C".into()));
        for (revisions, expected) in [
            (&[][..], Ok(())),
            (&["B", "C"], Ok(())),
            (&["c"], wrong()),
            (&["A", "B"], wrong()),
            (&[""], wrong()),
        ] {
            let hardware_revisions = revisions.iter().map(|revision| revision.to_string()).collect();
            let firmware = Requirements {
                hardware_revisions,
                ..firmware(8)
            };
            assert_eq!(admit(&device(7, 7), &firmware, None), expected, "{revisions:?}");
        }
    }

    #[test]
    fn expiry_counts_where_the_time_is_known() {
        let firmware = Requirements {
            expires_ms: Some(1_000),
            ..firmware(8)
        };
        for (now, expected) in [
            (Some(999), Ok(())),
            (Some(1_000), Err(Refusal::Expired)),
            (None, Ok(())),
        ] {
            assert_eq!(admit(&device(7, 7), &firmware, now), expected);
        }
    }
}
