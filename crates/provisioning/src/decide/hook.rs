//! The word of whoever a batch names: a program that asks another system, or one operator.
//!
//! ```text
//!  sign ──► asked ── answer-admission ──► admitted, or turned away
//!             └──── the deadline ──► expired: the device may ask again, which is another question
//! ```
//!
//! All of it is on disk: the device is told to ask again, and nobody waits in memory. Where there is no answer, there is
//! no certificate.

use contract::{
    Code, Kind, Principal, Refusal, ServiceName, limits,
    v1::{Admission, AdmissionStatus, AnswerAdmission, Claim, PrincipalFact, PutClaim, WaitingDevice},
};
use service::{Caller, Fault, Outcome};

use super::{Situation, admission};
use crate::{DAY_MS, event, policy, state};

/// How long an answer is waited for, where the batch does not say.
const WITHIN_MS: u64 = 60_000;
/// The shortest and the longest time for an answer.
const WITHIN: std::ops::RangeInclusive<u64> = 1_000..=7 * DAY_MS;
/// A question so young is most likely being answered: its device asks again soon, and it is not told again.
const YOUNG_MS: i64 = 3_000;
/// When the device of a young question, and of an older one, asks again.
const AGAIN_MS: (u64, u64) = (1_000, 5_000);

/// How long an answer is waited for under a batch that is to be made; 0 where nobody is asked.
pub(super) fn terms(s: &Situation<'_>, m: &PutClaim) -> Result<u64, Fault> {
    if m.admission() != Admission::Hook {
        let is_empty = m.approver.is_empty() && m.answer_within_ms == 0;
        let message = "only the admission `hook` has an approver and a time for the answer";
        return match is_empty {
            true => Ok(0),
            false => Err(Refusal::invalid("approver", message).into()),
        };
    }
    let within_ms = match m.answer_within_ms {
        0 => WITHIN_MS,
        set => set,
    };
    if !WITHIN.contains(&within_ms) {
        let message = "an answer is waited for between a second and seven days";
        return Err(Refusal::invalid("answer_within_ms", message).into());
    }
    approver(s, &m.approver)?;
    Ok(within_ms)
}

/// Who answers, if that one is there: an operator or an integrator who is not disabled.
fn approver(s: &Situation<'_>, name: &str) -> Result<Principal, Fault> {
    let wrong = || {
        let message = "an approver is an operator or an integrator, written `integrators/plant`";
        Refusal::invalid("approver", message)
    };
    let who: Principal = name.parse().map_err(|_| wrong())?;
    if !matches!(who.kind, Kind::Operator | Kind::Integrator) {
        return Err(wrong().into());
    }
    let id = format!("{}.{}", who.kind, who.id);
    let known: Option<PrincipalFact> = s.view.fact(ServiceName::Registry, "principal", &id)?;
    match known.is_some_and(|known| !known.disabled) {
        true => Ok(who),
        false => {
            let message = format!("{who} is not known, or disabled: nobody is there to answer");
            Err(Refusal::new(Code::Precondition, message).at("approver").into())
        }
    }
}

/// Whether a question's time has passed without an answer.
pub(super) fn is_over(s: &Situation<'_>, waiting: &WaitingDevice) -> bool {
    !waiting.approver.is_empty()
        && waiting.status() == AdmissionStatus::Waiting
        && waiting.deadline_ms <= s.now_ms
}

/// Asks. Where nobody is there who could answer, nothing is asked, and the device comes again.
pub(super) fn begin(
    s: &mut Situation<'_>,
    outcome: &mut Outcome,
    claim: &Claim,
    waiting: WaitingDevice,
) -> Result<Refusal, Fault> {
    if let Err(Fault::Refused(refusal)) = approver(s, &claim.approver) {
        return Ok(Refusal::new(Code::Precondition, refusal.message).retry_after_ms(admission::ASK_AGAIN_MS));
    }
    let deadline_ms = s.now_ms.saturating_add_unsigned(claim.answer_within_ms);
    let asked = WaitingDevice {
        approver: claim.approver.clone(),
        question: s.random_hex(),
        deadline_ms,
        expires_ms: deadline_ms,
        ..waiting
    };
    event::admission(outcome, "asked", &asked);
    admission::write(outcome, &asked);
    tell(outcome, &asked);
    Ok(come_again(&asked, AGAIN_MS.0))
}

/// The question goes out again when its device asks again: whoever answers may have been away.
pub(super) fn still_waiting(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    asked: WaitingDevice,
) -> Result<Refusal, Fault> {
    if s.now_ms.saturating_sub(asked.asked_at_ms) < YOUNG_MS {
        return Ok(come_again(&asked, AGAIN_MS.0));
    }
    tell(outcome, &asked);
    Ok(come_again(&asked, AGAIN_MS.1))
}

fn tell(outcome: &mut Outcome, asked: &WaitingDevice) {
    if let Ok(approver) = asked.approver.parse::<Principal>() {
        outcome.push(approver, "admission", asked.clone());
    }
}

fn come_again(asked: &WaitingDevice, after_ms: u64) -> Refusal {
    let message = format!(
        "{} is asked about this key; ask again with the same one",
        asked.approver
    );
    Refusal::new(Code::Precondition, message).retry_after_ms(after_ms)
}

/// `answer-admission`.
pub(super) fn answer(s: &Situation<'_>, caller: &Caller, m: &AnswerAdmission) -> Result<Outcome, Fault> {
    let device = policy::id("device_id", &m.device_id)?;
    let fingerprint = contract::login::sha256("fingerprint", &m.fingerprint)?;
    if m.reason.chars().count() > limits::TEXT_CHARS {
        let message = format!("a reason has {} characters at most", limits::TEXT_CHARS);
        return Err(Refusal::invalid("reason", message).into());
    }
    let key = state::admission_key(device.as_str(), &fingerprint);
    let asked: Option<WaitingDevice> = s.view.load(key)?;
    let asked = asked.filter(|asked| is_asked(asked, caller, m) && !is_over(s, asked));
    let asked = asked.ok_or_else(no_such_question)?;
    approver(s, &asked.approver)?;
    let (status, name) = match m.admit {
        true => (AdmissionStatus::Admitted, "admitted"),
        false => (AdmissionStatus::TurnedAway, "turned-away"),
    };
    let mut outcome = Outcome::default();
    if asked.status() == status {
        return Ok(outcome);
    }
    if asked.status() != AdmissionStatus::Waiting {
        let message = "this was answered otherwise already, and the first answer counts";
        return Err(Refusal::new(Code::NotAllowed, message).into());
    }
    let answered = WaitingDevice {
        status: status.into(),
        decided_by: caller.principal.to_string(),
        expires_ms: s.now_ms.saturating_add(admission::REMEMBERED_MS),
        ..asked
    };
    event::answered(&mut outcome, name, &answered, &m.reason);
    admission::write(&mut outcome, &answered);
    Ok(outcome)
}

fn is_asked(asked: &WaitingDevice, caller: &Caller, m: &AnswerAdmission) -> bool {
    let is_question = !asked.question.is_empty() && asked.question == m.question;
    is_question && asked.approver == caller.principal.to_string()
}

/// One sentence, whatever does not fit: who asks learns nothing of questions to others.
fn no_such_question() -> Refusal {
    let message = "there is no such question to you, or its time is over";
    Refusal::new(Code::NotFound, message).at("question")
}
