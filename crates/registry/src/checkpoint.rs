//! How far consumers of events have come, kept for those that want it: for each service a number and the history that
//! it belongs to. A checkpoint is its owner's, by name. No event and no entry in the audit log tell that one moved: whoever
//! follows them would never come to an end.

use contract::{
    Code, Refusal,
    id::{Principal, ServiceName},
    v1::{
        Changed, Checkpoint, CheckpointPosition, CheckpointsListed, Done, ListCheckpoints, PutCheckpoint,
        RemoveCheckpoint,
    },
    verb::Verb,
};
use service::{Fault, Outcome, Sight, View, page};

use crate::{Registry, decide::Situation, policy};

/// All checkpoints.
pub(crate) const CHECKPOINTS: &str = "j";
/// Checkpoints of one owner.
const PER_OWNER: usize = 16;
/// Hex digits of a history's name.
const EPOCH_DIGITS: usize = 16;

/// `put-checkpoint`
pub(crate) fn put(s: &Situation<'_>, owner: &Principal, m: &PutCheckpoint) -> Result<Outcome, Fault> {
    let present = present(s.view, owner, &m.checkpoint_id)?;
    policy::version("checkpoint", m.expected_version, present.version)?;
    policy::list("positions", m.positions.len(), ServiceName::KEEPERS.len())?;
    if m.positions.is_empty() {
        return Err(
            Refusal::invalid("positions", "say how far which service's events are dealt with").into(),
        );
    }
    let mut wanted = present.clone();
    for told in &m.positions {
        take(&mut wanted, told, m.rewind, s.now_ms)?;
    }
    let mut outcome = Outcome::default();
    if wanted != present {
        wanted.version = wanted.version.saturating_add(1);
        outcome.put(key(owner, &wanted.checkpoint_id), &wanted);
    }
    outcome.answer(Changed {
        id: wanted.checkpoint_id,
        version: wanted.version,
        ..Changed::default()
    });
    Ok(outcome)
}

/// The checkpoint of exactly this name, or a new one if there is room.
fn present(view: &View<'_>, owner: &Principal, id: &str) -> Result<Checkpoint, Fault> {
    let id = policy::id("checkpoint_id", id)?;
    match view.load::<Checkpoint>(key(owner, id.as_str()))? {
        Some(found) if found.checkpoint_id == id.as_str() => Ok(found),
        Some(twin) => {
            let message = format!(
                "`{}` exists; names that differ in case only are twins",
                twin.checkpoint_id
            );
            Err(Refusal::new(Code::Exists, message).at("checkpoint_id").into())
        }
        None if view.scan(all(owner).as_bytes(), None, PER_OWNER)?.len() < PER_OWNER => Ok(Checkpoint {
            checkpoint_id: id.to_string(),
            owner: owner.to_string(),
            ..Checkpoint::default()
        }),
        None => {
            let message =
                format!("`{owner}` has {PER_OWNER} checkpoints, which is the limit; remove one of them");
            Err(Refusal::new(Code::Limit, message).into())
        }
    }
}

/// Moves one service's position.
fn take(
    wanted: &mut Checkpoint,
    told: &CheckpointPosition,
    rewind: bool,
    now_ms: i64,
) -> Result<(), Refusal> {
    let service = ServiceName::KEEPERS
        .into_iter()
        .find(|service| service.word() == told.service)
        .ok_or_else(|| {
            let message = format!("`{}` is no service with events", told.service.escape_debug());
            Refusal::invalid("positions.service", message)
                .allowing(ServiceName::KEEPERS.map(ServiceName::word))
        })?;
    let is_epoch = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    if told.epoch.len() != EPOCH_DIGITS || !told.epoch.chars().all(is_epoch) {
        let message = "an epoch is 16 hex digits, as events and the markers of replays name it";
        return Err(Refusal::invalid("positions.epoch", message));
    }
    let former = wanted
        .positions
        .iter()
        .position(|former| former.service == told.service);
    if let Some(former) = former.and_then(|at| wanted.positions.get_mut(at)) {
        if (&former.epoch, former.sequence) == (&told.epoch, told.sequence) {
            return Ok(());
        }
        if !rewind {
            is_forward(former, told)?;
        }
        former.epoch.clone_from(&told.epoch);
        (former.sequence, former.at_ms) = (told.sequence, now_ms);
        return Ok(());
    }
    wanted.positions.push(CheckpointPosition {
        service: service.word().to_owned(),
        at_ms: now_ms,
        ..told.clone()
    });
    wanted.positions.sort_by(|a, b| a.service.cmp(&b.service));
    Ok(())
}

