//! Requests for a first certificate, which one address may make so many of.

use contract::{Code, Refusal, id::ServiceName, v1::Sign, verb::Verb, wire};
use service::Now;

use super::{Door, name};
use crate::{attempts::origin, connection::Forward, lane::Turn, meter::Limit};

impl Door {
    /// A request on its way to its service; one for a first certificate that comes too early is refused here, with when to
    /// come again.
    pub(in crate::door) fn unless_too_early(
        &mut self,
        address: &str,
        forward: Forward,
        now: Now,
    ) -> Option<Forward> {
        if !is_enrolment(forward.verb) || forward.turn != Turn::First {
            return Some(forward);
        }
        let per_minute = self.settings.limits.enrolments_per_address;
        let Err(wait) = self.enrolments.another(origin(address), per_minute, now.mono_ms) else {
            return Some(forward);
        };
        self.meter.count(Limit::EnrolmentsPerAddress);
        let message = format!(
            "{per_minute} first certificates a minute may be asked for from one address; try again later"
        );
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.refuse(
            forward,
            Refusal::new(Code::Limit, message).retry_after_ms(wait_ms),
            now,
        );
        None
    }

    fn refuse(&mut self, forward: Forward, refusal: Refusal, now: Now) {
        let Forward {
            verb,
            frame,
            packet_id,
            ..
        } = forward;
        let Some(session) = self.directory.get(frame.connection) else {
            return;
        };
        let who = session.caller.principal.clone();
        let asked: Sign = wire::decode(&frame.payload, &frame.content_type).unwrap_or_default();
        let answered = (name(asked.request_id, &frame), Err(refusal));
        self.put_answer(&who, verb, frame, packet_id, answered, now);
    }
}

/// Whether a first certificate is asked for: nobody but holders of a batch and of factory certificates may.
fn is_enrolment(verb: &Verb) -> bool {
    verb.service == ServiceName::Provisioning && verb.name == "sign"
}
