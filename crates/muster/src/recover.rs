//! Getting back in when every admin's certificate is lost, or the server's own.
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
    up::{keys, server_files, services},
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

/// A new certificate of the server.
pub struct RecoveredServer {
    /// The certificate; it is in its place.
    pub issued: IssuedCertificate,
    /// The names and addresses that it is for.
    pub hosts: Vec<String>,
}

/// Gives the server another key and certificate for these names and addresses; without any, for those of the one that is
/// there. It is recorded before it is in its place.
pub fn server(config: &Config, named: &[String]) -> Result<RecoveredServer> {
    demand_started(config, ServiceName::Provisioning)?;
    demand_owner(&config.folder.pki(""))?;
    let certificates = open(config, ServiceName::Provisioning)?;
    let authority = Arc::new(keys::issuing(config)?);
    let clock = SystemClock::default();
    let now = clock.now().wall_ms;
    let hosts = init::permitted_hosts(&names(config, named)?, &authority.names())?;
    let provisioning = services::provisioning(config, Issuers::new(authority.clone(), Vec::new()))?;
    let provisioning = offline(config, provisioning, &*certificates, &clock);
    let lifetime_ms = config.server_lifetime.as_millis() as u64;
    let mut certified = None;
    server_files::replace(&config.folder, |key| {
        let issued = init::sign_server(&authority, &config.site, hosts.clone(), (key, now, lifetime_ms))?;
        let record = init::record(Kind::Service, ServiceName::FrontDoor.word(), &issued);
        decide(&provisioning, "record", &record)?;
        let chain = init::chain(&authority, &issued);
        certified = Some(issued);
        Ok(chain)
    })?;
    Ok(RecoveredServer {
        issued: certified.context("nothing was certified")?,
        hosts: hosts.iter().map(ToString::to_string).collect(),
    })
}

fn names(config: &Config, named: &[String]) -> Result<Vec<String>, Failure> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let served = server_files::served_hosts(&config.folder);
    if served.is_empty() {
        let message = format!(
            "{} does not say under which names devices reach the server: give --host NAME for each",
            config.folder.pki("server.pem").display()
        );
        return Err(Failure::usage(message));
    }
    Ok(served)
}

/// An installation that never ran has no admin but the one that its set-up left.
fn demand_started(config: &Config, name: ServiceName) -> Result<(), Failure> {
    let database = services::database(config, name);
    if database.exists() {
        return Ok(());
    }
    let message = format!(
        "there is no {}: this installation has never run, so what `muster init` made is what there is to use",
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
