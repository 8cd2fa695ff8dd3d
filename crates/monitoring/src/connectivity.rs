//! The moves between NEVER, ONLINE, GRACE and OFFLINE.

use contract::v1::{Connectivity, DeviceStatus, Presence};
use service::Fault;

use crate::{decision::Decision, event, policy, request, sessions::Seen, state};

/// The wake-up that ends a device's grace.
pub(crate) fn grace_key(device: &str) -> String {
    format!("grace/{device}")
}

/// How a device's last session ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End<'a> {
    /// A word of the closed list.
    pub(crate) cause: &'a str,
    /// What the client was told, where the server ended it.
    pub(crate) reason: &'a str,
}

/// A status is of the newest session.
fn describe(status: &mut DeviceStatus, presence: &Presence) {
    let (newest, this) = ((status.boot, status.session), (presence.boot, presence.session));
    if this < newest {
        return;
    }
    (status.boot, status.session) = this;
    status.address = request::cut(&presence.address);
    status.protocol = request::cut(&presence.protocol);
    status.keep_alive_s = presence.keep_alive_s;
    status.client_id = request::cut(&presence.client_id);
    status.serial = request::cut(&presence.serial);
    status.tls = request::cut(&presence.tls);
}

impl Decision<'_> {
    /// The device is there.
    pub(crate) fn arrive(&mut self, status: &mut DeviceStatus, presence: &Presence) -> Result<(), Fault> {
        describe(status, presence);
        let was = status.connectivity();
        if was == Connectivity::Online {
            return Ok(());
        }
        let since = status.since_ms;
        self.enter(status, Connectivity::Online);
        status.last_seen_ms = 0;
        status.refused = None;
        status.cause.clear();
        status.reason.clear();
        if was == Connectivity::Grace {
            self.out.no_wake(grace_key(&status.device_id));
            return Ok(());
        }
        event::online(&mut self.out, status, was, since);
        self.lift(
            policy::OFFLINE,
            &status.device_id.clone(),
            Some(status),
            "the device is back",
        )
    }

    /// Its last session ended: it may be away for a grace.
    pub(crate) fn depart(&mut self, status: &mut DeviceStatus, seen: &mut Seen, end: End<'_>) {
        if status.connectivity() != Connectivity::Online {
            return;
        }
        self.enter(status, Connectivity::Grace);
        status.last_seen_ms = self.now;
        status.cause = request::cut(end.cause);
        status.reason = request::cut(end.reason);
        let graces = policy::graces(end.cause);
        seen.grace_until_ms = self.now.saturating_add(self.grace_ms.saturating_mul(graces));
        self.out
            .wake_at(grace_key(&status.device_id), seen.grace_until_ms);
    }

    /// One of its sessions was taken over by a newer one, which its status is of. A device that comes again before its
    /// broken connection was noticed is no event; who comes from another address or with another certificate may be
    /// somebody else. Within a grace it is told once.
    pub(crate) fn taken_over(&mut self, status: &DeviceStatus, seen: &mut Seen, former: &Presence) {
        let newer = (former.boot, former.session) < (status.boot, status.session);
        let told = self.now.saturating_sub(seen.taken_over_ms) < self.grace_ms;
        if newer && !told && policy::is_elsewhere(status, former) {
            seen.taken_over_ms = self.now;
            event::taken_over(&mut self.out, status, former);
        }
    }

    /// Its grace has ended.
    pub(crate) fn miss(&mut self, device: &str) -> Result<(), Fault> {
        let Some(mut status) = self.status(device)? else {
            return Ok(());
        };
        if status.connectivity() != Connectivity::Grace {
            return Ok(());
        }
        let mut seen = self.seen(device)?;
        if self.now.saturating_sub(seen.grace_until_ms) > policy::OVERSLEPT_MS {
            seen.grace_until_ms = self.now.saturating_add(self.grace_ms);
            self.out.wake_at(grace_key(device), seen.grace_until_ms);
            self.out.put(state::seen(device), &seen);
            return Ok(());
        }
        let away_since = status.since_ms;
        self.enter(&mut status, Connectivity::Offline);
        event::offline(&mut self.out, &status, away_since);
        if let Some(fact) = self.fact(device)?.filter(policy::is_missed) {
            let severity = policy::severity_of_loss(fact.criticality(), &status.cause);
            let detail = format!("the device is away: {}", status.cause);
            self.raise_offline(&mut status, severity, detail)?;
        }
        self.save(&status);
        Ok(())
    }
}
