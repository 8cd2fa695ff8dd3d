//! Devices come in by the certificates that their manufacturer gave them; whoever else shows such certificates does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use client::{Client, Identity};
use contract::{
    Principal, Root, ServiceName,
    v1::{self, Stage},
};
use world::{Manufacturer, Person, World, muster_program};

fn muster(world: &World, arguments: &[&str]) -> String {
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    world::muster(world.folder(), &[&["--server", &server], arguments].concat())
}

fn trust(world: &World, name: &str, maker: &Manufacturer) {
    let ca = maker.ca();
    muster(
        world,
        &[
            "manufacturer",
            "add",
            name,
            "--ca",
            ca.to_str().unwrap(),
            "--replace",
        ],
    );
}

/// Registered devices, each with the serial number in capitals.
async fn register(admin: &Person, ids: &[&str]) {
    for id in ids {
        let device = v1::RegisterDevice {
            device_id: (*id).into(),
            serial_number: id.to_uppercase(),
            ..Default::default()
        };
        let _: v1::Changed = admin.ask(ServiceName::Registry, "register", &device).await;
    }
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn hopeful(world: &World, folder: &Path, id: &str) -> Identity {
    let (chain, key) = (read(folder, "certificate.pem"), read(folder, "key.pem"));
    Identity::factory(&chain, &key, &world.roots(), id.parse().unwrap()).unwrap()
}

/// Asks for a device's first certificate with what a folder holds; or what stood against it.
async fn sign(world: &World, folder: &Path, id: &str) -> Result<v1::Signed, String> {
    let identity = hopeful(world, folder, id);
    let connected = Client::connect(&world.endpoint(), &identity, Root::default(), "").await;
    let (client, _inbox) = connected.map_err(|error| format!("connect: {error}"))?;
    let key = pki::generate_key(pki::KeyKind::P256).unwrap();
    let request = v1::Sign {
        csr: pki::csr_for(&key, id).unwrap(),
        ..v1::Sign::default()
    };
    let answer = client.ask(ServiceName::Provisioning, "sign", &request).await;
    client.disconnect().await;
    answer.map_err(|error| error.to_string())
}

/// Handshakes trust a manufacturer a tick after the registry's answer.
async fn until_open(world: &World, folder: &Path, id: &str) -> v1::Signed {
    for _ in 0..600 {
        match sign(world, folder, id).await {
            Ok(signed) => return signed,
            Err(why) => assert!(why.starts_with("connect"), "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{id} does not come in");
}

fn agent(world: &World, id: &str, factory: &Path) -> Child {
    Command::new(muster_program())
        .arg("--dir")
        .arg(world.folder())
        .args(["--server", &format!("127.0.0.1:{}", world.endpoint().port)])
        .args(["agent", id, "--factory", factory.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl and openssl; tests/run installs them"]
async fn a_device_comes_in_by_what_its_manufacturer_gave_it_and_lives_on_by_its_own() {
    let mut world = World::new().await;
    let admin = world.admin().await;
    let maker = Manufacturer::new("Acme Root", "Acme Line 1");
    register(&admin, &["sn-0001", "sn-0002"]).await;
    trust(&world, "acme", &maker);
    let mut running = agent(&world, "sn-0001", &maker.device("SN-0001"));
    world.until_stage(&admin, "sn-0001", Stage::Active).await;
    let _ = running.kill();
    let _ = running.wait();
    let list = muster(&world, &["manufacturer", "list"]);
    assert!(list.contains("acme"), "{list}");

    // Kill -9 forgets neither the manufacturer nor what was used.
    admin.client.disconnect().await;
    world.kill();
    world.start().await;
    let admin = world.admin().await;
    let second = maker.device("SN-0002");
    let signed = sign(&world, &second, "sn-0002").await.unwrap();
    assert!(signed.certificate.contains("BEGIN CERTIFICATE"));
    let again = sign(&world, &maker.device("SN-0001"), "sn-0001")
        .await
        .unwrap_err();
    assert!(again.contains("certificate in use"), "{again}");

    // One of them, and all of them.
    muster(&world, &["manufacturer", "refuse", "acme", "SN-0002", "--yes"]);
    let refused = sign(&world, &second, "sn-0002").await.unwrap_err();
    assert!(refused.starts_with("connect"), "{refused}");
    muster(
        &world,
        &["manufacturer", "refuse", "acme", "SN-0002", "--lift", "--yes"],
    );
    until_open(&world, &second, "sn-0002").await;
    muster(&world, &["manufacturer", "remove", "acme", "--yes"]);
    let refused = sign(&world, &second, "sn-0002").await.unwrap_err();
    assert!(refused.starts_with("connect"), "{refused}");
    world.shown(&admin, "sn-0001").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl and openssl; tests/run installs them"]
async fn no_other_certificate_opens_and_this_one_opens_nothing_else() {
    let world = World::new().await;
    let admin = world.admin().await;
    let maker = Manufacturer::new("Acme Root", "Acme Line 1");
    register(&admin, &["sn-0001", "sn-0002", "sn-0003"]).await;
    trust(&world, "acme", &maker);
    let first = maker.device("SN-0001");
    until_open(&world, &first, "sn-0001").await;

    // Another manufacturer's, one of the very same names, and one that plays a CA.
    let (other, twin) = (
        Manufacturer::new("Other Root", "Other Line"),
        Manufacturer::new("Acme Root", "Acme Line 1"),
    );
    for forged in [other.device("SN-0002"), twin.device("SN-0002")] {
        let why = sign(&world, &forged, "sn-0002").await.unwrap_err();
        assert!(why.starts_with("connect"), "{why}");
    }
    // Neither a second device, nor one without that serial number, nor one that is not there.
    for id in ["sn-0002", "sn-0003", "sn-0099", "admin"] {
        let why = sign(&world, &first, id).await.unwrap_err();
        assert!(why.contains("does not open this device"), "{id}: {why}");
    }

    // As an operator, a device or an integrator it does not come in.
    for who in ["operators/admin", "devices/sn-0001", "integrators/erp"] {
        let mut identity = hopeful(&world, &first, "sn-0001");
        identity.who = who.parse::<Principal>().unwrap();
        let connected = Client::connect(&world.endpoint(), &identity, Root::default(), "").await;
        let Ok((client, _inbox)) = connected else { continue };
        let ask = v1::ListDevices::default();
        let answer = client
            .ask::<v1::DevicesListed>(ServiceName::Registry, "list", &ask)
            .await;
        assert!(answer.is_err(), "{who}: {answer:?}");
    }
}

/// The manufacturer itself is the attacker: it signs what an operator has, to the last field.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl and openssl; tests/run installs them"]
async fn a_manufacturer_makes_no_operators() {
    let world = World::new().await;
    let admins = world.folder().join("people/admin");
    let own = pki::ClientCertificate::parse_pem(&read(&admins, "certificate.pem")).unwrap();
    let profile = format!(
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n\
         subjectAltName=URI:{}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
        own.subject
    );
    let issuing = std::fs::read_to_string(world.folder().join("pki/issuing.pem")).unwrap();
    let issuing_name = common_name(&issuing);
    for (maker, name) in [
        (Manufacturer::new("Acme Root", "Acme Line 1"), "acme"),
        // And its CA has the name of this installation's issuing CA.
        (Manufacturer::new("Acme Root 2", &issuing_name), "acme-2"),
    ] {
        trust(&world, name, &maker);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let forged = maker.leaf("forged", "/CN=admin", &profile, &own.serial_hex);
        let (chain, key) = (read(&forged, "certificate.pem"), read(&forged, "key.pem"));
        let identity = Identity::from_pem(&chain, &key, &world.roots()).unwrap();
        assert_eq!(identity.who.to_string(), "operators/admin");
        let connected = Client::connect(&world.endpoint(), &identity, Root::default(), "forged").await;
        if let Ok((client, _inbox)) = connected {
            let ask = v1::ListDevices::default();
            let answer = client
                .ask::<v1::DevicesListed>(ServiceName::Registry, "list", &ask)
                .await;
            assert!(answer.is_err(), "{name}: {answer:?}");
        }
    }
    // The installation's own CA is no manufacturer's.
    let own_ca = world.folder().join("pki/issuing.pem");
    let mut command = Command::new(muster_program());
    command.arg("--dir").arg(world.folder());
    command.args(["--server", &format!("127.0.0.1:{}", world.endpoint().port)]);
    command.args(["manufacturer", "add", "own", "--ca", own_ca.to_str().unwrap()]);
    assert!(!command.output().unwrap().status.success());
}

fn common_name(pem: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["x509", "-noout", "-subject", "-nameopt", "multiline,-align"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), pem.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("commonName")).unwrap();
    line.split_once(" = ").unwrap().1.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl and openssl; tests/run installs them"]
async fn over_est_it_enrols_too() {
    let world = World::with(&[("MUSTER_LISTEN__EST", "127.0.0.1:0")]).await;
    let admin = world.admin().await;
    let maker = Manufacturer::new("Acme Root", "Acme Line 1");
    register(&admin, &["sn-0001", "sn-0002"]).await;
    trust(&world, "acme", &maker);
    let shown = maker.device("SN-0001");
    let status = |id: &str| {
        let est = world.server().est.unwrap();
        let script = format!(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={id} \
               -keyout {id}.key -outform DER 2> /dev/null | base64 > {id}.b64
             curl -sS --max-time 30 -o answer -w '%{{http_code}}' --cacert {roots} --cert {shown}/certificate.pem \
               --key {shown}/key.pem -H 'Content-Type: application/pkcs10' --data-binary @{id}.b64 \
               https://{est}/.well-known/est/simpleenroll",
            roots = world.folder().join("pki/root.pem").display(),
            shown = shown.display(),
        );
        let folder = world.folder();
        let output = Command::new("sh")
            .args(["-ec", &script])
            .current_dir(folder)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let mut first = status("sn-0001");
    // Handshakes trust a manufacturer a tick after the registry's answer; until then there is none.
    for _ in 0..600 {
        if first != "000" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        first = status("sn-0001");
    }
    assert_eq!(first, "200");
    let refused = status("sn-0002");
    assert!(["401", "403"].contains(&refused.as_str()), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl and openssl; tests/run installs them"]
async fn what_the_manufacturer_revokes_lets_nobody_in_any_more() {
    let world = World::new().await;
    let admin = world.admin().await;
    let maker = Manufacturer::new("Acme Root", "Acme Line 1");
    register(&admin, &["sn-0001", "sn-0002"]).await;
    let cas = maker.all_cas();
    muster(
        &world,
        &["manufacturer", "add", "acme", "--ca", cas.to_str().unwrap()],
    );
    let [lost, kept] = ["SN-0001", "SN-0002"].map(|serial| maker.device(serial));
    // One is connected when the list comes: it is ended, and does not come again.
    let connected = loop {
        let identity = hopeful(&world, &lost, "sn-0001");
        match Client::connect(&world.endpoint(), &identity, Root::default(), "").await {
            Ok((client, inbox)) => break (client.with_patience(Duration::from_secs(3)), inbox),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    let list = maker.list("02", &["SN-0001"]);
    muster(&world, &["manufacturer", "crl", "acme", list.to_str().unwrap()]);
    let shown = muster(&world, &["manufacturer", "show", "acme"]);
    assert!(
        shown
            .lines()
            .any(|line| line.starts_with("revoked") && line.ends_with('1')),
        "{shown}"
    );
    let request = v1::GetAuthorities::default();
    let asked = connected
        .0
        .ask::<v1::Authorities>(ServiceName::Provisioning, "authorities", &request);
    assert!(asked.await.is_err(), "its session is over");
    until_open(&world, &kept, "sn-0002").await;
    let refused = sign(&world, &lost, "sn-0001").await.unwrap_err();
    assert!(refused.starts_with("connect"), "{refused}");
    // The log tells it a moment later.
    for _ in 0..600 {
        if world.server().log().contains("Revoked") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        world.server().log().contains("Revoked"),
        "{}",
        world.server().log()
    );
    // An older list, and another's, change nothing.
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let other = Manufacturer::new("Acme Root", "Acme Line 1");
    for (list, part) in [
        (maker.list("01", &[]), "older"),
        (other.list("09", &[]), "not signed by"),
    ] {
        let mut program = Command::new(muster_program());
        let program = program
            .arg("--dir")
            .arg(world.folder())
            .args(["--server", &server]);
        let said = program
            .args(["manufacturer", "crl", "acme"])
            .arg(list)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.status.success() && text.contains(part), "{part}: {text}");
    }
    assert!(sign(&world, &lost, "sn-0001").await.is_err());
    // A newer one may take it back.
    let list = maker.list("0100", &[]);
    muster(&world, &["manufacturer", "crl", "acme", list.to_str().unwrap()]);
    until_open(&world, &lost, "sn-0001").await;
}
