//! Tiny rules, each of one fact: who may be certified, with which key, for how long.

use contract::{
    Code, Refusal,
    id::{Id, Kind},
    limits,
    v1::{
        CertificateStatus, Claim, DeviceFact, FactoryCertificate, Manufacturer, PrincipalFact, Restriction,
        Stage,
    },
};
use pki::{Csr, HERE, Host, KeyKind, NameLimits, Reason, Subject};

use crate::state::{KeyUse, Record};

/// The longest life of an operator's or integrator's certificate, milliseconds: two years.
const PERSON_LIFETIME_MAX_MS: u64 = 730 * crate::DAY_MS;
/// The most types of devices that a manufacturer is trusted for.
const TYPES_MAX: usize = 64;
/// More than any machine signs.
const PER_MINUTE_MAX: u32 = 1_000_000;
/// The most names and addresses of a server: its certificate is sent in each handshake.
const HOSTS_MAX: usize = 32;
/// The longest life of a claim, milliseconds: a year.
const CLAIM_LIFETIME_MAX_MS: i64 = 365 * crate::DAY_MS as i64;
/// The longest life of a device's one-time secret, milliseconds: a year, as it may be printed on the device.
const SECRET_LIFETIME_MAX_MS: i64 = 365 * crate::DAY_MS as i64;
/// How far the clock may stand behind the last certificate.
const CLOCK_SLACK_MS: i64 = 5 * 60_000;
/// Certificates of one device that can be used at the same time, those being signed included.
pub(crate) const LIVE_MAX: usize = 8;
/// The same of a person: one for each machine.
pub(crate) const PERSON_LIVE_MAX: usize = 32;

/// Devices that are told to renew in a minute: a fleet of ten thousand in a quarter of an hour, and few at once.
const RENEWALS_PER_MINUTE: u32 = 600;
/// A thousand a second: more than any machine signs.
const RENEWALS_PER_MINUTE_MAX: u32 = 60_000;
/// How long devices have to renew: as long as one may be away.
const RENEWAL_MS: u64 = 30 * crate::DAY_MS;
const RENEWAL_MAX_MS: u64 = 365 * crate::DAY_MS;

/// The words of RFC 5280, section 5.3.1, that make sense here.
const REASONS: [(&str, Reason); 7] = [
    ("unspecified", Reason::Unspecified),
    ("keyCompromise", Reason::KeyCompromise),
    ("cACompromise", Reason::CaCompromise),
    ("affiliationChanged", Reason::AffiliationChanged),
    ("superseded", Reason::Superseded),
    ("cessationOfOperation", Reason::CessationOfOperation),
    ("privilegeWithdrawn", Reason::PrivilegeWithdrawn),
];

/// An id, or the refusal that names the field.
pub(crate) fn id(field: &str, text: &str) -> Result<Id, Refusal> {
    text.parse()
        .map_err(|e: contract::id::BadId| Refusal::invalid(field, e.to_string()))
}

/// A request with proof of possession, which asks for no name but the subject's.
pub(crate) fn csr(text: &str, subject: &Subject) -> Result<Csr, Refusal> {
    // The reason may quote the request.
    let untrusted = |e: &dyn std::fmt::Display| {
        let reason: String = e.to_string().chars().take(limits::TEXT_CHARS).collect();
        Refusal::new(Code::Untrusted, reason).at("csr")
    };
    let csr = Csr::parse(text.as_bytes()).map_err(|e| untrusted(&e))?;
    csr.check_names(subject).map_err(|e| untrusted(&e))?;
    Ok(csr)
}

/// A key belongs to one party, and a revoked one to nobody.
pub(crate) fn key(used: Option<&KeyUse>, kind: Kind, id: &str) -> Result<(), Refusal> {
    let Some(used) = used else { return Ok(()) };
    if used.revoked {
        let message = "a certificate of this key was revoked; make a new key";
        return Err(Refusal::new(Code::Untrusted, message).at("csr"));
    }
    if used.kind == kind.word() && used.id == id {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Untrusted,
        "this key belongs to somebody else; make one of your own",
    )
    .at("csr"))
}

