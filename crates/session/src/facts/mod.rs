//! The front door's copy of what it must know: devices, people, certificates.

use std::collections::{HashMap, HashSet};

use contract::{
    IdPattern, Root, Topic, event,
    id::{Kind, Principal, ServiceName},
    v1::{
        Admission, Beacon, CertificateFact, CertificateStatus, Claim, DeviceFact, Fact, FactsAfter,
        FactsPage, Grant, LoginFact, Manufacturer, PrincipalFact, Restriction, Role, Stage,
    },
};
use prost::Message;
use service::follower::{Cursor, Follower, Step};

use crate::{login::KnownLogin, policy::Known};

/// A device, as far as the front door must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDevice {
    /// The stage of its life.
    pub stage: Stage,
    /// Its restriction.
    pub restriction: Restriction,
    /// Its groups.
    pub groups: Vec<String>,
}

/// An operator or an integrator.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownPerson {
    /// The role.
    pub role: Role,
    /// Filters below `events/`.
    pub event_filters: Vec<String>,
    /// Devices whose data they may read: ids, or `+`.
    pub data_devices: Vec<String>,
    /// Shut out.
    pub disabled: bool,
    /// An operator's besides the role.
    pub grants: Vec<Grant>,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCertificate {
    /// The owner's kind, as the word in topics.
    pub kind: String,
    /// The owner, or a claim's batch.
    pub id: String,
    /// What it is worth.
    pub status: CertificateStatus,
    /// The revocation that the receipt must name.
    pub revocation: String,
}

/// A batch of claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBatch {
    /// Which ids it opens.
    pub ids: IdPattern,
    /// The serial of its certificate.
    pub serial: String,
    /// It opens nothing any more.
    pub revoked: bool,
    /// Whoever holds it needs no secret, no announced key and nobody's word besides.
    pub opens_alone: bool,
}

impl From<Claim> for KnownBatch {
    fn from(claim: Claim) -> KnownBatch {
        KnownBatch {
            opens_alone: !matches!(
                claim.admission(),
                Admission::Secret | Admission::Manual | Admission::Hook | Admission::Announced
            ),
            // Provisioning has read it before it told it, and looks again.
            ids: claim.id_pattern.parse().unwrap_or_default(),
            serial: claim.serial,
            revoked: claim.revoked,
        }
    }
}

/// A manufacturer whose certificates let devices in.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownManufacturer(pub Manufacturer);

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A device's stage or restriction.
    Device(String),
    /// A person's role or grants, or what they log in with; `operators.ada`.
    Person(String),
    /// A certificate's status, by serial.
    Certificate(String),
    /// What a batch of claims opens.
    Batch(String),
    /// Whom a manufacturer's certificates let in.
    Manufacturer(String),
}

/// The copies, kept by one follower for each owner.
pub struct Copies {
    registry: Copy,
    provisioning: Copy,
    devices: HashMap<String, KnownDevice>,
    people: HashMap<String, KnownPerson>,
    logins: HashMap<String, KnownLogin>,
    certificates: HashMap<String, KnownCertificate>,
    batches: HashMap<String, KnownBatch>,
    manufacturers: HashMap<String, KnownManufacturer>,
    /// Grows whenever these change.
    manufacturers_change: u64,
}

struct Copy {
    follower: Follower,
    /// What a whole copy under way has named so far: entity and id.
    named: HashSet<(String, String)>,
}

impl Copy {
    fn of(owner: ServiceName) -> Copy {
        Copy {
            follower: Follower::resume(owner, Cursor::default()),
            named: HashSet::new(),
        }
    }
}

impl Default for Copies {
    fn default() -> Self {
        Copies {
            registry: Copy::of(ServiceName::Registry),
            provisioning: Copy::of(ServiceName::Provisioning),
            devices: HashMap::new(),
            people: HashMap::new(),
            logins: HashMap::new(),
            certificates: HashMap::new(),
            batches: HashMap::new(),
            manufacturers: HashMap::new(),
            manufacturers_change: 1,
        }
    }
}

impl Known for Copies {
    fn device(&self, id: &str) -> Option<&KnownDevice> {
        self.devices.get(id)
    }

    fn person(&self, who: &Principal) -> Option<&KnownPerson> {
        self.people.get(&format!("{}.{}", who.kind, who.id))
    }

    fn login(&self, who: &Principal) -> Option<&KnownLogin> {
        self.logins.get(&format!("{}.{}", who.kind, who.id))
    }

    fn certificate(&self, serial: &str) -> Option<&KnownCertificate> {
        self.certificates.get(serial)
    }

    fn batch(&self, id: &str) -> Option<&KnownBatch> {
        self.batches.get(id)
    }

    fn manufacturer(&self, name: &str) -> Option<&KnownManufacturer> {
        self.manufacturers.get(name)
    }
}

