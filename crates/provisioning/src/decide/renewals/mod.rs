//! `renew-many`, `abort-renewal`: many devices renew before their time, after a change of the issuing authority or a
//! scare about keys.
//!
//! ```text
//! asked ── page ──► … ──► chosen ── so many a minute ──► told ── each has renewed, or gets none ──► over
//!                                       ▲          │
//!                                       └── again ─┘            aborted, or too late ──► taken back ──► over
//! ```
//!
//! The front door keeps what a device is told until it connects; a front door that has started anew has forgotten it,
//! so whoever has not renewed is told again in each round. Each step is a decision of its own, so that no commit is
//! larger than one and a restart goes on where it was.

mod choosing;
mod ending;
mod hearing;
mod reach;
mod telling;

use contract::{
    Code, Refusal,
    v1::{AbortRenewal, Changed, MassRenewal, MassRenewalState, RenewMany, RenewingDevice, RenewingState},
};
use service::{Answer, Caller, Fault, Outcome};

pub(super) use self::hearing::{heard, renewed};
pub(crate) use self::reach::{in_sight, touched, touched_by_abort};
use super::Situation;
use crate::{
    measure, policy,
    state::{self, Course},
};

/// The word before the name in the wake-up that takes the next step.
pub(super) const STEP: &str = "renewals";
/// Mass renewals that run at the same time.
const RUNNING_MAX: usize = 8;
/// All that are remembered; when there are more, the one that is over for the longest goes.
const KEPT: usize = 100;
/// Devices that one request may name.
const NAMED_MAX: usize = 3_000;

pub(super) fn begin(s: &mut Situation<'_>, caller: &Caller, m: &RenewMany) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    make_room(s, &mut outcome)?;
    let within_ms = policy::renewal_time(m.within_ms)?;
    demand_conditions(s, m)?;
    reach::demand_named_in_sight(s.view, &caller.sight, &m.device_ids)?;
    let name = format!("renewal-{}", &s.random_hex()[..8]);
    let named = name_devices(&mut outcome, &name, s.now_ms, &m.device_ids)?;
    let renewal = MassRenewal {
        renewal_id: name.clone(),
        state: match named {
            0 => MassRenewalState::Choosing,
            _ => MassRenewalState::Telling,
        } as i32,
        named: named > 0,
        per_minute: policy::renewal_rate(m.per_minute)?,
        reason: m.reason.clone(),
        begun_by: caller.principal.to_string(),
        begun_at_ms: s.now_ms,
        deadline_ms: s.now_ms.saturating_add_unsigned(within_ms),
        devices: named,
        waiting: named,
        within: reach::within(&caller.sight),
        ..conditions(m)
    };
    crate::event::renewal_begun(&mut outcome, &renewal);
    let course = Course {
        renewal: Some(renewal),
        round_at_ms: s.now_ms,
        ..Course::default()
    };
    outcome.put(state::course_key(&name), &course);
    outcome.wake_at(format!("{STEP}/{name}"), s.now_ms);
    outcome.answer = changed(&name);
    Ok(outcome)
}

/// What must hold of a device and of its newest certificate.
fn conditions(m: &RenewMany) -> MassRenewal {
    MassRenewal {
        issuer: m.issuer.clone(),
        batch: m.batch.clone(),
        key_kind: m.key_kind.clone(),
        group: m.group.clone(),
        device_type: m.device_type.clone(),
        ..MassRenewal::default()
    }
}

fn changed(name: &str) -> Answer {
    Answer::Now(Box::new(Changed {
        id: name.into(),
        ..Changed::default()
    }))
}

fn make_room(s: &Situation<'_>, outcome: &mut Outcome) -> Result<(), Fault> {
    let all = s.view.list::<Course>(state::RENEWALS, None, usize::MAX)?;
    if all.iter().filter(|(_, course)| course.is_running()).count() >= RUNNING_MAX {
        let message = format!("{RUNNING_MAX} mass renewals run already; wait for one, or abort it");
        return Err(Refusal::new(Code::Limit, message).into());
    }
    let over = all.iter().map(|(_, course)| course.renewal());
    let oldest = over
        .filter(|renewal| renewal.ended_at_ms > 0)
        .min_by_key(|renewal| renewal.ended_at_ms);
    if let Some(oldest) = oldest.filter(|_| all.len() >= KEPT) {
        outcome.wake_at(format!("{STEP}/{}", oldest.renewal_id), s.now_ms);
    }
    Ok(())
}

fn demand_conditions(s: &Situation<'_>, m: &RenewMany) -> Result<(), Fault> {
    policy::key_kind(&m.key_kind)?;
    policy::why(&m.reason)?;
    let ids = [
        ("batch", &m.batch),
        ("group", &m.group),
        ("device_type", &m.device_type),
    ];
    for (field, text) in ids {
        if !text.is_empty() {
            policy::id(field, text)?;
        }
    }
    if !m.issuer.is_empty() && !s.authorities.all().any(|one| one.id == m.issuer) {
        return Err(Refusal::not_found("issuing CA", &m.issuer).at("issuer").into());
    }
    Ok(())
}

