//! Operators of some groups only.

use contract::{Principal, v1::*};

use crate::world::World;

fn eve() -> Principal {
    "operators/eve".parse().unwrap()
}

#[test]
fn of_the_fleet_only_the_groups_that_were_granted_are_seen() {
    let mut w = World::new(3);
    w.device(0, |fact| fact.groups.push("berlin".into()));
    let grant = Grant {
        role: Role::Operator.into(),
        groups: vec!["berlin".into()],
        ..Default::default()
    };
    w.people.push(PrincipalFact {
        id: "eve".into(),
        kind: "operators".into(),
        grants: vec![grant],
        ..PrincipalFact::default()
    });
    w.restart();
    w.rule("hot", |_| {}).unwrap();
    for n in 0..3 {
        w.connect(n, n as u64 + 1);
        w.heartbeat(n, &[("temperature", 1_000.0)]).unwrap();
    }
    let listed: StatusListed = w.ask(&eve(), "list", &ListStatus::default()).unwrap();
    assert_eq!(listed.devices.len(), 1);
    let all = w.alerts(false);
    let alerts: AlertsListed = w.ask(&eve(), "alerts", &ListAlerts::default()).unwrap();
    assert!(alerts.alerts.iter().all(|alert| alert.device_id == "d0"));
    assert!(alerts.alerts.len() <= 1 && all.len() >= alerts.alerts.len());
    for (device, expected) in [("d0", Ok(())), ("d1", Err("denied")), ("nobody", Err("denied"))] {
        let show = ShowStatus {
            device_id: device.into(),
            ..ShowStatus::default()
        };
        let found: Result<StatusShown, _> = w.ask(&eve(), "show", &show);
        assert_eq!(
            found.map(|_| ()).map_err(|r| r.code),
            expected.map_err(str::to_owned),
            "{device}"
        );
    }
    for (kind, id, expected) in [
        ("devices", "d0", Ok(())),
        ("claims", "d1", Err("denied")),
        ("operators", "ada", Err("denied")),
    ] {
        let ask = ShowRefused {
            kind: kind.into(),
            id: id.into(),
            ..ShowRefused::default()
        };
        let shown: Result<RefusedShown, _> = w.ask(&eve(), "refused", &ask);
        let found = shown.map(|_| ()).map_err(|r| r.code);
        assert_eq!(found, expected.map_err(str::to_owned), "{kind}/{id}");
    }
    let refused: Result<Summary, _> = w.ask(&eve(), "summary", &Summarize::default());
    assert_eq!(refused.unwrap_err().code, "denied");
    let refused: Result<Changed, _> = w.ask(&eve(), "put-rule", &PutRule::default());
    assert_eq!(refused.unwrap_err().code, "denied");
    let rules: RulesListed = w.ask(&eve(), "rules", &ListRules::default()).unwrap();
    assert!(!rules.rules.is_empty());
}
