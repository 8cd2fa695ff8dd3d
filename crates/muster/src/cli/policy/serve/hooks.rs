//! What EMQX asks over HTTP, and what it is answered.
//!
//! The form of the answers is EMQX's (EMQX 5 documentation, "Access control": "Use HTTP Service" under
//! authentication, and the same under authorization): 200 with `result`, `allow` or `deny`; any other status makes
//! it ask its next source, or fall back on `no_match`. What it asks is a template of ours, from its placeholders.

use anyhow::Result;
use contract::{
    Root,
    id::{Id, Kind, Principal},
};
use host::clock::wall_ms;
use pki::ClientCertificate;
use serde::Deserialize;
use serde_json::{Value, json};
use session::{Admitted, DeviceManagement, Judge, Peer};

use super::{super::super::why::answers::Answers, known::KnownElsewhere};

/// The attribute that EMQX keeps of a client and shows when it asks again.
const ATTRIBUTE: &str = "muster";

/// A client wants to connect.
#[derive(Debug, Deserialize)]
pub(super) struct Knock {
    clientid: String,
    /// The certificate that TLS has seen, as EMQX writes it: base64 of PEM.
    cert_pem: Option<String>,
    /// Its certificate, PEM, from a broker that takes it for the user name and has nothing else. Not looked at where
    /// there is the other.
    #[serde(default)]
    certificate: String,
    /// The common name that TLS found: the certificate must be of that name.
    common_name: String,
}

/// A client wants to publish or subscribe.
#[derive(Debug, Deserialize)]
pub(super) struct Act {
    clientid: String,
    /// What it was told of the client when that connected.
    identity: String,
    action: Action,
    topic: String,
    /// `true`, as text: a template has nothing else.
    #[serde(default)]
    retain: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Publish,
    Subscribe,
}

/// Whom a certificate names, and which it is: `devices/pump-7/4f`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identified {
    /// For a claim the batch.
    owner: Principal,
    serial: String,
}

impl Identified {
    fn of(certificate: &ClientCertificate) -> Option<Identified> {
        let subject = &certificate.subject;
        let kind = Kind::from_word(subject.kind().word())?;
        let id: Id = subject.id().parse().ok()?;
        Some(Identified {
            owner: Principal::new(kind, id),
            serial: certificate.serial_hex.clone(),
        })
    }

    fn parse(text: &str) -> Option<Identified> {
        let (owner, serial) = text.rsplit_once('/')?;
        Some(Identified {
            owner: owner.parse().ok()?,
            serial: serial.to_owned(),
        })
    }

    fn text(&self) -> String {
        format!("{}/{}", self.owner, self.serial)
    }
}

/// Why somebody may not: for the log, and for nobody else.
#[derive(Debug)]
pub(super) struct Denied {
    /// Who, where a certificate of ours says so.
    pub(super) who: String,
    pub(super) why: String,
    /// It has nothing of ours to show: another's client, perhaps.
    pub(super) stranger: bool,
}

impl Denied {
    fn stranger(why: impl Into<String>) -> Denied {
        Denied {
            who: String::new(),
            why: why.into(),
            stranger: true,
        }
    }

    fn known(who: impl Into<String>, why: impl Into<String>) -> Denied {
        Denied {
            who: who.into(),
            why: why.into(),
            stranger: false,
        }
    }
}

/// Where questions are answered.
pub(super) struct Desk {
    pub(super) policy: DeviceManagement,
    pub(super) root: Root,
    pub(super) renew_after_ms: u64,
    pub(super) known: KnownElsewhere,
}

impl Desk {
    /// Whether a client may connect.
    pub(super) async fn knock(&self, knock: &Knock) -> Result<Result<Value, Denied>> {
        let certificate = match shown(knock) {
            Ok(certificate) => certificate,
            Err(why) => return Ok(Err(why)),
        };
        let Some(who) = Identified::of(&certificate) else {
            return Ok(Err(Denied::stranger("its certificate names nobody")));
        };
        let answers = self.known.about(&who.owner).await?;
        Ok(self
            .judge()
            .admitted(
                &who,
                Some(&certificate.fingerprint_sha256),
                &knock.clientid,
                &answers,
            )
            .map(|admitted| welcome(&who, &admitted)))
    }

    /// Whether a client may do something.
    pub(super) async fn act(&self, act: &Act) -> Result<Result<Value, Denied>> {
        let Some(who) = Identified::parse(&act.identity) else {
            return Ok(Err(Denied::stranger("it was not let in by us")));
        };
        let answers = self.known.about(&who.owner).await?;
        Ok(self
            .judge()
            .may(&who, act, &answers)
            .map(|()| json!({ "result": "allow" })))
    }

    fn judge(&self) -> Bench<'_> {
        Bench(Judge::new(&self.policy, &self.root, self.renew_after_ms))
    }
}

/// The certificate, if it is the one that TLS has seen.
fn shown(knock: &Knock) -> Result<ClientCertificate, Denied> {
    let read = match &knock.cert_pem {
        Some(told) => ClientCertificate::parse_told(told),
        None => ClientCertificate::parse_pem(&knock.certificate),
    };
    let certificate = read.map_err(|error| Denied::stranger(error.to_string()))?;
    if certificate.subject.id() != knock.common_name {
        let why = format!(
            "the certificate that it is said to have is of `{}`, and the one that it showed is of another name",
            certificate.subject.id(),
        );
        return Err(Denied::known("", why));
    }
    Ok(certificate)
}

