//! What the services say of one principal, in the form in which the front door knows it.

use std::collections::HashMap;

use anyhow::Result;
use client::{AskError, Client};
use contract::{
    Code, IdPattern,
    id::{Kind, Principal, ServiceName},
    v1::{
        Authorities, Certificate, CertificateStatus, Claim, Device, DeviceShown, DeviceStatus,
        GetAuthorities, ListTokens, LoginToken, Manufacturer, Person, RefusedShown, RefusedTry, ShowDevice,
        ShowRefused, ShowStatus, StatusShown, TokensListed,
    },
    wire::Wire,
};
use host::clock::wall_ms;
use session::{Known, KnownBatch, KnownCertificate, KnownDevice, KnownLogin, KnownPerson, KnownToken};

use super::super::{global::explain, whole};

/// All that matters for one principal's way in.
#[derive(Default)]
pub(in crate::cli) struct Answers {
    pub(super) device: Option<Device>,
    pub(super) status: Option<DeviceStatus>,
    /// The last time that it was not let in; of a device also as one that has no identity yet.
    pub(super) refused: Option<RefusedTry>,
    /// Whose certificates may open a device.
    pub(super) manufacturers: Vec<Manufacturer>,
    /// The newest first.
    pub(in crate::cli) certificates: Vec<Certificate>,
    /// What a person may log in with; the one that ends last comes first.
    pub(super) tokens: Vec<LoginToken>,
    /// What the server says of its issuing CAs, and of how long after its end a certificate renews.
    pub(super) authorities: Option<Authorities>,
    /// Of a device without a certificate that counts: the claims that still open something.
    pub(super) claims: Option<Vec<Claim>>,
    /// The ids that a claim opens.
    pub(super) ids: IdPattern,
    known_login: KnownLogin,
    known_device: Option<KnownDevice>,
    known_person: Option<KnownPerson>,
    known_certificates: HashMap<String, KnownCertificate>,
    known_batch: Option<KnownBatch>,
}

impl Answers {
    /// And whether it is there, if it is a device.
    pub(super) async fn about(client: &Client, who: &Principal) -> Result<Answers> {
        let mut answers = Answers::known(client, who).await?;
        answers.take_refusal(client, who).await?;
        let numbered = |device: &Device| !device.serial_number.is_empty();
        if answers.device.as_ref().is_some_and(numbered) {
            answers.manufacturers = whole::manufacturers(client).await?;
        }
        if let Some(batch) = &mut answers.known_batch {
            // Asked about is the claim itself, and not an id that somebody hopes for with it.
            answers.ids = std::mem::take(&mut batch.ids);
        }
        if who.kind == Kind::Device {
            let show = ShowStatus {
                device_id: who.id.to_string(),
                ..ShowStatus::default()
            };
            let shown: Option<StatusShown> = found(client, ServiceName::Monitoring, &show).await?;
            answers.status = shown.and_then(|shown| shown.status);
            if !answers.certificates.iter().any(counts) {
                // Who may not look at claims is told the rest all the same.
                let claims = whole::claims(client).await.ok();
                answers.claims = claims.map(|all| all.into_iter().filter(is_open).collect());
            }
        }
        let asked = GetAuthorities::default();
        let told = client.ask(ServiceName::Provisioning, "authorities", &asked).await;
        answers.authorities = Some(told.map_err(explain)?);
        Ok(answers)
    }

    /// What the front door goes by. Of a claim `who` is its batch.
    pub(in crate::cli) async fn known(client: &Client, who: &Principal) -> Result<Answers> {
        let mut answers = Answers::default();
        match who.kind {
            Kind::Device => answers.take_device(client, who).await?,
            Kind::Claim => answers.take_claim(client, who).await?,
            _ => answers.take_person(client, who).await?,
        }
        answers.know_certificates(whole::certificates_of(client, who).await?);
        Ok(answers)
    }

    /// Whoever may not hear of it is told the rest.
    async fn take_refusal(&mut self, client: &Client, who: &Principal) -> Result<()> {
        if who.kind == Kind::Claim {
            // Asked about is the claim itself, and not an id that somebody hopes for with it.
            return Ok(());
        }
        let show = ShowRefused {
            kind: who.kind.word().into(),
            id: who.id.to_string(),
            ..ShowRefused::default()
        };
        let shown: Result<RefusedShown, AskError> =
            client.ask(ServiceName::Monitoring, "refused", &show).await;
        self.refused = match shown {
            Ok(shown) => shown.refused,
            Err(AskError::Refused(refusal)) if matches!(refusal.code, Code::NotFound | Code::Denied) => None,
            Err(error) => return Err(explain(error)),
        };
        Ok(())
    }

