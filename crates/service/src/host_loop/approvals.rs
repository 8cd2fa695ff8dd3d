//! Requests that another person must approve: held by the service that is asked, and decided there as the
//! request of whoever asked, once somebody else has approved it.
//!
//! A held request is a record of its own; it goes in the same commit as the decision, so it is carried out
//! once at most, and no restart loses it.

use contract::{
    Code, Refusal, approval,
    event::rfc3339,
    id::{Id, Kind, Principal},
    v1::{Approval, ApprovalDecided, ApprovalsListed, DecideApproval, FourEyes, Frame, ListApprovals},
    wire::{self, Encoding},
};
use prost::Message;

use super::{Call, Group, HostLoop, requests, rights};
use crate::{
    keys,
    outcome::{Answer, AuditDraft, EventDraft, Outcome},
    page,
    record::HeldRecord,
    service::{Caller, Context, Entropy, Fault, Now, Service},
    sight::Sight,
    store::{Read, StoreError},
    view::View,
};

/// Requests that wait at one service.
const HELD_MAX: usize = 256;
/// Of one person, so that nobody keeps the others' from being asked.
const HELD_OF_ONE: usize = 32;
/// Bytes of one of them as JSON.
const HELD_BYTES: usize = 32 * 1024;
/// How often those whose time is over are looked for, milliseconds.
const SWEEP_EVERY_MS: u64 = 1_000;
/// A day, as long as the answer to a request is kept.
const WITHIN_MS: u64 = 24 * 3_600_000;

/// What the registry says of who must approve what.
pub(super) fn settings<S: Service>(view: &View<'_>) -> Result<FourEyes, StoreError> {
    Ok(rights::registry_fact::<S, FourEyes>(view, "four-eyes", "settings")?.unwrap_or_default())
}

/// The page of those that the caller asked for, or could approve.
pub(super) fn list<S: Service>(
    caller: &Caller,
    ask: &ListApprovals,
    view: &View<'_>,
) -> Result<ApprovalsListed, Fault> {
    let prefix = std::str::from_utf8(keys::HELD).unwrap_or_default();
    let page = page::fill(prefix, &ask.page, ask.page_size, |after, limit| {
        let rows = view.scan_raw(keys::HELD, after, limit)?.into_iter();
        let row = |(key, value): (Vec<u8>, Vec<u8>)| {
            let Ok(held) = decode(&key, &value) else {
                return Ok((key, None));
            };
            let asked = held.approval.clone().unwrap_or_default();
            let shown =
                asked.who == caller.principal.to_string() || may::<S>(&caller.principal, &held, view)?;
            Ok((key, shown.then(|| approval::shown(asked))))
        };
        rows.map(row).collect()
    })?;
    Ok(ApprovalsListed {
        approvals: page.rows,
        next_page: page.next,
        ..ApprovalsListed::default()
    })
}

fn decode(key: &[u8], value: &[u8]) -> Result<HeldRecord, StoreError> {
    HeldRecord::decode(value).map_err(|_| StoreError::Damaged {
        key: crate::store::printable(key).to_string(),
        reason: "the record does not decode",
    })
}

