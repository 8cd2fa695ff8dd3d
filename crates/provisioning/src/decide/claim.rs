//! `put-claim`: a batch of devices may ask for their first certificates.

use contract::{
    Code, Refusal,
    id::Kind,
    v1::{Claim, PutClaim},
};
use service::{Fault, Outcome};

use super::{
    Situation, hook,
    planning::{self, Wanted},
};
use crate::{policy, state};

pub(super) fn decide(s: &mut Situation<'_>, m: &PutClaim) -> Result<Outcome, Fault> {
    let batch = policy::id("batch", &m.batch)?;
    policy::pattern(&m.id_pattern)?;
    policy::types(&m.types)?;
    if m.uses == 0 {
        return Err(Refusal::invalid("uses", "a claim is used once at least").into());
    }
    policy::rate(m.per_minute)?;
    let answer_within_ms = hook::terms(s, m)?;
    let lifetime_ms = policy::claim_lifetime(m.expires_ms, s.now_ms)?;
    let present: Option<Claim> = s.view.load(state::batch_key(batch.as_str()))?;
    if let Some(present) = present {
        let message = format!("the batch `{}` exists; choose another name", present.batch);
        return Err(Refusal::new(Code::Exists, message).at("batch").into());
    }
    if state::manufacturer(s.view, batch.as_str())?.is_some() {
        let message = format!("`{batch}` is the name of a manufacturer; choose another");
        return Err(Refusal::new(Code::Exists, message).at("batch").into());
    }
    let csr = policy::csr(&m.csr, &planning::subject(s, Kind::Claim, batch.as_str())?)?;
    let mut outcome = Outcome::default();
    let wanted = Wanted {
        kind: Kind::Claim,
        id: batch.as_str(),
        lifetime_ms,
        extras: pki::Extras::default(),
        batch: batch.as_str(),
        origin: "",
    };
    let record = planning::plan(s, &mut outcome, &wanted, &csr)?;
    let claim = Claim {
        batch: m.batch.clone(),
        version: 1,
        uses: m.uses,
        used: 0,
        expires_ms: m.expires_ms,
        id_pattern: m.id_pattern.clone(),
        serial: record.certificate().serial,
        revoked: false,
        admission: m.admission().into(),
        per_minute: m.per_minute,
        approver: m.approver.clone(),
        answer_within_ms,
        types: m.types.clone(),
    };
    outcome.put(state::batch_key(batch.as_str()), &claim);
    Ok(outcome)
}
