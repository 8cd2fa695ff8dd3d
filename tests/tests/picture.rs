//! A one-time secret that is shown as a picture, read from it by somebody else's program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::Write,
    process::{Command, Stdio},
};

use world::{World, muster, repository};

/// What a camera's program reads in what the terminal shows.
fn read(shown: &str) -> String {
    let mut reader = Command::new(repository().join("target/python/bin/python"))
        .arg(repository().join("tests/strangers/qr.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    reader.stdin.take().unwrap().write_all(shown.as_bytes()).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "nothing is read in:\n{shown}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs zxing-cpp; tests/run installs it"]
async fn a_secret_is_read_from_its_picture() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let typed = ["--server", &server, "cert", "secret", "pump-7", "--qr"];
    let shown = muster(world.folder(), &typed);
    let secret = shown.lines().find_map(|line| line.strip_prefix("secret"));
    let secret = secret.expect("the secret in words").trim();
    assert_eq!(secret.split('-').map(str::len).collect::<Vec<_>>(), [8; 4]);
    assert_eq!(read(&shown), secret);
}