impl Copies {
    /// The groups of the device that an event is about, or the group itself and those that it lies within; none for all
    /// other events. `data` is the event's, where the topic does not say.
    pub fn groups_of(&self, root: &Root, topic: &str, data: impl Fn() -> Option<Vec<u8>>) -> Vec<String> {
        let of_device = |id: &str| self.devices.get(id).map(|d| d.groups.clone()).unwrap_or_default();
        match root.parse_topic(topic) {
            Some(Topic::Event { subject, .. }) => match event::groups_of(&subject, &data) {
                Some(groups) => groups,
                None => event::device_of(&subject, &data).map_or_else(Vec::new, |id| of_device(&id)),
            },
            Some(Topic::Up { who, .. }) if who.kind == Kind::Device => of_device(who.id.as_str()),
            _ => Vec::new(),
        }
    }

    /// The manufacturers, and the number of their last change.
    pub(crate) fn manufacturers(&self) -> (u64, impl Iterator<Item = &Manufacturer>) {
        let all = self.manufacturers.values().map(|known| &known.0);
        (self.manufacturers_change, all)
    }

    /// Whether both copies hold all their owners had when they last answered.
    pub fn is_whole(&self) -> bool {
        self.registry.follower.is_whole() && self.provisioning.follower.is_whole()
    }

    /// Whether the copy holds what this owner has told; true of those whose facts are not copied.
    pub fn has_caught_up(&self, owner: ServiceName) -> bool {
        match owner {
            ServiceName::Registry => self.registry.follower.is_whole(),
            ServiceName::Provisioning => self.provisioning.follower.is_whole(),
            _ => true,
        }
    }

    /// Whether an owner has been silent for too long.
    pub fn is_stale(&self, mono_ms: u64) -> bool {
        self.registry.follower.is_stale(mono_ms) || self.provisioning.follower.is_stale(mono_ms)
    }

    /// The owner's connection is lost.
    pub fn disconnected(&mut self, owner: ServiceName) {
        if let Some(copy) = self.copy(owner) {
            copy.follower.disconnected();
        }
    }

    /// What to ask an owner, now.
    pub fn poll(&mut self, owner: ServiceName, mono_ms: u64) -> Option<FactsAfter> {
        let copy = self.copy(owner)?;
        let question = copy.follower.poll(mono_ms)?;
        if question.after == 0 {
            copy.named.clear();
        }
        Some(question)
    }

    /// A change was published.
    pub fn on_fact(&mut self, owner: ServiceName, fact: &Fact, mono_ms: u64) -> Vec<Change> {
        let Some(copy) = self.copy(owner) else {
            return Vec::new();
        };
        let step = copy.follower.on_fact(fact, mono_ms);
        self.take(owner, step)
    }

    /// An owner told its head.
    pub fn on_beacon(&mut self, owner: ServiceName, beacon: &Beacon, mono_ms: u64) {
        if let Some(copy) = self.copy(owner) {
            copy.follower.on_beacon(beacon, mono_ms);
        }
    }

    /// A page that was asked for.
    pub fn on_page(&mut self, owner: ServiceName, page: FactsPage, mono_ms: u64) -> Vec<Change> {
        let Some(copy) = self.copy(owner) else {
            return Vec::new();
        };
        let step = copy.follower.on_page(page, mono_ms);
        self.take(owner, step)
    }

    fn copy(&mut self, owner: ServiceName) -> Option<&mut Copy> {
        match owner {
            ServiceName::Registry => Some(&mut self.registry),
            ServiceName::Provisioning => Some(&mut self.provisioning),
            _ => None,
        }
    }

    fn take(&mut self, owner: ServiceName, step: Step) -> Vec<Change> {
        let mut changes = Vec::new();
        for fact in &step.apply {
            changes.extend(self.apply(
                owner,
                &fact.entity,
                &fact.id,
                (!fact.deleted).then_some(&fact.value),
            ));
        }
        if step.whole {
            let names = step.apply.into_iter().map(|fact| (fact.entity, fact.id));
            if let Some(copy) = self.copy(owner) {
                copy.named.extend(names);
            }
        }
        if step.swap {
            changes.extend(self.drop_unnamed(owner));
        }
        changes
    }

