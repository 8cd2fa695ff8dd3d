//! The server's own certificate is renewed while it runs, and nobody is dropped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use contract::{ServiceName, v1};
use pki::{Host, ServerCertificate};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use serde_json::Value;
use tokio::net::TcpStream;
use world::{World, cargo_output};

/// The folder is looked at every two seconds; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The certificate that a new handshake shows.
async fn shown(world: &World) -> ServerCertificate {
    let read = |name: &str| std::fs::read(world.folder().join("people/admin").join(name)).unwrap();
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(world.roots().as_bytes()) {
        roots.add(root.unwrap()).unwrap();
    }
    let chain = CertificateDer::pem_slice_iter(&read("certificate.pem"))
        .map(Result::unwrap)
        .collect();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&read("key.pem")).unwrap())
        .unwrap();
    let stream = TcpStream::connect(world.server().principals).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap();
    ServerCertificate::parse(&shown[0]).unwrap()
}

/// Waits until new handshakes show another certificate than this one.
async fn shown_after(world: &World, serial: &str) -> ServerCertificate {
    let end = Instant::now() + PATIENCE;
    loop {
        let shown = shown(world).await;
        if shown.serial_hex != serial {
            return shown;
        }
        assert!(Instant::now() < end, "{serial} is still shown");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn muster(world: &World, arguments: &[&str]) -> String {
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    world::muster(world.folder(), &[&["--server", &server], arguments].concat())
}

/// From where a device is connected: another after a reconnect.
fn address(world: &World, id: &str) -> String {
    let client: Value = serde_json::from_str(&muster(world, &["--json", "broker", "client", id])).unwrap();
    find(&client, "address").unwrap_or_else(|| panic!("{id} is not connected: {client}"))
}

fn find(value: &Value, name: &str) -> Option<String> {
    match value {
        Value::Object(fields) => {
            let here = fields.get(name).and_then(Value::as_str).map(str::to_owned);
            here.or_else(|| fields.values().find_map(|value| find(value, name)))
        }
        Value::Array(values) => values.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

/// The server's certificates in provisioning's records: serial and status.
fn recorded(world: &World) -> Vec<(String, String)> {
    let rows = muster(world, &["--json", "cert", "list", "--kind", "service"]);
    let rows = rows
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| ["serial", "status"].map(|name| row[name].as_str().unwrap().to_owned()))
        .map(|[serial, status]| (serial, status.to_lowercase()))
        .collect()
}

fn status(world: &World, serial: &str) -> String {
    let all = recorded(world);
    let found = all.iter().find(|(other, _)| other == serial);
    found.unwrap_or_else(|| panic!("{serial}: {all:?}")).1.clone()
}

/// Waits until a certificate has this status in the records: the files change first.
async fn until_status(world: &World, serial: &str, expected: &str) {
    let end = Instant::now() + PATIENCE;
    while !status(world, serial).contains(expected) {
        let all = recorded(world);
        assert!(Instant::now() < end, "{serial} is not {expected}: {all:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_lived_certificate_is_replaced_while_devices_stay_connected() {
    // Long enough for a busy machine, short enough to be waited for: two thirds are twenty seconds.
    let world = World::with(&[("MUSTER_PKI__SERVER_LIFETIME", "30s")]).await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let pump = world.device(&admin, "pump-7").await;
    let first = shown(&world).await;
    let from = address(&world, "pump-7");

    let renewed: Value = serde_json::from_str(&muster(&world, &["--json", "cert", "renew-server"])).unwrap();
    assert_eq!(renewed["replaced"][0], first.serial_hex.as_str());
    let second = shown_after(&world, &first.serial_hex).await;
    assert_eq!(renewed["serial"], second.serial_hex.as_str());
    assert_eq!(second.hosts, first.hosts);
    assert_ne!(second.key_fingerprint_sha256, first.key_fingerprint_sha256);
    until_status(&world, &first.serial_hex, "retired").await;

    // Nobody asks for this one.
    let third = shown_after(&world, &second.serial_hex).await;
    until_status(&world, &third.serial_hex, "active").await;
    until_status(&world, &second.serial_hex, "retired").await;
    let asked = v1::GetAuthorities::default();
    let _: v1::Authorities = pump.ask(ServiceName::Provisioning, "authorities", &asked).await;
    assert_eq!(address(&world, "pump-7"), from, "it was never disconnected");
    let mode = std::fs::metadata(world.folder().join("pki/server.key")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    assert!(!world.folder().join("pki/server-next.pem").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_names_are_agreed_to_and_a_sealed_installation_renews_too() {
    let at = tempfile::tempdir().unwrap();
    let passphrase = at.path().join("pass.txt");
    std::fs::write(&passphrase, "correct horse\n").unwrap();
    std::fs::set_permissions(&passphrase, std::fs::Permissions::from_mode(0o600)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let passphrase = passphrase.to_str().unwrap();
    world::muster(folder.path(), &["init", "--passphrase-file", passphrase]);
    let mut world = World::found(folder, 0).await;
    let first = shown(&world).await;

    let names = ["--host", "127.0.0.1", "--host", "muster.example"];
    let (code, said) = refused(&world, &names);
    assert!(code == Some(2) && said.contains("--yes"), "{code:?} {said}");
    let (code, said) = refused(&world, &["--host", "a b", "--yes"]);
    assert!(
        code != Some(0) && said.contains("neither a DNS name nor"),
        "{code:?} {said}"
    );
    let would = muster(
        &world,
        &[&["cert", "renew-server", "--dry-run"], &names[..]].concat(),
    );
    assert!(would.contains("muster.example"), "{would}");
    assert_eq!(shown(&world).await, first);

    muster(&world, &[&["cert", "renew-server", "--yes"], &names[..]].concat());
    let second = shown_after(&world, &first.serial_hex).await;
    // The machine's own names stay, or nobody here could ask for others.
    let hosts = ["127.0.0.1", "muster.example", "localhost", "::1"].map(|host| Host::parse(host).unwrap());
    assert_eq!(second.hosts, hosts);
    let moved = muster(
        &world,
        &["cert", "renew-server", "--host", "moved.example", "--yes"],
    );
    assert!(
        moved.contains("moved.example, localhost, 127.0.0.1, ::1"),
        "{moved}"
    );
    let second = shown_after(&world, &second.serial_hex).await;
    assert!(muster(&world, &["cert", "list", "--kind", "service"]).contains(&second.serial_hex));
    // A start ends what was cut off between the two files.
    let pki = world.folder().join("pki");
    assert_eq!(world.stop(), Some(0));
    cut_off(&pki);
    world.start().await;
    assert_eq!(shown(&world).await, second);
}

/// The files as a power cut leaves them after the key was renamed, and before the certificate was.
fn cut_off(pki: &Path) {
    // The one after it is made when both are in their places.
    std::fs::remove_file(pki.join("server-next.key")).unwrap();
    std::fs::rename(pki.join("server.pem"), pki.join("server-next.pem")).unwrap();
    std::fs::copy(pki.join("root.pem"), pki.join("server.pem")).unwrap();
}

fn refused(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(cargo_output("muster"))
        .arg("--dir")
        .arg(world.folder())
        .args(["--server", &format!("127.0.0.1:{}", world.endpoint().port)])
        .args(["cert", "renew-server"])
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}
