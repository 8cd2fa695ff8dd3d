//! curl and openssl enrol over HTTPS (RFC 7030).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    net::{IpAddr, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
};

use client::Identity;
use world::{Person, World};

/// What curl heard.
#[derive(Debug)]
struct Heard {
    status: u16,
    head: String,
    body: Vec<u8>,
}

/// Asks by curl; a folder holds the certificate to be shown.
fn curl(world: &World, shown: Option<&Path>, path: &str, arguments: &[&str]) -> Heard {
    let address = world.server().est.unwrap().to_string();
    curl_at(world, &address, shown, path, arguments)
}

fn curl_at(world: &World, address: &str, shown: Option<&Path>, path: &str, arguments: &[&str]) -> Heard {
    let folder = tempfile::tempdir().unwrap();
    let (head, body) = (folder.path().join("head"), folder.path().join("body"));
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "30", "-w", "%{http_code}"]);
    command.arg("-D").arg(&head).arg("-o").arg(&body);
    command.arg("--cacert").arg(world.folder().join("pki/root.pem"));
    if let Some(shown) = shown {
        command.arg("--cert").arg(shown.join("certificate.pem"));
        command.arg("--key").arg(shown.join("key.pem"));
    }
    command.args(arguments).arg(format!("https://{address}{path}"));
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Heard {
        status: String::from_utf8_lossy(&output.stdout).parse().unwrap(),
        head: std::fs::read_to_string(head).unwrap().to_lowercase(),
        body: std::fs::read(body).unwrap_or_default(),
    }
}

fn enrol(world: &World, shown: Option<&Path>, verb: &str, csr: &str, more: &[&str]) -> Heard {
    let kind = "Content-Type: application/pkcs10";
    let arguments = [&["-H", kind, "--data-binary", csr], more].concat();
    curl(world, shown, &format!("/.well-known/est/{verb}"), &arguments)
}

/// A key and a request for it, as openssl makes them: the key beside the request in base64.
fn request(folder: &Path, id: &str) -> String {
    std::fs::create_dir_all(folder).unwrap();
    let script = format!(
        "umask 077; openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={id} \
         -keyout key.pem -outform DER -out csr.der && base64 csr.der"
    );
    sh(folder, &script)
}

/// The certificates in an answer, PEM.
fn certificates(folder: &Path, heard: &Heard) -> String {
    assert_eq!(heard.status, 200, "{}", String::from_utf8_lossy(&heard.body));
    assert!(
        heard
            .head
            .contains("content-type: application/pkcs7-mime; smime-type=certs-only")
    );
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("answer.b64"), &heard.body).unwrap();
    sh(
        folder,
        "base64 -di answer.b64 | openssl pkcs7 -inform DER -print_certs | sed -n /BEGIN/,/END/p",
    )
}

