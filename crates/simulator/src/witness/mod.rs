//! The witness sees everything that was promised and everything that is on the disks, and compares.

mod log;
pub(crate) mod orders;
mod reports;
mod rest;

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    ServiceName,
    v1::{CertificateFact, CertificateStatus, DeviceFact, Restriction, Stage},
};
use prost::Message;
use serde_json::Value;
use service::{inspect, store::Read};
use session::Peer;

use self::{
    log::Log,
    orders::{Order, Orders},
    reports::Reports,
};
use crate::{
    disk::Rows,
    genesis,
    invariant::{Invariant, Violation},
    plan::Act,
};

/// All that is remembered of what was promised.
pub(crate) struct Witness {
    logs: BTreeMap<ServiceName, Log>,
    rows: BTreeMap<ServiceName, Rows>,
    reports: Reports,
    pub(crate) orders: Orders,
    batch: Option<Peer>,
    /// Its certificate, PEM.
    batch_pem: Option<String>,
    /// Up to where each copy was found equal.
    compared: BTreeMap<(ServiceName, ServiceName), (u64, u64)>,
    /// Certificates whose revocation was answered: when, by serial.
    dead_serials: BTreeMap<String, u64>,
    /// States that are final, as they were first seen: fact and value.
    retired: BTreeSet<String>,
    revoked: BTreeSet<String>,
    /// A device that the operator has just been told is restricted.
    told_restricted: Option<String>,
    /// How long services keep events, milliseconds; 0: for ever.
    keep_events_ms: u64,
    /// How far the wall clock was ahead at most, milliseconds.
    ahead_ms: i64,
}

impl Witness {
    pub(crate) fn new(rows: BTreeMap<ServiceName, Rows>, keep_events_ms: u64) -> Witness {
        Witness {
            logs: ServiceName::KEEPERS
                .map(|service| (service, Log::default()))
                .into(),
            rows,
            reports: Reports::default(),
            orders: Orders::default(),
            batch: None,
            batch_pem: None,
            compared: BTreeMap::new(),
            dead_serials: BTreeMap::new(),
            retired: BTreeSet::new(),
            revoked: BTreeSet::new(),
            told_restricted: None,
            keep_events_ms,
            ahead_ms: 0,
        }
    }

    /// The claim certificate, once the operator has it.
    pub(crate) fn batch(&self) -> Option<Peer> {
        self.batch.clone()
    }

    /// Its certificate, PEM.
    pub(crate) fn batch_pem(&self) -> Option<String> {
        self.batch_pem.clone()
    }

    // What clients tell.

    /// A device sends a report, perhaps not for the first time.
    pub(crate) fn sent(&mut self, device: &str, number: u64, serial: &str, at_ms: u64) {
        self.reports.sent(device, number, serial, at_ms);
    }

    /// A report was refused for good: nobody waits for it.
    pub(crate) fn refused(&mut self, device: &str, number: u64) {
        self.reports.refused(device, number);
    }

    /// A report was acknowledged: it must be on the disk now (I1).
    pub(crate) fn acknowledged(&mut self, device: &str, number: u64, at_ms: u64) -> Result<(), Violation> {
        self.look(ServiceName::Registry, at_ms)?;
        self.reports
            .acknowledged(device, number)
            .map_err(|seen| Violation {
                invariant: Invariant::Acknowledged,
                seen,
                at_ms,
            })
    }

    /// A device has been sent a certificate: the store must know it (I3).
    pub(crate) fn certificate_delivered(&self, serial: &str, at_ms: u64) -> Result<(), Violation> {
        let facts = self.facts(ServiceName::Provisioning, at_ms)?;
        let known = facts.iter().any(|(entity, id, value)| {
            let status = CertificateFact::decode(value.as_slice()).map(|fact| fact.status());
            entity == "certificate" && id == serial && status.is_ok_and(|s| s != CertificateStatus::Planned)
        });
        if known {
            return Ok(());
        }
        Err(Violation {
            invariant: Invariant::Certificates,
            seen: format!("certificate {serial} was handed out, and the store does not know it"),
            at_ms,
        })
    }

