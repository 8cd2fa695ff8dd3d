//! Letting a client in: who it is, whether it counts, whether there is room.

use std::sync::Arc;

use contract::{
    id::{Kind, Principal, ServiceName},
    notice,
    v1::{CertificateStatus, CertificateUsed},
    verb::Promise,
};
use service::Now;

use super::Door;
use crate::{
    bucket::Rate,
    cause::{Cause, Farewell},
    connection::{self, Admitted, Beyond, Connection, beyond},
    directory::{NoRoom, Session},
    limits::Limits,
    meter::Limit,
    peer::{Caller, client_id_fits},
    policy::{Denial, Known, Standing},
    protocol::{Hello, Publish, Reason},
};

type Refused = (Reason, String);

impl Door {
    pub(super) fn admit(&mut self, connection: &mut Connection, hello: &Hello, now: Now) {
        if connection.over().is_some() {
            // It is gone already: no session passes to it.
            return;
        }
        match self.consider(connection, hello, now) {
            Ok(Some(admitted)) => connection.admit(admitted, now),
            // It waits for its session, or for what comes of its password.
            Ok(None) => {}
            Err((reason, text)) => {
                connection.refuse(reason, &text);
                let what = match reason {
                    Reason::ShuttingDown => return,
                    Reason::ConnectionRate => notice::TAKEOVERS,
                    Reason::ServerBusy | Reason::QuotaExceeded => notice::NO_ROOM,
                    _ => notice::CONNECT_DENIED,
                };
                self.notice_stranger(connection, hello, what, text, now);
            }
        }
    }

    fn consider(
        &mut self,
        connection: &Connection,
        hello: &Hello,
        now: Now,
    ) -> Result<Option<Admitted>, Refused> {
        if self.closing {
            return Err((Reason::ShuttingDown, "the server is shutting down".into()));
        }
        let Some(caller) = self.identify(connection, hello, now)? else {
            return Ok(None);
        };
        let caller = Arc::new(caller);
        let assigned = assigned_client_id(connection, hello, &caller)?;
        let standing = self.standing(&caller, now);
        let standing = standing.map_err(|denial| (Reason::NotAuthorized, denial.0))?;
        let standing = match standing == *self.usual {
            true => self.usual.clone(),
            false => Arc::new(standing),
        };
        if let Some(will) = &hello.will {
            self.check_will(&will.publish, &caller, &standing)?;
        }
        let client_id = assigned.clone().unwrap_or_else(|| hello.client_id.clone());
        self.make_room(&caller, &client_id, now)?;
        let id = connection.id();
        let mut session = Session::new(caller.clone(), client_id.clone(), standing);
        session.address = connection.address().to_owned();
        session.transport = connection.transport();
        session.since_ms = now.wall_ms;
        session.backlog = connection.backlog();
        session.v5 = hello.v5;
        session.keep_alive_s = hello.keep_alive_s;
        session.clean = hello.clean;
        let most_s = self.settings.limits.session_expiry_s;
        if hello.expiry_s > most_s {
            self.meter.count(Limit::SessionExpiry);
        }
        session.outlives = hello.expiry_s.min(most_s) > 0 && caller.principal.kind != Kind::Claim;
        session.waits = true;
        self.directory.add(id, session);
        self.tell_arrival(id, now);
        self.tell_first_use(&caller, now);
        let holders = self.directory.holders(&caller.principal, &client_id);
        if hello.clean {
            // What they hold is not wanted.
            for holder in holders {
                if let Some(holder) = self.directory.get_mut(holder) {
                    holder.keeps = false;
                }
            }
        } else if !holders.is_empty() {
            return Ok(None);
        }
        Ok(self.enter(id, assigned, now))
    }