fn sh(folder: &Path, script: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Keeps a certificate beside its key, and has openssl verify it.
fn keep(world: &World, folder: &Path, certificate: &str) -> Identity {
    std::fs::write(folder.join("certificate.pem"), certificate).unwrap();
    std::fs::write(folder.join("roots.pem"), world.roots()).unwrap();
    let issuing = world.folder().join("pki/issuing.pem");
    let verify = format!(
        "openssl verify -x509_strict -purpose sslclient -CAfile roots.pem -untrusted {} certificate.pem",
        issuing.display()
    );
    sh(folder, &verify);
    world.identity(folder)
}

/// A registered device's folder.
async fn registered(world: &World, admin: &Person, id: &str) -> PathBuf {
    world.register(admin, &[id]).await;
    world.folder().join("identities").join(id)
}

fn muster(world: &World, arguments: &[&str]) -> String {
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    world::muster(world.folder(), &[&["--server", &server], arguments].concat())
}

/// A claim that wants more than its certificate; its folder.
fn claim(world: &World, batch: &str, admission: &str) -> PathBuf {
    muster(
        world,
        &["cert", "claim", batch, "--uses", "10", "--admission", admission],
    );
    world.folder().join("claims").join(batch)
}

/// A device's one-time secret.
fn secret(world: &World, id: &str) -> String {
    let made = muster(world, &["--json", "cert", "secret", id]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    made["secret"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl and openssl; tests/run installs them"]
async fn a_claim_enrols_and_the_device_enrols_again() {
    let world = World::with(&[("MUSTER_LISTEN__EST", "127.0.0.1:0")]).await;
    let admin = world.admin().await;
    let all = certificates(
        world.folder(),
        &curl(&world, None, "/.well-known/est/cacerts", &[]),
    );
    assert_eq!(all.matches("BEGIN CERTIFICATE").count(), 2, "{all}");
    assert_eq!(curl(&world, None, "/.well-known/est/csrattrs", &[]).status, 204);

    // A new issuing CA is told as soon as the front door trusts it.
    muster(&world, &["ca", "new"]);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let heard = curl(&world, None, "/.well-known/est/cacerts", &[]);
        let all = certificates(world.folder(), &heard);
        if all.matches("BEGIN CERTIFICATE").count() == 3 {
            break;
        }
        assert!(std::time::Instant::now() < end, "{all}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }

    let line = world.claim(&admin, "line", 3).await;
    let pump = registered(&world, &admin, "pump-1").await;
    let csr = request(&pump, "pump-1");
    let first = certificates(&pump, &enrol(&world, Some(&line), "simpleenroll", &csr, &[]));
    assert_eq!(first.matches("BEGIN CERTIFICATE").count(), 1, "{first}");
    // A client that heard nothing asks again, and nothing is spent.
    let again = certificates(&pump, &enrol(&world, Some(&line), "simpleenroll", &csr, &[]));
    assert_eq!(first, again);

    let identity = keep(&world, &pump, &first);
    world.connect(&identity, "").await.client.disconnect().await;
    let next = certificates(&pump, &enrol(&world, Some(&pump), "simplereenroll", &csr, &[]));
    assert_ne!(first, next);
    let identity = keep(&world, &pump, &next);
    world.connect(&identity, "").await.client.disconnect().await;

    // The claim opens no device that works, and neither certificate does what the other is for.
    let other = request(&world.folder().join("thief"), "pump-1");
    assert_eq!(
        enrol(&world, Some(&line), "simpleenroll", &other, &[]).status,
        409
    );
    assert_eq!(
        enrol(&world, Some(&line), "simplereenroll", &other, &[]).status,
        403
    );
    assert_eq!(enrol(&world, Some(&pump), "simpleenroll", &csr, &[]).status, 403);
    assert_eq!(enrol(&world, None, "simpleenroll", &csr, &[]).status, 401);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl and openssl; tests/run installs them"]
async fn a_password_enrols_without_a_certificate() {
    let settings = [
        ("MUSTER_LISTEN__EST", "127.0.0.1:0"),
        ("MUSTER_LISTEN__EST_CLAIM", "field"),
    ];
    let world = World::with(&settings).await;
    let admin = world.admin().await;
    let pump = registered(&world, &admin, "pump-1").await;
    let csr = request(&pump, "pump-1");
    // There is no such claim yet.
    assert_eq!(
        enrol(&world, None, "simpleenroll", &csr, &["-u", "pump-1:x"]).status,
        401
    );
    claim(&world, "field", "secret");
    let login = format!("pump-1:{}", secret(&world, "pump-1"));

    for wrong in [&[][..], &["-u", "pump-1:wrong"], &["-u", "pump-2:wrong"]] {
        let heard = enrol(&world, None, "simpleenroll", &csr, wrong);
        let expected = if wrong.get(1) == Some(&"pump-2:wrong") {
            400
        } else {
            401
        };
        assert_eq!(heard.status, expected, "{wrong:?} {heard:?}");
        assert_eq!(heard.head.contains("www-authenticate: basic"), expected == 401);
    }
    let certificate = certificates(&pump, &enrol(&world, None, "simpleenroll", &csr, &["-u", &login]));
    let identity = keep(&world, &pump, &certificate);
    world.connect(&identity, "").await.client.disconnect().await;
    let other = request(&world.folder().join("thief"), "pump-1");
    assert_eq!(
        enrol(&world, None, "simpleenroll", &other, &["-u", &login]).status,
        401
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl and openssl; tests/run installs them"]
async fn a_claim_that_opens_by_itself_is_given_to_nobody() {
    let settings = [
        ("MUSTER_LISTEN__EST", "127.0.0.1:0"),
        ("MUSTER_LISTEN__EST_CLAIM", "line"),
    ];
    let world = World::with(&settings).await;
    let admin = world.admin().await;
    let line = world.claim(&admin, "line", 3).await;
    let pump = registered(&world, &admin, "pump-1").await;
    let csr = request(&pump, "pump-1");
    assert_eq!(
        enrol(&world, None, "simpleenroll", &csr, &["-u", "pump-1:x"]).status,
        401
    );
    assert_eq!(enrol(&world, Some(&line), "simpleenroll", &csr, &[]).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl and openssl; tests/run installs them"]
async fn who_waits_for_an_operator_is_told_when_to_come_again() {
    let world = World::with(&[("MUSTER_LISTEN__EST", "127.0.0.1:0")]).await;
    let admin = world.admin().await;
    let yard = claim(&world, "yard", "manual");
    let pump = registered(&world, &admin, "pump-1").await;
    let csr = request(&pump, "pump-1");
    for _ in 0..2 {
        let heard = enrol(&world, Some(&yard), "simpleenroll", &csr, &[]);
        assert_eq!(heard.status, 202, "{heard:?}");
        assert!(heard.head.contains("retry-after: 30"), "{heard:?}");
    }
    muster(&world, &["cert", "admit", "pump-1", "--yes"]);
    let certificate = certificates(&pump, &enrol(&world, Some(&yard), "simpleenroll", &csr, &[]));
    keep(&world, &pump, &certificate);
}

/// An address of this machine that is not loopback: what would be asked from there. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback()).then_some(own)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl and openssl; tests/run installs them"]
async fn an_address_that_enrols_too_fast_is_told_when_to_come_again() {
    let Some(own) = own_address() else {
        println!("this machine has no address but loopback; not tried");
        return;
    };
    let settings = [
        ("MUSTER_LISTEN__EST", "0.0.0.0:0"),
        ("MUSTER_LIMITS__ENROLMENTS_PER_ADDRESS", "2"),
    ];
    let world = World::with(&settings).await;
    let admin = world.admin().await;
    let line = world.claim(&admin, "line", 9).await;
    let port = world.server().est.unwrap().port();
    let (here, there) = (
        format!("localhost:{port}"),
        format!("localhost:{port}:{own}:{port}"),
    );
    let enrol = |id: &str, more: &[&str]| {
        let csr = request(&world.folder().join(id), id);
        let kind = "Content-Type: application/pkcs10";
        let arguments = [&["-H", kind, "--data-binary", &csr], more].concat();
        curl_at(
            &world,
            &here,
            Some(&line),
            "/.well-known/est/simpleenroll",
            &arguments,
        )
    };
    for (id, expected) in [("pump-1", 200), ("pump-2", 200), ("pump-3", 429)] {
        registered(&world, &admin, id).await;
        let heard = enrol(id, &["--connect-to", &there]);
        assert_eq!(heard.status, expected, "{heard:?}");
        let again = heard
            .head
            .lines()
            .find_map(|line| line.strip_prefix("retry-after: "));
        let again = again.map(|seconds| seconds.parse::<u64>().unwrap());
        assert_eq!(
            again.is_some_and(|s| (1..=60).contains(&s)),
            expected == 429,
            "{heard:?}"
        );
    }
    let met = muster(&world, &["broker", "limits", "--met"]);
    assert!(met.contains("enrolments_per_address"), "{met}");
    // The machine itself has no share of its own.
    assert_eq!(enrol("pump-3", &[]).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl and openssl; tests/run installs them"]
async fn what_makes_no_sense_is_told_so_and_opens_nothing() {
    let world = World::with(&[("MUSTER_LISTEN__EST", "127.0.0.1:0")]).await;
    let admin = world.admin().await;
    let line = world.claim(&admin, "line", 3).await;
    let pump = registered(&world, &admin, "pump-1").await;
    let csr = request(&pump, "pump-1");
    let status = |path: &str, arguments: &[&str]| curl(&world, Some(&line), path, arguments).status;
    let lost = curl(&world, Some(&line), "/", &[]);
    assert_eq!((lost.status, lost.head.contains("base64")), (404, false));
    assert_eq!(status("/.well-known/est/serverkeygen", &["-d", "x"]), 404);
    assert_eq!(status("/.well-known/est/simpleenroll", &[]), 405);
    let large = "A".repeat(100_000);
    for (body, expected) in [
        ("rubbish", 400),
        (&csr[..csr.len() / 2], 400),
        ("", 400),
        (&large[..], 413),
    ] {
        let heard = enrol(&world, Some(&line), "simpleenroll", body, &[]);
        assert_eq!(heard.status, expected, "{heard:?}");
    }
    let unknown = request(&world.folder().join("unknown"), "pump-2");
    let heard = enrol(&world, Some(&line), "simpleenroll", &unknown, &[]);
    assert_eq!(heard.status, 409, "{heard:?}");
    let certificate = certificates(&pump, &enrol(&world, Some(&line), "simpleenroll", &csr, &[]));
    keep(&world, &pump, &certificate);
    muster(&world, &["device", "suspend", "pump-1"]);
    let heard = enrol(&world, Some(&pump), "simplereenroll", &csr, &[]);
    assert_eq!(heard.status, 403, "{heard:?}");
}
