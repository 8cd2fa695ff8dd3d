//! `muster cert admissions`, `admit` and `turn-away`, `muster enrol show`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{AdmissionStatus, AdmissionsListed, DecideAdmission, Done, ListAdmissions, WaitingDevice},
};

use super::super::{
    Global,
    confirm::{Confirm, Consent},
    list::Limit,
    print,
    words::say,
};
use crate::exit::{Exit, Failure};

#[derive(clap::Args)]
pub(in crate::cli) struct Admissions {
    /// Only this device's
    #[arg(long, value_name = "ID")]
    device: Option<Id>,
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Show {
    /// The device
    device: Id,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Admit {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(clap::Args)]
pub(in crate::cli) struct TurnAway {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(clap::Args)]
struct Which {
    /// The device
    device: Id,
    /// The key: SHA-256 of its SubjectPublicKeyInfo, hex
    #[arg(long, value_name = "SHA256")]
    fingerprint: Option<String>,
}

impl Admissions {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let device_id = self.device.map(|id| id.to_string()).unwrap_or_default();
        let listed = self.limit.collect(
            global,
            (ServiceName::Provisioning, "admissions"),
            |page| ListAdmissions {
                device_id: device_id.clone(),
                page_size: page.size,
                page: page.token,
                ..ListAdmissions::default()
            },
            |reply: AdmissionsListed| (reply.devices, reply.next_page),
        )?;
        listed.print(
            global,
            &[
                "device",
                "status",
                "known as",
                "batch",
                "fingerprint",
                "asked",
                "of",
                "until",
                "decided by",
            ],
            row,
        )
    }
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = ListAdmissions {
            device_id: self.device.to_string(),
            ..ListAdmissions::default()
        };
        let listed: AdmissionsListed = global.ask(ServiceName::Provisioning, "admissions", &request)?;
        if listed.devices.is_empty() {
            let message = format!("no key of `{}` waits, or was decided on", self.device);
            return Err(Failure::new(Exit::NotFound, message).into());
        }
        if global.json {
            return listed.devices.iter().try_for_each(print::json);
        }
        for (place, waiting) in listed.devices.iter().enumerate() {
            if place > 0 {
                print::line("")?;
            }
            print::fields(&fields(waiting))?;
        }
        Ok(())
    }
}

fn fields(waiting: &WaitingDevice) -> Vec<(&'static str, String)> {
    vec![
        ("device", waiting.device_id.clone()),
        ("status", say(waiting.status())),
        ("fingerprint", waiting.fingerprint.clone()),
        ("batch", waiting.batch.clone()),
        ("serial number", waiting.serial_number.clone()),
        ("type", waiting.device_type.clone()),
        ("model", waiting.model.clone()),
        ("site", waiting.site.clone()),
        ("asked", print::time(waiting.asked_at_ms)),
        ("of", waiting.approver.clone()),
        ("answer until", until(waiting)),
        ("decided by", waiting.decided_by.clone()),
        ("remembered until", print::time(waiting.expires_ms)),
    ]
}

fn row(waiting: &WaitingDevice) -> Vec<String> {
    vec![
        waiting.device_id.clone(),
        say(waiting.status()),
        known_as(waiting),
        waiting.batch.clone(),
        waiting.fingerprint.clone(),
        print::time(waiting.asked_at_ms),
        waiting.approver.clone(),
        until(waiting),
        waiting.decided_by.clone(),
    ]
}

/// What the registry says of the device whose key it claims to be.
fn known_as(waiting: &WaitingDevice) -> String {
    let said = [
        &waiting.serial_number,
        &waiting.device_type,
        &waiting.model,
        &waiting.site,
    ];
    let said: Vec<_> = said
        .into_iter()
        .filter(|text| !text.is_empty())
        .map(String::as_str)
        .collect();
    said.join(", ")
}

/// Until when an answer counts, where one is waited for.
fn until(waiting: &WaitingDevice) -> String {
    match waiting.deadline_ms {
        0 => String::new(),
        deadline => print::time(deadline),
    }
}

impl Admit {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        self.which.decide(global, &self.confirm, "admit", "is admitted")
    }
}

impl TurnAway {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        self.which
            .decide(global, &self.confirm, "turn-away", "is turned away")
    }
}

impl Which {
    fn decide(&self, global: &Global, confirm: &Confirm, verb: &str, done: &str) -> Result<()> {
        let (fingerprint, known_as) = match &self.fingerprint {
            Some(given) => (given.clone(), String::new()),
            None => self.only_one_waiting(global)?,
        };
        let key = format!("the key {fingerprint} of {}", self.device);
        let of_whom = match known_as.as_str() {
            "" => String::new(),
            known_as => format!(" ({})", print::clean(known_as)),
        };
        let Consent::Given = confirm.ask(global, &format!("{verb} {key}{of_whom}"))? else {
            return Ok(());
        };
        let request = DecideAdmission {
            request_id: String::new(),
            device_id: self.device.to_string(),
            fingerprint,
        };
        let reply: Done = global.ask(ServiceName::Provisioning, verb, &request)?;
        if global.json {
            return print::json(&reply);
        }
        print::line(format!("{key} {done}"))
    }

    /// Its fingerprint, and what the registry says of the device.
    fn only_one_waiting(&self, global: &Global) -> Result<(String, String)> {
        let request = ListAdmissions {
            device_id: self.device.to_string(),
            ..ListAdmissions::default()
        };
        let listed: AdmissionsListed = global.ask(ServiceName::Provisioning, "admissions", &request)?;
        let mut waiting = listed
            .devices
            .into_iter()
            .filter(|one| one.status() == AdmissionStatus::Waiting);
        match (waiting.next(), waiting.next()) {
            (Some(only), None) => Ok((only.fingerprint.clone(), known_as(&only))),
            (None, _) => Err(Failure::new(Exit::NotFound, format!("no key of {} waits", self.device)).into()),
            _ => {
                let message = format!("several keys of {} wait; give --fingerprint", self.device);
                Err(Failure::usage(message).into())
            }
        }
    }
}
