//! Who there is and what has been decided about them, as services say: what a policy is written from.

use anyhow::Result;
use client::Client;
use contract::{
    id::ServiceName,
    v1::{Authorities, Claim, Device, GetAuthorities, Person, Restriction, Stage},
};

use super::super::{global, whole};

/// All of it, at one time or nearly so.
pub(super) struct Roll {
    pub(super) people: Vec<Person>,
    pub(super) claims: Vec<Claim>,
    pub(super) devices: Vec<Device>,
    pub(super) authorities: Authorities,
}

impl Roll {
    pub(super) async fn call(client: &Client) -> Result<Roll> {
        Ok(Roll {
            people: whole::people(client).await?,
            claims: whole::claims(client).await?,
            devices: whole::devices(client).await?,
            authorities: global::ask(
                client,
                ServiceName::Provisioning,
                "authorities",
                &GetAuthorities::default(),
            )
            .await?,
        })
    }

    /// Names that two kinds of principals share. Another broker tells them apart by the common name alone, so one
    /// would have the other's rights.
    pub(super) fn shared_names(&self) -> Vec<String> {
        let mut names: Vec<_> = (self.people.iter().map(|person| &person.id))
            .chain(self.claims.iter().map(|claim| &claim.batch))
            .chain(self.devices.iter().map(|device| &device.device_id))
            .map(|name| name.to_ascii_lowercase())
            .collect();
        names.sort_unstable();
        let mut shared: Vec<_> = names
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| pair[0].clone())
            .collect();
        shared.dedup();
        shared
    }
}

/// What a device may do at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// What any device may.
    All,
    /// What repairs it.
    Repair,
    /// Nothing.
    None,
}

/// As the front door has it for a device at its door.
pub(super) fn reach(device: &Device) -> Reach {
    match (device.stage(), device.restriction()) {
        (Stage::Planned | Stage::Retired, _) | (_, Restriction::Suspended) => Reach::None,
        (_, Restriction::Quarantined) => Reach::Repair,
        _ => Reach::All,
    }
}
