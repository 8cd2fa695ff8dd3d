//! Which databases a command is about, and what their errors mean.

use std::path::PathBuf;

use anyhow::Result;
use contract::id::ServiceName;
use service::{inspect, store::StoreError};
use store::Stopped;

use super::super::Global;
use crate::{
    exit::{Exit, Failure},
    folder::demand_owner,
    up::services,
};

/// The services that a command is about.
#[derive(clap::Args)]
pub(super) struct Services {
    /// registry, provisioning, rollout or monitoring; all that have a database unless given
    #[arg(value_parser = keeper)]
    services: Vec<ServiceName>,
}

fn keeper(word: &str) -> Result<ServiceName, String> {
    ServiceName::from_word(word)
        .filter(|name| ServiceName::KEEPERS.contains(name))
        .ok_or_else(|| "one of registry, provisioning, rollout, monitoring".to_owned())
}

/// One service's database, and its files.
pub(super) struct Place {
    pub(super) name: ServiceName,
    pub(super) store: Stopped,
    pub(super) files: PathBuf,
}

impl Services {
    /// The databases. One that was asked for by name must be there; of all, at least one.
    pub(super) fn find(&self, global: &Global) -> Result<Vec<Place>> {
        let config = global.config()?;
        let all = self.services.is_empty();
        let names = if all {
            &ServiceName::KEEPERS[..]
        } else {
            &self.services
        };
        let mut found = Vec::new();
        for name in names {
            let database = services::database(&config, *name);
            if database.exists() {
                demand_owner(&database)?;
            }
            let stopped = Stopped::find(services::options(&config, *name));
            match stopped.map_err(|error| told(*name, error))? {
                Some(store) => found.push(Place {
                    name: *name,
                    store,
                    files: services::files(&config, *name),
                }),
                None if all => {}
                None => return Err(missing(&format!("there is no {}", database.display())).into()),
            }
        }
        if found.is_empty() {
            let state = config.path(&config.state);
            return Err(missing(&format!("there is no database below {}", state.display())).into());
        }
        Ok(found)
    }
}

fn missing(what: &str) -> Failure {
    Failure::new(
        Exit::NotFound,
        format!("{what}: it is made when Muster first runs"),
    )
}

/// What a database's error means to whoever typed the command.
pub(super) fn told(name: ServiceName, error: StoreError) -> Failure {
    let (exit, remedy) = match &error {
        StoreError::Locked { .. } => (
            Exit::Conflict,
            ": `muster store` works while Muster is stopped".to_owned(),
        ),
        StoreError::Full { .. } => (
            Exit::Unavailable,
            ": it needs as much room again as the database has".to_owned(),
        ),
        StoreError::Damaged { .. } => (Exit::Damaged, format!(": `muster store repair {name}`")),
        StoreError::Schema { .. } => (Exit::Conflict, String::new()),
        StoreError::Engine(_) => (Exit::Failed, String::new()),
    };
    Failure::new(exit, format!("{name}: {error}{remedy}"))
}

/// What kind of row a key of a service belongs to.
pub(super) fn kind(name: ServiceName, key: &[u8]) -> String {
    inspect::kind(key, |own| match name {
        ServiceName::Provisioning => in_words(&provisioning::KINDS, own),
        ServiceName::Registry => in_words(&registry::KINDS, own),
        _ => format!("own records, {}", first_word(own)),
    })
}

fn in_words(kinds: &[(&str, &str)], own: &[u8]) -> String {
    let known = kinds.iter().find(|(begin, _)| own.starts_with(begin.as_bytes()));
    known.map_or_else(
        || format!("own records, {}", first_word(own)),
        |(_, words)| (*words).to_owned(),
    )
}

/// The word before a slash, or else the first letter.
fn first_word(own: &[u8]) -> String {
    let end = own
        .iter()
        .position(|byte| *byte == b'/')
        .unwrap_or(1.min(own.len()));
    String::from_utf8_lossy(&own[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_words() {
        for (name, key, words) in [
            (
                ServiceName::Rollout,
                &b"supdate/r/00/pump-7"[..],
                "own records, update",
            ),
            (ServiceName::Registry, b"sdpump-7", "devices"),
            (ServiceName::Registry, b"scdpump-7", "devices' configuration"),
            (ServiceName::Registry, b"sktpump-7", "devices' trays of commands"),
            (ServiceName::Registry, b"saz", "own records, a"),
            (ServiceName::Registry, b"j\0\0\0\0\0\0\0\x01", "audit log"),
            (ServiceName::Provisioning, b"sc0123", "certificates"),
            (ServiceName::Monitoring, b"e\0\0\0\0\0\0\0\x01", "events"),
            (ServiceName::Monitoring, b"?x", "unknown, ?"),
        ] {
            assert_eq!(kind(name, key), words);
        }
    }

    #[test]
    fn errors_have_codes_of_their_own() {
        let damaged = StoreError::Damaged {
            key: "db".into(),
            reason: "x",
        };
        let failure = told(ServiceName::Registry, damaged);
        assert_eq!(failure.exit, Exit::Damaged);
        assert!(
            failure.to_string().contains("muster store repair registry"),
            "{failure}"
        );
        let locked = StoreError::Locked { path: "p".into() };
        assert_eq!(told(ServiceName::Registry, locked).exit, Exit::Conflict);
    }
}
