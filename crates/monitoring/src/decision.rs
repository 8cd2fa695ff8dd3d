//! What one decision has come to so far: later steps see what earlier ones wrote, and the counters are
//! written once.

use contract::{
    ServiceName,
    v1::{Connectivity, DeviceFact, DeviceStatus},
};
use prost::Message;
use service::{Fault, Outcome, View};

use crate::{
    Settings, event, policy,
    sessions::Seen,
    state::{self, Counters},
};

/// A decision under way.
pub(crate) struct Decision<'a> {
    view: &'a View<'a>,
    pub(crate) now: i64,
    pub(crate) grace_ms: i64,
    pub(crate) out: Outcome,
    pub(crate) counters: Counters,
    former: Counters,
}

impl<'a> Decision<'a> {
    /// Begins one.
    pub(crate) fn new(settings: Settings, view: &'a View<'a>, now: i64) -> Result<Decision<'a>, Fault> {
        let former = view.load::<Counters>(state::COUNTERS)?.unwrap_or_default();
        let grace_ms = i64::try_from(settings.grace_ms).unwrap_or(i64::MAX);
        Ok(Decision {
            view,
            now,
            grace_ms,
            out: Outcome::default(),
            counters: former,
            former,
        })
    }

    /// All that follows.
    pub(crate) fn finish(mut self) -> Outcome {
        if self.counters != self.former {
            self.out.put(state::COUNTERS, &self.counters);
        }
        self.out
    }

    /// A record as it has become.
    pub(crate) fn load<M: Message + Default>(&self, key: impl AsRef<[u8]>) -> Result<Option<M>, Fault> {
        Ok(self.view.over(&self.out.changes).load(key)?)
    }

    /// Records as they have become.
    pub(crate) fn list<M: Message + Default>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, M)>, Fault> {
        let view = self.view.over(&self.out.changes);
        let rows = view.list(prefix, after.map(str::as_bytes), limit)?;
        let name =
            |key: Vec<u8>| String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
        Ok(rows.into_iter().map(|(key, row)| (name(key), row)).collect())
    }

    /// What the registry says of a device, as long as it is watched.
    pub(crate) fn fact(&self, device: &str) -> Result<Option<DeviceFact>, Fault> {
        let fact = self
            .view
            .fact::<DeviceFact>(ServiceName::Registry, "device", device)?;
        Ok(fact.filter(policy::is_watched))
    }

    pub(crate) fn status(&self, device: &str) -> Result<Option<DeviceStatus>, Fault> {
        self.load(state::status(device))
    }

    /// Writes a status, and tells others what they need to know of it.
    pub(crate) fn save(&mut self, status: &DeviceStatus) {
        self.out.put(state::status(&status.device_id), status);
        event::status(&mut self.out, status);
    }

    pub(crate) fn seen(&self, device: &str) -> Result<Seen, Fault> {
        Ok(self.load(state::seen(device))?.unwrap_or_default())
    }

    /// Gives a device another connectivity, in the counters too.
    pub(crate) fn enter(&mut self, status: &mut DeviceStatus, to: Connectivity) {
        self.count(status.connectivity(), |n| n.saturating_sub(1));
        self.count(to, |n| n + 1);
        status.set_connectivity(to);
        status.since_ms = self.now;
    }

    /// A device that is no longer watched leaves the counters.
    pub(crate) fn leave(&mut self, status: &DeviceStatus) {
        self.count(status.connectivity(), |n| n.saturating_sub(1));
    }

    fn count(&mut self, connectivity: Connectivity, change: impl FnOnce(u64) -> u64) {
        let counter = match connectivity {
            Connectivity::Unspecified => return,
            Connectivity::Never => &mut self.counters.never,
            Connectivity::Online => &mut self.counters.online,
            Connectivity::Grace => &mut self.counters.grace,
            Connectivity::Offline => &mut self.counters.offline,
        };
        *counter = change(*counter);
    }
}
