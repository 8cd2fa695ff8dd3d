//! Getting back in when every admin's certificate is lost.
//!
//! Whoever can read the issuing CA's key and write the services' databases could do all this by hand; here it
//! is done by the services' own decisions, so that it stands in their event logs as done by
//! `services/recovery`. The services must not run: their databases have one owner at a time.

use std::sync::Arc;

use anyhow::{Context, Result};
use contract::{
    Id,
    id::{Kind, ServiceName},
    wire::{self, Encoding, Wire},
};
use host::{Clock, Offline, OfflineError, SystemClock};
use pki::IssuedCertificate;
use provisioning::Issuers;
use service::{
    Service,
    store::{Store, StoreError},
};

use crate::{
    config::Config,
    exit::{Exit, Failure},
    folder::demand_owner,
    init,
    up::{keys, services},
};

/// Who it was, in the events.
const ACTOR: &str = "recovery";

/// A new identity of an admin; its key is the caller's.
pub struct Recovered {
    /// The certificate.
    pub issued: IssuedCertificate,
    /// The certificate with the one that signed it, PEM.
    pub chain: String,
    /// The roots to trust, PEM.
    pub roots: String,
}

/// Certifies an operator's key, and makes the operator an enabled admin.
pub fn operator(config: &Config, id: &Id, key_pem: &str) -> Result<Recovered> {
    demand_started(config, ServiceName::Registry)?;
    demand_started(config, ServiceName::Provisioning)?;
    demand_owner(&config.path(&config.state))?;
    // Both before anything is written: neither may run.
    let people = open(config, ServiceName::Registry)?;
    let certificates = open(config, ServiceName::Provisioning)?;
    let authority = Arc::new(keys::issuing(config)?);
    let clock = SystemClock::default();
    let now = clock.now().wall_ms;
    let issued = init::sign_operator(&authority, &config.site, id.as_str(), key_pem, now)?;
    // The registry first: it is the one that may refuse (an id that is another's twin).
    let registry = offline(config, services::registry(config), &*people, &clock);
    decide(&registry, "put-person", &init::admin(id.as_str()))?;
    let provisioning = services::provisioning(config, Issuers::new(authority.clone(), Vec::new()))?;
    let provisioning = offline(config, provisioning, &*certificates, &clock);
    let record = init::record(Kind::Operator, id.as_str(), &issued);
    decide(&provisioning, "record", &record)?;
    Ok(Recovered {
        chain: init::chain(&authority, &issued),
        roots: keys::roots(config)?,
        issued,
    })
}

/// An installation that never ran has no admin but the one that its set-up left.
fn demand_started(config: &Config, name: ServiceName) -> Result<(), Failure> {
    let database = services::database(config, name);
    if database.exists() {
        return Ok(());
    }
    let message = format!(
        "there is no {}: this installation has never run, so the certificate that `muster init` made is the one to use",
        database.display()
    );
    Err(Failure::new(Exit::NotFound, message))
}

/// Opens a database that nobody else has open.
fn open(config: &Config, name: ServiceName) -> Result<Arc<dyn Store>> {
    services::opener(config, name)().map_err(|error| match error {
        StoreError::Locked { .. } => {
            let message = format!("{error}: `muster recover` works while Muster is stopped");
            Failure::new(Exit::Conflict, message).into()
        }
        error => anyhow::Error::from(error).context(format!("the {name} service's database does not open")),
    })
}

fn offline<'a, S: Service>(
    config: &Config,
    service: S,
    store: &'a dyn Store,
    clock: &'a dyn Clock,
) -> Offline<'a, S> {
    Offline {
        service: Arc::new(service),
        store,
        root: config.root.clone(),
        site: config.site.clone(),
        clock,
    }
}

fn decide<S: Service>(offline: &Offline<'_, S>, verb: &'static str, request: &impl Wire) -> Result<()> {
    let payload = wire::encode(request, Encoding::Protobuf);
    let who: Id = ACTOR.parse().context("the recovery's own name")?;
    offline.decide(who, verb, payload).map_err(|error| match error {
        OfflineError::Refused { .. } => Failure::new(Exit::Conflict, error.to_string()).into(),
        OfflineError::Store(_) => error.into(),
    })
}