    /// The operator gives an order.
    pub(crate) fn ordered(&mut self, order: Order) {
        self.orders.add(order);
    }

    /// The operator hears an answer. A second one must be the first again (I2); what an acceptance says must
    /// be on the disk (I1), and others must know by then (I5).
    pub(crate) fn answered(
        &mut self,
        request_id: &str,
        accepted: bool,
        value: &Value,
        at_ms: u64,
    ) -> Result<(), Violation> {
        let Some(order) = self.orders.find(request_id) else {
            return Ok(());
        };
        match &order.answer {
            // A question that is asked again is answered by what is so then.
            Some(_) if matches!(order.act, Act::List | Act::SendImage(_)) => return Ok(()),
            Some((_, first, _)) if first == value => return Ok(()),
            Some(_) if order.is_forgotten => order.answer = Some((accepted, value.clone(), at_ms)),
            Some((_, first, _)) => {
                return Err(Violation {
                    invariant: Invariant::Final,
                    seen: format!("{request_id} was answered {first} and then {value}"),
                    at_ms,
                });
            }
            None => order.answer = Some((accepted, value.clone(), at_ms)),
        }
        let act = order.act.clone();
        // An answer may come from a history that is gone, whose successor does not know of it.
        if accepted && !order.is_of_former_history {
            self.on_accepted(request_id, &act, value, at_ms)?;
        }
        Ok(())
    }

