//! Wake-ups: kept by time, decided like any request when they have passed.

use prost::Message;

use super::{Group, HostLoop};
use crate::{
    keys,
    planted::{self, Mistake},
    record::Number,
    service::{Context, Service},
    store::{Read, StoreError},
    view::View,
};

/// Wake-ups decided in one round; the rest comes in the next.
const ROUND: usize = 512;

/// The time of the first wake-up that is not before `from`.
pub(super) fn next(view: &View<'_>, from: i64) -> Result<Option<i64>, StoreError> {
    let first = view.scan_raw(keys::WAKE, Some(&keys::wakes_from(from)), 1)?;
    Ok(first
        .first()
        .and_then(|(key, _)| keys::split_wake(key))
        .map(|(at, _)| at))
}

impl<S: Service> HostLoop<S> {
    /// The next wake-up once a group is written. Nothing is before the one that was next and those that the group has set,
    /// so that nobody looks for it among those that are gone: where devices come and go, these are many, and a store
    /// passes each of them until it has forgotten it.
    pub(super) fn wake_after(
        &self,
        group: &Group<S::Request>,
        base: &dyn Read,
    ) -> Result<Option<i64>, StoreError> {
        let from = self.next_wake.into_iter().chain(group.earliest_wake).min();
        let view = View::new(base, &group.batch);
        from.map_or(Ok(None), |from| next(&view, from))
    }

    pub(super) fn fire_wakes(
        &mut self,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        let Some(first) = self.next_wake.filter(|at| *at <= cx.now.wall_ms) else {
            return Ok(());
        };
        for (key, _) in base.scan(keys::WAKE, Some(&keys::wakes_from(first)), ROUND)? {
            let Some((at, name)) = keys::split_wake(&key) else {
                continue;
            };
            if at > cx.now.wall_ms {
                break;
            }
            // An earlier wake-up of this round may have lifted or moved it.
            if View::new(base, &group.batch).raw(&key)?.is_none() {
                continue;
            }
            group.batch.delete(key);
            group.batch.delete(keys::wake_time(&name));
            let service = self.service.clone();
            let decided = service.on_wake(&View::new(base, &group.batch), &name, cx);
            self.settle_own("wake-up", &name, decided, group, base, cx)?;
        }
        group.wakes_changed = true;
        Ok(())
    }

    pub(super) fn set_wake(
        &mut self,
        name: &str,
        at_ms: Option<i64>,
        group: &mut Group<S::Request>,
        base: &dyn Read,
    ) -> Result<(), StoreError> {
        let time_key = keys::wake_time(name);
        let former = View::new(base, &group.batch).raw_record::<Number>(&time_key)?;
        let same = |former: &Number| at_ms.is_some_and(|at| u64::try_from(at) == Ok(former.value));
        if former.as_ref().is_some_and(same) {
            return Ok(());
        }
        if let Some(former) = former {
            group
                .batch
                .delete(keys::wake(i64::try_from(former.value).unwrap_or(i64::MAX), name));
            group.batch.delete(time_key.clone());
            group.wakes_changed = true;
        }
        if let Some(at) = at_ms.filter(|_| !planted::is(Mistake::WakeLost)) {
            let value = u64::try_from(at).unwrap_or_default();
            group.batch.put(keys::wake(at, name), vec![1]);
            group.batch.put(time_key, Number { value }.encode_to_vec());
            group.earliest_wake = group.earliest_wake.into_iter().chain([at]).min();
            group.wakes_changed = true;
        }
        Ok(())
    }
}