/// Whether somebody could ask for the same.
fn may<S: Service>(who: &Principal, held: &HeldRecord, view: &View<'_>) -> Result<bool, Fault> {
    match demand_may::<S>(who, held, view) {
        Ok(()) => Ok(true),
        Err(Fault::Refused(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

fn demand_may<S: Service>(who: &Principal, held: &HeldRecord, view: &View<'_>) -> Result<(), Fault> {
    let gone = || Refusal::new(Code::Internal, "this request is of a verb that is no more");
    let mut call = held.call::<S>().ok_or_else(gone)?;
    call.caller.principal = who.clone();
    let devices: Vec<_> = held.devices.iter().map(String::as_str).collect();
    rights::judge::<S>(&mut call, &devices, view)?;
    // What a service looks at itself is judged by it for whoever asked; whoever approves it has no less.
    if call.caller.sight != Sight::Everything && call.verb.scope() == contract::scope::Scope::Sight {
        let message = format!(
            "`{}` takes the role for the whole fleet to approve",
            call.verb.name
        );
        return Err(Refusal::new(Code::Denied, message).into());
    }
    Ok(())
}

impl HeldRecord {
    /// The request as it came.
    fn call<S: Service>(&self) -> Option<Call> {
        let asked = self.approval.as_ref()?;
        let (_, verb) = asked.verb.split_once('/')?;
        let verb = contract::Verb::find(S::NAME, verb)?;
        let frame = Frame {
            topic: String::new(),
            payload: asked.request.clone().into_bytes().into(),
            correlation: self.correlation.clone().into(),
            response_topic: self.response_topic.clone(),
            serial: self.serial.clone(),
            login: self.login.clone(),
            address: self.address.clone(),
            connection: self.connection,
            ..Frame::default()
        };
        let mut call = Call::of(asked.who.parse().ok()?, verb, frame);
        call.request_id = asked.asked_as.clone();
        call.subjects = asked.subjects.clone();
        call.body = Some(self.body.clone());
        if !self.json {
            call.encoding = Encoding::Protobuf;
        }
        Some(call)
    }
}

/// Whether there is room for another one. The same request is not held twice, also when its answer is forgotten.
fn demand_room(call: &Call, view: &View<'_>) -> Result<(), Fault> {
    let (who, verb) = (
        call.caller.principal.to_string(),
        format!("{}/{}", call.verb.service, call.verb.name),
    );
    let (mut all, mut own) = (0, 0);
    for (key, value) in view.scan_raw(keys::HELD, None, HELD_MAX)? {
        all += 1;
        // One that does not decode is told of when those whose time is over are looked for.
        let Ok(held) = decode(&key, &value) else {
            continue;
        };
        let asked = held.approval.unwrap_or_default();
        if asked.who == who && asked.verb == verb && asked.asked_as == call.request_id {
            let (code, message) = match held.body == call.digest() {
                true => (
                    Code::AwaitingApproval,
                    format!("it waits for another person already, as `{}`", asked.approval_id),
                ),
                false => (
                    Code::Conflict,
                    "another request of this name waits for another person".to_owned(),
                ),
            };
            return Err(Refusal::new(code, message).into());
        }
        own += usize::from(asked.who == who);
    }
    if all >= HELD_MAX || own >= HELD_OF_ONE {
        let message = format!(
            "{own} of your requests and {all} in all wait for approval already; decide some of them first"
        );
        return Err(Refusal::new(Code::Limit, message).into());
    }
    Ok(())
}

impl<S: Service> HostLoop<S> {
    /// The request as it would wait, if another person must approve it.
    pub(super) fn waiting(
        &self,
        call: &Call,
        request: &S::Request,
        group: &Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<Option<HeldRecord>, Fault> {
        if call.caller.principal.kind != Kind::Operator || self.service.is_trial(request) {
            return Ok(None);
        }
        let view = View::new(base, &group.batch);
        let settings = settings::<S>(&view)?;
        if !approval::concerns(&settings, call.verb) {
            return Ok(None);
        }
        let touched = self.service.touched(&view, request)?;
        let Some(why) = approval::demand(&settings, call.verb, touched) else {
            return Ok(None);
        };
        let json = self.service.json(call.verb, &call.payload, &call.content_type)?;
        if json.len() > HELD_BYTES {
            let message =
                format!("a request that waits for approval has at most {HELD_BYTES} bytes; split it");
            return Err(Refusal::new(Code::TooLarge, message).into());
        }
        demand_room(call, &view)?;
        let within = match settings.within_ms {
            0 => WITHIN_MS,
            ms => ms,
        };
        let mut expires_ms = cx.now.wall_ms.saturating_add_unsigned(within);
        // It does not outlive what it was asked with.
        if call.until_ms != 0 {
            expires_ms = expires_ms.min(call.until_ms);
        }
        let asked = Approval {
            approval_id: fresh(self.heads.event + 1, cx.entropy),
            verb: format!("{}/{}", S::NAME, call.verb.name),
            who: call.caller.principal.to_string(),
            asked_as: call.request_id.clone(),
            asked_at_ms: cx.now.wall_ms,
            expires_ms,
            subjects: call.subjects.clone(),
            request: json,
            why,
        };
        let devices = self.service.devices(request).into_iter().map(str::to_owned);
        Ok(Some(HeldRecord {
            body: call.digest(),
            json: call.encoding == Encoding::Json,
            correlation: call.correlation.to_vec(),
            response_topic: call.response_topic.clone(),
            serial: call.caller.serial.clone(),
            login: call.login.clone(),
            address: call.address.clone(),
            connection: call.connection,
            devices: devices.collect(),
            approval: Some(asked),
        }))
    }

    /// `approve` and `disapprove`.
    pub(super) fn decide_approval(
        &mut self,
        mut call: Call,
        kept: Option<Frame>,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        let ask: DecideApproval = match wire::decode(&call.payload, &call.content_type) {
            Ok(ask) => ask,
            Err(refusal) => {
                self.refuse_unread(call, &refusal, group);
                return Ok(());
            }
        };
        call.name_request(ask.request_id.clone());
        call.subjects = vec![format!("approvals/{}", ask.approval_id)];
        if self.answer_again(&call, group, base)? {
            return Ok(());
        }
        if call.suspect {
            let message = "this request has made the service fail before; it was not decided";
            self.refuse(&call, &Refusal::new(Code::Internal, message), group);
            return Ok(());
        }
        if let Some(frame) = kept {
            self.wait_for_facts(&call, frame, group);
            return Ok(());
        }
        let found = self.allowed(&mut call, &ask, cx.now.wall_ms, &View::new(base, &group.batch));
        let held = match found {
            Ok(held) => held,
            Err(Fault::Refused(refusal)) => {
                return self.conclude(call, refused(refusal), group, base, cx.now);
            }
            Err(Fault::Store(error)) => return Err(error),
        };
        let asked = held.approval.clone().unwrap_or_default();
        call.subjects.extend(asked.subjects.iter().cloned());
        let approves = call.verb.name == "approve";
        let (name, word) = if approves {
            ("approved", "")
        } else {
            ("refused", "refused")
        };
        group.batch.delete(keys::held(&asked.approval_id));
        let mut outcome = Outcome::default();
        outcome.events.push(told(&asked, name, &ask.reason));
        call.audit = self.record(&call, &outcome, group, base, cx.now)?;
        let actor = call.caller.principal.to_string();
        self.apply(outcome, &actor, &call.traceparent, group, base, cx.now)?;
        let (outcome, detail) = if approves {
            self.carry_out(&held, &actor, group, base, cx)?
        } else {
            let message = format!("{actor} refused it: {}", ask.reason);
            self.end_held(
                &held,
                Refusal::new(Code::Precondition, message),
                group,
                base,
                cx.now,
            )?;
            (word.to_owned(), String::new())
        };
        let decided = ApprovalDecided {
            approval_id: asked.approval_id,
            outcome,
            detail,
            ..ApprovalDecided::default()
        };
        self.give_answer(call, Answer::Now(Box::new(decided)), group, base, cx.now)
    }

    /// The held request, if this person may decide on it.
    fn allowed(
        &self,
        call: &mut Call,
        ask: &DecideApproval,
        now_ms: i64,
        view: &View<'_>,
    ) -> Result<HeldRecord, Fault> {
        rights::judge::<S>(call, &[], view)?;
        let absent = || Refusal::not_found("request that waits", &ask.approval_id).at("approval_id");
        let key = keys::held(ask.approval_id.parse::<Id>().map_err(|_| absent())?.as_str());
        let held = decode(&key, &view.raw(&key)?.ok_or_else(absent)?)?;
        // Its time may be over, and nobody has looked yet.
        if held
            .approval
            .as_ref()
            .is_none_or(|asked| asked.expires_ms <= now_ms)
        {
            return Err(absent().into());
        }
        if ask.reason.len() > contract::limits::TEXT_CHARS || ask.reason.contains(contract::text::misleads) {
            return Err(Refusal::invalid("reason", "a reason is one line of text").into());
        }
        let is_own = held
            .approval
            .as_ref()
            .is_some_and(|a| a.who == call.caller.principal.to_string());
        match (is_own, call.verb.name) {
            (true, "approve") => {
                let message = "you asked for this; another person must approve it";
                Err(Refusal::new(Code::Denied, message).at("approval_id").into())
            }
            (true, _) => Ok(held),
            (false, _) => demand_may::<S>(&call.caller.principal, &held, view).map(|()| held),
        }
    }

    /// Decides an approved request as that of whoever asked for it, by the state and the rights as they are now, if
    /// what it was asked with still opens. That it came to nothing is told.
    fn carry_out(
        &mut self,
        held: &HeldRecord,
        approver: &str,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(String, String), StoreError> {
        let Some(mut call) = held.call::<S>() else {
            let gone = "this request is of a verb that is no more";
            return Ok((Code::Internal.word().to_owned(), gone.to_owned()));
        };
        call.approved_by = approver.to_owned();
        let outcome = match self.service.parse(call.verb, &call.payload, "") {
            Err(refusal) => refused(refusal),
            Ok(parsed) => {
                let service = self.service.clone();
                let devices = service.devices(&parsed.request);
                let refusal = match rights::still_opens::<S>(&call, &View::new(base, &group.batch)) {
                    Ok(()) => self.refusal(&mut call, &devices, group, base)?,
                    Err(fault) => Some(requests::refusal_of(fault)?),
                };
                match refusal {
                    Some(refusal) => refused(refusal),
                    None => self.outcome_of(&call, parsed.request, group, base, cx)?,
                }
            }
        };
        if let (Answer::Refused(refusal), Some(asked)) = (&outcome.answer, &held.approval) {
            let (told, actor) = (told(asked, "refused", &refusal.message), self.actor());
            self.log_event(told, &actor, "", group, base, cx.now)?;
        }
        let word = match &outcome.answer {
            Answer::Done | Answer::Now(_) => ("accepted".to_owned(), String::new()),
            Answer::Later(_) => ("taken".to_owned(), String::new()),
            Answer::Refused(refusal) => (refusal.code.word().to_owned(), refusal.message.clone()),
        };
        self.conclude(call, outcome, group, base, cx.now)?;
        Ok(word)
    }

    /// Whoever asked hears that it came to nothing, also by a repeat.
    fn end_held(
        &mut self,
        held: &HeldRecord,
        refusal: Refusal,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        now: Now,
    ) -> Result<(), StoreError> {
        match held.call::<S>() {
            Some(call) => self.give_answer(call, Answer::Refused(refusal), group, base, now),
            None => Ok(()),
        }
    }

    /// Requests that nobody approved in time.
    pub(super) fn expire_approvals(
        &mut self,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        now: Now,
    ) -> Result<(), StoreError> {
        if now.mono_ms < self.approvals_at {
            return Ok(());
        }
        self.approvals_at = now.mono_ms + SWEEP_EVERY_MS;
        for (key, value) in View::new(base, &group.batch).scan_raw(keys::HELD, None, HELD_MAX)? {
            let held = match decode(&key, &value) {
                Ok(held) => held,
                Err(error) => {
                    group.warnings.push(error.to_string());
                    continue;
                }
            };
            let asked = held.approval.clone().unwrap_or_default();
            if asked.expires_ms > now.wall_ms {
                continue;
            }
            group.batch.delete(key);
            let draft = AuditDraft {
                who: asked.who.clone(),
                address: held.address.clone(),
                verb: asked.verb.clone(),
                subjects: subjects(&asked),
                outcome: "expired".into(),
                reason: "nobody approved it in time".into(),
                ..AuditDraft::default()
            };
            self.record_draft(draft, group, now);
            let actor = self.actor();
            self.log_event(told(&asked, "expired", ""), &actor, "", group, base, now)?;
            let refusal = Refusal::new(Code::Precondition, "nobody approved it in time; ask again");
            self.end_held(&held, refusal, group, base, now)?;
        }
        Ok(())
    }
}

fn subjects(asked: &Approval) -> Vec<String> {
    let own = format!("approvals/{}", asked.approval_id);
    [vec![own], asked.subjects.clone()].concat()
}

/// Keeps a request; what whoever asked hears.
pub(super) fn hold<R>(held: HeldRecord, group: &mut Group<R>) -> Outcome {
    let asked = held.approval.clone().unwrap_or_default();
    group
        .batch
        .put(keys::held(&asked.approval_id), held.encode_to_vec());
    let asked = &asked;
    let message = format!(
        "another person must approve this ({}): it waits as `{}` until {}",
        asked.why,
        asked.approval_id,
        rfc3339(asked.expires_ms)
    );
    let mut outcome = refused(Refusal::new(Code::AwaitingApproval, message));
    outcome.events.push(told(asked, "asked", ""));
    outcome
}

fn told(asked: &Approval, name: &'static str, reason: &str) -> EventDraft {
    EventDraft {
        subject: format!("approvals/{}", asked.approval_id),
        name,
        data: serde_json::json!({
            "approval_id": asked.approval_id,
            "verb": asked.verb,
            "who": asked.who,
            "subjects": asked.subjects,
            "expires_ms": asked.expires_ms.to_string(),
            "reason": reason,
        }),
    }
}

pub(super) fn refused(refusal: Refusal) -> Outcome {
    Outcome {
        answer: Answer::Refused(refusal),
        ..Outcome::default()
    }
}

/// The number of the event that will tell of it, which is given once, and something that no later history of a
/// restored store gives again.
fn fresh(number: u64, entropy: &mut dyn Entropy) -> String {
    let mut bytes = [0; 3];
    entropy.fill(&mut bytes);
    format!("ap-{number}-{}", hex::encode(bytes))
}
