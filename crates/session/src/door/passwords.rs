//! Logins with a password, which take their time: the registry is asked for what to compare with, and the comparison is
//! made outside, in a place where it holds up nobody.

use std::collections::BTreeMap;

use contract::{
    id::{Principal, ServiceName},
    v1::{PasswordShown, ShowPassword},
};
use service::Now;
use zeroize::Zeroizing;

use super::{Door, logins};
use crate::{
    attempts::{self, Guess},
    cause::{Cause, Farewell},
    connection::{Connection, Post, Verified},
    lobby::Origin,
    meter::Limit,
    peer::Credential,
    protocol::Reason,
};

/// Of one address at once: a whole office may come back at the same time.
const AT_ONCE_PER_ADDRESS: usize = 16;

/// A password that is to be compared; say what came of it with [`Door::checked`].
pub struct Check {
    /// Whose login it is.
    pub connection: u64,
    /// What was given.
    pub password: Zeroizing<Vec<u8>>,
    /// What it is compared with; empty where there is nothing, which must take as long.
    pub verifier: String,
}

/// All that are under way.
#[derive(Default)]
pub(super) struct Passwords {
    pending: BTreeMap<u64, Pending>,
    checks: Vec<Check>,
}

struct Pending {
    who: Principal,
    from: Origin,
    stage: Stage,
}

enum Stage {
    /// The registry is asked.
    Asked(Zeroizing<Vec<u8>>),
    /// It is being compared with this password.
    Compared { password: u64 },
}

impl Door {
    /// What is to be compared now.
    pub fn take_checks(&mut self) -> Vec<Check> {
        std::mem::take(&mut self.passwords.checks)
    }

    /// Begins to look at a password, if there is room.
    pub(super) fn look_at_password(
        &mut self,
        connection: &Connection,
        who: &Principal,
        password: &Zeroizing<Vec<u8>>,
        now: Now,
    ) -> Result<(), (Reason, String)> {
        let from = attempts::origin(connection.address());
        if let Err(limit) = self
            .attempts
            .may_try(from, Some(who), Guess::Password, now.mono_ms)
        {
            self.meter.count(limit);
            self.notice_login(Some(who.clone()), logins::HELD.into(), connection.address(), now);
            return Err(logins::no());
        }
        self.has_room_for(from, who)?;
        let pending = Pending {
            who: who.clone(),
            from,
            stage: Stage::Asked(password.clone()),
        };
        self.passwords.pending.insert(connection.id(), pending);
        let question = ShowPassword {
            request_id: connection.id().to_string(),
            kind: who.kind.word().into(),
            id: who.id.to_string(),
        };
        self.ask(ServiceName::Registry, "password", &question);
        Ok(())
    }

    /// Whoever guesses has no more than one person's free tries under way, and nobody all of them.
    fn has_room_for(&mut self, from: Origin, who: &Principal) -> Result<(), (Reason, String)> {
        let limits = &self.settings.limits;
        let pending = self.passwords.pending.values();
        let same_address = pending.clone().filter(|p| p.from == from).count();
        let same_person = pending.filter(|p| p.who == *who).count();
        let full = self.passwords.pending.len() >= limits.logins
            || same_address >= AT_ONCE_PER_ADDRESS
            || same_person >= limits.login_tries.max(1) as usize;
        if full {
            self.meter.count(Limit::Logins);
            return Err((
                Reason::ServerBusy,
                "too many passwords are being looked at; try again".into(),
            ));
        }
        if !self.is_linked(ServiceName::Registry) {
            let text = "the registry is away, and knows the passwords; try again";
            return Err((Reason::ServerBusy, text.into()));
        }
        Ok(())
    }

    /// The registry says what to compare with.
    pub(super) fn on_password_shown(&mut self, shown: PasswordShown) {
        let connection = shown.request_id.parse().unwrap_or_default();
        let Some(pending) = self.passwords.pending.get_mut(&connection) else {
            return;
        };
        // Of one that is being compared the number stands: it belongs to what it is compared with.
        let Stage::Asked(password) = &mut pending.stage else {
            return;
        };
        let password = std::mem::take(password);
        pending.stage = Stage::Compared {
            password: shown.password,
        };
        self.passwords.checks.push(Check {
            connection,
            password,
            verifier: shown.verifier,
        });
    }

    /// What a comparison came to.
    pub fn checked(&mut self, connection: u64, fits: bool, now: Now) {
        let Some(Pending { who, from, stage }) = self.passwords.pending.remove(&connection) else {
            return;
        };
        match stage {
            Stage::Compared { password } if fits => {
                self.attempts.succeeded(from, &who);
                let verified = Verified(Credential::Password { password });
                self.posts.push_back((connection, Post::Verified(verified)));
            }
            _ => {
                self.fail(from, who, now);
                let (reason, text) = logins::no();
                self.turn_away(connection, reason, text);
            }
        }
    }

    fn fail(&mut self, from: Origin, who: Principal, now: Now) {
        let limits = self.settings.limits.clone();
        self.attempts
            .failed(from, Some(&who), Guess::Password, &limits, now.mono_ms);
        self.notice_login(Some(who), "not their password".into(), &from.to_string(), now);
    }

    fn turn_away(&mut self, connection: u64, reason: Reason, text: String) {
        let farewell = Farewell::new(reason, Cause::NotAuthorized, text);
        self.posts.push_back((connection, Post::Leave(farewell)));
    }

    /// Whoever does not wait for what comes of their guess has guessed wrong. What is being compared stays until it
    /// is done: it takes its place as long.
    pub(super) fn forget_password(&mut self, connection: u64, now: Now) {
        let is_asked = |pending: &Pending| matches!(pending.stage, Stage::Asked(_));
        if self.passwords.pending.get(&connection).is_some_and(is_asked)
            && let Some(pending) = self.passwords.pending.remove(&connection)
        {
            self.fail(pending.from, pending.who, now);
        }
    }

    /// The registry is gone, and what it was asked.
    pub(super) fn registry_went(&mut self) {
        let asked = self
            .passwords
            .pending
            .extract_if(.., |_, pending| matches!(pending.stage, Stage::Asked(_)));
        let asked: Vec<_> = asked.map(|(connection, _)| connection).collect();
        for connection in asked {
            let text = "the registry went away, and knows the passwords; try again";
            self.turn_away(connection, Reason::ServerBusy, text.into());
        }
    }
}
