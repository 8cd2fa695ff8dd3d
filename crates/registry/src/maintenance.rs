//! What was done to a device, and when it is due again. The records belong to the thing: a successor has its own, and a
//! device that is readmitted keeps them. What is due next stands in the device's record, by kind, and the first of these
//! dates beside it, so that a query finds it.

use contract::{
    Code, Refusal, names,
    v1::{
        Device, Evidence, ListMaintenance, MaintenanceKind, MaintenanceListed, MaintenanceRecord,
        RecordMaintenance, Stage,
    },
};
use service::{Fault, Outcome, View, page};

use crate::{
    choice::{self, Choice},
    decide::{Situation, act::Act, changed, check},
    event, field, lifecycle, policy, state,
};

/// Records of one device: one a week for forty years.
const RECORDS_MAX: u64 = 2_000;

/// `maintain`.
pub(crate) fn record(s: &Situation<'_>, m: &RecordMaintenance) -> Result<Outcome, Fault> {
    let mut device = state::device(s.view, "device_id", &m.device_id)?;
    policy::version("device", m.expected_version, device.version)?;
    let before = device.clone();
    let mut act = Act::new(s);
    may(&device)?;
    let record = read(s, m)?;
    write_down(&mut act, &mut device, record)?;
    act.save(Some(&before), &mut device)?;
    Ok(act.answer(changed(&device.device_id, device.version)))
}

/// Writes it down beside the device, whose own record the caller saves. What is refused changes nothing.
pub(crate) fn write_down(
    act: &mut Act<'_>,
    device: &mut Device,
    record: MaintenanceRecord,
) -> Result<(), Fault> {
    let mut after = device.clone();
    after.version = after.version.saturating_add(1);
    let record = MaintenanceRecord {
        version: after.version,
        ..record
    };
    note(&mut after, &record);
    check::size(&after)?;
    *device = after;
    let key = state::maintenance_key(&device.device_id, record.at_ms, record.version);
    act.outcome.put(key, &record);
    event::maintained(&mut act.outcome, device, &record);
    act.evidence(device, evidence(&record));
    Ok(())
}

/// How many records of the device say the same. Who did it is not compared where that is not said.
pub(crate) fn alike(
    view: &View<'_>,
    device: &Device,
    wanted: &MaintenanceRecord,
    says_by: bool,
) -> Result<usize, Fault> {
    let then = state::maintained_at(&device.device_id, wanted.at_ms);
    let records = view.list::<MaintenanceRecord>(then, None, RECORDS_MAX as usize)?;
    let is_alike = |one: &MaintenanceRecord| {
        one.kind == wanted.kind
            && (!says_by || one.by == wanted.by)
            && one.note == wanted.note
            && one.part == wanted.part
            && one.cost == wanted.cost
            && one.next_due == wanted.next_due
    };
    Ok(records.iter().filter(|(_, one)| is_alike(one)).count())
}

/// Whether work on it is written down.
pub(crate) fn may(device: &Device) -> Result<(), Refusal> {
    if matches!(device.stage(), Stage::Planned | Stage::Retired) {
        return Err(lifecycle::refusal(device, "nothing is done to it"));
    }
    if device.maintenance_records < RECORDS_MAX {
        return Ok(());
    }
    let message = format!(
        "`{}` has {RECORDS_MAX} records of maintenance, the limit",
        device.device_id
    );
    Err(Refusal::new(Code::Limit, message))
}

/// What is to be written down.
pub(crate) fn read(s: &Situation<'_>, m: &RecordMaintenance) -> Result<MaintenanceRecord, Refusal> {
    let kind: MaintenanceKind = choice::required("kind", m.kind)?;
    policy::texts(&[
        ("by", &m.by),
        ("note", &m.note),
        ("part", &m.part),
        ("first_recorded_by", &m.first_recorded_by),
    ])?;
    let at_ms = if m.at_ms == 0 { s.now_ms } else { m.at_ms };
    if !(1..=s.now_ms).contains(&at_ms) {
        return Err(Refusal::invalid(
            "at_ms",
            "what is written down has been done, since 1970",
        ));
    }
    if !(0..=s.now_ms).contains(&m.first_recorded_at_ms) {
        return Err(Refusal::invalid(
            "first_recorded_at_ms",
            "it was written down before, since 1970",
        ));
    }
    let due = field::day(&m.next_due);
    if !m.next_due.is_empty() && due.is_none() {
        return Err(Refusal::invalid("next_due", "a date is written as 2027-01-31"));
    }
    if due.is_some_and(|due| due < at_ms - DAY_MS) {
        return Err(Refusal::invalid(
            "next_due",
            "it is due again after it was done, not before",
        ));
    }
    let by = if m.by.is_empty() { &s.actor } else { &m.by };
    Ok(MaintenanceRecord {
        kind: kind.number(),
        at_ms,
        by: by.clone(),
        note: m.note.clone(),
        part: m.part.clone(),
        cost: field::price(&m.cost).map_err(|refusal| refusal.at("cost"))?,
        next_due: m.next_due.clone(),
        recorded_by: s.actor.clone(),
        recorded_at_ms: s.now_ms,
        version: 0,
        first_recorded_by: m.first_recorded_by.clone(),
        first_recorded_at_ms: m.first_recorded_at_ms,
    })
}

const DAY_MS: i64 = 24 * 3_600_000;

/// What the device's own record says of it. What was done earlier and is written down later changes no date that is
/// newer.
fn note(device: &mut Device, record: &MaintenanceRecord) {
    device.maintenance_records += 1;
    let kind = word(record.kind());
    let is_newest = device
        .maintained
        .get(&kind)
        .is_none_or(|last| *last <= record.at_ms);
    if is_newest {
        device.maintained.insert(kind.clone(), record.at_ms);
        match record.next_due.as_str() {
            "" => device.due.remove(&kind),
            due => device.due.insert(kind, due.to_owned()),
        };
    }
    device.last_maintained_ms = device.last_maintained_ms.max(record.at_ms);
    device.maintenance_due = device.due.values().min().cloned().unwrap_or_default();
}

fn evidence(record: &MaintenanceRecord) -> Evidence {
    let grounds = [
        ("by", &record.by),
        ("part", &record.part),
        ("next due", &record.next_due),
        ("first recorded by", &record.first_recorded_by),
    ];
    let grounds = grounds.into_iter().filter(|(_, text)| !text.is_empty());
    Evidence {
        what: "maintained".into(),
        to: word(record.kind()),
        cause: "maintain".into(),
        reason: record.note.clone(),
        grounds: grounds
            .map(|(name, text)| (name.to_owned(), text.clone()))
            .collect(),
        ..Evidence::default()
    }
}

/// `part-replaced`
fn word(kind: MaintenanceKind) -> String {
    names::typed(kind.name())
}

/// `maintenance`: what was done last comes first.
pub(crate) fn list(view: &View<'_>, m: &ListMaintenance) -> Result<MaintenanceListed, Fault> {
    let device = state::device(view, "device_id", &m.device_id)?;
    let wanted: Option<MaintenanceKind> = choice::optional("kind", m.kind)?;
    let of = state::maintenance(&device.device_id);
    let page = page::list::<MaintenanceRecord>(view, &of, &m.page, m.page_size, |record| {
        wanted.is_none_or(|wanted| wanted == record.kind())
    })?;
    Ok(MaintenanceListed {
        records: page.rows,
        next_page: page.next,
        ..MaintenanceListed::default()
    })
}
