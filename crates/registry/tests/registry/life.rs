//! Evidence, ways, successors, and coming back.

use contract::v1::{
    AskWhy, CertificateStatus, Changed, Erased, Evidence, HistoryShown, MoveDevice, PutGroup, ReadmitDevice,
    RegisterDevice, ReplaceDevice, Report, RestrictDevice, RetireDevice, ShowHistory, Stage, Why,
};

use crate::world::{ADA, Answered, World, register, registered};

fn history(w: &mut World, id: &str) -> Vec<Evidence> {
    let ask = ShowHistory {
        device_id: id.into(),
        ..Default::default()
    };
    w.ask::<HistoryShown>(ADA, "history", &ask).unwrap().entries
}

fn retire(w: &mut World, id: &str) {
    let request = RetireDevice {
        device_id: id.into(),
        reason: "worn out".into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "retire", &request).unwrap();
}

fn replace(w: &mut World, old: &str, new: &str) -> Answered<Changed> {
    let request = ReplaceDevice {
        device_id: old.into(),
        successor_id: new.into(),
        reason: "bearing gone".into(),
        ..Default::default()
    };
    w.ask(ADA, "replace", &request)
}

fn readmit(w: &mut World, id: &str, reason: &str) -> Answered<Changed> {
    let request = ReadmitDevice {
        device_id: id.into(),
        reason: reason.into(),
        ..Default::default()
    };
    w.ask("operators/ada", "readmit", &request)
}

fn why(w: &mut World, id: &str, stage: Stage) -> Why {
    let ask = AskWhy {
        device_id: id.into(),
        stage: stage.into(),
        ..Default::default()
    };
    w.ask(ADA, "why", &ask).unwrap()
}

#[test]
fn each_step_of_a_life_leaves_its_evidence() {
    let mut w = World::new();
    w.activate("a");
    let restrict = RestrictDevice {
        device_id: "a".into(),
        reason: "odd traffic".into(),
        ..Default::default()
    };
    w.ask::<Changed>("services/monitoring", "quarantine", &restrict)
        .unwrap();
    retire(&mut w, "a");
    w.now_ms += 500;
    let receipt = Erased {
        erased: vec!["device.key".into()],
        ..Default::default()
    };
    w.ask::<contract::v1::Done>("devices/a", "erased", &receipt)
        .unwrap();
    let entries = history(&mut w, "a");
    let told: Vec<_> = entries
        .iter()
        .map(|e| format!("{} {} {} {}", e.what, e.to, e.cause, e.actor))
        .collect();
    assert_eq!(
        told,
        [
            "registered STAGE_REGISTERED register operators/ada",
            "moved STAGE_PROVISIONED certificate services/registry",
            "moved STAGE_ACTIVE report devices/a",
            "restricted RESTRICTION_QUARANTINED quarantine services/monitoring",
            "moved STAGE_RETIRING retire operators/ada",
            "moved STAGE_RETIRED erased devices/a",
        ]
    );
    assert_eq!(entries[1].grounds["certificate"], "0a");
    assert_eq!(entries[5].grounds["erased"], "device.key");
    assert_eq!(
        (entries[4].reason.as_str(), entries[5].at_ms),
        ("worn out", w.now_ms)
    );
    assert!(entries.windows(2).all(|pair| pair[0].version < pair[1].version));
}

#[test]
fn why_names_the_way_and_what_stands_in_it() {
    let mut w = World::new();
    let planned = RegisterDevice {
        planned: true,
        ..register("a")
    };
    w.ask::<Changed>(ADA, "register", &planned).unwrap();
    let answer = why(&mut w, "a", Stage::Active);
    let stages: Vec<_> = answer.steps.iter().map(|step| step.to()).collect();
    assert_eq!(stages, [Stage::Registered, Stage::Provisioned, Stage::Active]);
    assert!(
        answer.open && answer.summary.contains("muster device move"),
        "{}",
        answer.summary
    );
    assert!(why(&mut w, "a", Stage::Planned).steps.is_empty());
    w.activate("b");
    retire(&mut w, "b");
    let answer = why(&mut w, "b", Stage::Retired);
    assert!(answer.open && answer.steps[0].cause == "erased");
    let answer = why(&mut w, "b", Stage::Planned);
    assert!(
        !answer.open && answer.summary.contains("no way leads"),
        "{}",
        answer.summary
    );
    let bad = AskWhy {
        device_id: "b".into(),
        ..Default::default()
    };
    assert_eq!(w.ask::<Why>(ADA, "why", &bad).unwrap_err().field, "stage");
}

