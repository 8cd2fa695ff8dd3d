//! What devices' certificates are like, by the device's type and how critical it is.

use contract::{
    Code, Refusal,
    v1::{Criticality, DeviceFact},
};
use pki::{Extras, KeyKind, Oid};

use crate::Settings;

/// Stands in an address for the mark of the issuing CA.
const ISSUER: &str = "{issuer}";

/// One rule. Of those that fit a device, the first that says a thing decides it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceProfile {
    /// Devices of this type; without it, of any.
    pub device_type: Option<String>,
    /// Devices that are as critical; without it, any.
    pub criticality: Option<Criticality>,
    /// How long their certificates last.
    pub lifetime_ms: Option<u64>,
    /// The kinds of key that they may have; none: the rule does not say.
    pub key_kinds: Vec<KeyKind>,
    /// Where their revocation list is published; `{issuer}` stands for the mark of the issuing CA.
    pub crl_url: Option<String>,
    /// Where the issuing CA's certificate is published, likewise.
    pub issuer_url: Option<String>,
    /// What they are for beside clientAuth; none: the rule does not say.
    pub purposes: Vec<Oid>,
    /// Under which policies they are issued; none: the rule does not say.
    pub policies: Vec<Oid>,
    /// The organization in their subject.
    pub organization: Option<String>,
    /// Whether the hardware's serial number, as the registry has it, stands in their subject.
    pub serial_number: Option<bool>,
}

/// What holds of one device's next certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) lifetime_ms: u64,
    key_kinds: Vec<KeyKind>,
    extras: Extras,
}

impl DeviceProfile {
    fn fits(&self, device: &DeviceFact) -> bool {
        let type_fits = self
            .device_type
            .as_ref()
            .is_none_or(|own| *own == device.device_type);
        type_fits && self.criticality.is_none_or(|own| own == device.criticality())
    }
}

/// What the settings say of a device.
pub(crate) fn terms(known: Option<&DeviceFact>, settings: &Settings) -> Terms {
    let device = known.cloned().unwrap_or_default();
    let fitting: Vec<_> = settings
        .profiles
        .iter()
        .filter(|rule| rule.fits(&device))
        .collect();
    let by_criticality = || {
        let mut lifetimes = settings.lifetimes_ms.iter();
        let own = lifetimes.find(|(of, _)| *of == device.criticality());
        own.map_or(settings.device_lifetime_ms, |(_, lifetime_ms)| *lifetime_ms)
    };
    let lifetime_ms = fitting.iter().find_map(|rule| rule.lifetime_ms);
    let kinds = fitting.iter().find(|rule| !rule.key_kinds.is_empty());
    Terms {
        lifetime_ms: lifetime_ms.unwrap_or_else(by_criticality),
        key_kinds: kinds.map_or_else(|| KeyKind::ALL.into(), |rule| rule.key_kinds.clone()),
        extras: extras(&fitting, &device),
    }
}

fn extras(fitting: &[&DeviceProfile], device: &DeviceFact) -> Extras {
    let oids = |of: fn(&DeviceProfile) -> &Vec<Oid>| {
        let said = fitting.iter().map(|rule| of(rule)).find(|oids| !oids.is_empty());
        said.cloned().unwrap_or_default()
    };
    let wants_serial_number = fitting.iter().find_map(|rule| rule.serial_number) == Some(true);
    let serial_number = Some(device.serial_number.clone()).filter(|number| !number.is_empty());
    Extras {
        crl_url: fitting.iter().find_map(|rule| rule.crl_url.clone()),
        issuer_url: fitting.iter().find_map(|rule| rule.issuer_url.clone()),
        purposes: oids(|rule| &rule.purposes),
        policies: oids(|rule| &rule.policies),
        organization: fitting.iter().find_map(|rule| rule.organization.clone()),
        serial_number: serial_number.filter(|_| wants_serial_number),
    }
}

impl Terms {
    /// Whether a device may have a key of this kind.
    pub(crate) fn demand_key(&self, kind: KeyKind) -> Result<(), Refusal> {
        if self.key_kinds.contains(&kind) {
            return Ok(());
        }
        let words: Vec<_> = self.key_kinds.iter().map(|kind| kind.word()).collect();
        let message = format!(
            "this device's key must be of the kind {}, and this one is of {}; make another",
            words.join(" or "),
            kind.word()
        );
        Err(Refusal::new(Code::Untrusted, message).at("csr").allowing(words))
    }

