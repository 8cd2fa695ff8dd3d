//! `pki.profiles`: what devices' certificates are like, by type and criticality.

use contract::v1::Criticality;
use pki::{Extras, KeyKind, Oid};
use provisioning::DeviceProfile;
use serde::Deserialize;

use super::reader::{Reader, duration_of};

const NAME: &str = "pki.profiles";
/// More than anybody keeps apart.
const MOST: usize = 256;
/// The longest address.
const URL_MAX: usize = 200;

const LIST: (&str, &str) = ("a revocation list", "http://muster.example/crl/{issuer}.der");
const ISSUER: (&str, &str) = (
    "the issuing CA's certificate",
    "http://muster.example/ca/{issuer}.der",
);

/// One, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "type")]
    device_type: Option<String>,
    criticality: Option<String>,
    lifetime: Option<String>,
    #[serde(default)]
    keys: Vec<String>,
    crl: Option<String>,
    issuer: Option<String>,
    #[serde(default)]
    purposes: Vec<String>,
    #[serde(default)]
    policies: Vec<String>,
    organization: Option<String>,
    serial_number: Option<bool>,
}

/// Reads them; what is wrong with one is named with its place.
pub(super) fn read(reader: &mut Reader) -> Vec<DeviceProfile> {
    let written: Vec<Written> = reader.value(NAME, Vec::new());
    if written.len() > MOST {
        reader.mistake(format!("{NAME}: {MOST} at most"));
    }
    let mut profiles = Vec::new();
    for (place, one) in written.into_iter().enumerate() {
        match profile(one) {
            Ok(profile) => profiles.push(profile),
            Err(mistake) => reader.mistake(format!("{NAME}: number {}: {mistake}", place + 1)),
        }
    }
    profiles
}

fn profile(one: Written) -> Result<DeviceProfile, String> {
    let device_type = one.device_type.map(|text| {
        let id: Result<contract::Id, _> = text.parse();
        id.map(|id| id.to_string()).map_err(|error| error.to_string())
    });
    let kinds = one.keys.iter().map(|word| {
        let kind = KeyKind::from_word(word);
        kind.ok_or_else(|| {
            format!(
                "`{word}` is no kind of key; there are {}",
                KeyKind::ALL.map(KeyKind::word).join(", ")
            )
        })
    });
    let lifetime = one.lifetime.as_deref().map(duration_of).transpose()?;
    if lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
        return Err("a certificate lasts longer than nothing".into());
    }
    let profile = DeviceProfile {
        device_type: device_type.transpose()?,
        criticality: one.criticality.as_deref().map(criticality).transpose()?,
        lifetime_ms: lifetime.map(|lifetime| u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX)),
        key_kinds: kinds.collect::<Result<_, _>>()?,
        crl_url: one.crl.map(|url| address(url, LIST)).transpose()?,
        issuer_url: one.issuer.map(|url| address(url, ISSUER)).transpose()?,
        purposes: one
            .purposes
            .iter()
            .map(|text| purpose(text))
            .collect::<Result<_, _>>()?,
        policies: one
            .policies
            .iter()
            .map(|text| oid(text))
            .collect::<Result<_, _>>()?,
        organization: one.organization,
        serial_number: one.serial_number,
    };
    demand_certificate(&profile)?;
    Ok(profile)
}

fn oid(text: &str) -> Result<Oid, String> {
    text.parse().map_err(|error| format!("`{text}`: {error}"))
}

fn purpose(text: &str) -> Result<Oid, String> {
    let purpose = oid(text)?;
    match purpose.is_further_purpose() {
        true => Ok(purpose),
        false => Err(format!(
            "`{text}` is no purpose that a device's certificate may have beside clientAuth"
        )),
    }
}

/// What is right one by one may still be too much, or too long.
fn demand_certificate(profile: &DeviceProfile) -> Result<(), String> {
    let extras = Extras {
        purposes: profile.purposes.clone(),
        policies: profile.policies.clone(),
        organization: profile.organization.clone(),
        ..Extras::default()
    };
    match extras.can_be_written() {
        true => Ok(()),
        false => Err(
            "an organization has 1 to 64 characters, and there are 8 different purposes and policies at most"
                .into(),
        ),
    }
}

fn criticality(word: &str) -> Result<Criticality, String> {
    match word {
        "low" => Ok(Criticality::Low),
        "medium" => Ok(Criticality::Medium),
        "high" => Ok(Criticality::High),
        "critical" => Ok(Criticality::Critical),
        _ => Err(format!(
            "`{word}` is no criticality; there are low, medium, high, critical"
        )),
    }
}

fn address(url: String, (what, example): (&str, &str)) -> Result<String, String> {
    let is_http = ["http://", "https://"]
        .iter()
        .any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
    match is_http && url.len() <= URL_MAX && url.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(url),
        false => Err(format!(
            "`{url}` is no address of {what}; for example `{example}`"
        )),
    }
}
