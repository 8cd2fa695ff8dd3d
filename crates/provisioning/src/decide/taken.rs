//! `take-revocations`: a state that was brought back from a backup is told what was revoked since.
//!
//! A certificate that this state knows is revoked again, as of when it was. One that it does not know, because
//! it was issued since, is refused as it is; it stays in the list for others who verify by it.

use contract::{
    Refusal,
    v1::{CertificateStatus, RevokedLine, TakeRevocations},
};
use service::{Fault, Outcome};

use super::{Situation, list, revoke};
use crate::{
    policy,
    state::{self, RevokedEntry},
};

/// Lines in one request.
const MOST: usize = 500;

pub(super) fn decide(s: &Situation<'_>, m: &TakeRevocations) -> Result<Outcome, Fault> {
    if m.revoked.len() > MOST {
        return Err(Refusal::invalid("revoked", "500 at most; send more of these requests").into());
    }
    let mut outcome = Outcome::default();
    for line in &m.revoked {
        take(s, &mut outcome, line)?;
    }
    list::go_on_above(s, &mut outcome, m.number)?;
    Ok(outcome)
}

fn take(s: &Situation<'_>, outcome: &mut Outcome, line: &RevokedLine) -> Result<(), Fault> {
    let serial = policy::serial(&line.serial)?;
    let (word, _) = policy::reason(&line.reason)?;
    match state::record(s.view, &serial)? {
        Some(record) if record.status() == CertificateStatus::Revoked => Ok(()),
        Some(record) => {
            // Nobody is connected with it: the front door does not run.
            revoke::revoke_one(s, outcome, record, (word, line.at_ms), "")?;
            Ok(())
        }
        None => {
            list_unknown(s, outcome, &serial, word, line);
            Ok(())
        }
    }
}

/// Its end is not known: it stays for as long as its authority could have let it.
fn list_unknown(s: &Situation<'_>, outcome: &mut Outcome, serial: &str, reason: &str, line: &RevokedLine) {
    let issuer = s.authorities.all().find(|one| one.id == line.issuer);
    let Some(issuer) = issuer else { return };
    let entry = RevokedEntry {
        at_ms: line.at_ms,
        reason: reason.into(),
        not_after_ms: issuer.validity.not_after_ms,
        issuer: line.issuer.clone(),
    };
    outcome.put(state::revoked_key(serial), &entry);
}
