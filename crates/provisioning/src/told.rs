//! What the audit log tells of provisioning's records, and nothing that is a secret.

use contract::audit::CA;
use contract::v1::{AuditChange, Certificate, Claim, Manufacturer, MassRenewal, WaitingDevice};
use prost::Message;
use serde_json::{Value, json};
use service::{AuditDraft, told as tell};

use crate::state::{self, Course, FactoryUse, ListState, Many, Moved, Record, Renewal, Secret};

/// Who changes the issuing CAs: whoever may write the folder `pki`, which this service follows.
const FOLLOWED: &str = "services/provisioning";

/// A record, if people are to read what became of it.
pub(crate) fn told(key: &[u8], record: &[u8]) -> Option<(String, Value)> {
    let (letter, rest) = std::str::from_utf8(key).ok()?.split_at_checked(1)?;
    match letter {
        state::CERTIFICATES => {
            let certificate = Record::decode(record).ok()?.certificate?.encode_to_vec();
            tell("certificates", |c: &Certificate| &c.serial, &certificate)
        }
        state::RENEWALS => {
            let renewal = Course::decode(record).ok()?.renewal().encode_to_vec();
            tell("renewals", |r: &MassRenewal| &r.renewal_id, &renewal)
        }
        state::BATCHES => tell("claims", |claim: &Claim| &claim.batch, record),
        state::MANUFACTURERS => tell("manufacturers", |made: &Manufacturer| &made.name, record),
        state::ADMISSIONS => tell("admissions", |waits: &WaitingDevice| &waits.device_id, record),
        state::SECRETS => secret(rest, record),
        state::FACTORY => factory(rest, record),
        state::MANY => many(rest, record),
        state::RENEWAL => server(record),
        state::LIST => lists(record),
        _ => None,
    }
}

/// A one-time secret, without what opens.
fn secret(device: &str, record: &[u8]) -> Option<(String, Value)> {
    let secret = Secret::decode(record).ok()?;
    let told = json!({
        "expires_ms": secret.expires_ms.to_string(),
        "tries": secret.tries,
        "locked_until_ms": secret.locked_until_ms.to_string(),
    });
    Some((format!("secrets/{device}"), told))
}

/// Which device came in by a factory certificate.
fn factory(rest: &str, record: &[u8]) -> Option<(String, Value)> {
    let (manufacturer, name) = rest.split_once('\0')?;
    let used = FactoryUse::decode(record).ok()?;
    let told = json!({ "device_id": used.device_id, "fingerprint": used.fingerprint });
    Some((format!("factory/{manufacturer}.{name}"), told))
}

/// What is being revoked in bulk: the certificates follow, each with its event.
fn many(name: &str, record: &[u8]) -> Option<(String, Value)> {
    let many = Many::decode(record).ok()?;
    let told = json!({ "batch": many.batch, "issuer": many.issuer, "reason": many.reason });
    Some((format!("revocations/{name}"), told))
}

/// The server's next certificate, which follows.
fn server(record: &[u8]) -> Option<(String, Value)> {
    let renewal = Renewal::decode(record).ok()?;
    Some((
        "renewals/front-door".to_owned(),
        json!({ "hosts": renewal.hosts, "begun_ms": renewal.begun_ms.to_string() }),
    ))
}

/// Which revocation list somebody waits for; the list itself follows.
fn lists(record: &[u8]) -> Option<(String, Value)> {
    let waiting = ListState::decode(record).ok()?.waiting;
    let last = waiting.iter().map(|one| one.number).max();
    let told = last.map_or(json!({}), |number| json!({ "asked_for": number.to_string() }));
    Some(("lists/crl".to_owned(), told))
}

/// Authorities that `muster ca` has made, activated or taken away.
pub(crate) fn authorities(moved: &[Moved<'_>]) -> AuditDraft {
    let change = |one: &Moved<'_>| AuditChange {
        record: format!("authorities/{}", one.id),
        field: "state".into(),
        before: one.was().into(),
        after: one.is().into(),
    };
    AuditDraft {
        who: FOLLOWED.into(),
        verb: CA.into(),
        subjects: moved
            .iter()
            .map(|one| format!("authorities/{}", one.id))
            .collect(),
        outcome: "accepted".into(),
        reason: "`muster ca` on the server's machine".into(),
        changes: moved.iter().map(change).collect(),
        ..AuditDraft::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_is_never_told() {
        let secret = Secret {
            sha256: "5e".repeat(32),
            expires_ms: 7,
            ..Secret::default()
        };
        let (name, told) = told(state::secret_key("pump-7").as_bytes(), &secret.encode_to_vec()).unwrap();
        assert_eq!(
            (name.as_str(), &told["expires_ms"]),
            ("secrets/pump-7", &json!("7"))
        );
        assert!(!told.to_string().contains("5e5e"), "{told}");
    }
}