/// Whether a device may have a certificate at all.
pub(crate) fn device(known: Option<&DeviceFact>) -> Result<(), Refusal> {
    let precondition = |message: &str| Err(Refusal::new(Code::Precondition, message));
    let Some(device) = known else {
        return precondition("there is no such device; register it first");
    };
    match device.stage() {
        Stage::Registered | Stage::Provisioned | Stage::Active | Stage::Maintenance => {}
        Stage::Planned => return precondition("the device is planned only; move it to registered first"),
        _ => return precondition("the device is retiring or retired; it gets no certificate any more"),
    }
    match device.restriction() {
        Restriction::Suspended => precondition("the device is suspended; release it first"),
        _ => Ok(()),
    }
}

/// Whether a device may have its first certificate. One in quarantine only renews: whoever comes with a
/// claim is not yet the device that was put there.
pub(crate) fn new_device(known: Option<&DeviceFact>) -> Result<(), Refusal> {
    device(known)?;
    match known.map(DeviceFact::restriction) {
        Some(Restriction::Quarantined) => Err(Refusal::new(
            Code::Precondition,
            "the device is in quarantine; release it first",
        )),
        _ => Ok(()),
    }
}

/// Whether a device comes with the key that was announced with it. Digits alone count.
pub(crate) fn expected_key(known: Option<&DeviceFact>, fingerprint: &str) -> Result<(), Refusal> {
    let expected = known.map_or("", |device| device.key_fingerprint.as_str());
    let plain = |text: &str| text.replace(':', "").to_ascii_lowercase();
    if expected.is_empty() || plain(expected) == plain(fingerprint) {
        return Ok(());
    }
    let message = "this is not the key that was announced with the device";
    Err(Refusal::new(Code::Untrusted, message).at("csr"))
}

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

/// Whether one more certificate may be planned beside these.
pub(crate) fn room(records: &[Record], now_ms: i64, max: usize, message: &str) -> Result<(), Refusal> {
    if records.iter().filter(|r| r.takes_room(now_ms)).count() < max {
        return Ok(());
    }
    Err(Refusal::new(Code::Limit, message))
}

/// One sentence for all that a stranger must not learn.
pub(crate) fn not_opened() -> Refusal {
    Refusal::new(Code::Denied, "this claim does not open this device")
}

/// One sentence for all that keeps a factory certificate from opening a device, but the device's type.
pub(crate) fn not_opened_by_factory() -> Refusal {
    let message = "this factory certificate does not open this device: the device must be registered with the serial \
                   number in it, and the certificate must have opened no other";
    Refusal::new(Code::Denied, message)
}

/// What names the device in a factory certificate that counts.
pub(crate) fn named_by_factory<'a>(
    manufacturer: &Manufacturer,
    shown: &'a FactoryCertificate,
) -> Result<&'a str, Refusal> {
    let name = manufacturer.device_in(shown).ok_or_else(not_opened_by_factory)?;
    match manufacturer.refuses(name) {
        true => Err(not_opened_by_factory()),
        false => Ok(name),
    }
}

/// Whether the device is registered as what its manufacturer says it is. Serial numbers differ in more than case: the
/// registry lets no two living devices share one that is folded.
pub(crate) fn built_as(
    known: Option<&DeviceFact>,
    manufacturer: &Manufacturer,
    name: &str,
) -> Result<(), Refusal> {
    let known = known.filter(|device| device.serial_number.eq_ignore_ascii_case(name));
    let known = known.ok_or_else(not_opened_by_factory)?;
    if manufacturer.types.is_empty() || manufacturer.types.contains(&known.device_type) {
        return Ok(());
    }
    let message = format!(
        "the manufacturer `{}` is trusted for devices of other types than this one's",
        manufacturer.name
    );
    Err(Refusal::new(Code::Denied, message))
}

/// What names a device in a factory certificate, as an operator writes it.
pub(crate) fn factory_name(text: &str) -> Result<&str, Refusal> {
    let is_printable = text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    match (1..=limits::ID_CHARS).contains(&text.len()) && is_printable {
        true => Ok(text),
        false => Err(Refusal::invalid(
            "serial_number",
            "a serial number has 1 to 64 printable ASCII characters",
        )),
    }
}