#[test]
fn a_successor_takes_the_place() {
    let mut w = World::new();
    let group = PutGroup {
        group_id: "line-7".into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-group", &group).unwrap();
    let old = RegisterDevice {
        groups: vec!["line-7".into()],
        ..registered(
            "old",
            &[
                ("site", "berlin"),
                ("tags.line", "7"),
                ("serial_number", "SN-1"),
                ("criticality", "critical"),
                ("place", "hall-3"),
            ],
        )
    };
    w.ask::<Changed>(ADA, "register", &old).unwrap();
    for (id, fields) in [
        ("child", &[("parent", "old")][..]),
        (
            "new",
            &[("parent", "old"), ("serial_number", "SN-2"), ("owner", "ops")],
        ),
    ] {
        w.ask::<Changed>(ADA, "register", &registered(id, fields))
            .unwrap();
    }
    replace(&mut w, "old", "new").unwrap();
    let (old, new) = (w.device("old"), w.device("new"));
    assert_eq!(
        (new.site.as_str(), new.owner.as_str(), new.tags["line"].as_str()),
        ("berlin", "ops", "7")
    );
    assert_eq!(
        (new.serial_number.as_str(), new.criticality),
        ("SN-2", old.criticality)
    );
    assert_eq!((new.replaces.as_str(), old.replaced_by.as_str()), ("old", "new"));
    assert_eq!(
        (new.groups.as_slice(), old.groups.len()),
        (&["line-7".to_owned()][..], 0)
    );
    assert_eq!(
        (
            w.device("child").parent.as_str(),
            new.position.unwrap().place.as_str()
        ),
        ("new", "hall-3")
    );
    assert_eq!(history(&mut w, "new").last().unwrap().what, "replaced");
    assert_eq!(history(&mut w, "old").last().unwrap().to, "new");
    w.ask::<Changed>(ADA, "register", &register("third")).unwrap();
    for (from, to) in [("old", "third"), ("third", "new"), ("third", "third")] {
        assert_eq!(
            replace(&mut w, from, to).unwrap_err().code,
            "not-allowed",
            "{from} {to}"
        );
    }
    assert_eq!(
        replace(&mut w, "third", "none").unwrap_err().field,
        "successor_id"
    );
    retire(&mut w, "third");
    w.ask::<Changed>(ADA, "register", &register("fourth")).unwrap();
    for (from, to) in [("third", "fourth"), ("fourth", "third")] {
        assert_eq!(
            replace(&mut w, from, to).unwrap_err().code,
            "not-allowed",
            "{from} {to}"
        );
    }
}

#[test]
fn a_retired_device_comes_back_by_an_explicit_act_only() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "register", &registered("a", &[("serial_number", "SN-1")]))
        .unwrap();
    w.certificate("devices", "a", CertificateStatus::Issued);
    w.ask::<Changed>("devices/a", "report", &Report::default())
        .unwrap();
    assert_eq!(readmit(&mut w, "a", "x").unwrap_err().code, "not-allowed");
    retire(&mut w, "a");
    w.wait(1_000);
    assert_eq!(w.device("a").stage(), Stage::Retired);
    let to_active = MoveDevice {
        device_id: "a".into(),
        stage: Stage::Active.into(),
        ..Default::default()
    };
    assert_eq!(
        w.ask::<Changed>(ADA, "move", &to_active).unwrap_err().code,
        "not-allowed"
    );
    assert_eq!(readmit(&mut w, "a", "").unwrap_err().field, "reason");
    w.ask::<Changed>(
        ADA,
        "register",
        &registered("thief", &[("serial_number", "sn-1")]),
    )
    .unwrap();
    let refused = readmit(&mut w, "a", "refurbished").unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("exists", "serial_number")
    );
    retire(&mut w, "thief");
    readmit(&mut w, "a", "refurbished").unwrap();
    let device = w.device("a");
    assert_eq!(
        (device.stage(), device.erased, device.reported_at_ms),
        (Stage::Registered, false, 0)
    );
    w.certificate("devices", "a", CertificateStatus::Issued);
    assert_eq!(
        w.device("a").stage(),
        Stage::Provisioned,
        "its former life's report does not count"
    );
    w.ask::<Changed>("devices/a", "report", &Report::default())
        .unwrap();
    assert_eq!(w.device("a").stage(), Stage::Active);
    assert!(
        history(&mut w, "a")
            .iter()
            .any(|entry| entry.cause == "readmit" && entry.reason == "refurbished")
    );
}
