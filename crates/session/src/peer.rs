//! Who a connection comes from, as the transport vouches for it.

use contract::id::{Id, Kind, Principal};

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
    /// Nothing: a test listener believes the user name.
    Believed,
}

/// Who is connected, and how its requests are marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Kind and name.
    pub principal: Principal,
    /// For a claim: the batch of its certificate.
    pub batch: Option<Id>,
    /// The serial of its certificate, hex; empty when there is none.
    pub serial: String,
    /// When the certificate ends, milliseconds since 1970.
    pub not_after_ms: Option<i64>,
}

impl Peer {
    /// The caller, where a claim is named by the client id that it chose.
    pub(crate) fn caller(&self, client_id: &str, user_name: Option<&str>) -> Result<Caller, &'static str> {
        match self {
            Peer::Believed => {
                let named = user_name.and_then(|name| name.parse::<Principal>().ok());
                let principal = named.filter(|p| p.kind != Kind::Service);
                let principal =
                    principal.ok_or("this test listener needs a user name such as `devices/pump-7`")?;
                Ok(Caller {
                    principal,
                    batch: None,
                    serial: String::new(),
                    not_after_ms: None,
                })
            }
            Peer::Certified {
                kind: Kind::Service, ..
            } => Err("a service's certificate does not connect here; services have a listener of their own"),
            Peer::Certified {
                kind: Kind::Claim,
                id,
                serial,
                not_after_ms,
            } => {
                let hoped = client_id.split(':').next().unwrap_or_default();
                let hoped = hoped
                    .parse()
                    .map_err(|_| "a claim's client id is the device id it hopes for")?;
                Ok(Caller {
                    principal: Principal::new(Kind::Claim, hoped),
                    batch: Some(id.clone()),
                    serial: serial.clone(),
                    not_after_ms: Some(*not_after_ms),
                })
            }
            Peer::Certified {
                kind,
                id,
                serial,
                not_after_ms,
            } => Ok(Caller {
                principal: Principal::new(*kind, id.clone()),
                batch: None,
                serial: serial.clone(),
                not_after_ms: Some(*not_after_ms),
            }),
        }
    }
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
    fn services_do_not_come_in_by_the_principals_door() {
        assert!(Peer::Believed.caller("x", Some("services/registry")).is_err());
        assert!(Peer::Believed.caller("x", None).is_err());
    }
}
