//! The audit log of a whole installation: who, from where, and what an intruder cannot take out of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{path::Path, time::Duration};

use contract::{
    Code, ServiceName,
    v1::{
        AuditEntry, AuditRead, Changed, ClientKicked, Done, KickClient, PutPerson, PutSecret, ReadAudit,
        RestrictDevice, Role,
    },
};
use world::{Person, World, muster};

async fn read(admin: &Person, service: ServiceName) -> Vec<AuditEntry> {
    let ask = ReadAudit {
        page_size: 500,
        ..ReadAudit::default()
    };
    admin.ask::<AuditRead>(service, "audit", &ask).await.entries
}

fn of<'a>(entries: &'a [AuditEntry], verb: &str) -> Vec<&'a AuditEntry> {
    entries.iter().filter(|entry| entry.verb == verb).collect()
}

/// Checks an export; what was said of it.
fn verify(folder: &Path, export: &str, heads: &str) -> (bool, String) {
    let output = std::process::Command::new(world::cargo_output("muster"))
        .args(["--dir", &folder.display().to_string(), "audit", "verify"])
        .arg(folder.join(export))
        .arg("--heads")
        .arg(folder.join(heads))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), said)
}

#[tokio::test]
async fn who_asked_from_where_and_what_came_of_it() {
    let w = World::new().await;
    let admin = w.admin().await;
    w.register(&admin, &["pump-7"]).await;
    let _device = w.device(&admin, "pump-7").await;

    let signed = read(&admin, ServiceName::Provisioning).await;
    let signed = of(&signed, "provisioning/sign");
    let outcomes: Vec<_> = signed.iter().map(|entry| entry.outcome.as_str()).collect();
    assert_eq!(outcomes, ["taken", "accepted"]);
    assert_eq!(signed[1].completes, signed[0].sequence);
    assert_eq!(
        (signed[0].who.as_str(), signed[0].batch.as_str()),
        ("claims/pump-7", "for-pump-7")
    );

    let known = read(&admin, ServiceName::Registry).await;
    let registered = of(&known, "registry/register-many")[0];
    assert_eq!(
        (registered.who.as_str(), registered.serial.len()),
        ("operators/admin", 32)
    );
    assert!(
        registered.address.starts_with("127.0.0.1:"),
        "{}",
        registered.address
    );
    assert_eq!(registered.subjects, ["devices/pump-7"]);
    // What `muster init` left is told too, and devices' reports are not.
    assert_eq!(known[0].who, "services/bootstrap");
    assert!(of(&known, "registry/report").is_empty());

    let sha256 = "ab".repeat(32);
    let secret = PutSecret {
        device_id: "pump-7".into(),
        sha256: sha256.clone(),
        expires_ms: i64::MAX,
        ..PutSecret::default()
    };
    let _ = admin
        .client
        .ask::<Done>(ServiceName::Provisioning, "put-secret", &secret)
        .await;
    let all = serde_json::to_string(&read(&admin, ServiceName::Provisioning).await).unwrap();
    assert!(!all.contains(&sha256) && !all.contains("BEGIN CERTIFICATE REQUEST"));

    let kick = KickClient {
        kind: "devices".into(),
        id: "pump-7".into(),
        reason: "a test".into(),
        ..KickClient::default()
    };
    admin
        .ask::<ClientKicked>(ServiceName::FrontDoor, "kick", &kick)
        .await;
    let told = until(&admin, "front-door/kick").await;
    assert_eq!(
        (told.who.as_str(), told.subjects[0].as_str()),
        ("operators/admin", "devices/pump-7")
    );
}