fn welcome(who: &Identified, admitted: &Admitted) -> Value {
    let mut welcome = json!({
        "result": "allow",
        "is_superuser": false,
        "client_attrs": { ATTRIBUTE: who.text() },
    });
    // Seconds since 1970; before EMQX 5.8 it is not looked at.
    if let Some(until_ms) = admitted.until_ms {
        welcome["expire_at"] = (until_ms / 1_000).into();
    }
    welcome
}

/// The front door's judge, where certificates are known by what provisioning has of them.
struct Bench<'a>(Judge<'a>);

impl Bench<'_> {
    /// With a fingerprint the certificate must be the very one that was issued.
    fn admitted(
        &self,
        who: &Identified,
        fingerprint: Option<&str>,
        client_id: &str,
        answers: &Answers,
    ) -> Result<Admitted, Denied> {
        let record = answers
            .certificates
            .iter()
            .find(|record| record.serial == who.serial);
        let owner = who.owner.to_string();
        let record = record
            .filter(|record| fingerprint.is_none_or(|shown| shown == record.fingerprint))
            .ok_or_else(|| Denied::known(&owner, "this certificate was not issued here"))?;
        let peer = Peer::Certified {
            kind: who.owner.kind,
            id: who.owner.id.clone(),
            serial: who.serial.clone(),
            not_after_ms: record.not_after_ms,
        };
        self.0
            .admit(&peer, client_id, answers, wall_ms())
            .map_err(|denial| Denied::known(&owner, denial.0))
    }

    fn may(&self, who: &Identified, act: &Act, answers: &Answers) -> Result<(), Denied> {
        let admitted = self.admitted(who, None, &act.clientid, answers)?;
        let why = match act.action {
            Action::Publish => {
                let retain = act.retain == Value::Bool(true) || act.retain == "true";
                let asked = self.0.publish(&admitted, &act.topic, retain);
                asked.map(|_| ()).map_err(|refusal| refusal.message)
            }
            Action::Subscribe => {
                let granted = self.0.subscribe(&admitted, &act.topic);
                granted.map_err(|why| format!("a subscription is not granted: {why:?}"))
            }
        };
        why.map_err(|why| Denied::known(who.owner.to_string(), why))
    }
}

#[cfg(test)]
mod tests {
    use contract::v1::{Certificate, CertificateStatus, Device, Restriction, Stage};

    use super::*;

    const FAR: i64 = 4_000_000_000_000;

    fn answers(restriction: Restriction, status: CertificateStatus) -> Answers {
        let device = Device {
            device_id: "pump-7".into(),
            stage: Stage::Active.into(),
            restriction: restriction.into(),
            ..Device::default()
        };
        let certificate = Certificate {
            serial: "4f".into(),
            kind: "devices".into(),
            id: "pump-7".into(),
            status: status.into(),
            not_after_ms: FAR,
            fingerprint: "print".into(),
            ..Certificate::default()
        };
        Answers::of_device(Some(device), vec![certificate])
    }

    fn act(text: &str) -> Act {
        serde_json::from_str(text).unwrap()
    }

    fn may(text: &str, answers: &Answers) -> Result<(), Denied> {
        let root = Root::default();
        let policy = DeviceManagement::new(root.clone(), 0);
        let act = act(text);
        let who = Identified::parse(&act.identity).ok_or_else(|| Denied::stranger("no identity"))?;
        Bench(Judge::new(&policy, &root, 0)).may(&who, &act, answers)
    }

    #[test]
    fn what_a_template_of_texts_says_is_judged() {
        let fine = answers(Restriction::None, CertificateStatus::Active);
        let ask = |action: &str, topic: &str, more: &str| {
            format!(
                r#"{{"clientid":"pump-7:1","identity":"devices/pump-7/4f","action":"{action}","topic":"{topic}"{more}}}"#
            )
        };
        let report = "muster/v1/devices/pump-7/up/registry/report";
        for (text, expected) in [
            (ask("publish", report, ""), true),
            (ask("publish", report, r#","retain":"false""#), true),
            (ask("publish", report, r#","retain":"true""#), false),
            (ask("publish", report, r#","retain":true"#), false),
            (
                ask("publish", "muster/v1/devices/pump-8/up/registry/report", ""),
                false,
            ),
            (
                ask(
                    "subscribe",
                    "muster/v1/devices/pump-7/down/#",
                    r#","retain":"undefined""#,
                ),
                true,
            ),
            (ask("subscribe", "#", ""), false),
            (ask("publish", report, "").replace("pump-7:1", "pump-8"), false),
            (ask("publish", report, "").replace("/4f", "/50"), false),
            (
                ask("publish", report, "").replace("devices/pump-7/4f", "undefined"),
                false,
            ),
        ] {
            assert_eq!(may(&text, &fine).is_ok(), expected, "{text}");
        }
        for (restriction, status) in [
            (Restriction::Suspended, CertificateStatus::Active),
            (Restriction::None, CertificateStatus::Revoked),
        ] {
            assert!(may(&ask("publish", report, ""), &answers(restriction, status)).is_err());
        }
    }

    #[test]
    fn only_the_very_certificate_that_was_issued_opens() {
        let root = Root::default();
        let policy = DeviceManagement::new(root.clone(), 0);
        let bench = Bench(Judge::new(&policy, &root, 0));
        let who = Identified::parse("devices/pump-7/4f").unwrap();
        let fine = answers(Restriction::None, CertificateStatus::Active);
        let admitted = bench.admitted(&who, Some("print"), "pump-7", &fine).unwrap();
        let expected = json!({
            "result": "allow", "is_superuser": false, "client_attrs": {"muster": "devices/pump-7/4f"},
            "expire_at": FAR / 1_000,
        });
        assert_eq!(welcome(&who, &admitted), expected);
        assert!(bench.admitted(&who, Some("another"), "pump-7", &fine).is_err());
    }
}