/// Types of devices that a manufacturer is trusted for.
pub(crate) fn types(types: &[String]) -> Result<(), Refusal> {
    if types.len() > TYPES_MAX {
        return Err(Refusal::invalid("types", format!("at most {TYPES_MAX} types")));
    }
    types.iter().try_for_each(|text| id("types", text).map(|_| ()))
}

/// The batch, if it may ask for this device.
pub(crate) fn batch<'a>(claim: Option<&'a Claim>, device: &str, now_ms: i64) -> Result<&'a Claim, Refusal> {
    let claim = claim.ok_or_else(not_opened)?;
    if claim.revoked || now_ms > claim.expires_ms || !device.starts_with(&claim.id_prefix) {
        return Err(not_opened());
    }
    if claim.used >= claim.uses {
        return Err(Refusal::new(
            Code::Limit,
            "this claim has been used as often as it may",
        ));
    }
    Ok(claim)
}

/// An operator or an integrator that is known and not disabled.
pub(crate) fn person(known: Option<&PrincipalFact>) -> Result<(), Refusal> {
    match known {
        Some(person) if !person.disabled => Ok(()),
        Some(_) => Err(Refusal::new(Code::Precondition, "this account is disabled").at("id")),
        None => Err(Refusal::new(
            Code::Precondition,
            "there is nobody of this name; `put-person` first",
        )
        .at("id")),
    }
}

/// `operators` or `integrators`.
pub(crate) fn person_kind(text: &str) -> Result<Kind, Refusal> {
    match Kind::from_word(text) {
        Some(kind @ (Kind::Operator | Kind::Integrator)) => Ok(kind),
        _ => {
            let allowed = [Kind::Operator.word(), Kind::Integrator.word()];
            Err(
                Refusal::invalid("kind", "certificates are issued for operators and integrators")
                    .allowing(allowed),
            )
        }
    }
}

/// How long an operator's or integrator's certificate lasts.
pub(crate) fn person_lifetime(asked_ms: u64, default_ms: u64) -> Result<u64, Refusal> {
    match asked_ms {
        0 => Ok(default_ms),
        1..=PERSON_LIFETIME_MAX_MS => Ok(asked_ms),
        _ => Err(Refusal::invalid(
            "lifetime_ms",
            "a certificate lasts two years at most",
        )),
    }
}

/// What a server is to be called that is reached under these names and addresses: they, and the machine's own names as far
/// as the authority that signs may name them. Without those the command line beside the server is shut out.
pub(crate) fn server_hosts(texts: &[String], limits: &NameLimits) -> Result<Vec<Host>, Refusal> {
    if !(1..=HOSTS_MAX).contains(&texts.len()) {
        let message = format!("a server has 1 to {HOSTS_MAX} names and addresses");
        return Err(Refusal::invalid("hosts", message));
    }
    let mut all = hosts(texts)?;
    names(limits, &all)?;
    for here in HERE.iter().filter_map(|here| Host::parse(here)) {
        if !all.contains(&here) && !limits.forbid(&here) {
            all.push(here);
        }
    }
    Ok(all)
}

