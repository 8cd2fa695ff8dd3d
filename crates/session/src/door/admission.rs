//! Letting a client in: who it is, whether it counts, whether there is room.

use std::sync::Arc;

use contract::{
    id::{Kind, ServiceName},
    v1::{CertificateStatus, CertificateUsed},
};
use service::Now;

use super::Door;
use crate::{
    cause::{Cause, Farewell},
    connection::{Admitted, Connection},
    directory::{NoRoom, Session},
    peer::{Caller, client_id_fits},
    policy::{self, Denial, Known, Moment, Standing},
    protocol::{Hello, Reason},
};

type Refused = (Reason, String);

impl Door {
    pub(super) fn admit(&mut self, connection: &mut Connection, hello: &Hello, now: Now) {
        match self.consider(connection, hello, now) {
            Ok(admitted) => connection.admit(admitted, now),
            Err((reason, text)) => {
                connection.refuse(reason, &text);
                if reason == Reason::NotAuthorized {
                    self.notice_stranger(connection, hello, text, now);
                }
            }
        }
    }

    fn consider(&mut self, connection: &Connection, hello: &Hello, now: Now) -> Result<Admitted, Refused> {
        if self.closing {
            return Err((Reason::ShuttingDown, "the server is shutting down".into()));
        }
        let caller = connection
            .peer()
            .caller(&hello.client_id, hello.user_name.as_deref());
        let caller = caller.map_err(|why| (Reason::NotAuthorized, why.to_owned()))?;
        let assigned = assigned_client_id(connection, hello, &caller)?;
        let standing = self.standing(&caller, now);
        let standing = Arc::new(standing.map_err(|denial| (Reason::NotAuthorized, denial.0))?);
        if let Some(will) = &hello.will {
            policy::publish(self.root(), &caller.principal, &standing, &will.topic)
                .map_err(|refusal| (Reason::NotAuthorized, format!("the will: {}", refusal.message)))?;
        }
        let client_id = assigned.clone().unwrap_or_else(|| hello.client_id.clone());
        self.make_room(&caller, &client_id)?;
        let mut session = Session::new(caller.clone(), client_id, standing.clone());
        session.address = connection.address().to_owned();
        session.v5 = hello.v5;
        session.keep_alive_s = hello.keep_alive_s;
        self.directory.add(connection.id(), session);
        self.tell_arrival(connection.id(), now);
        self.tell_first_use(&caller, now);
        Ok(Admitted {
            caller,
            standing,
            assigned_client_id: assigned,
        })
    }

    /// What somebody may do by what is known now.
    pub(super) fn standing(&self, caller: &Caller, now: Now) -> Result<Standing, Denial> {
        let moment = Moment {
            now_ms: now.wall_ms,
            renew_after_ms: self.settings.limits.renew_after_ms,
        };
        policy::standing(caller, &self.copies, &self.settings.root, moment)
    }

    fn make_room(&mut self, caller: &Caller, client_id: &str) -> Result<(), Refused> {
        let former = self.directory.taken_over(&caller.principal, client_id);
        let limits = self.settings.limits.clone();
        match self
            .directory
            .room_for(&caller.principal, former.is_some(), &limits)
        {
            Ok(()) => {}
            Err(NoRoom::Door) => {
                return Err((
                    Reason::ServerBusy,
                    "the server has all the connections it may".into(),
                ));
            }
            Err(NoRoom::Principal) => {
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

    /// A certificate that connects for the first time becomes active.
    fn tell_first_use(&mut self, caller: &Caller, now: Now) {
        let known = self.copies.certificate(&caller.serial);
        if known.is_some_and(|known| known.status == CertificateStatus::Issued) {
            let used = CertificateUsed {
                request_id: String::new(),
                serial: caller.serial.clone(),
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
