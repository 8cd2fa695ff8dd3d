//! Who a connection comes from, as the transport vouches for it.

use contract::{
    id::{Id, Kind, Principal},
    v1::FactoryCertificate,
};

/// What the transport knows of the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A certificate of this installation, found to fit the whole client profile.
    Certified {
        /// The kind of party it names.
        kind: Kind,
        /// The party, or for a claim the batch.
        id: Id,
        /// The serial number, hex.
        serial: String,
        /// The last instant of validity, milliseconds since 1970.
        not_after_ms: i64,
    },
    /// A manufacturer's certificate, verified with that manufacturer's CAs: of a device that has no identity yet.
    Factory {
        /// What it says.
        certificate: Box<FactoryCertificate>,
        /// The last instant of validity, milliseconds since 1970.
        not_after_ms: i64,
    },
    /// Nobody yet: no certificate was shown, and a login must say who it is.
    Nobody,
    /// Nothing: a test listener believes the user name.
    Believed,
}

/// What somebody is taken for themselves by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A certificate of this installation.
    Certificate {
        /// Its serial number, hex.
        serial: String,
        /// When it ends, milliseconds since 1970.
        not_after_ms: i64,
    },
    /// A certificate of a manufacturer.
    Factory {
        /// What it says.
        certificate: Box<FactoryCertificate>,
        /// When it ends, milliseconds since 1970.
        not_after_ms: i64,
    },
    /// A token that an operator or an integrator logged in with.
    Token {
        /// Which.
        id: String,
        /// When it ends, milliseconds since 1970.
        not_after_ms: i64,
    },
    /// A password that they logged in with.
    Password {
        /// Which of theirs.
        password: u64,
    },
    /// Nothing: a test listener believed them.
    Nothing,
}

/// Who is connected, and how its requests are marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Kind and name.
    pub principal: Principal,
    /// For a claim: the batch of its certificate.
    pub batch: Option<Id>,
    /// By what.
    pub credential: Credential,
}

impl Caller {
    /// Somebody, by this.
    pub fn new(principal: Principal, credential: Credential) -> Caller {
        Caller {
            principal,
            batch: None,
            credential,
        }
    }

    /// The serial of the certificate, hex; empty where there is none of this installation: a manufacturer numbers its own
    /// as it likes.
    pub fn serial(&self) -> &str {
        match &self.credential {
            Credential::Certificate { serial, .. } => serial,
            _ => "",
        }
    }

    /// What it logged in with, for services: `token ID` or `password NUMBER`; empty where it shows a certificate.
    pub(crate) fn login(&self) -> String {
        match &self.credential {
            Credential::Token { id, .. } => format!("token {id}"),
            Credential::Password { password } => format!("password {password}"),
            Credential::Certificate { .. } | Credential::Factory { .. } | Credential::Nothing => {
                String::new()
            }
        }
    }

    /// The manufacturer's certificate that it shows in place of a claim.
    pub fn factory(&self) -> Option<&FactoryCertificate> {
        match &self.credential {
            Credential::Factory { certificate, .. } => Some(certificate),
            _ => None,
        }
    }

    /// When what it is taken for itself by ends, milliseconds since 1970.
    pub fn not_after_ms(&self) -> Option<i64> {
        match self.credential {
            Credential::Certificate { not_after_ms, .. }
            | Credential::Factory { not_after_ms, .. }
            | Credential::Token { not_after_ms, .. } => Some(not_after_ms),
            Credential::Password { .. } | Credential::Nothing => None,
        }
    }

    /// What is said when that has come to pass.
    pub(crate) fn has_ended(&self) -> &'static str {
        match self.credential {
            Credential::Token { .. } => "the token has ended",
            _ => "the certificate has expired",
        }
    }
}

impl Peer {
    /// Whom its certificate names, where that is one principal.
    pub(crate) fn named(&self) -> Option<Caller> {
        match self {
            Peer::Certified { kind, id, .. } if *kind != Kind::Claim => self.caller(id.as_str(), None).ok(),
            _ => None,
        }
    }

