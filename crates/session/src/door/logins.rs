//! Who somebody is: by a certificate, or by a login.

use contract::{id::Principal, login::TokenDigest};
use service::Now;

use super::Door;
use crate::{
    attempts::{self, Guess},
    connection::Connection,
    login,
    peer::{Caller, Credential, Peer},
    policy::Known,
    protocol::{Hello, Presented, Reason},
};

/// What every login that fails is told: whether there is such a person is nobody's business.
const NO: &str = "this login does not open: without a client certificate an operator or an integrator gives \
                  `operators/NAME` or `integrators/NAME` as user name, and a token or a password of theirs as password";

/// What is told of a login that was held.
pub(super) const HELD: &str = "too many have failed; it was not looked at";

/// The answer to every login that fails.
pub(super) fn no() -> (Reason, String) {
    (Reason::BadLogin, NO.to_owned())
}

impl Door {
    /// Who it is, as far as it can be known before the facts are asked what they may do. `None`: a password is looked
    /// at first.
    pub(super) fn identify(
        &mut self,
        connection: &Connection,
        hello: &Hello,
        now: Now,
    ) -> Result<Option<Caller>, (Reason, String)> {
        if *connection.peer() == Peer::Nobody {
            return self.log_in(connection, hello, now);
        }
        let caller = connection
            .peer()
            .caller(&hello.client_id, hello.user_name.as_deref());
        caller
            .map(Some)
            .map_err(|why| (Reason::NotAuthorized, why.to_owned()))
    }

    fn log_in(
        &mut self,
        connection: &Connection,
        hello: &Hello,
        now: Now,
    ) -> Result<Option<Caller>, (Reason, String)> {
        let named = hello.user_name.as_deref().and_then(login::person);
        let judged = match (&hello.verified, &hello.presented, &named) {
            (Some(credential), _, Some(who)) => self.stands(who, credential.clone(), now),
            (None, Presented::Password(password), Some(who)) => {
                self.look_at_password(connection, who, password, now)?;
                return Ok(None);
            }
            (_, presented, _) => self.opened(connection, named.as_ref(), presented, now),
        };
        judged.map(Some).map_err(|why| {
            self.notice_login(named, why, connection.address(), now);
            no()
        })
    }

    fn opened(
        &mut self,
        connection: &Connection,
        named: Option<&Principal>,
        presented: &Presented,
        now: Now,
    ) -> Result<Caller, String> {
        let from = attempts::origin(connection.address());
        if let Err(limit) = self.attempts.may_try(from, named, Guess::Token, now.mono_ms) {
            self.meter.count(limit);
            return Err(HELD.to_owned());
        }
        let opened = self.opened_by(named, presented, now);
        match &opened {
            Ok(caller) => self.attempts.succeeded(from, &caller.principal),
            Err(_) => {
                let limits = self.settings.limits.clone();
                self.attempts
                    .failed(from, named, Guess::Token, &limits, now.mono_ms);
            }
        }
        opened
    }

    fn opened_by(
        &self,
        named: Option<&Principal>,
        presented: &Presented,
        now: Now,
    ) -> Result<Caller, String> {
        let login = named.and_then(|who| self.copies.login(who));
        let digest = match presented {
            Presented::Token(digest) => *digest,
            _ => TokenDigest::default(),
        };
        let token = login::find(login, &digest);
        let (Some(who), Some(token)) = (named, token) else {
            return Err("no token of theirs".into());
        };
        if token.not_after_ms <= now.wall_ms {
            return Err("the token has ended".into());
        }
        let credential = Credential::Token {
            id: token.id.clone(),
            not_after_ms: token.not_after_ms,
        };
        self.stands(who, credential, now)
    }

    /// Whether the facts let somebody in who has this.
    fn stands(&self, who: &Principal, credential: Credential, now: Now) -> Result<Caller, String> {
        let caller = Caller::new(who.clone(), credential);
        match self.standing(&caller, now) {
            Ok(_) => Ok(caller),
            Err(denial) => Err(denial.0),
        }
    }
}
