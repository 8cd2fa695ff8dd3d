//! Types of devices: their schemas, their acceptance checks, their end.

use contract::v1::{
    AskWhy, Attest, CertificateStatus, Changed, Check, CheckKind, DeprecateType, MoveDevice, PutType, Report,
    ShowType, Stage, Tested, TypeShown, Why,
};

use crate::world::{ADA, Answered, World, change, data, pairs, registered};

fn check(name: &str, kind: CheckKind, argument: &str) -> Check {
    Check {
        name: name.into(),
        kind: kind.into(),
        argument: argument.into(),
    }
}

fn pump() -> PutType {
    PutType {
        type_id: "pump".into(),
        schema: r#"{"properties":{"tags":{"properties":{"line":{"type":"integer"}}},"reported":{"properties":{"bearing":{"enum":["steel"]}}}}}"#.into(),
        checks: vec![
            check("ok", CheckKind::SelfTest, "self-test"),
            check("fw", CheckKind::FirmwareAtLeast, "1.4"),
            check("burn-in", CheckKind::Attested, ""),
        ],
        ..Default::default()
    }
}

fn attest(w: &mut World, who: &str, check: &str, passed: bool) -> Answered<Changed> {
    let word = Attest {
        device_id: "a".into(),
        check: check.into(),
        passed,
        note: "48 h".into(),
        ..Default::default()
    };
    w.ask(who, "attest", &word)
}

fn why(w: &mut World, stage: Stage) -> Why {
    let ask = AskWhy {
        device_id: "a".into(),
        stage: stage.into(),
        ..Default::default()
    };
    w.ask(ADA, "why", &ask).unwrap()
}

#[test]
fn types_are_put_shown_and_deprecated() {
    let mut w = World::new();
    assert_eq!(w.ask::<Changed>(ADA, "put-type", &pump()).unwrap().version, 1);
    assert_eq!(
        w.ask::<Changed>(ADA, "put-type", &pump()).unwrap().version,
        1,
        "the same is no change"
    );
    let show = ShowType {
        type_id: "pump".into(),
        ..Default::default()
    };
    let shown = w
        .ask::<TypeShown>(ADA, "show-type", &show)
        .unwrap()
        .device_type
        .unwrap();
    assert_eq!((shown.checks.len(), shown.deprecated), (3, false));
    w.ask::<Changed>(ADA, "register", &registered("a", &[("type", "pump")]))
        .unwrap();
    let deprecate = |undo| DeprecateType {
        type_id: "pump".into(),
        undo,
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "deprecate-type", &deprecate(false))
        .unwrap();
    let refused = w
        .ask::<Changed>(ADA, "register", &registered("b", &[("type", "pump")]))
        .unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("not-allowed", "type")
    );
    w.ask::<Changed>(ADA, "change", &change("a", &[("site", "x")]))
        .expect("who has the type keeps it");
    w.ask::<Changed>(ADA, "deprecate-type", &deprecate(true)).unwrap();
    w.ask::<Changed>(ADA, "register", &registered("b", &[("type", "pump")]))
        .unwrap();
    let unknown = w
        .ask::<Changed>(ADA, "register", &registered("c", &[("type", "fan")]))
        .unwrap_err();
    assert_eq!(unknown.code, "not-found");
}

#[test]
fn what_is_no_type_is_refused_at_its_field() {
    let mut w = World::new();
    let bad = |checks: Vec<Check>, schema: &str| PutType {
        checks,
        schema: schema.into(),
        ..pump()
    };
    let twice = vec![
        check("a", CheckKind::Attested, ""),
        check("A", CheckKind::Attested, ""),
    ];
    for (request, field) in [
        (bad(vec![], "{"), "schema"),
        (bad(vec![], r#"{"type":"no such"}"#), "schema"),
        (bad(twice, ""), "checks.name"),
        (bad(vec![check("", CheckKind::Attested, "")], ""), "checks.name"),
        (
            bad(vec![check("a", CheckKind::Unspecified, "")], ""),
            "checks.kind",
        ),
        (
            bad(vec![check("a", CheckKind::Attested, "x")], ""),
            "checks.argument",
        ),
        (
            bad(vec![check("a", CheckKind::FirmwareAtLeast, "new")], ""),
            "checks.argument",
        ),
        (
            bad(vec![check("a", CheckKind::SelfTest, "")], ""),
            "checks.argument",
        ),
        (
            bad(
                (0..17)
                    .map(|n| check(&n.to_string(), CheckKind::Attested, ""))
                    .collect(),
                "",
            ),
            "checks",
        ),
    ] {
        assert_eq!(
            w.ask::<Changed>(ADA, "put-type", &request).unwrap_err().field,
            field
        );
    }
}

#[test]
fn attributes_are_held_against_the_schema_with_the_path_of_the_fault() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "put-type", &pump()).unwrap();
    let wrong = registered("a", &[("type", "pump"), ("tags.line", "seven")]);
    let refused = w.ask::<Changed>(ADA, "register", &wrong).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("invalid", "tags.line")
    );
    w.ask::<Changed>(
        ADA,
        "register",
        &registered("a", &[("type", "pump"), ("tags.line", "7")]),
    )
    .unwrap();
    w.certificate("devices", "a", CertificateStatus::Issued);
    let report = Report {
        attributes: pairs(&[("bearing", "wood")]),
        ..Default::default()
    };
    let refused = w.ask::<Changed>("devices/a", "report", &report).unwrap_err();
    assert_eq!(refused.field, "attributes.bearing");
    assert!(w.device("a").attributes.is_empty());
}

