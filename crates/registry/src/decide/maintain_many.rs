//! `maintain-many`: records that come from elsewhere. The good ones are written down, the others come back, each with its
//! reason; what is there already changes nothing.

use contract::{
    Refusal,
    v1::{Device, MaintainMany, ManyMaintained, RecordMaintenance},
};
use service::{Fault, Outcome};

use super::{
    Situation,
    act::Act,
    register_many::{printable, refusal_of_row, shorten},
};
use crate::{maintenance, policy, state};

pub(super) fn decide(s: &Situation<'_>, m: &MaintainMany) -> Result<Outcome, Fault> {
    policy::rows("records", m.records.len())?;
    let mut act = Act::new(s);
    let mut open: Option<Open> = None;
    let mut report = ManyMaintained::default();
    for (n, row) in m.records.iter().enumerate() {
        match bring(&mut act, &mut open, row) {
            Ok(Brought::New) => report.recorded += 1,
            Ok(Brought::Known) => report.unchanged += 1,
            Err(Fault::Refused(refusal)) => {
                let refused = refusal_of_row("records", n, printable(&row.device_id), refusal);
                report.refused.push(refused);
            }
            Err(fault) => return Err(fault),
        }
    }
    save(&mut act, open)?;
    shorten(&mut report.refused);
    if m.dry_run {
        return Ok(Outcome::reply(report));
    }
    Ok(act.answer(report))
}

enum Brought {
    New,
    Known,
}

/// The device of the last row: a file has a device's rows one after the other, and its own record is written once.
struct Open {
    before: Device,
    device: Device,
}

fn bring(act: &mut Act<'_>, open: &mut Option<Open>, row: &RecordMaintenance) -> Result<Brought, Fault> {
    if open
        .as_ref()
        .is_none_or(|open| open.device.device_id != row.device_id)
    {
        save(act, open.take())?;
        let device = state::device(&act.view(), "device_id", &row.device_id)?;
        let before = device.clone();
        *open = Some(Open { before, device });
    }
    let Some(Open { device, .. }) = open else {
        return Ok(Brought::Known);
    };
    if row.at_ms == 0 {
        let message = "say when it was done: what comes again could not be known else";
        return Err(Refusal::invalid("at_ms", message).into());
    }
    let record = maintenance::read(act.s, row)?;
    let alike = maintenance::alike(&act.view(), device, &record, !row.by.is_empty())?;
    if alike as u64 > u64::from(row.alike_before) {
        return Ok(Brought::Known);
    }
    policy::version("device", row.expected_version, device.version)?;
    maintenance::may(device)?;
    maintenance::write_down(act, device, record)?;
    Ok(Brought::New)
}

fn save(act: &mut Act<'_>, open: Option<Open>) -> Result<(), Fault> {
    let changed = open.filter(|open| open.device.version != open.before.version);
    let Some(Open { before, mut device }) = changed else {
        return Ok(());
    };
    act.save(Some(&before), &mut device)
}
