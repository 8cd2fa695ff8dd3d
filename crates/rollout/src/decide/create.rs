//! A new rollout: who takes part is settled here and now, and the first wave begins.

use artifact::Keyring;
use contract::{
    Code, Refusal, ServiceName,
    approval::Touched,
    v1::{
        Artifact, Changed, CreateRollout, DeviceFact, DeviceUpdate, Manifest, Rollout, RolloutState,
        UpdateState, Wave,
    },
};
use service::{Caller, Fault, Outcome, Sight, View};

use crate::{
    campaign::{self, Campaign},
    event, manifest, policy,
    request::{self, Plan, Targets},
    state::{self, Holding, Mark},
};

/// Devices of one rollout: its making is one commit, which must not hold up the others for long.
const DEVICES_MAX: usize = 50_000;
/// Facts read at a time.
const FACTS: usize = 500;

pub(super) fn decide(
    keyring: &Keyring,
    view: &View<'_>,
    caller: &Caller,
    request: CreateRollout,
    now: i64,
) -> Result<Outcome, Fault> {
    let plan = request::plan(request)?;
    let rollout_id = plan.rollout_id.to_string();
    let twin = state::twin(&plan.rollout_id.folded());
    if view.load::<Mark>(&twin)?.is_some() {
        let message = format!(
            "there is a rollout `{rollout_id}` (or one that differs in case only); choose another id"
        );
        return Err(Refusal::new(Code::Exists, message).at("rollout_id").into());
    }
    demand_in_sight(view, &caller.sight, &plan.targets)?;
    let manifest = release(keyring, view, &plan.artifact_id, now)?;
    let muster = muster(view, &plan.targets, &manifest)?;
    demand_some(&muster, &plan.targets)?;
    let mut out = Outcome::default();
    let rollout = record(&plan, &manifest, &muster, caller, now);
    let left_out = muster.unfit.len();
    enlist(&mut out, &rollout, muster, now);
    out.put(twin, &Mark {});
    event::started(&mut out, &rollout, left_out);
    let mut campaign = Campaign::new(view, now, rollout, out);
    campaign.advance()?;
    // Its first wave is part of its making.
    campaign.rollout.version = 1;
    let mut out = campaign.finish();
    out.answer(Changed {
        id: rollout_id,
        version: 1,
        ..Changed::default()
    });
    Ok(out)
}

/// The devices that a rollout would be for.
pub(crate) fn touched(view: &View<'_>, request: &CreateRollout) -> Result<Touched, Fault> {
    let mut touched = Touched::default();
    for id in &request.device_ids {
        let fact = view.fact::<DeviceFact>(ServiceName::Registry, "device", id)?;
        touched.add(fact.map(|fact| fact.criticality()).unwrap_or_default());
    }
    let mut after: Option<String> = None;
    while !request.group.is_empty() {
        let facts = view.facts::<DeviceFact>(ServiceName::Registry, "device", after.as_deref(), FACTS)?;
        let is_last = facts.len() < FACTS;
        after = facts.last().map(|(id, _)| id.clone());
        let members = facts
            .iter()
            .filter(|(_, fact)| fact.groups.contains(&request.group));
        members.for_each(|(_, fact)| touched.add(fact.criticality()));
        if is_last {
            break;
        }
    }
    Ok(touched)
}

/// Whoever may roll out to some groups only names one of them, or devices in them.
fn demand_in_sight(view: &View<'_>, sight: &Sight, targets: &Targets) -> Result<(), Fault> {
    let denied = |what: &str, field: &str| {
        let message = format!("`create` was granted to you for some groups only; {what} is not in them");
        Err(Refusal::new(Code::Denied, message).at(field).into())
    };
    match targets {
        Targets::Group(group) if !sight.has_group(group.as_str()) => {
            denied(&format!("the group `{group}`"), "group")
        }
        Targets::Group(_) => Ok(()),
        Targets::Devices(ids) => {
            for id in ids {
                if !sight.device(view, id)? {
                    return denied(&format!("`{id}`"), "device_ids");
                }
            }
            Ok(())
        }
    }
}

/// The artifact's manifest, if it is complete, still trusted and not expired.
fn release(keyring: &Keyring, view: &View<'_>, id: &str, now: i64) -> Result<Manifest, Fault> {
    let Some(artifact) = view.load::<Artifact>(state::artifact(id))? else {
        return Err(Refusal::not_found("artifact", id).at("artifact_id").into());
    };
    if !artifact.complete {
        let message = "the artifact's image is not complete; put its blocks and seal it first";
        return Err(Refusal::new(Code::Precondition, message).at("artifact_id").into());
    }
    policy::demand_not_recalled(&artifact)?;
    manifest::verify(keyring, &artifact.signed.unwrap_or_default())?;
    let manifest = artifact.manifest.unwrap_or_default();
    manifest::demand_unexpired(&manifest, now)?;
    Ok(manifest)
}

