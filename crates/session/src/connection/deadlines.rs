//! What must come to pass by when: a CONNECT, a sign of life, an answer, the end of a certificate.

use service::Now;

use super::{Connection, Open, Phase, Wish};
use crate::{
    cause::{Cause, Farewell},
    meter::Limit,
    policy,
    protocol::Reason,
};

impl Connection {
    /// When [`Connection::on_time`] must be called, monotonic milliseconds.
    pub fn next_time(&self, now: Now) -> Option<u64> {
        match &self.phase {
            Phase::Silent { until_ms, .. } | Phase::Asking { until_ms, .. } => Some(*until_ms),
            Phase::Over(..) => None,
            Phase::Open(open) => {
                let silence = self.wants_bytes().then_some(open.heard_ms + open.keep_alive_ms);
                let give_up = open.acks.oldest().map(|at| at + self.limits.give_up_ms);
                let expiry = self.certificate_end(open).map(|at| {
                    let left = u64::try_from(at.saturating_sub(now.wall_ms)).unwrap_or_default();
                    // A wall clock that jumps is looked at again within the hour.
                    now.mono_ms + left.min(3_600_000)
                });
                let choked = self.is_choked().then(|| match open.choked_ms {
                    Some(at) => at + self.limits.stalled_ms,
                    // Now, to note the time.
                    None => now.mono_ms,
                });
                [silence, give_up, expiry, choked, open.pace.next_time()]
                    .into_iter()
                    .flatten()
                    .min()
            }
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Now) {
        self.wall_ms = now.wall_ms;
        if let Phase::Open(open) = &mut self.phase
            && open.pace.on_time(now.mono_ms)
        {
            self.heard_again(now);
        }
        let choked = self.is_choked();
        if let Phase::Open(open) = &mut self.phase
            && choked
        {
            open.choked_ms.get_or_insert(now.mono_ms);
        }
        let (limit, farewell) = match &self.phase {
            Phase::Silent { until_ms, .. } if now.mono_ms >= *until_ms => (
                Some(Limit::Connect),
                Farewell::new(Reason::ProtocolError, Cause::ProtocolError, "no CONNECT came"),
            ),
            Phase::Asking { until_ms, .. } if now.mono_ms >= *until_ms => {
                let text = "your session has not parted from its former connection; connect again";
                (
                    Some(Limit::Connect),
                    Farewell::new(Reason::ServerBusy, Cause::NotAuthorized, text),
                )
            }
            Phase::Open(open) => match self.overdue(open, now) {
                Some(overdue) => overdue,
                None => return,
            },
            _ => return,
        };
        self.wishes.extend(limit.map(Wish::Met));
        self.leave(farewell);
    }

    fn certificate_end(&self, open: &Open) -> Option<i64> {
        policy::end_ms(&open.caller, &open.standing, self.limits.renew_after_ms)
    }

    fn overdue(&self, open: &Open, now: Now) -> Option<(Option<Limit>, Farewell)> {
        let silent = now.mono_ms >= open.heard_ms + open.keep_alive_ms;
        if silent && self.wants_bytes() {
            let text = "silent for too long";
            return Some((
                Some(Limit::KeepAlive),
                Farewell::new(Reason::KeepAlive, Cause::KeepAlive, text),
            ));
        }
        let choked = open.choked_ms.filter(|_| self.is_choked());
        if choked.is_some_and(|at| now.mono_ms >= at + self.limits.stalled_ms) {
            let text = "you take nothing of what waits for you; connect again and replay what you missed";
            return Some((
                Some(Limit::Stalled),
                Farewell::new(Reason::QuotaExceeded, Cause::Slow, text),
            ));
        }
        if open
            .acks
            .oldest()
            .is_some_and(|at| now.mono_ms >= at + self.limits.give_up_ms)
        {
            let text = "the service does not answer; nothing was acknowledged, send it again";
            return Some((
                Some(Limit::GiveUp),
                Farewell::new(Reason::ServerBusy, Cause::Kicked, text),
            ));
        }
        if self.certificate_end(open).is_some_and(|at| now.wall_ms > at) {
            let text = open.caller.has_ended();
            return Some((
                None,
                Farewell::new(Reason::NotAuthorized, Cause::NotAuthorized, text),
            ));
        }
        None
    }
}