/// A late repeat, and a second consumer under the same name, move nothing back.
fn is_forward(former: &CheckpointPosition, told: &CheckpointPosition) -> Result<(), Refusal> {
    let CheckpointPosition {
        service,
        epoch,
        sequence,
        ..
    } = former;
    let message = if *epoch != told.epoch {
        format!(
            "`{service}` is at {sequence} of another history ({epoch}): was its store restored? \
             `rewind` goes on in this one"
        )
    } else if told.sequence < *sequence {
        format!(
            "`{service}` is at {sequence} already, and {} is before; `rewind` goes back",
            told.sequence
        )
    } else {
        return Ok(());
    };
    Err(Refusal::new(Code::Conflict, message).at("positions"))
}

/// `remove-checkpoint`
pub(crate) fn remove(s: &Situation<'_>, caller: &Principal, m: &RemoveCheckpoint) -> Result<Outcome, Fault> {
    let owner: Principal = match m.owner.as_str() {
        "" => caller.clone(),
        owner => owner
            .parse()
            .map_err(|_| Refusal::invalid("owner", "an owner is written as `integrators/billing`"))?,
    };
    if owner != *caller {
        may_for_others(s.view, caller)?;
    }
    let id = policy::id("checkpoint_id", &m.checkpoint_id)?;
    let found: Option<Checkpoint> = s.view.load(key(&owner, id.as_str()))?;
    let Some(found) = found.filter(|found| found.checkpoint_id == id.as_str()) else {
        return Err(Refusal::not_found("checkpoint", id.as_str())
            .at("checkpoint_id")
            .into());
    };
    policy::version("checkpoint", m.expected_version, found.version)?;
    let mut outcome = Outcome::default();
    outcome.delete(key(&owner, id.as_str()));
    outcome.answer(Done::default());
    Ok(outcome)
}

/// `checkpoints`
pub(crate) fn list(
    view: &View<'_>,
    caller: &Principal,
    m: &ListCheckpoints,
) -> Result<CheckpointsListed, Fault> {
    let among = if m.everybody {
        may_for_others(view, caller)?;
        CHECKPOINTS.to_owned()
    } else {
        all(caller)
    };
    let named = |found: &Checkpoint| m.checkpoint_id.is_empty() || found.checkpoint_id == m.checkpoint_id;
    let page = page::list::<Checkpoint>(view, &among, &m.page, m.page_size, named)?;
    Ok(CheckpointsListed {
        checkpoints: page.rows,
        next_page: page.next,
        ..CheckpointsListed::default()
    })
}

/// Others' checkpoints are for whoever says what others may do.
fn may_for_others(view: &View<'_>, caller: &Principal) -> Result<(), Fault> {
    let people = Verb::find(ServiceName::Registry, "put-person");
    let reach = match people {
        Some(verb) => service::reach::<Registry>(view, &caller.to_string(), verb)?,
        None => None,
    };
    if reach == Some(Sight::Everything) {
        return Ok(());
    }
    let message = "others' checkpoints are for whoever may change people";
    Err(Refusal::new(Code::Denied, message).into())
}

/// Begins the keys of one owner's.
fn all(owner: &Principal) -> String {
    format!(
        "{CHECKPOINTS}{}\0{}\0",
        owner.kind,
        crate::state::fold(owner.id.as_str())
    )
}

fn key(owner: &Principal, id: &str) -> String {
    format!("{}{}", all(owner), crate::state::fold(id))
}
