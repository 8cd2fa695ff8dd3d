//! What the audit log tells of provisioning's records: certificates, batches, manufacturers and mass renewals, and nothing
//! that is a secret.

use contract::v1::{Certificate, Claim, Manufacturer, MassRenewal};
use prost::Message;
use serde_json::Value;

use crate::state::{self, Course, Record};

/// A record, if people are to read what became of it.
pub(crate) fn told(key: &[u8], record: &[u8]) -> Option<(String, Value)> {
    match std::str::from_utf8(key.get(..1)?).ok()? {
        state::CERTIFICATES => {
            let certificate = Record::decode(record).ok()?.certificate?.encode_to_vec();
            service::told("certificates", |c: &Certificate| &c.serial, &certificate)
        }
        state::RENEWALS => {
            let renewal = Course::decode(record).ok()?.renewal().encode_to_vec();
            service::told("renewals", |r: &MassRenewal| &r.renewal_id, &renewal)
        }
        state::BATCHES => service::told("claims", |claim: &Claim| &claim.batch, record),
        state::MANUFACTURERS => service::told("manufacturers", |made: &Manufacturer| &made.name, record),
        _ => None,
    }
}
