//! The front door's decisions about clients of another broker, which asks for them.
//!
//! They are the same ones: [`Policy`] and what the front door demands besides are asked from one place, here and by
//! the door.

use contract::{Refusal, Root, id::Kind, verb::Verb};

use crate::{
    connection,
    peer::{Caller, Peer, client_id_fits},
    policy::{Denial, Known, Policy, Standing, end_ms},
    protocol::Publish,
    subscriptions::Pattern,
};

/// Somebody who may be connected.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// Who it is.
    pub caller: Caller,
    /// What it may do by what is known now.
    pub standing: Standing,
    /// When its connection must end because its certificate does, milliseconds since 1970.
    pub until_ms: Option<i64>,
}

/// Why a filter is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotGranted {
    /// It is no filter.
    Invalid,
    /// Shared subscriptions are an integrator's, on events.
    Shared,
    /// It is not within what is granted.
    Denied,
}

/// A policy and what the front door demands beside it.
#[derive(Debug)]
pub struct Judge<'a> {
    policy: &'a dyn Policy,
    root: &'a Root,
    renew_after_ms: u64,
}

impl<'a> Judge<'a> {
    /// The judge of an installation with this root, where a device's certificate still renews so many milliseconds
    /// after its end.
    pub fn new(policy: &'a dyn Policy, root: &'a Root, renew_after_ms: u64) -> Judge<'a> {
        Judge {
            policy,
            root,
            renew_after_ms,
        }
    }

    /// Whether somebody may be connected under a client id. `now_ms` is milliseconds since 1970.
    pub fn admit(
        &self,
        peer: &Peer,
        client_id: &str,
        facts: &dyn Known,
        now_ms: i64,
    ) -> Result<Admitted, Denial> {
        let caller = peer.caller(client_id, None);
        let caller = caller.map_err(|why| Denial(why.to_owned()))?;
        let id = &caller.principal.id;
        if !client_id_fits(client_id, id) {
            let text = format!("its client id is `{id}`, or `{id}:` and up to 64 characters of its choice");
            return Err(Denial(text));
        }
        let standing = self.policy.connect(&caller, facts, now_ms)?;
        let until_ms = end_ms(&caller, &standing, self.renew_after_ms);
        Ok(Admitted {
            caller,
            standing,
            until_ms,
        })
    }

    /// What a publish on this topic asks for, or its final refusal.
    pub fn publish(&self, whose: &Admitted, topic: &str, retain: bool) -> Result<&'static Verb, Refusal> {
        let publish = Publish {
            topic: topic.to_owned(),
            retain,
            ..Publish::default()
        };
        connection::check_publish(self.policy, self.root, &whose.caller, &whose.standing, &publish)
    }

    /// Whether it may subscribe to this filter.
    pub fn subscribe(&self, whose: &Admitted, filter: &str) -> Result<(), NotGranted> {
        granted(self.policy, self.root, &whose.caller, &whose.standing, filter).map(|_| ())
    }
}

/// A filter that somebody may subscribe to, and whether events come by it.
pub(crate) fn granted(
    policy: &dyn Policy,
    root: &Root,
    caller: &Caller,
    standing: &Standing,
    filter: &str,
) -> Result<(Pattern, bool), NotGranted> {
    let pattern: Pattern = filter.parse().map_err(|_| NotGranted::Invalid)?;
    let is_event = !root.own_down_covers(&caller.principal, pattern.filter());
    let may_share = caller.principal.kind == Kind::Integrator && is_event;
    if matches!(pattern, Pattern::Shared(_)) && !may_share {
        return Err(NotGranted::Shared);
    }
    if !policy.subscribe(caller, standing, pattern.filter()) {
        return Err(NotGranted::Denied);
    }
    Ok((pattern, is_event))
}