    /// The caller, where a claim is named by the client id that it chose. Whoever names somebody else beside their
    /// certificate is refused: one of the two was not meant.
    pub(crate) fn caller(&self, client_id: &str, user_name: Option<&str>) -> Result<Caller, &'static str> {
        let named = user_name.and_then(|name| name.parse::<Principal>().ok());
        let (kind, id, serial, not_after_ms) = match self {
            Peer::Nobody => return Err("without a certificate somebody has to log in"),
            Peer::Believed => return believed(named),
            Peer::Factory {
                certificate,
                not_after_ms,
            } => {
                if named.is_some_and(|named| named.kind != Kind::Claim) {
                    return Err(
                        "a factory certificate asks for a device's first certificate, and is nobody's name",
                    );
                }
                let credential = Credential::Factory {
                    certificate: certificate.clone(),
                    not_after_ms: *not_after_ms,
                };
                let principal = Principal::new(Kind::Claim, hoped_for(client_id)?);
                return Ok(Caller::new(principal, credential));
            }
            Peer::Certified {
                kind: Kind::Service, ..
            } => {
                return Err(
                    "a service's certificate does not connect here; services have a listener of their own",
                );
            }
            Peer::Certified {
                kind,
                id,
                serial,
                not_after_ms,
            } => (*kind, id, serial, *not_after_ms),
        };
        if named.is_some_and(|named| named.kind != kind || (kind != Kind::Claim && named.id != *id)) {
            return Err("the certificate is of somebody else than the user name");
        }
        let (id, batch) = match kind {
            Kind::Claim => (hoped_for(client_id)?, Some(id.clone())),
            _ => (id.clone(), None),
        };
        let credential = Credential::Certificate {
            serial: serial.clone(),
            not_after_ms,
        };
        Ok(Caller {
            batch,
            ..Caller::new(Principal::new(kind, id), credential)
        })
    }
}

fn believed(named: Option<Principal>) -> Result<Caller, &'static str> {
    let principal = named.filter(|p| p.kind != Kind::Service);
    let principal = principal.ok_or("this test listener needs a user name such as `devices/pump-7`")?;
    Ok(Caller::new(principal, Credential::Nothing))
}

fn hoped_for(client_id: &str) -> Result<Id, &'static str> {
    let hoped = client_id.split(':').next().unwrap_or_default();
    hoped
        .parse()
        .map_err(|_| "a claim's client id is the device id it hopes for")
}

/// A client id is the principal's id, alone or before a colon and anything printable.
pub(crate) fn client_id_fits(client_id: &str, id: &Id) -> bool {
    let Some(rest) = client_id.strip_prefix(id.as_str()) else {
        return false;
    };
    let printable = rest.chars().all(|c| c.is_ascii_graphic());
    rest.is_empty() || (rest.starts_with(':') && rest.len() <= 65 && printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_ids_begin_with_the_own_id() {
        let id: Id = "pump-7".parse().unwrap();
        for good in ["pump-7", "pump-7:", "pump-7:tool-1"] {
            assert!(client_id_fits(good, &id), "{good}");
        }
        for bad in ["pump-70", "pump", "pump-7/x", "pump-7:a b", "pump-8:pump-7", ""] {
            assert!(!client_id_fits(bad, &id), "{bad}");
        }
    }

    #[test]
    fn a_claim_is_named_by_what_it_hopes_for() {
        let batch = Peer::Certified {
            kind: Kind::Claim,
            id: "lot-4".parse().unwrap(),
            serial: "01".into(),
            not_after_ms: 9,
        };
        let caller = batch.caller("pump-7", None).unwrap();
        assert_eq!(caller.principal.to_string(), "claims/pump-7");
        assert_eq!(caller.batch, Some("lot-4".parse().unwrap()));
        assert!(batch.caller("+", None).is_err());
    }

    #[test]
    fn a_factory_certificate_makes_a_claim_and_nothing_else() {
        let peer = Peer::Factory {
            certificate: Box::new(FactoryCertificate {
                manufacturer: "acme".into(),
                common_name: "operators/ada".into(),
                serial_number: "0a".into(),
                ..FactoryCertificate::default()
            }),
            not_after_ms: 9,
        };
        let caller = peer.caller("ada", None).unwrap();
        assert_eq!(caller.principal.to_string(), "claims/ada");
        assert_eq!((caller.batch.as_ref(), caller.serial()), (None, ""));
        assert_eq!(
            caller.factory().map(|shown| shown.manufacturer.as_str()),
            Some("acme")
        );
        for name in [
            "operators/ada",
            "devices/ada",
            "integrators/ada",
            "services/registry",
        ] {
            assert!(peer.caller("ada", Some(name)).is_err(), "{name}");
        }
        assert!(peer.caller("+", None).is_err());
    }

    #[test]
    fn a_certificate_comes_with_the_own_name_or_with_none() {
        let ada = Peer::Certified {
            kind: Kind::Operator,
            id: "ada".parse().unwrap(),
            serial: "0a".into(),
            not_after_ms: 9,
        };
        for good in [None, Some("operators/ada"), Some("ada"), Some("anything")] {
            assert!(ada.caller("ada", good).is_ok(), "{good:?}");
        }
        for bad in ["operators/bob", "integrators/ada", "devices/ada"] {
            assert!(ada.caller("ada", Some(bad)).is_err(), "{bad}");
        }
        assert!(Peer::Nobody.caller("ada", Some("operators/ada")).is_err());
    }

    #[test]
    fn services_do_not_come_in_by_the_principals_door() {
        assert!(Peer::Believed.caller("x", Some("services/registry")).is_err());
        assert!(Peer::Believed.caller("x", None).is_err());
    }
}
