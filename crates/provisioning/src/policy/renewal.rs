//! Over which certificate a device renews, and how devices are told to.

use contract::{Code, Refusal, v1::CertificateStatus};

use crate::state::Record;

/// Devices that are told to renew in a minute: a fleet of ten thousand in a quarter of an hour, and few at once.
const RENEWALS_PER_MINUTE: u32 = 600;
/// A thousand a second: more than any machine signs.
const RENEWALS_PER_MINUTE_MAX: u32 = 60_000;
/// How long devices have to renew: as long as one may be away.
const RENEWAL_MS: u64 = 30 * crate::DAY_MS;
const RENEWAL_MAX_MS: u64 = 365 * crate::DAY_MS;

/// The certificate over which a device may ask for its next one. One that has ended is good for it a while
/// longer, if it was the newest that the device has used.
pub(crate) fn renewable<'a>(
    records: &'a [Record],
    serial: &str,
    now_ms: i64,
    renew_after_ms: u64,
) -> Result<&'a Record, Refusal> {
    let denied = |message: &str| Err(Refusal::new(Code::Denied, message));
    let Some(over) = records
        .iter()
        .find(|r| r.is_live() && r.certificate().serial == serial)
    else {
        return denied("renew over a certificate that counts; this one does not any more");
    };
    if over.counts(now_ms) {
        return Ok(over);
    }
    if !over.renews_late(now_ms, renew_after_ms) {
        return denied(
            "this certificate has ended, and its time to be renewed too; the device needs a claim",
        );
    }
    let issued_at_ms = over.certificate().issued_at_ms;
    let has_replaced_it = |r: &Record| {
        let was_used = matches!(r.status(), CertificateStatus::Active | CertificateStatus::Revoked);
        was_used && r.certificate().issued_at_ms > issued_at_ms
    };
    if records.iter().any(has_replaced_it) {
        return denied("this certificate has ended, and the device has used a newer one; renew over that");
    }
    Ok(over)
}

/// How many devices are told to renew in a minute; 0 leaves it to us.
pub(crate) fn renewal_rate(per_minute: u32) -> Result<u32, Refusal> {
    match per_minute {
        0 => Ok(RENEWALS_PER_MINUTE),
        1..=RENEWALS_PER_MINUTE_MAX => Ok(per_minute),
        _ => {
            let message = format!("{RENEWALS_PER_MINUTE_MAX} devices a minute are told at most");
            Err(Refusal::invalid("per_minute", message))
        }
    }
}

/// How long devices have to renew, milliseconds; 0 leaves it to us.
pub(crate) fn renewal_time(within_ms: u64) -> Result<u64, Refusal> {
    match within_ms {
        0 => Ok(RENEWAL_MS),
        60_000..=RENEWAL_MAX_MS => Ok(within_ms),
        _ => Err(Refusal::invalid(
            "within_ms",
            "devices have a minute to a year for it",
        )),
    }
}
