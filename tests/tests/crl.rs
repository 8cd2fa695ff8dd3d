//! curl fetches revocation lists, and openssl verifies them and by them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use world::World;

/// A revocation is in the list half a second later; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a shell says in the installation's folder, and whether all went well.
fn sh(world: &World, script: &str) -> (bool, String) {
    let output = Command::new("sh")
        .args(["-ec", script])
        .current_dir(world.folder())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// The status of a path, whose body goes into the file `got`.
fn fetch(world: &World, path: &str) -> String {
    let http = world.server().http;
    sh(
        world,
        &format!("curl -sS -o got -w '%{{http_code}} %{{content_type}}' http://{http}{path}"),
    )
    .1
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl and openssl; tests/run installs them"]
async fn a_revoked_certificate_stands_in_the_list_that_is_fetched() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["kept", "lost"]).await;
    let line = world.claim(&admin, "line", 2).await;
    for id in ["kept", "lost"] {
        world.provision(&line, id).await;
    }
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let revoke = ["--server", &server, "cert", "revoke", "--device", "lost", "--yes"];
    world::muster(world.folder(), &revoke);
    let listed = world::muster(world.folder(), &["--json", "ca", "list"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let id = listed["id"].as_str().unwrap();

    let end = Instant::now() + PATIENCE;
    let serial = sh(
        &world,
        "openssl x509 -in identities/lost/certificate.pem -noout -serial",
    )
    .1;
    let serial = serial.trim().strip_prefix("serial=").unwrap().to_owned();
    loop {
        let got = fetch(&world, &format!("/crl/{id}.der"));
        if got == "200 application/pkix-crl" {
            let (good, text) = sh(
                &world,
                "openssl crl -inform DER -in got -CAfile pki/issuing.pem -noout -text",
            );
            assert!(good && text.contains("verify OK"), "{text}");
            if text.contains(&serial) {
                break;
            }
        }
        assert!(Instant::now() < end, "{serial} is not in the list: {got}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let got = fetch(&world, &format!("/ca/{id}.der"));
    assert_eq!(got, "200 application/pkix-cert");
    let same = "openssl x509 -inform DER -in got | cmp - pki/issuing.pem";
    let (_, said) = sh(&world, same);
    assert!(said.is_empty() || said.contains("EOF on -"), "{said}");
    let verify = |id: &str| {
        let script = format!(
            "openssl verify -crl_check -CAfile pki/root.pem -untrusted pki/issuing.pem -CRLfile got \
             identities/{id}/certificate.pem"
        );
        sh(&world, &script)
    };
    // The file of all lists is written after each of them.
    loop {
        let got = fetch(&world, "/crl/all.pem");
        assert_eq!(got, "200 application/x-pem-file");
        let (good, said) = verify("lost");
        if !good && said.contains("certificate revoked") {
            break;
        }
        assert!(Instant::now() < end, "{said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(verify("kept").0, "{}", verify("kept").1);
    // Whoever watches sees when what signed it ends.
    assert!(fetch(&world, "/metrics").starts_with("200"));
    let metrics = std::fs::read_to_string(world.folder().join("got")).unwrap();
    for of in ["server", &format!("issuing-{id}")] {
        let name = format!("muster_certificate_end_seconds{{of=\"{of}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(name.as_str()));
        let end: f64 = line
            .unwrap_or_else(|| panic!("{name}: {metrics}"))
            .parse()
            .unwrap();
        let file = if of == "server" {
            "server.pem"
        } else {
            "issuing.pem"
        };
        let text = sh(&world, &format!("openssl x509 -in pki/{file} -noout -enddate")).1;
        let date = text.trim().strip_prefix("notAfter=").unwrap();
        let expected = sh(&world, &format!("date -u -d '{date}' +%s")).1;
        assert_eq!(end, expected.trim().parse::<f64>().unwrap());
    }
    for path in ["/crl/00000000.der", "/crl/..%2f..%2fpki%2froot.key", "/crl/"] {
        assert!(fetch(&world, path).starts_with("404"), "{path}");
    }
}