/// Names and addresses as they are written, each once.
pub(crate) fn hosts(texts: &[String]) -> Result<Vec<Host>, Refusal> {
    let mut hosts = Vec::new();
    for text in texts {
        let host = Host::parse(text).ok_or_else(|| {
            let shown: String = text.chars().take(limits::TEXT_CHARS).collect();
            Refusal::invalid(
                "hosts",
                format!("`{shown}` is neither a DNS name nor an IP address"),
            )
        })?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// Whether the authority that signs may name these hosts. Who verifies would refuse the certificate.
pub(crate) fn names(limits: &NameLimits, hosts: &[Host]) -> Result<(), Refusal> {
    let Some(host) = limits.first_forbidden(hosts) else {
        return Ok(());
    };
    let message = format!("the issuing CA's name constraints forbid the name `{host}`");
    Err(Refusal::new(Code::Precondition, message)
        .at("hosts")
        .allowing(limits.words()))
}

/// When the server's certificate is to be renewed; `None`: only by hand. Never in the first half of its life, so that
/// no setting makes it renew all the time.
pub(crate) fn server_due(issued_at_ms: i64, not_after_ms: i64, before_ms: Option<u64>) -> Option<i64> {
    let life_ms = not_after_ms.saturating_sub(issued_at_ms).max(0).unsigned_abs();
    let before_ms = match before_ms {
        Some(0) => return None,
        Some(before_ms) => before_ms.min(life_ms / 2),
        None => life_ms / 3,
    };
    Some(not_after_ms.saturating_sub_unsigned(before_ms))
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

/// How long a device's one-time secret lasts from now.
pub(crate) fn secret_lifetime(expires_ms: i64, now_ms: i64) -> Result<(), Refusal> {
    match expires_ms.checked_sub(now_ms) {
        Some(60_000..=SECRET_LIFETIME_MAX_MS) => Ok(()),
        Some(..60_000) => Err(Refusal::invalid("expires_ms", "a secret lasts a minute at least")),
        _ => Err(Refusal::invalid("expires_ms", "a secret lasts a year at most")),
    }
}

/// What device ids of a batch begin with: itself the beginning of an id.
pub(crate) fn prefix(text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        Ok(())
    } else {
        id("id_prefix", text).map(|_| ())
    }
}

/// A reason by its word; empty means unspecified.
pub(crate) fn reason(word: &str) -> Result<(&'static str, Reason), Refusal> {
    let wanted = if word.is_empty() { REASONS[0].0 } else { word };
    let found = REASONS.into_iter().find(|(known, _)| *known == wanted);
    found.ok_or_else(|| {
        let message = "not a reason of RFC 5280, section 5.3.1, that is used here";
        Refusal::invalid("reason", message).allowing(REASONS.map(|(known, _)| known))
    })
}

/// A public key as it is told of: SHA-256 of its SubjectPublicKeyInfo, hex.
pub(crate) fn key_fingerprint(text: &str) -> Result<String, Refusal> {
    let fingerprint = text.to_ascii_lowercase();
    if fingerprint.len() == 64 && fingerprint.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(fingerprint);
    }
    Err(Refusal::invalid(
        "key",
        "a key is named by the SHA-256 of its SubjectPublicKeyInfo: 64 hex digits",
    ))
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

/// A kind of key by its word.
pub(crate) fn key_kind(word: &str) -> Result<(), Refusal> {
    let words = KeyKind::ALL.map(KeyKind::word);
    if word.is_empty() || words.contains(&word) {
        return Ok(());
    }
    Err(Refusal::invalid("key_kind", "devices have no keys of this kind").allowing(words))
}

/// Why somebody does something, for people.
pub(crate) fn why(text: &str) -> Result<(), Refusal> {
    if text.chars().count() <= limits::TEXT_CHARS {
        return Ok(());
    }
    let message = format!("{} characters at most", limits::TEXT_CHARS);
    Err(Refusal::invalid("reason", message))
}

/// A clock that stands behind the last certificate would issue what is not valid yet, or too long.
pub(crate) fn clock(latest_ms: i64, now_ms: i64) -> Result<(), Refusal> {
    if now_ms >= latest_ms.saturating_sub(CLOCK_SLACK_MS) {
        return Ok(());
    }
    let minutes = latest_ms.saturating_sub(now_ms) / 60_000;
    let message = format!(
        "the server's clock stands {minutes} minutes behind the last certificate it issued; set it right first"
    );
    Err(Refusal::new(Code::Precondition, message))
}

/// A serial in the form in which it is kept.
pub(crate) fn serial(text: &str) -> Result<String, Refusal> {
    let serial = text.to_ascii_lowercase();
    let hex = serial.bytes().all(|b| b.is_ascii_hexdigit());
    if hex && !serial.is_empty() && serial.len() <= limits::ID_CHARS {
        return Ok(serial);
    }
    Err(Refusal::invalid(
        "serial",
        "a serial is written in hex, as `muster cert list` shows it",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_due_in_the_second_half_of_its_certificates_life() {
        for (before_ms, expected) in [
            (None, Some(700)),
            (Some(0), None),
            (Some(1), Some(999)),
            (Some(450), Some(550)),
            (Some(u64::MAX), Some(550)),
        ] {
            assert_eq!(server_due(100, 1_000, before_ms), expected, "{before_ms:?}");
        }
        assert_eq!(
            server_due(1_000, 100, None),
            Some(100),
            "it ended before it was recorded"
        );
    }

    fn fact(stage: Stage, restriction: Restriction) -> DeviceFact {
        DeviceFact {
            stage: stage as i32,
            restriction: restriction as i32,
            ..DeviceFact::default()
        }
    }

    #[test]
    fn a_device_comes_with_the_key_that_was_announced() {
        let announced = |key: &str| DeviceFact {
            key_fingerprint: key.into(),
            ..DeviceFact::default()
        };
        assert!(expected_key(None, "ab").is_ok());
        assert!(expected_key(Some(&announced("")), "ab").is_ok());
        assert!(expected_key(Some(&announced("abcd")), "AB:CD").is_ok());
        let refusal = expected_key(Some(&announced("abcd")), "abce").unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_str()), (Code::Untrusted, "csr"));
    }

    #[test]
    fn only_devices_that_live_are_certified() {
        for (stage, restriction, good) in [
            (Stage::Registered, Restriction::None, true),
            (Stage::Active, Restriction::Quarantined, true),
            (Stage::Active, Restriction::Suspended, false),
            (Stage::Planned, Restriction::None, false),
            (Stage::Retiring, Restriction::None, false),
            (Stage::Retired, Restriction::None, false),
        ] {
            assert_eq!(
                device(Some(&fact(stage, restriction))).is_ok(),
                good,
                "{stage:?} {restriction:?}"
            );
        }
        assert!(device(None).is_err());
        assert!(new_device(Some(&fact(Stage::Registered, Restriction::None))).is_ok());
        assert!(new_device(Some(&fact(Stage::Active, Restriction::Quarantined))).is_err());
    }

    #[test]
    fn a_batch_opens_what_it_is_for_and_says_no_more() {
        let claim = |uses, used, prefix: &str| Claim {
            uses,
            used,
            expires_ms: 100,
            id_prefix: prefix.into(),
            ..Claim::default()
        };
        assert!(batch(Some(&claim(2, 1, "pump-")), "pump-7", 100).is_ok());
        let (narrow, open) = (claim(2, 1, "fan-"), claim(2, 1, ""));
        let revoked = Claim {
            revoked: true,
            ..open.clone()
        };
        let silent = [
            batch(None, "pump-7", 1),
            batch(Some(&narrow), "pump-7", 1),
            batch(Some(&open), "pump-7", 101),
            batch(Some(&revoked), "pump-7", 1),
        ];
        assert!(
            silent.iter().all(|r| *r == Err(not_opened())),
            "one answer for all: {silent:?}"
        );
        assert_eq!(
            batch(Some(&claim(2, 2, "")), "a", 1).unwrap_err().code,
            Code::Limit
        );
    }

    #[test]
    fn a_key_has_one_owner_and_a_revoked_one_none() {
        let used = KeyUse {
            kind: "devices".into(),
            id: "a".into(),
            revoked: false,
        };
        assert!(key(None, Kind::Device, "a").is_ok() && key(Some(&used), Kind::Device, "a").is_ok());
        assert!(
            key(Some(&used), Kind::Device, "b").is_err() && key(Some(&used), Kind::Operator, "a").is_err()
        );
        assert!(
            key(
                Some(&KeyUse {
                    revoked: true,
                    ..used
                }),
                Kind::Device,
                "a"
            )
            .is_err()
        );
    }

    #[test]
    fn reasons_are_those_of_the_standard() {
        assert_eq!(reason("").unwrap().1, Reason::Unspecified);
        assert_eq!(reason("keyCompromise").unwrap().1, Reason::KeyCompromise);
        assert!(
            reason("removeFromCRL")
                .unwrap_err()
                .allowed
                .contains(&"superseded".to_owned())
        );
    }

    #[test]
    fn the_clock_may_lag_a_little() {
        assert!(clock(1_000_000, 1_000_000 - CLOCK_SLACK_MS).is_ok());
        assert!(clock(1_000_000, 1_000_000 - CLOCK_SLACK_MS - 1).is_err());
    }
}