    /// What a certificate of this issuing CA says beside its profile.
    pub(crate) fn extras(&self, issuer: &str) -> Result<Extras, Refusal> {
        let of_issuer = |url: &Option<String>| url.as_ref().map(|url| url.replace(ISSUER, issuer));
        let extras = Extras {
            crl_url: of_issuer(&self.extras.crl_url),
            issuer_url: of_issuer(&self.extras.issuer_url),
            ..self.extras.clone()
        };
        if extras.can_be_written() {
            return Ok(extras);
        }
        let number = extras.serial_number.unwrap_or_default();
        let message = format!(
            "no certificate can hold what `pki.profiles` wants of this device's: its serial number is `{number}`, and \
             may have letters, digits, blanks and '()+,-./:=? only"
        );
        Err(Refusal::new(Code::Precondition, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_and_says_it_decides() {
        let rule = |device_type: &str, criticality, lifetime_ms, key_kinds: &[KeyKind]| DeviceProfile {
            device_type: (!device_type.is_empty()).then(|| device_type.into()),
            criticality,
            lifetime_ms,
            key_kinds: key_kinds.into(),
            ..DeviceProfile::default()
        };
        let settings = Settings {
            lifetimes_ms: vec![(Criticality::High, 5)],
            profiles: vec![
                rule("valve", Some(Criticality::Critical), Some(1), &[]),
                rule("valve", None, Some(2), &[KeyKind::P384]),
                rule("", Some(Criticality::Low), None, &[KeyKind::Ed25519]),
            ],
            device_lifetime_ms: 9,
            ..Settings::default()
        };
        use Criticality::{Critical, High, Low, Medium};
        for (device_type, criticality, lifetime_ms, kinds) in [
            ("valve", Critical, 1, &[KeyKind::P384][..]),
            ("valve", Low, 2, &[KeyKind::P384]),
            ("pump", Low, 9, &[KeyKind::Ed25519]),
            ("pump", High, 5, &KeyKind::ALL),
            ("", Medium, 9, &KeyKind::ALL),
        ] {
            let device = DeviceFact {
                device_type: device_type.into(),
                criticality: criticality.into(),
                ..DeviceFact::default()
            };
            let found = terms(Some(&device), &settings);
            assert_eq!(found.lifetime_ms, lifetime_ms, "{device_type} {criticality:?}");
            for kind in KeyKind::ALL {
                assert_eq!(
                    found.demand_key(kind).is_ok(),
                    kinds.contains(&kind),
                    "{device_type} {kind:?}"
                );
            }
        }
        assert_eq!(terms(None, &settings).lifetime_ms, 9);
    }

    #[test]
    fn what_a_certificate_says_beside_is_put_together_from_all_that_fit() {
        let settings = Settings {
            profiles: vec![
                DeviceProfile {
                    device_type: Some("valve".into()),
                    organization: Some("Valves Ltd".into()),
                    serial_number: Some(true),
                    ..DeviceProfile::default()
                },
                DeviceProfile {
                    organization: Some("Acme".into()),
                    crl_url: Some("http://a/{issuer}.crl".into()),
                    issuer_url: Some("http://a/{issuer}.der".into()),
                    policies: vec!["1.3.6.1.4.1.32473.1".parse().unwrap()],
                    ..DeviceProfile::default()
                },
            ],
            ..Settings::default()
        };
        let of = |device_type: &str, number: &str| {
            let device = DeviceFact {
                device_type: device_type.into(),
                serial_number: number.into(),
                ..DeviceFact::default()
            };
            terms(Some(&device), &settings).extras("4a000001")
        };
        let valve = of("valve", "SN-7").unwrap();
        assert_eq!(valve.organization.as_deref(), Some("Valves Ltd"));
        assert_eq!(valve.serial_number.as_deref(), Some("SN-7"));
        assert_eq!(valve.crl_url.as_deref(), Some("http://a/4a000001.crl"));
        assert_eq!(valve.issuer_url.as_deref(), Some("http://a/4a000001.der"));
        assert_eq!(valve.policies.len(), 1);
        let pump = of("pump", "SN_8").unwrap();
        assert_eq!(
            (pump.organization.as_deref(), pump.serial_number),
            (Some("Acme"), None)
        );
        assert_eq!(of("valve", "").unwrap().serial_number, None);
        let refusal = of("valve", "SN_8").unwrap_err();
        assert_eq!(refusal.code, Code::Precondition);
        assert!(refusal.message.contains("`SN_8`"), "{refusal}");
    }
}
