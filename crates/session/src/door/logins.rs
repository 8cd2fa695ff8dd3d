//! Who somebody is: by a certificate, or by a login.

use contract::{id::Principal, login::TokenDigest};
use service::Now;

use super::Door;
use crate::{
    attempts,
    connection::Connection,
    login,
    peer::{Caller, Credential, Peer},
    policy::Known,
    protocol::{Hello, Reason},
};

/// What every login that fails is told: whether there is such a person is nobody's business.
const NO: &str = "this login does not open: without a client certificate an operator or an integrator gives \
                  `operators/NAME` or `integrators/NAME` as user name, and a token as password";

impl Door {
    /// Who it is, as far as it can be known before the facts are asked what they may do.
    pub(super) fn identify(
        &mut self,
        connection: &Connection,
        hello: &Hello,
        now: Now,
    ) -> Result<Caller, (Reason, String)> {
        if *connection.peer() == Peer::Nobody {
            return self.log_in(connection, hello, now);
        }
        let caller = connection
            .peer()
            .caller(&hello.client_id, hello.user_name.as_deref());
        caller.map_err(|why| (Reason::NotAuthorized, why.to_owned()))
    }

    fn log_in(
        &mut self,
        connection: &Connection,
        hello: &Hello,
        now: Now,
    ) -> Result<Caller, (Reason, String)> {
        let from = attempts::origin(connection.address());
        let named = hello.user_name.as_deref().and_then(login::person);
        let limits = self.settings.limits.clone();
        let judged = match self.attempts.may_try(from, named.as_ref(), now.mono_ms) {
            Err(limit) => {
                self.meter.count(limit);
                Err("too many have failed; it was not looked at".to_owned())
            }
            Ok(()) => self
                .opened_by(named.as_ref(), hello.presented.as_ref(), now)
                .inspect(|caller| self.attempts.succeeded(from, &caller.principal))
                .inspect_err(|_| self.attempts.failed(from, named.as_ref(), &limits, now.mono_ms)),
        };
        judged.map_err(|why| {
            self.notice_login(named, why, connection.address(), now);
            (Reason::BadLogin, NO.to_owned())
        })
    }

    fn opened_by(
        &self,
        named: Option<&Principal>,
        presented: Option<&TokenDigest>,
        now: Now,
    ) -> Result<Caller, String> {
        let login = named.and_then(|who| self.copies.login(who));
        let token = login::find(login, presented.unwrap_or(&TokenDigest::default()));
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
        let caller = Caller::new(who.clone(), credential);
        match self.standing(&caller, now) {
            Ok(_) => Ok(caller),
            Err(denial) => Err(denial.0),
        }
    }
}
