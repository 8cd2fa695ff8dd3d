//! What is known of an end when it is ordered, and when it has come.

use contract::{
    event::rfc3339,
    v1::{Device, Erasure, Retirement, RetirementRecord, RetirementState},
};
use service::{Outcome, View, store::StoreError};

use super::{certify, key, newest};
use crate::lifecycle::Cause;

const FORM: &str = "muster.retirement.v1";

/// Somebody ends a device's life.
pub(crate) fn open(outcome: &mut Outcome, device: &Device, now_ms: i64) {
    let opened = ordered(device, now_ms);
    outcome.put(key(&opened), &opened);
}

fn ordered(device: &Device, now_ms: i64) -> Retirement {
    let record = RetirementRecord {
        form: FORM.into(),
        ordered_at: rfc3339(now_ms),
        ordered_by: device.changed_by.clone(),
        reason: device.change_reason.clone(),
        ..RetirementRecord::default()
    };
    Retirement {
        device_id: device.device_id.clone(),
        version: device.version,
        state: RetirementState::Ordered.into(),
        record: Some(record),
        waits_for: "its receipt, or the deadline".into(),
        ..Retirement::default()
    }
}

/// The record of an end that has not come yet.
pub(crate) fn opened(view: &View<'_>, device: &Device) -> Result<Option<Retirement>, StoreError> {
    let last = newest(view, &device.device_id)?;
    Ok(last.filter(|found| found.state() == RetirementState::Ordered))
}

/// It has come to its end; its groups are still in its record.
pub(crate) fn close(
    outcome: &mut Outcome,
    opened: Option<Retirement>,
    device: &Device,
    (cause, receipt): (Cause, &[String]),
    now_ms: i64,
) {
    let mut retirement = opened.unwrap_or_else(|| ordered(device, now_ms));
    let record = retirement.record.take().unwrap_or_default();
    let erasure = match cause {
        Cause::Receipt => Erasure::Confirmed,
        Cause::Deadline => Erasure::Outstanding,
        _ => Erasure::NotNeeded,
    };
    let version = retirement.version;
    retirement.record = Some(RetirementRecord {
        version,
        retired_at: rfc3339(now_ms),
        cause: cause.word().into(),
        erasure: erasure.into(),
        erased: receipt.to_vec(),
        groups_left: device.groups.clone(),
        ..of(device, record)
    });
    retirement.retired_at_ms = now_ms;
    retirement.set_state(RetirementState::Revoking);
    certify::ask(outcome, &mut retirement);
}

/// The record with what the device was.
fn of(device: &Device, record: RetirementRecord) -> RetirementRecord {
    let time = |ms: i64| if ms > 0 { rfc3339(ms) } else { String::new() };
    let device = device.clone();
    RetirementRecord {
        device_id: device.device_id,
        name: device.name,
        serial_number: device.serial_number,
        device_type: device.device_type,
        model: device.model,
        hardware_revision: device.hardware_revision,
        firmware_version: device.firmware_version,
        addresses: device.addresses,
        identity: device.identity,
        owner: device.owner,
        site: device.site,
        replaced_by: device.replaced_by,
        registered_at: time(device.registered_at_ms),
        last_reported_at: time(device.reported_at_ms),
        ..record
    }
}