    fn apply(
        &mut self,
        owner: ServiceName,
        entity: &str,
        id: &str,
        value: Option<&Vec<u8>>,
    ) -> Option<Change> {
        let id = id.to_owned();
        match (owner, entity) {
            (ServiceName::Registry, "device") => {
                let fact = value.and_then(|v| DeviceFact::decode(v.as_slice()).ok());
                let known = fact.map(|f| KnownDevice {
                    stage: f.stage(),
                    restriction: f.restriction(),
                    groups: f.groups,
                });
                set(&mut self.devices, &id, known).then_some(Change::Device(id))
            }
            (ServiceName::Registry, "principal") => {
                let fact = value.and_then(|v| PrincipalFact::decode(v.as_slice()).ok());
                let known = fact.map(|f| KnownPerson {
                    role: f.role(),
                    event_filters: f.event_filters,
                    data_devices: f.data_devices,
                    disabled: f.disabled,
                    grants: f.grants,
                });
                set(&mut self.people, &id, known).then_some(Change::Person(id))
            }
            (ServiceName::Registry, "login") => {
                let fact = value.and_then(|v| LoginFact::decode(v.as_slice()).ok());
                let known = fact.map(KnownLogin::from);
                set(&mut self.logins, &id, known).then_some(Change::Person(id))
            }
            (ServiceName::Provisioning, "certificate") => {
                let fact = value.and_then(|v| CertificateFact::decode(v.as_slice()).ok());
                let known = fact.map(|f| KnownCertificate {
                    status: f.status(),
                    kind: f.kind,
                    id: f.id,
                    revocation: f.revocation,
                });
                set(&mut self.certificates, &id, known).then_some(Change::Certificate(id))
            }
            (ServiceName::Provisioning, "claim") => {
                let claim = value.and_then(|v| Claim::decode(v.as_slice()).ok());
                let known = claim.map(KnownBatch::from);
                set(&mut self.batches, &id, known).then_some(Change::Batch(id))
            }
            (ServiceName::Provisioning, "manufacturer") => {
                let made = value.and_then(|v| Manufacturer::decode(v.as_slice()).ok());
                let has_changed = set(&mut self.manufacturers, &id, made.map(KnownManufacturer));
                self.manufacturers_change += u64::from(has_changed);
                has_changed.then_some(Change::Manufacturer(id))
            }
            _ => None,
        }
    }

    /// What a complete copy did not name is gone.
    fn drop_unnamed(&mut self, owner: ServiceName) -> Vec<Change> {
        let Some(copy) = self.copy(owner) else {
            return Vec::new();
        };
        let named = std::mem::take(&mut copy.named);
        let unnamed = |entity: &str, ids: Vec<String>| {
            let gone = ids
                .into_iter()
                .filter(|id| !named.contains(&(entity.to_owned(), id.clone())));
            gone.map(|id| (entity.to_owned(), id)).collect::<Vec<_>>()
        };
        let gone = match owner {
            ServiceName::Registry => {
                let mut gone = unnamed("device", self.devices.keys().cloned().collect());
                gone.extend(unnamed("principal", self.people.keys().cloned().collect()));
                gone.extend(unnamed("login", self.logins.keys().cloned().collect()));
                gone
            }
            _ => {
                let mut gone = unnamed("certificate", self.certificates.keys().cloned().collect());
                gone.extend(unnamed("claim", self.batches.keys().cloned().collect()));
                let manufacturers = self.manufacturers.keys().cloned().collect();
                gone.extend(unnamed("manufacturer", manufacturers));
                gone
            }
        };
        gone.into_iter()
            .filter_map(|(entity, id)| self.apply(owner, &entity, &id, None))
            .collect()
    }
}

/// Sets or removes; whether that changed anything.
fn set<T: PartialEq>(map: &mut HashMap<String, T>, id: &str, value: Option<T>) -> bool {
    match value {
        Some(value) if map.get(id) == Some(&value) => false,
        Some(value) => {
            map.insert(id.to_owned(), value);
            true
        }
        None => map.remove(id).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str, stage: Stage, sequence: u64) -> Fact {
        let value = DeviceFact {
            device_id: id.into(),
            stage: stage as i32,
            ..DeviceFact::default()
        };
        Fact {
            epoch: 7,
            sequence,
            entity: "device".into(),
            id: id.into(),
            value: value.encode_to_vec(),
            deleted: false,
        }
    }

    fn answer(copies: &mut Copies, facts: Vec<Fact>, complete: bool, mono: u64) -> Vec<Change> {
        let owner = ServiceName::Registry;
        let question = copies.poll(owner, mono).unwrap();
        let last = facts.last().map_or(0, |f| f.sequence);
        let page = FactsPage {
            request_id: question.request_id,
            epoch: 7,
            facts,
            last,
            complete,
            whole: true,
        };
        copies.on_page(owner, page, mono)
    }

    #[test]
    fn a_whole_copy_replaces_what_it_does_not_name() {
        let mut copies = Copies::default();
        let first = vec![device("a", Stage::Active, 1), device("b", Stage::Active, 2)];
        assert_eq!(answer(&mut copies, first, true, 0).len(), 2);
        assert!(copies.device("a").is_some());
        copies.disconnected(ServiceName::Registry);
        let second = vec![device("b", Stage::Active, 2)];
        assert_eq!(
            answer(&mut copies, second, true, 10_000),
            [Change::Device("a".into())]
        );
        assert!(copies.device("a").is_none() && copies.device("b").is_some());
    }

    #[test]
    fn a_change_that_says_nothing_new_is_none() {
        let mut copies = Copies::default();
        answer(&mut copies, vec![device("a", Stage::Active, 1)], true, 0);
        assert!(
            copies
                .on_fact(ServiceName::Registry, &device("a", Stage::Active, 2), 1)
                .is_empty()
        );
        let changed = copies.on_fact(ServiceName::Registry, &device("a", Stage::Retired, 3), 1);
        assert_eq!(changed, [Change::Device("a".into())]);
    }
}