    async fn take_device(&mut self, client: &Client, who: &Principal) -> Result<()> {
        let show = ShowDevice {
            device_id: who.id.to_string(),
            ..ShowDevice::default()
        };
        let shown: Option<DeviceShown> = found(client, ServiceName::Registry, &show).await?;
        self.know_device(shown.and_then(|shown| shown.device));
        Ok(())
    }

    async fn take_person(&mut self, client: &Client, who: &Principal) -> Result<()> {
        let people = whole::people(client).await?;
        let is_meant = |person: &Person| person.kind == who.kind.word() && person.id == who.id.as_str();
        let person = people.into_iter().find(is_meant);
        self.known_person = person.map(|person| KnownPerson {
            role: person.role(),
            event_filters: person.event_filters,
            data_devices: person.data_devices,
            disabled: person.disabled,
            grants: person.grants,
        });
        if self.known_person.is_some() {
            let ask = ListTokens {
                kind: who.kind.word().into(),
                id: who.id.to_string(),
                ..ListTokens::default()
            };
            let asked = client.ask(ServiceName::Registry, "tokens", &ask).await;
            let listed: TokensListed = asked.map_err(explain)?;
            self.known_login.password = listed.password;
            self.know_tokens(listed.tokens);
        }
        Ok(())
    }

    fn know_tokens(&mut self, mut tokens: Vec<LoginToken>) {
        tokens.sort_by_key(|token| std::cmp::Reverse(token.expires_ms));
        let known = tokens.iter().map(|token| KnownToken {
            id: token.token_id.clone(),
            digest: Default::default(),
            not_after_ms: token.expires_ms,
        });
        self.known_login.tokens = known.collect();
        self.tokens = tokens;
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

    /// Whether it is a person that the registry knows and lets in, or a claim.
    pub(super) fn is_known_person_or_claim(&self) -> bool {
        self.known_batch.is_some() || self.known_person.as_ref().is_some_and(|person| !person.disabled)
    }

    /// Whether a certificate's issuing CA is trusted no more.
    pub(super) fn has_lost_its_ca(&self, certificate: &Certificate) -> bool {
        let told = self.authorities.as_ref();
        told.is_some_and(|told| !told.authorities.iter().any(|one| one.id == certificate.issuer))
    }

    /// How long after its end a device's certificate still renews, as the server says.
    pub(super) fn renew_after_ms(&self) -> u64 {
        self.authorities.as_ref().map_or(0, |told| told.renew_after_ms)
    }

    /// Which password a person has; 0: none.
    pub(super) fn password(&self) -> u64 {
        self.known_login.password
    }

    #[cfg(test)]
    pub(super) fn with_password(mut self, password: u64) -> Answers {
        self.known_login.password = password;
        self
    }

    #[cfg(test)]
    pub(super) fn of_person(role: contract::v1::Role, tokens: Vec<LoginToken>) -> Answers {
        let mut answers = Answers {
            known_person: Some(KnownPerson {
                role,
                event_filters: Vec::new(),
                data_devices: Vec::new(),
                disabled: false,
                grants: Vec::new(),
            }),
            ..Answers::default()
        };
        answers.know_tokens(tokens);
        answers
    }

    #[cfg(test)]
    pub(in crate::cli) fn of_device(device: Option<Device>, certificates: Vec<Certificate>) -> Answers {
        let mut answers = Answers::default();
        answers.know_device(device);
        answers.know_certificates(certificates);
        answers
    }
}

fn counts(certificate: &Certificate) -> bool {
    matches!(
        certificate.status(),
        CertificateStatus::Issued | CertificateStatus::Active
    )
}

fn is_open(claim: &Claim) -> bool {
    !claim.revoked && claim.expires_ms > wall_ms()
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

    fn login(&self, _: &Principal) -> Option<&KnownLogin> {
        Some(&self.known_login)
    }

    fn certificate(&self, serial: &str) -> Option<&KnownCertificate> {
        self.known_certificates.get(serial)
    }

    fn batch(&self, _: &str) -> Option<&KnownBatch> {
        self.known_batch.as_ref()
    }
}
