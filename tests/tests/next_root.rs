//! A root's end, with the reference agent as it is: one comes over by the link, one that was given none stays out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{path::Path, process::Command, time::Duration};

use contract::{ServiceName, v1};
use serde_json::Value;
use world::{Person, Process, World, agent, cargo_output, muster};

/// Tenths of a second: the server follows within eight seconds, and the machine may be busy.
const PATIENCE: usize = 900;

/// An installation, somebody who types, and whose folder it is now.
struct Scene {
    world: World,
    me: String,
}

impl Scene {
    /// The exit code of a command that asks the server, and what it said.
    fn asks(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let server = format!("127.0.0.1:{}", self.world.endpoint().port);
        let output = Command::new(cargo_output("muster"))
            .arg("--dir")
            .arg(self.world.folder())
            .args(["--as", &self.me, "--server", &server])
            .args(arguments)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    fn good(&self, arguments: &[&str]) -> String {
        let (code, said) = self.asks(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        said
    }

    fn refused(&self, arguments: &[&str], code: i32, word: &str) {
        let (ended, said) = self.asks(arguments);
        assert!(
            ended == Some(code) && said.contains(word),
            "{arguments:?}: {ended:?} {said}"
        );
    }

    /// Rows as a list tells them in JSON.
    fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        let text = self.good(&[&["--json"], arguments].concat());
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn path(&self, name: &str) -> String {
        self.world.folder().join(name).to_str().unwrap().to_owned()
    }

    /// A root in a folder of its own.
    fn root(&self, name: &str, kind: &str) -> String {
        let folder = self.path(name);
        let new = [
            "ca",
            "root",
            "new",
            &folder,
            "--site",
            "test",
            "--unencrypted",
            "--key",
            kind,
        ];
        muster(self.world.folder(), &new);
        folder
    }

    /// A link from one root to another.
    fn link(&self, from: &str, to: &str, name: &str) -> String {
        let (next, link) = (format!("{to}/root.pem"), self.path(name));
        self.good(&["ca", "root", "link", "--root-folder", from, &next, &link, "--yes"]);
        link
    }

    /// The certificates of an issuing CA are revoked, and it goes.
    fn removes(&self, issuing: &str) {
        let revoke = [
            "cert",
            "revoke",
            "--issuer",
            issuing,
            "--reason",
            "superseded",
            "--yes",
        ];
        self.good(&revoke);
        self.good(&["ca", "remove", issuing, "--yes"]);
    }
}

/// Waits until a process has said this, beginning after what it had said by then; how much it has said now.
async fn says(process: &Process, after: usize, words: &[&str]) -> usize {
    for _ in 0..PATIENCE {
        let log = process.log();
        let is_said = |line: &str| words.iter().all(|word| line.contains(word));
        if log[after..].lines().any(is_said) {
            return log.len();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody says {words:?}:\n{}", process.log());
}

async fn told(admin: &Person) -> v1::Authorities {
    let asked = v1::GetAuthorities::default();
    admin.ask(ServiceName::Provisioning, "authorities", &asked).await
}

fn fingerprint(root: &str) -> String {
    let text = std::fs::read_to_string(Path::new(root).join("root.pem")).unwrap();
    pki::RootCertificate::read_all(&text)
        .unwrap()
        .remove(0)
        .fingerprint_sha256
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_the_former_root_comes_over_by_the_link_and_one_without_it_stays_out() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7", "pump-8", "pump-9"]).await;
    let claim = world.claim(&admin, "lot", 3).await;
    let (seven, mut eight) = (agent(&world, "pump-7", &claim), agent(&world, "pump-8", &claim));
    says(&seven, 0, &["reported"]).await;
    says(&eight, 0, &["reported"]).await;
    let mut nine = agent(&world, "pump-9", &claim);
    says(&nine, 0, &["reported"]).await;
    nine.kill();

    // A root without a link: whoever is told it says why it is not trusted, once, and goes on.
    let me = world.folder().join("people/admin").to_str().unwrap().to_owned();
    let mut scene = Scene { world, me };
    let old = scene.path("pki");
    let (old_root, new, stranger) = (
        fingerprint(&old),
        scene.root("next", "p384"),
        scene.root("other", "p256"),
    );
    let (new_root, new_pem) = (fingerprint(&new), format!("{new}/root.pem"));
    scene.good(&["ca", "root", "add", &new_pem, "--yes"]);
    let many = ["cert", "renew-all", "--rate", "20/s", "--yes", "--device"];
    scene.good(&[&many[..], &["pump-8"]].concat());
    says(&eight, 0, &["problem", &new_root, "no link"]).await;
    says(&eight, 0, &["renewed"]).await;
    assert_eq!(eight.log().matches("no link").count(), 1);
    eight.kill();

    // Links that do not fit are refused; the one that does is told to whoever asks.
    let foreign = scene.link(&stranger, &new, "foreign.pem");
    let astray = scene.link(&old, &stranger, "astray.pem");
    let add = |link: &str| ["ca", "root", "add", &new_pem, "--yes", "--link", link].map(str::to_owned);
    for (link, code, word) in [
        (&foreign, 4, "no root that is trusted"),
        (&astray, 4, "another root"),
        (&new_pem, 2, "no link"),
        (&scene.path("pki/issuing.pem"), 2, "no link"),
    ] {
        let typed = add(link);
        scene.refused(&typed.each_ref().map(String::as_str), code, word);
    }
    assert_eq!(told(&admin).await.root_links, "");
    let link = scene.link(&old, &new, "link.pem");
    assert_eq!(
        std::fs::read(&link).unwrap(),
        std::fs::read(scene.link(&old, &new, "again.pem")).unwrap(),
        "the same again"
    );
    let typed = add(&link);
    let typed = typed.each_ref().map(String::as_str);
    assert!(scene.good(&typed).contains("has taken it"));
    scene.refused(&typed, 4, "already");
    assert_eq!(
        told(&admin).await.root_links,
        std::fs::read_to_string(&link).unwrap()
    );
    let listed = scene.rows(&["ca", "root", "list"]);
    assert_eq!(listed[1]["linked_from"], serde_json::json!([old_root]));
    assert!(scene.good(&["ca", "root", "show", &new_root]).contains(&old_root));

    // It outlives a restart; the agent takes the root with its next certificate.
    admin.client.disconnect().await;
    scene.world.kill();
    scene.world.start().await;
    scene.good(&[&many[..], &["pump-7"]].concat());
    let said = says(&seven, 0, &["root-taken", &new_root]).await;
    assert!(!seven.log().contains("not trusted"), "{}", seven.log());

    // The rest of the change, and nobody touches it.
    scene.good(&["ca", "new", "--root-key", &format!("{new}/root.key")]);
    let ids: Vec<_> = scene
        .rows(&["ca", "list"])
        .iter()
        .map(|row| row["id"].clone())
        .collect();
    let [old_ca, new_ca] = [0, 1].map(|at: usize| ids[at].as_str().unwrap().to_owned());
    let roots = scene.world.folder().join("people/admin/roots.pem");
    std::fs::write(roots, scene.world.roots()).unwrap();
    scene.good(&["ca", "activate", &new_ca, "--yes"]);
    scene.good(&["cert", "renew-server"]);
    scene.good(&[&many[..], &["pump-7"]].concat());
    says(&seven, said, &["renewed"]).await;
    // One that was away comes back with the former root alone: the server shows the link.
    let mut nine = agent(&scene.world, "pump-9", &claim);
    says(&nine, 0, &["reported"]).await;
    assert!(!nine.log().contains("root-taken"), "{}", nine.log());
    scene.good(&[&many[..], &["pump-9"]].concat());
    says(&nine, 0, &["root-taken", &new_root]).await;
    says(&nine, 0, &["renewed"]).await;
    nine.kill();
    let again = scene.path("again");
    scene.good(&["cert", "issue", "operator", "admin", "--out", &again]);
    scene.me = again;
    scene.removes(&old_ca);
    scene.good(&["ca", "root", "remove", &old_root, "--yes"]);

    // Both start again, with nothing but the former root in their settings.
    let former = std::fs::read_to_string(claim.join("roots.pem")).unwrap();
    assert_eq!(former.matches("BEGIN").count(), 1);
    let mut seven = seven;
    seven.kill();
    let (seven, eight) = (
        agent(&scene.world, "pump-7", &claim),
        agent(&scene.world, "pump-8", &claim),
    );
    says(&seven, 0, &["reported"]).await;
    says(&eight, 0, &["disconnected", "UnknownIssuer"]).await;
    assert!(!eight.log().contains("\"connected\""), "{}", eight.log());

    // What came of each root stands in the log, also that it was linked to.
    let subject = format!("authorities/{new_root}/changed");
    let events = [
        "events",
        "--service",
        "provisioning",
        "--from-start",
        "--filter",
        &subject,
        "--count",
        "2",
    ];
    let states: Vec<_> = scene
        .rows(&events)
        .iter()
        .map(|row| row["data"]["state"].clone())
        .collect();
    assert_eq!(states, ["root", "linked-root"]);
}
