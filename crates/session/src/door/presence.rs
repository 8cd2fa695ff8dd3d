//! Presence: the raw material that monitoring makes events of.

use contract::{
    id::ServiceName,
    v1::{Presence, PresenceSnapshot},
};
use service::Now;

use super::Door;
use crate::{cause::Cause, directory::Session};

/// Sessions in one page of a snapshot.
const PAGE: usize = 400;

impl Door {
    pub(super) fn tell_arrival(&mut self, connection: u64, now: Now) {
        // While monitoring is away nothing is kept: the snapshot at its return stands for it.
        let Some(session) = self
            .directory
            .get(connection)
            .filter(|_| self.is_linked(ServiceName::Monitoring))
        else {
            return;
        };
        let presence = self.presence(connection, session, now);
        self.ask(ServiceName::Monitoring, "presence", &presence);
    }

    pub(super) fn tell_departure(&mut self, connection: u64, session: &Session, cause: Cause, now: Now) {
        if !self.is_linked(ServiceName::Monitoring) {
            return;
        }
        let presence = Presence {
            connected: false,
            cause: cause.word().into(),
            reason: match cause.has_reason() {
                true => session.farewell.clone(),
                false => String::new(),
            },
            ..self.presence(connection, session, now)
        };
        self.ask(ServiceName::Monitoring, "presence", &presence);
    }

    /// Everybody who is here, in pages; what comes and goes from now on is told after it.
    pub(super) fn tell_snapshot(&mut self, now: Now) {
        self.snapshot += 1;
        let everybody: Vec<_> = self
            .directory
            .iter()
            .map(|(id, session)| self.presence(id, session, now))
            .collect();
        let mut pages: Vec<Vec<Presence>> = everybody.chunks(PAGE).map(<[Presence]>::to_vec).collect();
        if pages.is_empty() {
            pages.push(Vec::new());
        }
        let last = pages.len() - 1;
        for (n, present) in pages.into_iter().enumerate() {
            let page = PresenceSnapshot {
                request_id: String::new(),
                boot: self.settings.boot,
                snapshot: self.snapshot,
                present,
                complete: n == last,
            };
            self.ask(ServiceName::Monitoring, "presence-snapshot", &page);
        }
    }

    fn presence(&self, connection: u64, session: &Session, now: Now) -> Presence {
        let who = &session.caller.principal;
        Presence {
            request_id: String::new(),
            kind: who.kind.word().into(),
            id: who.id.to_string(),
            connected: true,
            boot: self.settings.boot,
            session: connection,
            address: session.address.clone(),
            protocol: if session.v5 { "mqtt-5" } else { "mqtt-3.1.1" }.into(),
            keep_alive_s: u32::from(session.keep_alive_s),
            cause: String::new(),
            time_ms: now.wall_ms,
            client_id: session.client_id.clone(),
            serial: session.caller.serial().to_owned(),
            sessions: self.directory.staying(who) as u32,
            tls: session.transport.tls.unwrap_or_default().into(),
            reason: String::new(),
        }
    }
}
