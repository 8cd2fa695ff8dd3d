//! What the services say of one principal, in the form in which the front door knows it.

use std::collections::HashMap;

use anyhow::Result;
use client::{AskError, Client};
use contract::{
    Code,
    id::{Kind, Principal, ServiceName},
    v1::{
        Certificate, Claim, Device, DeviceShown, DeviceStatus, Person, ShowDevice, ShowStatus, StatusShown,
    },
    wire::Wire,
};
use session::{Known, KnownBatch, KnownCertificate, KnownDevice, KnownPerson};

use super::super::{global::explain, whole};

/// All that matters for one principal's way in.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) device: Option<Device>,
    pub(super) status: Option<DeviceStatus>,
    /// The newest first.
    pub(super) certificates: Vec<Certificate>,
    known_device: Option<KnownDevice>,
    known_person: Option<KnownPerson>,
    known_certificates: HashMap<String, KnownCertificate>,
    known_batch: Option<KnownBatch>,
}

impl Answers {
    pub(super) async fn about(client: &Client, who: &Principal) -> Result<Answers> {
        let mut answers = Answers::default();
        match who.kind {
            Kind::Device => answers.take_device(client, who).await?,
            Kind::Claim => answers.take_claim(client, who).await?,
            _ => answers.take_person(client, who).await?,
        }
        answers.know_certificates(whole::certificates_of(client, who).await?);
        Ok(answers)
    }

    async fn take_device(&mut self, client: &Client, who: &Principal) -> Result<()> {
        let device_id = who.id.to_string();
        let show = ShowDevice {
            device_id: device_id.clone(),
            ..ShowDevice::default()
        };
        let shown: Option<DeviceShown> = found(client, ServiceName::Registry, &show).await?;
        self.know_device(shown.and_then(|shown| shown.device));
        let show = ShowStatus {
            device_id,
            ..ShowStatus::default()
        };
        let shown: Option<StatusShown> = found(client, ServiceName::Monitoring, &show).await?;
        self.status = shown.and_then(|shown| shown.status);
        Ok(())
    }

    async fn take_person(&mut self, client: &Client, who: &Principal) -> Result<()> {
        let people = whole::people(client).await?;
        let is_meant = |person: &Person| person.kind == who.kind.word() && person.id == who.id.as_str();
        let person = people.into_iter().find(is_meant);
        self.known_person = person.map(|person| KnownPerson {
            role: person.role(),
            event_filters: person.event_filters,
            disabled: person.disabled,
            grants: person.grants,
        });
        Ok(())
    }

    async fn take_claim(&mut self, client: &Client, who: &Principal) -> Result<()> {
        let claims = whole::claims(client).await?;
        let is_meant = |claim: &Claim| claim.batch == who.id.as_str();
        let claim = claims.into_iter().find(is_meant);
        self.known_batch = claim.map(KnownBatch::from);
        Ok(())
    }

    fn know_device(&mut self, device: Option<Device>) {
        self.known_device = device.as_ref().map(|device| KnownDevice {
            stage: device.stage(),
            restriction: device.restriction(),
            groups: device.groups.clone(),
        });
        self.device = device;
    }

    fn know_certificates(&mut self, mut certificates: Vec<Certificate>) {
        certificates.sort_by_key(|certificate| std::cmp::Reverse(certificate.issued_at_ms));
        let known = certificates.iter().map(|certificate| {
            let known = KnownCertificate {
                kind: certificate.kind.clone(),
                id: certificate.id.clone(),
                status: certificate.status(),
                revocation: String::new(),
            };
            (certificate.serial.clone(), known)
        });
        self.known_certificates = known.collect();
        self.certificates = certificates;
    }

    #[cfg(test)]
    pub(super) fn of_device(device: Option<Device>, certificates: Vec<Certificate>) -> Answers {
        let mut answers = Answers::default();
        answers.know_device(device);
        answers.know_certificates(certificates);
        answers
    }
}

/// An entity that may not be there.
async fn found<Reply: Wire>(
    client: &Client,
    service: ServiceName,
    request: &impl Wire,
) -> Result<Option<Reply>> {
    match client.ask(service, "show", request).await {
        Ok(reply) => Ok(Some(reply)),
        Err(AskError::Refused(refusal)) if refusal.code == Code::NotFound => Ok(None),
        Err(error) => Err(explain(error)),
    }
}

impl Known for Answers {
    fn device(&self, _: &str) -> Option<&KnownDevice> {
        self.known_device.as_ref()
    }

    fn person(&self, _: &Principal) -> Option<&KnownPerson> {
        self.known_person.as_ref()
    }

    fn certificate(&self, serial: &str) -> Option<&KnownCertificate> {
        self.known_certificates.get(serial)
    }

    fn batch(&self, _: &str) -> Option<&KnownBatch> {
        self.known_batch.as_ref()
    }
}
