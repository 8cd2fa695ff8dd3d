//! kill -9 at random moments under load: nothing that was acknowledged is lost.
//!
//! Every client keeps a journal of what was acknowledged to it; after the last restart the journal is held
//! against what is there. `WORLD_KILLS` says how often the server is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use client::{Client, Endpoint, Identity};
use contract::{Root, ServiceName, v1};
use rand::Rng;
use world::{Person, World};

/// Devices that report.
const DEVICES: usize = 8;
/// How often the server is killed when nobody says.
const KILLS: u64 = 12;
/// The same under the second engine, always.
const KILLS_OF_REDB: u64 = 4;

/// What was acknowledged to one device: the newest counter, and how many acknowledgements there were.
#[derive(Default)]
struct Journal {
    newest: AtomicU64,
    acknowledged: AtomicU64,
}

/// Reports a growing counter, again and again, and writes down what was acknowledged.
async fn report(device: Person, journal: Arc<Journal>, stop: Arc<AtomicBool>) {
    let mut counter = 0;
    while !stop.load(Ordering::Relaxed) {
        counter += 1;
        let attributes = [("counter".to_owned(), counter.to_string())].into();
        let report = v1::Report {
            attributes,
            ..v1::Report::default()
        };
        // Whatever is not accepted was not acknowledged: the client sends it again on the next connection.
        if device
            .client
            .ask::<v1::Changed>(ServiceName::Registry, "report", &report)
            .await
            .is_ok()
        {
            journal.newest.store(counter, Ordering::Relaxed);
            journal.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Registers devices one by one; those that were accepted are returned.
async fn register(admin: Arc<Person>, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut accepted = Vec::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let device_id = format!("extra-{n}");
        let request = v1::RegisterDevice {
            device_id: device_id.clone(),
            ..v1::RegisterDevice::default()
        };
        if admin
            .client
            .ask::<v1::Changed>(ServiceName::Registry, "register", &request)
            .await
            .is_ok()
        {
            accepted.push(device_id);
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost() {
    nothing_is_lost(World::new().await, kills()).await;
}

fn kills() -> u64 {
    std::env::var_os("WORLD_KILLS")
        .and_then(|n| n.to_str()?.parse().ok())
        .unwrap_or(KILLS)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost_under_redb() {
    let world = World::with(&[("MUSTER_STORE__ENGINE", "redb")]).await;
    nothing_is_lost(world, KILLS_OF_REDB).await;
}

/// Waits for what the load does by itself, on a busy machine as well.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never comes about that {what}");
}

async fn nothing_is_lost(mut world: World, kills: u64) {
    let admin = Arc::new(world.admin().await);
    let ids: Vec<String> = (0..DEVICES).map(|n| format!("pump-{n}")).collect();
    world
        .register(&admin, &ids.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut journals = BTreeMap::new();
    let mut reporters = Vec::new();
    for id in &ids {
        let device = world.device(&admin, id).await;
        let journal = Arc::new(Journal::default());
        journals.insert(id.clone(), journal.clone());
        reporters.push(tokio::spawn(report(device, journal, stop.clone())));
    }
    let registrar = tokio::spawn(register(admin.clone(), stop.clone()));

    for _ in 0..kills {
        let pause = rand::rng().random_range(20..400);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        world.kill();
        world.start().await;
    }
    // Everybody gets through once more, so that the journals end in acknowledgements.
    let so_far = |journal: &Arc<Journal>| journal.acknowledged.load(Ordering::Relaxed);
    for journal in journals.values() {
        let before = so_far(journal);
        until("a device gets through", || so_far(journal) > before).await;
    }
    stop.store(true, Ordering::Relaxed);
    let registered = registrar.await.unwrap();
    for reporter in reporters {
        reporter.await.unwrap();
    }

    let mut lost = Vec::new();
    for (id, journal) in &journals {
        let device = world.shown(&admin, id).await;
        let there: u64 = device.attributes.get("counter").map_or(0, |n| n.parse().unwrap());
        let acknowledged = journal.newest.load(Ordering::Relaxed);
        if there < acknowledged {
            lost.push(format!("{id}: {acknowledged} was acknowledged, {there} is there"));
        }
    }
    for id in &registered {
        let request = v1::ShowDevice {
            device_id: id.clone(),
            ..v1::ShowDevice::default()
        };
        if admin
            .client
            .ask::<v1::DeviceShown>(ServiceName::Registry, "show", &request)
            .await
            .is_err()
        {
            lost.push(format!("{id} was registered and is not there"));
        }
    }
    let acknowledged: u64 = journals
        .values()
        .map(|j| j.acknowledged.load(Ordering::Relaxed))
        .sum();
    println!(
        "{kills} kills, {acknowledged} reports and {} registrations acknowledged, {} lost",
        registered.len(),
        lost.len()
    );
    assert!(
        acknowledged > kills && !registered.is_empty(),
        "the load was none"
    );
    assert_eq!(lost, Vec::<String>::new());
}

/// A certificate that a device was given.
struct Held {
    device: String,
    serial: String,
    chain: String,
}

/// A device, and all that it was given.
struct Holder {
    id: String,
    endpoint: Endpoint,
    claim: Identity,
    roots: String,
    held: Vec<Held>,
    newest: Option<Identity>,
    /// How many certificates all of them were given.
    issued: Arc<AtomicU64>,
}

impl Holder {
    /// Its first certificate, and then the next one, again and again; each over a connection with the newest.
    async fn renew(mut self, stop: Arc<AtomicBool>) -> Holder {
        while !stop.load(Ordering::Relaxed) || self.newest.is_none() {
            let who = self.newest.as_ref().unwrap_or(&self.claim);
            let connected = Client::connect(&self.endpoint, who, Root::default(), "").await;
            match connected {
                Ok((client, _inbox)) => {
                    self.ask(&client).await;
                    client.disconnect().await;
                }
                // Killed just now.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        self
    }

    async fn ask(&mut self, client: &Client) {
        let key = pki::generate_key(pki::KeyKind::P256).unwrap();
        let request = v1::Sign {
            csr: pki::csr_for(&key, &self.id).unwrap(),
            ..v1::Sign::default()
        };
        let verb = if self.newest.is_some() { "renew" } else { "sign" };
        let asked = client.ask::<v1::Signed>(ServiceName::Provisioning, verb, &request);
        if let Ok(signed) = asked.await {
            self.newest = Some(Identity::from_pem(&signed.certificate, &key, &self.roots).unwrap());
            self.issued.fetch_add(1, Ordering::Relaxed);
            self.held.push(Held {
                device: self.id.clone(),
                serial: signed.serial,
                chain: signed.certificate,
            });
        }
    }
}

/// What is not as it was given, in words.
async fn unknown(admin: &Person, held: &Held) -> Option<String> {
    let request = v1::ShowCertificate {
        serial: held.serial.clone(),
        ..v1::ShowCertificate::default()
    };
    let shown = admin
        .client
        .ask::<v1::CertificateShown>(ServiceName::Provisioning, "show", &request)
        .await;
    let known = shown.ok().and_then(|shown| shown.certificate).unwrap_or_default();
    let is_it = known.kind == "devices" && known.id == held.device && !known.pem.is_empty();
    (!is_it || !held.chain.starts_with(&known.pem))
        .then(|| format!("{} holds {}, and there is {known:?}", held.device, held.serial))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_holds_is_known() {
    let kills = kills();
    // Each retires as soon as the next one is used, so that a device can renew all the time.
    let settings = [
        ("MUSTER_PKI__OVERLAP", "0s"),
        ("MUSTER_LIMITS__TAKEOVERS_PER_MINUTE", "0"),
    ];
    let mut world = World::with(&settings).await;
    let admin = world.admin().await;
    let ids: Vec<String> = (0..DEVICES).map(|n| format!("pump-{n}")).collect();
    let names: Vec<_> = ids.iter().map(String::as_str).collect();
    world.register(&admin, &names).await;
    let claim = world.claim(&admin, "line", 1_000).await;
    let (stop, given) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let holders = ids.iter().map(|id| Holder {
        id: id.clone(),
        endpoint: world.endpoint(),
        claim: world.identity(&claim).hoping_for(id.parse().unwrap()),
        roots: world.roots(),
        held: Vec::new(),
        newest: None,
        issued: given.clone(),
    });
    let holders: Vec<_> = holders
        .map(|holder| tokio::spawn(holder.renew(stop.clone())))
        .collect();
    for _ in 0..kills {
        let pause = rand::rng().random_range(50..700);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        world.kill();
        world.start().await;
    }
    // They go on after the last one.
    let wanted = given.load(Ordering::Relaxed).max(kills) + DEVICES as u64;
    until("devices renew", || given.load(Ordering::Relaxed) > wanted).await;
    stop.store(true, Ordering::Relaxed);

    let (mut issued, mut wrong) = (0, Vec::new());
    for holder in holders {
        let holder = holder.await.unwrap();
        issued += holder.held.len() as u64;
        for held in &holder.held {
            wrong.extend(unknown(&admin, held).await);
        }
        // It is not left without one that works.
        let last = world.connect(&holder.newest.unwrap(), "").await;
        last.client.disconnect().await;
    }
    println!(
        "{kills} kills, devices hold {issued} certificates, {} unknown",
        wrong.len()
    );
    assert_eq!(wrong, Vec::<String>::new());
    assert!(issued > kills, "only {issued} were issued");
    // What was planned when the server was killed is signed, or gone.
    let planned = v1::ListCertificates {
        status: v1::CertificateStatus::Planned.into(),
        ..v1::ListCertificates::default()
    };
    let mut left = None;
    for _ in 0..600 {
        let listed: v1::CertificatesListed = admin.ask(ServiceName::Provisioning, "list", &planned).await;
        left = listed.certificates.first().cloned();
        if left.is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(left, None);
}
