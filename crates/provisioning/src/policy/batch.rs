//! What a claim opens, and what may be asked of one.

use contract::{
    Code, IdPattern, Refusal,
    v1::{Admission, Claim, DeviceFact},
};

use super::{expected_key, id};

/// More than any machine signs.
const PER_MINUTE_MAX: u32 = 1_000_000;
/// The longest life of a claim, milliseconds: a year.
const CLAIM_LIFETIME_MAX_MS: i64 = 365 * crate::DAY_MS as i64;
/// The most types of devices that a manufacturer is trusted for, or a claim is for.
const TYPES_MAX: usize = 64;

/// One sentence for all that a stranger must not learn, and what is behind it for the operator.
pub(crate) fn not_opened(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::Denied, "this claim does not open this device").because(why)
}

/// The batch, if it may ask for this device.
pub(crate) fn batch<'a>(
    claim: Option<&'a Claim>,
    device: &str,
    known: Option<&DeviceFact>,
    now_ms: i64,
) -> Result<&'a Claim, Refusal> {
    let claim = claim.ok_or_else(|| not_opened("there is no such claim"))?;
    let ids: Result<IdPattern, _> = claim.id_pattern.parse();
    let closed = [
        (claim.revoked, "the claim is revoked"),
        (now_ms > claim.expires_ms, "the claim has ended"),
        (
            !ids.is_ok_and(|ids| ids.fits(device)),
            "the claim is for other ids",
        ),
        (
            !is_of_its_type(claim, known),
            "the claim is for devices of other types",
        ),
    ];
    if let Some((_, why)) = closed.into_iter().find(|(is_closed, _)| *is_closed) {
        return Err(not_opened(why));
    }
    if claim.used >= claim.uses {
        return Err(Refusal::new(
            Code::Limit,
            "this claim has been used as often as it may",
        ));
    }
    Ok(claim)
}

/// One that nobody has registered has no type yet; that it is not registered is said further on.
fn is_of_its_type(claim: &Claim, known: Option<&DeviceFact>) -> bool {
    claim.types.is_empty() || known.is_none_or(|device| claim.types.contains(&device.device_type))
}

/// Under a batch of devices whose keys were announced: whether this one's was, and is this one. A stranger may hold the
/// batch, and hears one sentence for all that is wrong.
pub(crate) fn announced(claim: &Claim, known: Option<&DeviceFact>, fingerprint: &str) -> Result<(), Refusal> {
    if claim.admission() != Admission::Announced {
        return Ok(());
    }
    let Some(known) = known.filter(|device| !device.key_fingerprint.is_empty()) else {
        return Err(not_opened(
            "no key was announced for this device, or it is not registered",
        ));
    };
    expected_key(Some(known), fingerprint)
        .map_err(|refusal| not_opened(format!("{} ({fingerprint})", refusal.message)))
}

/// Which device ids a batch is for.
pub(crate) fn pattern(text: &str) -> Result<(), Refusal> {
    let read: Result<IdPattern, _> = text.parse();
    read.map(|_| ())
        .map_err(|bad| Refusal::invalid("id_pattern", bad.to_string()))
}

/// Types of devices that a manufacturer is trusted for, or a claim is for.
pub(crate) fn types(types: &[String]) -> Result<(), Refusal> {
    if types.len() > TYPES_MAX {
        return Err(Refusal::invalid("types", format!("at most {TYPES_MAX} types")));
    }
    types.iter().try_for_each(|text| id("types", text).map(|_| ()))
}

/// How long a claim lasts from now.
pub(crate) fn claim_lifetime(expires_ms: i64, now_ms: i64) -> Result<u64, Refusal> {
    match expires_ms.checked_sub(now_ms) {
        Some(left @ 60_000..=CLAIM_LIFETIME_MAX_MS) => Ok(left.unsigned_abs()),
        Some(..60_000) => Err(Refusal::invalid("expires_ms", "a claim lasts a minute at least")),
        _ => Err(Refusal::invalid("expires_ms", "a claim lasts a year at most")),
    }
}

/// How fast a batch may be used, certificates a minute; 0 leaves it to the configuration.
pub(crate) fn rate(per_minute: u32) -> Result<(), Refusal> {
    if per_minute <= PER_MINUTE_MAX {
        return Ok(());
    }
    let message = format!("a claim gives {PER_MINUTE_MAX} certificates a minute at most");
    Err(Refusal::invalid("per_minute", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_opens_what_it_is_for_and_says_no_more() {
        let claim = |uses, used, ids: &str| Claim {
            uses,
            used,
            expires_ms: 100,
            id_pattern: ids.into(),
            ..Claim::default()
        };
        let pump = DeviceFact {
            device_type: "pump".into(),
            ..DeviceFact::default()
        };
        let (wide, strange) = (claim(2, 1, "pump-*"), claim(2, 1, "["));
        let (narrow, open) = (claim(2, 1, "fan-*"), claim(2, 1, ""));
        let of_types = |types: &[&str]| Claim {
            types: types.iter().map(|name| (*name).to_owned()).collect(),
            ..open.clone()
        };
        let (valves, both) = (of_types(&["valve"]), of_types(&["valve", "pump"]));
        assert!(batch(Some(&wide), "pump-7", Some(&pump), 100).is_ok());
        assert!(batch(Some(&both), "pump-7", Some(&pump), 100).is_ok());
        assert!(batch(Some(&valves), "pump-7", None, 100).is_ok());
        let revoked = Claim {
            revoked: true,
            ..open.clone()
        };
        let silent = [
            batch(None, "pump-7", None, 1),
            batch(Some(&narrow), "pump-7", None, 1),
            batch(Some(&strange), "pump-7", None, 1),
            batch(Some(&valves), "pump-7", Some(&pump), 1),
            batch(Some(&open), "pump-7", None, 101),
            batch(Some(&revoked), "pump-7", None, 1),
        ];
        assert!(
            silent
                .iter()
                .all(|r| r.as_ref().unwrap_err().to_message("") == not_opened("").to_message("")),
            "one answer for all: {silent:?}"
        );
        let behind: Vec<_> = silent
            .iter()
            .map(|r| r.as_ref().unwrap_err().behind.as_str())
            .collect();
        assert_eq!(
            behind,
            [
                "there is no such claim",
                "the claim is for other ids",
                "the claim is for other ids",
                "the claim is for devices of other types",
                "the claim has ended",
                "the claim is revoked"
            ]
        );
        assert_eq!(
            batch(Some(&claim(2, 2, "")), "a", None, 1).unwrap_err().code,
            Code::Limit
        );
    }
}