/// The entry of something that the front door decided.
async fn until(admin: &Person, verb: &str) -> AuditEntry {
    for _ in 0..600 {
        if let Some(entry) = of(&read(admin, ServiceName::Monitoring).await, verb).first() {
            return (*entry).clone();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{verb} is not told");
}

#[tokio::test]
async fn what_a_role_does_not_allow_is_told_and_only_admins_read_it() {
    let w = World::new().await;
    let admin = w.admin().await;
    w.register(&admin, &["pump-7"]).await;
    let mut person = PutPerson {
        id: "eve".into(),
        kind: "operators".into(),
        ..PutPerson::default()
    };
    person.set_role(Role::Viewer);
    admin
        .ask::<Changed>(ServiceName::Registry, "put-person", &person)
        .await;
    let eve = w.identity(&w.issue(&admin, "operators", "eve").await);
    let eve = w.connect(&eve, "").await;
    let suspend = RestrictDevice {
        device_id: "pump-7".into(),
        reason: "for fun".into(),
        ..RestrictDevice::default()
    };
    let asked = eve
        .client
        .ask::<Changed>(ServiceName::Registry, "suspend", &suspend)
        .await;
    assert!(matches!(asked, Err(client::AskError::Refused(refusal)) if refusal.code == Code::Denied));
    let asked = eve
        .client
        .ask::<AuditRead>(ServiceName::Registry, "audit", &ReadAudit::default())
        .await;
    assert!(matches!(asked, Err(client::AskError::Refused(refusal)) if refusal.code == Code::Denied));
    let told = until(&admin, "registry/suspend").await;
    assert_eq!(
        (told.who.as_str(), told.outcome.as_str()),
        ("operators/eve", "denied")
    );
    assert!(told.address.starts_with("127.0.0.1:"));
    // Reading is no change.
    assert!(of(&read(&admin, ServiceName::Monitoring).await, "registry/audit").is_empty());
}

#[tokio::test]
async fn a_kill_breaks_no_chain_and_a_forger_is_found_offline() {
    let mut w = World::new().await;
    let admin = w.admin().await;
    w.register(&admin, &["pump-7", "pump-8"]).await;
    admin.client.disconnect().await;
    w.kill();
    w.start().await;
    let admin = w.admin().await;
    w.register(&admin, &["pump-9"]).await;
    // The heads come some ten seconds after the entries.
    let folder = w.folder().to_owned();
    let server = format!("127.0.0.1:{}", w.endpoint().port);
    let said = |command: &[&str]| muster(&folder, &[&["--server", &server], command].concat());
    for _ in 0..240 {
        let heads = said(&["--json", "events", "--filter", "audit/+/head", "--replay-only"]);
        std::fs::write(folder.join("heads"), &heads).unwrap();
        let newest = heads.lines().rfind(|line| line.contains("registry.audit.head"));
        let sequence = read(&admin, ServiceName::Registry).await.last().unwrap().sequence;
        if newest.is_some_and(|line| line.contains(&format!("\"sequence\":\"{sequence}\"}}"))) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    said(&["audit", "verify"]);
    let export = said(&["audit", "export"]);
    std::fs::write(folder.join("whole"), &export).unwrap();
    let (holds, told) = verify(&folder, "whole", "heads");
    assert!(holds && told.contains("registry: holds"), "{told}");
    let lines: Vec<_> = export.lines().collect();
    let target = lines.iter().position(|line| line.contains("pump-8")).unwrap();
    let mut removed = lines.clone();
    removed.remove(target);
    let mut doubled = lines.clone();
    doubled.insert(target, lines[target]);
    let forged = lines[target].replace("operators/admin", "operators/bob");
    let mut changed = lines.clone();
    changed[target] = &forged;
    let own: Vec<_> = lines
        .iter()
        .copied()
        .filter(|line| line.contains("\"service\":\"registry\""))
        .collect();
    let cut = own[..own.len() - 1].to_vec();
    let beheaded = own[1..].to_vec();
    for (name, forgery) in [
        ("removed", removed),
        ("doubled", doubled),
        ("changed", changed),
        ("cut", cut),
        ("beheaded", beheaded),
    ] {
        std::fs::write(folder.join(name), forgery.join("\n")).unwrap();
        let (holds, told) = verify(&folder, name, "heads");
        assert!(
            !holds && told.contains("registry: DOES NOT HOLD"),
            "{name}: {told}"
        );
    }
}
