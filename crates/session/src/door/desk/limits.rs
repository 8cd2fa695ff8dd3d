//! What there is room for, and where principals connect.

use contract::v1::{self, FrontDoorLimit, LimitsListed, ListenersListed};
use service::Now;

use crate::{
    door::Door,
    meter::{Limit, Meter},
    transport::Listener,
};

impl Door {
    /// A limit that is watched outside was met.
    pub fn met(&mut self, limit: Limit) {
        self.meter.count(limit);
    }

    /// What has become of the limits of the entrance, since the start.
    pub fn tell_lobby(&mut self, met: Meter) {
        self.lobby = met;
    }

    /// Where a listener is bound.
    pub fn listens(&mut self, listener: Listener, address: String) {
        self.listeners.push((listener, address));
    }

    /// How often each was met, by its name.
    pub(in crate::door) fn met_since_start(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Limit::ALL.iter().map(|limit| (limit.word(), self.met_of(*limit)))
    }

    fn met_of(&self, limit: Limit) -> u64 {
        self.meter.of(limit) + self.kept.met().of(limit) + self.lobby.of(limit)
    }

    pub(super) fn list_limits(&self, now: Now) -> LimitsListed {
        let started_ms = self.started_ms.unwrap_or(now.wall_ms);
        let limit = |limit: &Limit| FrontDoorLimit {
            name: limit.word().into(),
            value: limit.value(&self.settings.limits),
            unit: limit.unit().into(),
            met: self.met_of(*limit),
            beyond: limit.beyond().into(),
        };
        LimitsListed {
            limits: Limit::ALL.iter().map(limit).collect(),
            since_ms: started_ms,
            ..LimitsListed::default()
        }
    }

    pub(super) fn list_listeners(&self) -> ListenersListed {
        let listener = |(listener, address): &(Listener, String)| v1::Listener {
            name: listener.word().into(),
            address: address.clone(),
            tls: listener.is_secure(),
            sessions: u32::try_from(self.directory.over_listener(*listener)).unwrap_or(u32::MAX),
        };
        ListenersListed {
            listeners: self.listeners.iter().map(listener).collect(),
            ..ListenersListed::default()
        }
    }
}