/// Who takes part, in order, and who does not, with the reason.
#[derive(Default)]
struct Muster {
    fit: Vec<(u8, String)>,
    unfit: Vec<(String, String)>,
}

fn muster(view: &View<'_>, targets: &Targets, manifest: &Manifest) -> Result<Muster, Fault> {
    let mut muster = Muster::default();
    match targets {
        Targets::Devices(ids) => {
            for id in ids {
                let fact = view.fact::<DeviceFact>(ServiceName::Registry, "device", id)?;
                muster.judge(view, id.clone(), fact.as_ref(), manifest)?;
            }
        }
        Targets::Group(group) => muster.judge_group(view, group.as_str(), manifest)?,
    }
    muster.fit.sort();
    Ok(muster)
}

impl Muster {
    fn judge_group(&mut self, view: &View<'_>, group: &str, manifest: &Manifest) -> Result<(), Fault> {
        let mut after: Option<String> = None;
        loop {
            let facts = view.facts::<DeviceFact>(ServiceName::Registry, "device", after.as_deref(), FACTS)?;
            let whole = facts.len() < FACTS;
            after = facts.last().map(|(id, _)| id.clone());
            for (id, fact) in facts {
                if fact.groups.iter().any(|g| g == group) {
                    self.judge(view, id, Some(&fact), manifest)?;
                }
            }
            if self.fit.len() + self.unfit.len() > DEVICES_MAX {
                let message = format!("a rollout has up to {DEVICES_MAX} devices; split the group");
                return Err(Refusal::new(Code::Limit, message).at("group").into());
            }
            if whole {
                return Ok(());
            }
        }
    }

    fn judge(
        &mut self,
        view: &View<'_>,
        id: String,
        fact: Option<&DeviceFact>,
        manifest: &Manifest,
    ) -> Result<(), Fault> {
        if let Some(reason) = policy::unfit(fact, manifest) {
            self.unfit.push((id, reason));
        } else if let Some((holding, _)) = campaign::held(view, &id)? {
            self.unfit.push((
                id,
                format!("rollout `{}` is not done with the device", holding.rollout_id),
            ));
        } else {
            self.fit
                .push((fact.map_or(0, |fact| policy::rank(fact.criticality())), id));
        }
        Ok(())
    }
}

fn demand_some(muster: &Muster, targets: &Targets) -> Result<(), Refusal> {
    if !muster.fit.is_empty() {
        return Ok(());
    }
    let why = match (muster.unfit.first(), targets) {
        (Some((id, reason)), _) => format!(
            "none of {} devices can take it; `{id}`: {reason}",
            muster.unfit.len()
        ),
        (None, Targets::Group(group)) => {
            format!("no device is in a group `{group}`; `group list` has the groups and their members")
        }
        (None, Targets::Devices(_)) => "it names no device".to_owned(),
    };
    Err(Refusal::new(Code::Precondition, why).at("group"))
}

fn record(plan: &Plan, manifest: &Manifest, muster: &Muster, caller: &Caller, now: i64) -> Rollout {
    let sizes = policy::wave_sizes(muster.fit.len() as u32, &plan.shares);
    let waves = (1..).zip(sizes);
    let group = match &plan.targets {
        Targets::Group(group) => group.to_string(),
        Targets::Devices(_) => String::new(),
    };
    Rollout {
        rollout_id: plan.rollout_id.to_string(),
        version: 1,
        artifact_id: plan.artifact_id.clone(),
        firmware_version: manifest.version.clone(),
        state: RolloutState::Running as i32,
        success_percent: plan.success_percent,
        timeout_ms: plan.timeout_ms,
        waves: waves
            .map(|(number, devices)| Wave {
                number,
                devices,
                open: devices,
                ..Wave::default()
            })
            .collect(),
        created_at_ms: now,
        created_by: caller.principal.to_string(),
        group,
        left_out: u32::try_from(muster.unfit.len()).unwrap_or(u32::MAX),
        ..Rollout::default()
    }
}

/// Writes an update for each device; those that take part are held.
fn enlist(out: &mut Outcome, rollout: &Rollout, muster: Muster, now: i64) {
    let update = |device_id: String, wave, state: UpdateState, detail| DeviceUpdate {
        device_id,
        rollout_id: rollout.rollout_id.clone(),
        wave,
        state: state as i32,
        detail,
        since_ms: now,
    };
    let places = rollout
        .waves
        .iter()
        .flat_map(|wave| (0..wave.devices).map(|_| wave.number));
    for (wave, (_, device)) in places.zip(muster.fit) {
        out.put(state::held(&device), &Holding::new(rollout, wave));
        let key = state::update(&rollout.rollout_id, wave, &device);
        out.put(key, &update(device, wave, UpdateState::Waiting, String::new()));
    }
    for (device, reason) in muster.unfit {
        let key = state::update(&rollout.rollout_id, 0, &device);
        out.put(key, &update(device, 0, UpdateState::Refused, reason));
    }
}
