//! What principals tried and may not: told to monitoring, at most once a second for each kind of attempt.

use std::collections::BTreeMap;

use contract::{
    id::{Kind, Principal, ServiceName},
    limits,
    notice::{CONNECT_DENIED, DISCONNECTED, KICKED, LOGIN_FAILED, NO_ROOM},
    v1::SecurityNotice,
};
use service::Now;

use super::Door;
use crate::{connection::Connection, directory::Session, peer::Caller, policy::Known, protocol::Hello};

/// Kinds of attempts that are remembered at once; more are counted only.
const KINDS: usize = 4_096;
/// How often one kind is told, milliseconds.
const EVERY_MS: u64 = 1_000;
/// The same of what many can bring about at once: whoever reaches the listener makes logins fail, any holder of a batch
/// hopes for any device, and a server without room turns a whole fleet away.
const MANY_EVERY_MS: u64 = 60_000;

#[derive(Default)]
pub(super) struct Notices(BTreeMap<(String, &'static str), Kept>);

struct Kept {
    notice: SecurityNotice,
    told_ms: Option<u64>,
    every_ms: u64,
}

impl Door {
    /// Somebody who is here tried something.
    pub(super) fn notice(
        &mut self,
        who: &Principal,
        what: &'static str,
        detail: String,
        address: &str,
        now: Now,
    ) {
        self.counts.refused += 1;
        self.tell(who, what, detail, address, now);
    }

    fn tell(&mut self, who: &Principal, what: &'static str, detail: String, address: &str, now: Now) {
        let notice = about(who, what, &detail, address, now);
        self.keep_notice((who.to_string(), what), notice, now);
    }

    /// What the policy has to say of somebody who is gone.
    pub(super) fn remark(&mut self, session: &Session, detail: String, now: Now) {
        let who = session.caller.principal.clone();
        self.tell(&who, DISCONNECTED, detail, &session.address, now);
    }

    /// Somebody's connections were closed by an operator.
    pub(super) fn notice_kick(
        &mut self,
        who: &Principal,
        by: &Principal,
        reason: &str,
        address: &str,
        now: Now,
    ) {
        let notice = SecurityNotice {
            by: by.to_string(),
            ..about(who, KICKED, reason, address, now)
        };
        self.keep_notice((format!("{who} by {by}"), KICKED), notice, now);
    }

    fn keep_notice(&mut self, key: (String, &'static str), notice: SecurityNotice, now: Now) {
        if self.notices.0.len() >= KINDS && !self.notices.0.contains_key(&key) {
            return;
        }
        let is_claims = notice.kind == Kind::Claim.word();
        let every_ms = match key.1 {
            LOGIN_FAILED | NO_ROOM => MANY_EVERY_MS,
            CONNECT_DENIED if is_claims => MANY_EVERY_MS,
            _ => EVERY_MS,
        };
        let fresh = || Kept {
            notice: SecurityNotice::default(),
            told_ms: None,
            every_ms,
        };
        let kept = self.notices.0.entry(key).or_insert_with(fresh);
        kept.notice = SecurityNotice {
            count: kept.notice.count.saturating_add(1),
            ..notice
        };
        if !self.lanes[super::place(ServiceName::Monitoring)].is_linked() {
            return;
        }
        if let Some(notice) = kept.take_if_due(now) {
            self.ask(ServiceName::Monitoring, "security", &notice);
        }
    }

    /// Somebody was not let in. Who that is only a certificate can say: without one it may be anybody.
    pub(super) fn notice_stranger(
        &mut self,
        connection: &Connection,
        hello: &Hello,
        what: &'static str,
        why: String,
        now: Now,
    ) {
        let peer = connection.peer();
        let caller = match peer.caller(&hello.client_id, hello.user_name.as_deref()) {
            Ok(caller) => caller,
            // Whoever says that they are somebody else is known by what they show.
            Err(_) => match peer.named() {
                Some(caller) => caller,
                None => return,
            },
        };
        self.counts.refused += 1;
        let notice = SecurityNotice {
            serial: caller.serial().to_owned(),
            batch: opened_by(&caller),
            ..about(&caller.principal, what, &why, connection.address(), now)
        };
        let is_known = self.copies.device(caller.principal.id.as_str()).is_some();
        let who = match caller.principal.kind {
            // Any holder of a batch hopes for any device: those that there are none of share a word.
            Kind::Claim if !is_known => format!("hopes of {}", notice.batch),
            _ => caller.principal.to_string(),
        };
        self.keep_notice((who, what), notice, now);
    }

    /// A login failed. Who is not known is not told of: strangers choose what names there are.
    pub(super) fn notice_login(&mut self, who: Option<Principal>, why: String, address: &str, now: Now) {
        let known = who.filter(|who| self.copies.person(who).is_some());
        match known {
            Some(who) => self.notice(&who, LOGIN_FAILED, why, address, now),
            None => self.counts.refused += 1,
        }
    }

    pub(super) fn flush_notices(&mut self, now: Now) {
        self.notices
            .0
            .retain(|_, kept| kept.notice.count > 0 || !kept.is_due(now));
        let told: Vec<_> = self
            .notices
            .0
            .values_mut()
            .filter_map(|kept| kept.take_if_due(now))
            .collect();
        for notice in told {
            self.ask(ServiceName::Monitoring, "security", &notice);
        }
    }
}

fn about(who: &Principal, what: &'static str, detail: &str, address: &str, now: Now) -> SecurityNotice {
    SecurityNotice {
        kind: who.kind.word().into(),
        id: who.id.to_string(),
        what: what.into(),
        detail: detail.chars().take(limits::TEXT_CHARS).collect(),
        address: address.into(),
        time_ms: now.wall_ms,
        ..SecurityNotice::default()
    }
}

/// Of a claim: the batch, or the manufacturer whose certificate it shows.
fn opened_by(caller: &Caller) -> String {
    let batch = caller.batch.as_ref().map(ToString::to_string);
    let factory = || caller.factory().map(|shown| shown.manufacturer.clone());
    batch.or_else(factory).unwrap_or_default()
}

impl Kept {
    fn is_due(&self, now: Now) -> bool {
        self.told_ms
            .is_none_or(|at| now.mono_ms.saturating_sub(at) >= self.every_ms)
    }

    fn take_if_due(&mut self, now: Now) -> Option<SecurityNotice> {
        if !self.is_due(now) || self.notice.count == 0 {
            return None;
        }
        self.told_ms = Some(now.mono_ms);
        let told = self.notice.clone();
        self.notice.count = 0;
        Some(told)
    }
}