    fn on_accepted(
        &mut self,
        request_id: &str,
        act: &Act,
        value: &Value,
        at_ms: u64,
    ) -> Result<(), Violation> {
        match act {
            Act::MakeBatch => {
                let pem = value["certificate"].as_str().unwrap_or_default();
                self.batch = genesis::peer(pem).ok();
                self.batch_pem = Some(pem.to_owned());
            }
            Act::Register(device) if self.device(device, at_ms)?.is_none() => {
                return Err(Violation {
                    invariant: Invariant::Acknowledged,
                    seen: format!(
                        "the registration of {device} was accepted, and the store does not know it"
                    ),
                    at_ms,
                });
            }
            Act::Suspend(device) | Act::Quarantine(device)
                if self.orders.is_last_about(device, request_id) =>
            {
                self.told_restricted = Some(device.clone());
            }
            Act::Revoke(_) if value["receipt_missing"] != Value::Bool(true) => {
                let serials = value["serials"].as_array().into_iter().flatten();
                for serial in serials.filter_map(Value::as_str) {
                    self.dead_serials.insert(serial.to_owned(), at_ms);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The device that the operator was told is restricted, since this was last asked.
    pub(crate) fn take_told_restricted(&mut self) -> Option<String> {
        self.told_restricted.take()
    }

    /// The wall clock is so far ahead from now on, milliseconds.
    pub(crate) fn clock_jumped(&mut self, ahead_ms: i64) {
        self.ahead_ms = self.ahead_ms.max(ahead_ms);
    }

    // What the disks show.

    /// Something was committed, or a store was opened again: what is new is held against what holds always.
    pub(crate) fn look(&mut self, service: ServiceName, at_ms: u64) -> Result<(), Violation> {
        let Some(rows) = self.rows.get(&service) else {
            return Ok(());
        };
        let log = self.logs.entry(service).or_default();
        let past_ms = (self.keep_events_ms > 0).then(|| {
            let wall_ms = genesis::WALL_MS + at_ms as i64 + self.ahead_ms;
            wall_ms.saturating_sub_unsigned(self.keep_events_ms)
        });
        let fresh = log.read(rows, past_ms).map_err(|seen| Violation {
            invariant: Invariant::Sequences,
            seen: format!("{service}: {seen}"),
            at_ms,
        })?;
        if service == ServiceName::Registry {
            for event in &fresh {
                self.on_registry_event(event, at_ms)?;
            }
        }
        self.look_at_states(service, at_ms)?;
        self.look_at_copies(service, at_ms)
    }

    /// Who holds an owner's facts up to its last one holds what they are (I10).
    fn look_at_copies(&mut self, service: ServiceName, at_ms: u64) -> Result<(), Violation> {
        for owner in ServiceName::KEEPERS {
            let (Some(rows), Some(owned)) = (self.rows.get(&service), self.rows.get(&owner)) else {
                continue;
            };
            let held = inspect::cursor(rows, owner).unwrap_or_default();
            let (_, head) = inspect::heads(owned).unwrap_or_default();
            if held == (owned.epoch(), head) && self.compared.get(&(service, owner)) != Some(&held) {
                self.demand_copy(service, owner, at_ms)?;
                self.compared.insert((service, owner), held);
            }
        }
        Ok(())
    }

    fn on_registry_event(&mut self, event: &contract::v1::Event, at_ms: u64) -> Result<(), Violation> {
        let data: Value = serde_json::from_slice(&event.data).unwrap_or_default();
        let device = data["device_id"].as_str().unwrap_or_default();
        let out_of_order = |seen| Violation {
            invariant: Invariant::Order,
            seen,
            at_ms,
        };
        match event.name.as_str() {
            "reported" => {
                let number = data["reported"]["attributes"]["n"]
                    .as_str()
                    .and_then(|n| n.parse().ok());
                if let Some(number) = number {
                    let sends = self.reports.applied(device, number).map_err(out_of_order)?;
                    self.demand_not_shut_out(device, number, &sends, at_ms)?;
                }
            }
            "registered" => self.reports.registered(device).map_err(out_of_order)?,
            "changed" if event.subject.starts_with("devices/") => {
                let name = data["changed"]["name"]["to"]
                    .as_str()
                    .and_then(|n| n.strip_prefix("name "));
                if let Some(number) = name.and_then(|n| n.parse().ok()) {
                    self.reports.renamed(device, number).map_err(out_of_order)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A report that took effect must have been sent at least once by one who was not shut out (I5).
    fn demand_not_shut_out(
        &self,
        device: &str,
        number: u64,
        sends: &[(u64, String)],
        at_ms: u64,
    ) -> Result<(), Violation> {
        let shut_out = |(sent, serial): &(u64, String)| {
            let dead = self.dead_serials.get(serial).is_some_and(|died| died < sent);
            dead || self.orders.is_suspended_at(device, *sent)
        };
        if sends.is_empty() || !sends.iter().all(shut_out) {
            return Ok(());
        }
        Err(Violation {
            invariant: Invariant::ShutOut,
            seen: format!(
                "report {number} of {device} took effect, which was sent after the device was shut out"
            ),
            at_ms,
        })
    }

    /// Retired and revoked are final (I2, I4).
    fn look_at_states(&mut self, service: ServiceName, at_ms: u64) -> Result<(), Violation> {
        for (entity, id, value) in self.facts(service, at_ms)? {
            let undone = match (service, entity.as_str()) {
                (ServiceName::Registry, "device") => {
                    let retired =
                        DeviceFact::decode(value.as_slice()).is_ok_and(|f| f.stage() == Stage::Retired);
                    !retired && self.retired.contains(&id) || {
                        if retired {
                            self.retired.insert(id.clone());
                        }
                        false
                    }
                }
                (ServiceName::Provisioning, "certificate") => {
                    let status = CertificateFact::decode(value.as_slice()).map(|fact| fact.status());
                    let revoked = status == Ok(CertificateStatus::Revoked);
                    !revoked && self.revoked.contains(&id) || {
                        if revoked {
                            self.revoked.insert(id.clone());
                        }
                        false
                    }
                }
                _ => false,
            };
            if undone {
                return Err(Violation {
                    invariant: Invariant::OneState,
                    seen: format!("{entity} {id} was at its end and is not any more"),
                    at_ms,
                });
            }
        }
        Ok(())
    }

    /// A service's state was brought back from a backup, as another history.
    pub(crate) fn restored(&mut self, service: ServiceName) {
        self.orders.restored(service);
        if service == ServiceName::Registry {
            // What the backup does not have of it is not there, and may be done anew.
            self.reports.restored();
            self.retired.clear();
            self.told_restricted = None;
        }
        if let (Some(log), Some(rows)) = (self.logs.get_mut(&service), self.rows.get(&service)) {
            log.restored(rows);
        }
    }

    /// Somebody who follows has been sent this event: it must be what the disk has (I6, I11).
    pub(crate) fn event_seen(
        &mut self,
        service: ServiceName,
        event: &Value,
        at_ms: u64,
    ) -> Result<(), Violation> {
        self.look(service, at_ms)?;
        let Some(log) = self.logs.get_mut(&service) else {
            return Ok(());
        };
        log.seen(service, event).map_err(|seen| Violation {
            invariant: Invariant::Sequences,
            seen: format!("{service}: {seen}"),
            at_ms,
        })
    }

    /// Somebody has been told that nothing before this event is kept: it must be so (I11).
    pub(crate) fn oldest_told(
        &self,
        service: ServiceName,
        epoch: &str,
        oldest: u64,
        at_ms: u64,
    ) -> Result<(), Violation> {
        let kept = self
            .logs
            .get(&service)
            .and_then(|log| log.older_than_told(epoch, oldest));
        kept.map_or(Ok(()), |kept| {
            Err(Violation {
                invariant: Invariant::Streams,
                seen: format!("a replay of {service} says that {oldest} is the oldest, and {kept} is kept"),
                at_ms,
            })
        })
    }

    // What is known in the end.

    /// A service's history and the last event of it.
    pub(crate) fn head(&self, service: ServiceName) -> Option<(String, u64)> {
        self.logs.get(&service).and_then(Log::head)
    }

    /// Whether a certificate is revoked.
    pub(crate) fn is_revoked(&self, serial: &str) -> bool {
        let facts = self.facts(ServiceName::Provisioning, 0).unwrap_or_default();
        let mut found = facts
            .iter()
            .filter(|(entity, id, _)| entity == "certificate" && id == serial);
        found.any(|(.., value)| {
            CertificateFact::decode(value.as_slice())
                .is_ok_and(|fact| fact.status() == CertificateStatus::Revoked)
        })
    }

    /// Whether a device is registered.
    pub(crate) fn is_registered(&self, device: &str) -> bool {
        self.device(device, 0).ok().flatten().is_some()
    }

    /// Whether a device is kept out at present: suspended, or at the end of its life.
    pub(crate) fn is_shut_out(&self, device: &str) -> bool {
        let known = self.device(device, 0).ok().flatten();
        known.is_some_and(|fact| {
            fact.restriction() == Restriction::Suspended
                || fact.restriction() == Restriction::Quarantined
                || matches!(fact.stage(), Stage::Retired | Stage::Retiring)
        })
    }

    /// Whether a device is at the end of its life.
    pub(crate) fn is_retired(&self, device: &str) -> bool {
        let known = self.device(device, 0).ok().flatten();
        known.is_some_and(|fact| fact.stage() == Stage::Retired)
    }

    fn device(&self, device: &str, at_ms: u64) -> Result<Option<DeviceFact>, Violation> {
        let facts = self.facts(ServiceName::Registry, at_ms)?;
        let found = facts
            .into_iter()
            .find(|(entity, id, _)| entity == "device" && id == device);
        Ok(found.and_then(|(.., value)| DeviceFact::decode(value.as_slice()).ok()))
    }

    fn facts(&self, service: ServiceName, at_ms: u64) -> Result<Vec<(String, String, Vec<u8>)>, Violation> {
        let Some(rows) = self.rows.get(&service) else {
            return Ok(Vec::new());
        };
        let facts = inspect::facts(rows as &dyn Read).map_err(|error| Violation {
            invariant: Invariant::Final,
            seen: format!("{service}: {error}"),
            at_ms,
        })?;
        let present = facts.into_iter().filter(|fact| !fact.deleted);
        Ok(present.map(|fact| (fact.entity, fact.id, fact.value)).collect())
    }
}