    /// A will passes the same judgement as any publish, when it is left and when it is spoken.
    fn check_will(&mut self, will: &Publish, caller: &Caller, standing: &Standing) -> Result<(), Refused> {
        if will.retain {
            // MQTT-3.2.2-13
            let text = "the will: nothing that a client publishes is retained";
            return Err((Reason::RetainNotSupported, text.into()));
        }
        if let Some(Beyond { limit, refusal }) = beyond(will, &self.settings.limits) {
            self.meter.count(limit);
            let reason = match limit {
                Limit::Properties => Reason::QuotaExceeded,
                _ => Reason::TopicNameInvalid,
            };
            return Err((reason, format!("the will: {}", refusal.message)));
        }
        let checked = connection::check_publish(&*self.policy, self.root(), caller, standing, will);
        let verb =
            checked.map_err(|refusal| (Reason::NotAuthorized, format!("the will: {}", refusal.message)))?;
        if verb.service == ServiceName::FrontDoor && verb.promise != Promise::Delivery {
            let text = "the will: nobody would be left to be answered by the front door";
            return Err((Reason::NotAuthorized, text.into()));
        }
        Ok(())
    }

    /// What somebody may do by what is known now.
    pub(super) fn standing(&self, caller: &Caller, now: Now) -> Result<Standing, Denial> {
        self.policy.connect(caller, &self.copies, now.wall_ms)
    }

    fn make_room(&mut self, caller: &Caller, client_id: &str, now: Now) -> Result<(), Refused> {
        let former = self.directory.taken_over(&caller.principal, client_id);
        let limits = self.settings.limits.clone();
        if former.is_some() {
            self.allow_takeover(&caller.principal, &limits, now)?;
        }
        let room = self
            .directory
            .room_for(&caller.principal, former.is_some(), &limits);
        if let Err(NoRoom::Door(limit) | NoRoom::Principal(limit)) = room {
            self.meter.count(limit);
        }
        match room {
            Ok(()) => {}
            Err(NoRoom::Door(_)) => {
                return Err((
                    Reason::ServerBusy,
                    "the server has all the connections it may".into(),
                ));
            }
            Err(NoRoom::Principal(_)) => {
                return Err((
                    Reason::QuotaExceeded,
                    "you have all the sessions you may; end one of them".into(),
                ));
            }
        }
        if let Some(former) = former {
            let text = "the same client connected again";
            self.dismiss(former, Farewell::new(Reason::TakenOver, Cause::Takeover, text));
        }
        Ok(())
    }

    /// Whoever takes its own session over too often is two, most likely: the one that is there stays.
    fn allow_takeover(&mut self, who: &Principal, limits: &Limits, now: Now) -> Result<(), Refused> {
        let rate = Rate::per_minute(limits.takeovers_per_minute);
        let Err(wait) = self.directory.takeovers.another(who, rate, now.mono_ms) else {
            return Ok(());
        };
        self.meter.count(Limit::TakeoversPerMinute);
        let text = format!(
            "another connection has your client id, and it was taken over too often: is there a second holder of your \
             key? Come again in {} s",
            wait.as_secs() + 1
        );
        Err((Reason::ConnectionRate, text))
    }

    /// A certificate that connects for the first time becomes active.
    fn tell_first_use(&mut self, caller: &Caller, now: Now) {
        let known = self.copies.certificate(caller.serial());
        if known.is_some_and(|known| known.status == CertificateStatus::Issued) {
            let used = CertificateUsed {
                request_id: String::new(),
                serial: caller.serial().to_owned(),
                time_ms: now.wall_ms,
            };
            self.ask(ServiceName::Provisioning, "used", &used);
        }
    }
}

/// The client id is checked; a client without one is given one.
fn assigned_client_id(
    connection: &Connection,
    hello: &Hello,
    caller: &Caller,
) -> Result<Option<String>, Refused> {
    let id = &caller.principal.id;
    if hello.client_id.is_empty() && !hello.v5 && !hello.clean {
        // MQTT 3.1.1, 3.1.3-8
        let text = "without a client id there is no session to go on with";
        return Err((Reason::BadClientId, text.into()));
    }
    if hello.client_id.is_empty() && caller.principal.kind != Kind::Claim {
        return Ok(Some(format!("{id}:{}", connection.id())));
    }
    if client_id_fits(&hello.client_id, id) {
        return Ok(None);
    }
    Err((
        Reason::BadClientId,
        format!("your client id is `{id}`, or `{id}:` and up to 64 characters of your choice"),
    ))
}