#[test]
fn a_device_is_active_only_when_its_checks_have_passed() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "put-type", &pump()).unwrap();
    w.ask::<Changed>(ADA, "register", &registered("a", &[("type", "pump")]))
        .unwrap();
    assert_eq!(
        attest(&mut w, ADA, "other", true).unwrap_err().allowed,
        ["burn-in"]
    );
    w.certificate("devices", "a", CertificateStatus::Issued);
    let report = |firmware: &str, told: &str| Report {
        firmware_version: firmware.into(),
        attributes: pairs(&[("self-test", told)]),
        ..Default::default()
    };
    w.ask::<Changed>("devices/a", "report", &report("1.3.9", "failed"))
        .unwrap();
    let answer = why(&mut w, Stage::Active);
    assert!(!answer.open && answer.steps.len() == 1);
    let obstacles = answer.steps[0].obstacles.join("\n");
    for part in [
        "`ok`",
        "`failed`",
        "1.3.9, not 1.4 or later",
        "nobody has attested",
    ] {
        assert!(obstacles.contains(part), "{part} in {obstacles}");
    }
    w.ask::<Changed>("devices/a", "report", &report("1.4.0", "passed"))
        .unwrap();
    attest(&mut w, ADA, "burn-in", false).unwrap();
    assert!(
        why(&mut w, Stage::Active)
            .summary
            .contains("operators/ada says that it failed")
    );
    assert_eq!(w.device("a").stage(), Stage::Provisioned);
    w.events();
    attest(&mut w, "services/rollout", "burn-in", true).unwrap();
    assert_eq!(w.device("a").stage(), Stage::Active);
    let names: Vec<_> = w
        .events()
        .iter()
        .map(|event| (event.name.clone(), data(event)["version"].clone()))
        .collect();
    assert_eq!(
        names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["attested", "moved"]
    );

    let to = |stage: Stage| MoveDevice {
        device_id: "a".into(),
        stage: stage.into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "move", &to(Stage::Maintenance)).unwrap();
    w.ask::<Changed>("devices/a", "report", &report("", "failed"))
        .unwrap();
    let refused = w.ask::<Changed>(ADA, "move", &to(Stage::Active)).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("precondition", "stage")
    );
    assert!(refused.message.contains("check `ok`"), "{}", refused.message);
    w.ask::<Changed>("devices/a", "report", &report("", "passed"))
        .unwrap();
    w.ask::<Changed>(ADA, "move", &to(Stage::Active)).unwrap();
}

#[test]
fn a_test_rollout_lets_a_device_become_active() {
    let mut w = World::new();
    let kind = PutType {
        checks: vec![
            check("trial", CheckKind::TestRollout, "trial-*"),
            check("burn-in", CheckKind::Attested, ""),
        ],
        schema: String::new(),
        ..pump()
    };
    w.ask::<Changed>(ADA, "put-type", &kind).unwrap();
    w.ask::<Changed>(ADA, "register", &registered("a", &[("type", "pump")]))
        .unwrap();
    w.certificate("devices", "a", CertificateStatus::Issued);
    w.ask::<Changed>("devices/a", "report", &Report::default())
        .unwrap();
    attest(&mut w, ADA, "burn-in", true).unwrap();
    assert_eq!(
        why(&mut w, Stage::Active).summary,
        "`a` is provisioned; in the way stands: check `trial`: no rollout of `trial-*` has succeeded on it"
    );
    let by_hand = attest(&mut w, ADA, "trial", true).unwrap_err();
    assert_eq!(by_hand.allowed, ["burn-in"], "it is nobody's to say");

    let tested = |rollout: &str, passed| Tested {
        device_id: "a".into(),
        rollout_id: rollout.into(),
        firmware_version: "2.0.0".into(),
        passed,
        detail: "it \u{1b}[31mburnt".into(),
        ..Tested::default()
    };
    let tell = |w: &mut World, m: &Tested| w.ask::<Changed>("services/rollout", "tested", m);
    let version = w.device("a").version;
    assert_eq!(
        tell(&mut w, &tested("r-1", true)).unwrap().version,
        version,
        "it is another one"
    );
    tell(&mut w, &tested("trial-1", false)).unwrap();
    assert_eq!(
        tell(&mut w, &tested("trial-1", false)).unwrap().version,
        version + 1,
        "once"
    );
    let summary = why(&mut w, Stage::Active).summary;
    assert!(
        summary.ends_with("the test failed: rollout trial-1 of firmware 2.0.0: it [31mburnt"),
        "{summary}"
    );
    attest(&mut w, ADA, "burn-in", false).unwrap();
    attest(&mut w, ADA, "burn-in", true).unwrap();
    w.events();
    tell(&mut w, &tested("trial-2", true)).unwrap();
    assert_eq!(w.device("a").stage(), Stage::Active);
    let events = w.events();
    let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["attested", "moved"]);
    let device = w.device("a");
    assert_eq!(device.checks["trial"].note, "rollout trial-2 of firmware 2.0.0");
    assert_eq!(device.checks["trial"].by, "services/rollout");
    assert_eq!(
        tell(
            &mut w,
            &Tested {
                device_id: "b".into(),
                ..tested("trial-2", true)
            }
        )
        .unwrap_err()
        .code,
        "not-found"
    );
}