/// Those that were named, each once.
fn name_devices(outcome: &mut Outcome, name: &str, now_ms: i64, ids: &[String]) -> Result<u32, Refusal> {
    if ids.len() > NAMED_MAX {
        let message = format!("{NAMED_MAX} at most; a group may be larger");
        return Err(Refusal::invalid("device_ids", message));
    }
    let mut devices = std::collections::BTreeSet::new();
    for id in ids {
        let device_id = policy::id("device_ids", id)?.to_string();
        if devices.insert(device_id.clone()) {
            put_device(outcome, name, &waiting(device_id, now_ms));
        }
    }
    Ok(u32::try_from(devices.len()).unwrap_or(u32::MAX))
}

fn waiting(device_id: String, now_ms: i64) -> RenewingDevice {
    RenewingDevice {
        device_id,
        state: RenewingState::Waiting as i32,
        since_ms: now_ms,
        ..RenewingDevice::default()
    }
}

fn put_device(outcome: &mut Outcome, name: &str, device: &RenewingDevice) {
    outcome.put(state::renewing_key(name, &device.device_id), device);
}

pub(super) fn abort(s: &Situation<'_>, caller: &Caller, m: &AbortRenewal) -> Result<Outcome, Fault> {
    let name = policy::id("renewal_id", &m.renewal_id)?;
    let course = s.view.load::<Course>(state::course_key(name.as_str()))?;
    let Some(course) = course.filter(|course| in_sight(caller, &course.renewal())) else {
        return Err(Refusal::not_found("mass renewal", name.as_str())
            .at("renewal_id")
            .into());
    };
    if !course.is_running() {
        let message = "this mass renewal is over, or about to be";
        return Err(Refusal::new(Code::NotAllowed, message).at("renewal_id").into());
    }
    let mut outcome = Outcome::default();
    ending::begin(s, &mut outcome, course, MassRenewalState::Aborted);
    outcome.answer = changed(name.as_str());
    Ok(outcome)
}

/// The next step of one.
pub(super) fn step(s: &Situation<'_>, name: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let Some(course) = s.view.load::<Course>(state::course_key(name))? else {
        return Ok(outcome);
    };
    let renewal = course.renewal();
    match renewal.state() {
        MassRenewalState::Choosing | MassRenewalState::Telling if renewal.deadline_ms <= s.now_ms => {
            ending::begin(s, &mut outcome, course, MassRenewalState::TimedOut);
        }
        MassRenewalState::Choosing => choosing::page(s, &mut outcome, course)?,
        MassRenewalState::Telling => telling::some(s, &mut outcome, course)?,
        MassRenewalState::Ending => ending::page(s, &mut outcome, course)?,
        _ => ending::forget(s, &mut outcome, name)?,
    }
    Ok(outcome)
}

/// A device gets no next certificate.
fn fail(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    renewal: &mut MassRenewal,
    device: RenewingDevice,
    (reason, why): (&'static str, String),
) {
    measure::not_renewed(outcome, reason);
    let device = RenewingDevice { why, ..device };
    go(s, outcome, renewal, device, RenewingState::Failed);
}

/// A device goes from one state to another, and is counted there. Where it was told, and is to do nothing any more,
/// that is taken back.
fn go(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    renewal: &mut MassRenewal,
    device: RenewingDevice,
    to: RenewingState,
) {
    let from = device.state();
    *place(renewal, from) = place(renewal, from).saturating_sub(1);
    *place(renewal, to) += 1;
    if from != to {
        measure::renewing(outcome, to);
    }
    if from == RenewingState::Told && to != RenewingState::Told {
        crate::event::take_order_back(outcome, &device.device_id);
    }
    let device = RenewingDevice {
        state: to as i32,
        since_ms: s.now_ms,
        ..device
    };
    if to == RenewingState::Failed {
        crate::event::renewing_failed(outcome, &renewal.renewal_id, &device);
    }
    put_device(outcome, &renewal.renewal_id, &device);
}

fn place(renewal: &mut MassRenewal, state: RenewingState) -> &mut u32 {
    match state {
        RenewingState::Told => &mut renewal.told,
        RenewingState::Renewed => &mut renewal.renewed,
        RenewingState::Failed => &mut renewal.failed,
        RenewingState::Canceled => &mut renewal.canceled,
        RenewingState::Waiting | RenewingState::Unspecified => &mut renewal.waiting,
    }
}

/// Writes it, and ends it if no device is left. It looks again at `next_ms`; `None`: when it would have anyway.
fn keep(s: &Situation<'_>, outcome: &mut Outcome, course: Course, next_ms: Option<i64>) {
    let renewal = course.renewal();
    let is_over = renewal.state() == MassRenewalState::Telling && renewal.waiting + renewal.told == 0;
    if is_over {
        let end = match renewal.failed {
            0 => MassRenewalState::Succeeded,
            _ => MassRenewalState::Failed,
        };
        return ending::end(s, outcome, course, end);
    }
    outcome.put(state::course_key(&renewal.renewal_id), &course);
    if let Some(next_ms) = next_ms {
        let at_ms = match course.is_running() {
            true => next_ms.min(renewal.deadline_ms),
            false => next_ms,
        };
        outcome.wake_at(format!("{STEP}/{}", renewal.renewal_id), at_ms);
    }
}
