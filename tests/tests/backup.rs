//! A backup under load, the server killed, and its installation brought back elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use client::{Client, Identity};
use contract::{Root, ServiceName, v1};
use pki::{IssuingCertificate, PublishedList};
use world::{Person, World, muster};

/// Registers devices one after the other and counts those that were acknowledged.
async fn load(admin: Arc<Person>, count: Arc<AtomicU32>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        let n = count.load(Ordering::SeqCst);
        let request = v1::RegisterDevice {
            device_id: format!("extra-{n}"),
            ..v1::RegisterDevice::default()
        };
        let _: v1::Changed = admin.ask(ServiceName::Registry, "register", &request).await;
        count.store(n + 1, Ordering::SeqCst);
    }
}

async fn revoke(admin: &Person, id: &str) {
    let request = v1::Revoke {
        kind: "devices".into(),
        id: id.into(),
        reason: "keyCompromise".into(),
        ..v1::Revoke::default()
    };
    let _: v1::Revoked = admin.ask(ServiceName::Provisioning, "revoke", &request).await;
}

async fn authorities(admin: &Person) -> v1::Authorities {
    let ask = v1::GetAuthorities::default();
    admin.ask(ServiceName::Provisioning, "authorities", &ask).await
}

/// The published list once it names these.
async fn list_with(admin: &Person, serials: &[&str], folder: &Path) -> (String, PublishedList) {
    let pem = |name: &str| fs::read_to_string(folder.join("pki").join(name)).unwrap();
    let issuing = IssuingCertificate::read(&pem("issuing.pem"), &pem("root.pem")).unwrap();
    for _ in 0..600 {
        let text = authorities(admin).await.crl;
        let lists = PublishedList::read_all(text.as_bytes(), std::slice::from_ref(&issuing)).unwrap();
        let list = lists.into_iter().next();
        let names =
            |list: &PublishedList, serial: &str| list.revoked.iter().any(|one| one.serial.to_hex() == serial);
        if let Some(list) = list.filter(|list| serials.iter().all(|serial| names(list, serial))) {
            return (text, list);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no list with {serials:?}");
}

async fn epoch(admin: &mut Person) -> String {
    let replay = v1::Replay {
        limit: 1,
        ..v1::Replay::default()
    };
    let marker: v1::ReplayMarker = admin.ask(ServiceName::Registry, "replay", &replay).await;
    marker.epoch
}

async fn gets_in(world: &World, identity: &Identity) -> bool {
    match Client::connect(&world.endpoint(), identity, Root::default(), "").await {
        Ok((client, _inbox)) => {
            client.disconnect().await;
            true
        }
        Err(_) => false,
    }
}

async fn standing(device: &Person) -> v1::Standing {
    let ask = v1::GetStanding::default();
    device.ask(ServiceName::Registry, "standing", &ask).await
}

async fn serial(admin: &Person, id: &str) -> String {
    let ask = v1::ListCertificates {
        kind: "devices".into(),
        id: id.into(),
        ..v1::ListCertificates::default()
    };
    let listed: v1::CertificatesListed = admin.ask(ServiceName::Provisioning, "list", &ask).await;
    listed.certificates[0].serial.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_is_brought_back_and_what_was_revoked_since_stays_out() {
    let mut world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["goes-on", "stolen", "later"]).await;
    let claim = world.claim(&admin, "lot", 10).await;
    let stolen = world.provision(&claim, "stolen").await;
    assert!(gets_in(&world, &stolen).await);
    let device = world.provision(&claim, "goes-on").await;
    let device = world.connect(&device, "").await;
    standing(&device).await;

    // A backup while it works.
    let (count, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let busy = Arc::new(
        world
            .connect(&world.identity(&world.folder().join("people/admin")), "busy")
            .await,
    );
    let loading = tokio::spawn(load(busy, count.clone(), stop.clone()));
    while count.load(Ordering::SeqCst) < 20 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let acknowledged = count.load(Ordering::SeqCst);
    let shelf = tempfile::tempdir().unwrap();
    let file = shelf.path().join("monday");
    let (folder, to) = (world.folder().to_owned(), file.clone());
    let made =
        tokio::task::spawn_blocking(move || muster(&folder, &["--json", "backup", to.to_str().unwrap()]));
    let made: serde_json::Value = serde_json::from_str(&made.await.unwrap()).unwrap();
    stop.store(true, Ordering::SeqCst);
    loading.await.unwrap();
    assert!(
        made["databases"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["running"] == true),
        "{made}"
    );
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    muster(world.folder(), &["backup", "verify", file.to_str().unwrap()]);

    // What the backup does not know.
    let later = world.provision(&claim, "later").await;
    let (stolen_serial, later_serial) = (serial(&admin, "stolen").await, serial(&admin, "later").await);
    revoke(&admin, "stolen").await;
    revoke(&admin, "later").await;
    let (text, last) = list_with(&admin, &[&stolen_serial, &later_serial], world.folder()).await;
    let list = shelf.path().join("last.pem");
    fs::write(&list, text).unwrap();
    let mut admin = admin;
    let former_epoch = epoch(&mut admin).await;
    // Else it would come back to the one that is brought back, and put out the next.
    admin.client.disconnect().await;
    world.kill();

    // Without the list the thief is back: it is for this that there is one.
    let careless = tempfile::tempdir().unwrap();
    let said = muster(careless.path(), &["restore", file.to_str().unwrap()]);
    assert!(said.contains("NO REVOCATION LIST"), "{said}");
    let mut careless = World::found(careless, 0).await;
    assert!(gets_in(&careless, &stolen).await);
    assert!(!gets_in(&careless, &later).await, "it is not known here");
    careless.stop();

    let there = tempfile::tempdir().unwrap();
    let options = ["restore", file.to_str().unwrap(), "--crl", list.to_str().unwrap()];
    let said = muster(there.path(), &options);
    assert!(said.contains("2 lines of revocation lists"), "{said}");
    // At the address of the former one.
    let mut there = World::found(there, world.endpoint().port).await;
    standing(&device).await;
    assert!(!gets_in(&there, &stolen).await && !gets_in(&there, &later).await);
    let mut admin = there.admin().await;
    for n in 0..acknowledged {
        there.shown(&admin, &format!("extra-{n}")).await;
    }
    assert_ne!(epoch(&mut admin).await, former_epoch, "integrators must notice");
    let (_, next) = list_with(&admin, &[&stolen_serial, &later_serial], there.folder()).await;
    assert!(next.number > last.number, "{} after {}", next.number, last.number);
    let at = |list: &PublishedList| {
        list.revoked
            .iter()
            .map(|one| (one.serial, one.at_ms))
            .collect::<Vec<_>>()
    };
    assert_eq!(at(&next), at(&last), "revoked as of when it was");
    // New ones are issued.
    there.register(&admin, &["new"]).await;
    standing(&there.device(&admin, "new").await).await;

    // Over an installation: its own list is taken over without being named.
    there.stop();
    let options = ["restore", file.to_str().unwrap(), "--replace", "--yes"];
    let said = muster(there.folder(), &options);
    assert!(
        said.contains("the former one lies in") && !said.contains("NO REVOCATION LIST"),
        "{said}"
    );
    there.start().await;
    let admin = there.admin().await;
    assert!(!gets_in(&there, &stolen).await);
    let (_, again) = list_with(&admin, &[&stolen_serial, &later_serial], there.folder()).await;
    assert!(again.number > next.number);
}
