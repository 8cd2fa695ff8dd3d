//! Sessions that end, and what follows: presence, and the receipt for a revocation.

use std::{collections::HashSet, sync::Arc};

use contract::{
    id::{Id, Kind, Principal, ServiceName},
    v1::{CertificateStatus, Kicked, Stage},
};
use service::{
    Now,
    planted::{self, Mistake},
};

use super::Door;
use crate::{
    cause::{Cause, Farewell},
    connection::Post,
    facts::Change,
    peer::Caller,
    policy::{Known, Reach, Standing},
    protocol::Reason,
};

/// Revocations whose sessions are still closing.
#[derive(Default)]
pub(super) struct Departures(Vec<Closing>);

struct Closing {
    revocation: String,
    serial: String,
    open: HashSet<u64>,
    sessions: u32,
}

impl Door {
    /// A connection is over.
    pub fn gone(&mut self, connection: u64, cause: Cause, now: Now) {
        self.forget_password(connection, now);
        let Some(session) = self.directory.remove(connection) else {
            return;
        };
        self.let_in_waiting(&session.caller, &session.client_id, now);
        if session.unheld > 0 {
            self.lanes
                .iter_mut()
                .for_each(|lane| lane.forget_unheld(connection));
        }
        self.tell_departure(connection, &session, cause, now);
        if let Some(remark) = self
            .policy
            .disconnected(&session.caller, &session.standing, cause)
        {
            self.remark(&session, remark, now);
        }
        for closing in &mut self.departures.0 {
            closing.open.remove(&connection);
        }
        self.send_receipts();
    }

    /// Applies what changed in the facts to those who are here.
    pub(super) fn on_changes(&mut self, changes: Vec<Change>, now: Now) {
        for change in changes {
            match change {
                Change::Device(id) => self.review(Kind::Device, &id, now),
                Change::Person(name) => {
                    let Some((kind, id)) = name.split_once('.') else {
                        continue;
                    };
                    let Some(kind) = Kind::from_word(kind) else {
                        continue;
                    };
                    self.review(kind, id, now);
                }
                Change::Certificate(serial) => self.review_certificate(&serial, now),
                Change::Batch(id) => self.review_batch(&id, now),
                Change::Manufacturer(name) => self.review_factories(&name, now),
            }
        }
        self.send_receipts();
    }

    fn review(&mut self, kind: Kind, id: &str, now: Now) {
        let Ok(id) = id.parse::<Id>() else { return };
        let who = Principal::new(kind, id);
        for connection in self.directory.of(&who).to_vec() {
            self.review_session(connection, now);
        }
        for kept in self.kept.of(&who).to_vec() {
            self.review_kept(kept, now);
        }
        let known = self.copies.device(who.id.as_str());
        if kind == Kind::Device && known.is_none_or(|device| device.stage == Stage::Retired) {
            self.retained.forget(&who);
        }
    }

    /// Who may stay is told what it may do; who may not must go.
    fn review_session(&mut self, connection: u64, now: Now) {
        let Some(session) = self.directory.get(connection).filter(|s| !s.leaving) else {
            return;
        };
        let has_ended = |standing: &Standing| standing.reach == Reach::Renewal;
        match self.standing(&session.caller, now) {
            Ok(standing) if *session.standing == standing => {}
            // It comes again to renew, and knows then that nothing else is open to it.
            Ok(standing) if has_ended(&standing) && !has_ended(&session.standing) => {
                let text = "the certificate has expired";
                self.dismiss(
                    connection,
                    Farewell::new(Reason::NotAuthorized, Cause::NotAuthorized, text),
                );
            }
            Ok(standing) => {
                let standing = Arc::new(standing);
                if let Some(session) = self.directory.get_mut(connection) {
                    session.standing = standing.clone();
                }
                self.posts.push_back((connection, Post::Standing(standing)));
            }
            Err(denial) => {
                self.dismiss(
                    connection,
                    Farewell::new(Reason::NotAuthorized, Cause::NotAuthorized, denial.0),
                );
            }
        }
    }

    fn review_batch(&mut self, id: &str, now: Now) {
        let Some(serial) = self.copies.batch(id).map(|batch| batch.serial.clone()) else {
            return;
        };
        for connection in self.directory.over(&serial) {
            self.review_session(connection, now);
        }
    }

    /// Those who came with a manufacturer's certificate. It changes rarely, and they are few: each is gone once it has its
    /// first certificate.
    fn review_factories(&mut self, manufacturer: &str, now: Now) {
        let is_of = |caller: &Caller| {
            let shown = caller.factory();
            shown.is_some_and(|shown| shown.manufacturer == manufacturer)
        };
        let here = self
            .directory
            .iter()
            .filter(|(_, session)| is_of(&session.caller));
        let here: Vec<_> = here.map(|(connection, _)| connection).collect();
        for connection in here {
            self.review_session(connection, now);
        }
    }

    fn review_certificate(&mut self, serial: &str, now: Now) {
        let sessions = self.directory.over(serial);
        for connection in &sessions {
            self.review_session(*connection, now);
        }
        for kept in self.kept.over(serial) {
            self.review_kept(kept, now);
        }
        let revoked = self
            .copies
            .certificate(serial)
            .filter(|c| c.status == CertificateStatus::Revoked);
        let Some(revocation) = revoked.map(|c| c.revocation.clone()).filter(|r| !r.is_empty()) else {
            return;
        };
        self.departures.0.push(Closing {
            revocation,
            serial: serial.to_owned(),
            sessions: sessions.len() as u32,
            open: sessions
                .into_iter()
                .filter(|_| !planted::is(Mistake::KickMissed))
                .collect(),
        });
    }

    /// Says of each revocation whose sessions are all closed how many there were.
    fn send_receipts(&mut self) {
        let (done, open) = std::mem::take(&mut self.departures.0)
            .into_iter()
            .partition(|c| c.open.is_empty());
        self.departures.0 = open;
        let done: Vec<Closing> = done;
        for Closing {
            revocation,
            serial,
            sessions,
            ..
        } in done
        {
            let receipt = Kicked {
                request_id: String::new(),
                revocation,
                serial,
                sessions,
            };
            self.ask(ServiceName::Provisioning, "kicked", &receipt);
        }
    }
}
