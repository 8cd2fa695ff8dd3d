//! What devices' certificates are like, by the device's type and how critical it is.

use contract::{
    Code, Refusal,
    v1::{Criticality, DeviceFact},
};
use pki::KeyKind;

use crate::Settings;

/// Stands in the address of a revocation list for the mark of the issuing CA.
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
}

/// What holds of one device's next certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) lifetime_ms: u64,
    pub(crate) crl_url: Option<String>,
    key_kinds: Vec<KeyKind>,
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
        crl_url: fitting.iter().find_map(|rule| rule.crl_url.clone()),
        key_kinds: kinds.map_or_else(|| KeyKind::ALL.into(), |rule| rule.key_kinds.clone()),
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

    /// Where the revocation list of a certificate of this issuing CA is.
    pub(crate) fn list_of(&self, issuer: &str) -> Option<String> {
        self.crl_url.as_ref().map(|url| url.replace(ISSUER, issuer))
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
            crl_url: None,
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
        let url = Terms {
            crl_url: Some("http://a/{issuer}.der".into()),
            ..terms(None, &settings)
        };
        assert_eq!(url.list_of("4a000001").as_deref(), Some("http://a/4a000001.der"));
    }
}
