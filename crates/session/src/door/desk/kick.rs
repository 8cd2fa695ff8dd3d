//! An operator closes somebody's connections.

use contract::{
    Refusal,
    id::Principal,
    limits,
    v1::{ClientKicked, KickClient},
};
use service::Now;

use super::principal;
use crate::{
    cause::{Cause, Farewell},
    door::Door,
    protocol::Reason,
};

impl Door {
    pub(super) fn kick(
        &mut self,
        by: &Principal,
        asked: &KickClient,
        now: Now,
    ) -> Result<ClientKicked, Refusal> {
        let who = principal(&asked.kind, &asked.id)?;
        if asked.reason.trim().is_empty() {
            return Err(Refusal::invalid("reason", "say why: the client is told"));
        }
        if asked.reason.chars().count() > limits::TEXT_CHARS {
            let text = format!("a reason has at most {} characters", limits::TEXT_CHARS);
            return Err(Refusal::invalid("reason", text));
        }
        let address = self.address_of(&who);
        let closed = self.close_connections(&who, asked);
        let forgotten = if asked.forget {
            self.forget_kept(&who, asked, now)
        } else {
            0
        };
        if closed + forgotten > 0 {
            self.notice_kick(&who, by, &asked.reason, &address, now);
        }
        Ok(ClientKicked {
            closed,
            forgotten,
            ..ClientKicked::default()
        })
    }

    fn address_of(&self, who: &Principal) -> String {
        let first = self.directory.of(who).first();
        let session = first.and_then(|id| self.directory.get(*id));
        session.map(|session| session.address.clone()).unwrap_or_default()
    }

    fn close_connections(&mut self, who: &Principal, asked: &KickClient) -> u32 {
        let mut closed = 0;
        for connection in self.directory.of(who).to_vec() {
            let Some(session) = self.directory.get_mut(connection) else {
                continue;
            };
            if !is_meant(asked, &session.client_id) {
                continue;
            }
            if asked.forget {
                session.keeps = false;
            }
            if !session.leaving {
                closed += 1;
                let text = format!("an operator closed this connection: {}", asked.reason);
                self.dismiss(
                    connection,
                    Farewell::new(Reason::Administrative, Cause::Kicked, text),
                );
            }
        }
        closed
    }

    fn forget_kept(&mut self, who: &Principal, asked: &KickClient, now: Now) -> u32 {
        let mut forgotten = 0;
        for id in self.kept.of(who).to_vec() {
            if self
                .kept
                .get(id)
                .is_some_and(|kept| is_meant(asked, &kept.client_id))
                && let Some(kept) = self.kept.remove(id)
            {
                forgotten += 1;
                // The session has ended (MQTT-3.1.2-10).
                self.speak(kept.remains.will, &kept.caller, 0, now);
            }
        }
        forgotten
    }
}

fn is_meant(asked: &KickClient, client_id: &str) -> bool {
    asked.client_id.is_empty() || asked.client_id == client_id
}
