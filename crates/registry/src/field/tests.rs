use super::*;

fn set(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn refused(name: &str, value: &str) -> Refusal {
    write(&mut Device::default(), &set(&[(name, value)])).unwrap_err()
}

#[test]
fn what_is_written_is_read_back_in_the_same_words() {
    let row = set(&[
        ("addresses", "imei:490154203237518 mac:02:00:5e:10:00:01"),
        ("administrative.cost-centre", "4711"),
        ("command_deadline", "600"),
        ("commands", "diagnose logs"),
        ("criticality", "critical"),
        ("end_of_support", "2031-02-28"),
        ("function", "feeds line 7"),
        ("hardware_revision", "C"),
        ("identity.batch", "b-1"),
        ("key_fingerprint", &"ab".repeat(32)),
        ("latitude", "52.5"),
        ("longitude", "-13.25"),
        ("model", "p200"),
        ("name", "Pump \u{2014} 7"),
        ("notes", "one\ntwo"),
        ("order", "o-1"),
        ("owner", "ops"),
        ("parent", "gw-1"),
        ("place", "berlin/hall-3/line-7"),
        ("price", "129.50 EUR"),
        ("purchased_on", "2026-01-31"),
        ("serial_number", "SN-7"),
        ("signed_commands", "* open"),
        ("site", "berlin"),
        ("supplier", "acme"),
        ("tags.line", "7"),
        ("type", "pump"),
        ("warranty_until", "2028-01-31"),
    ]);
    let mut device = Device::default();
    write(&mut device, &row).unwrap();
    assert_eq!(written(&device), row);
    let every = table::all().filter(|p| p.is_written()).map(|p| p.name);
    for name in every {
        assert!(row.contains_key(name), "{name} is not tried here");
    }
    let removed = row.keys().filter(|name| *name != "criticality");
    let removed = removed.map(|name| (name.clone(), String::new())).collect();
    write(&mut device, &removed).unwrap();
    assert_eq!(written(&device), set(&[("criticality", "critical")]));
    assert_eq!(device.position, None);
}

#[test]
fn values_have_one_form() {
    let mut device = Device::default();
    let row = set(&[
        (
            "addresses",
            "mac:02-00-5E-10-00-01,mac:0200.5e10.0001;eui64:0200:5eff:fe10:0001",
        ),
        ("price", "7 EUR"),
        ("command_deadline", "1m 30s"),
        ("key_fingerprint", &"AB:".repeat(32)),
        ("criticality", "CRITICALITY_HIGH"),
    ]);
    write(&mut device, &row).unwrap();
    assert_eq!(
        device.addresses,
        ["eui64:02:00:5e:ff:fe:10:00:01", "mac:02:00:5e:10:00:01"]
    );
    let written = written(&device);
    assert_eq!(
        (written["price"].as_str(), written["criticality"].as_str()),
        ("7.00 EUR", "high")
    );
    assert_eq!(written["command_deadline"], "90");
    assert_eq!(written["key_fingerprint"], "ab".repeat(32));
}

#[test]
fn bad_values_are_refused_at_their_field() {
    use contract::Code::{Denied, Invalid, TooLarge};
    for (name, value, code) in [
        ("warranty_until", "2026-02-30", Invalid),
        ("warranty_until", "31.1.2026", Invalid),
        ("purchased_on", "1969-01-01", Invalid),
        ("price", "1e9 EUR", Invalid),
        ("price", "-1.00 EUR", Invalid),
        ("price", "1.234 EUR", Invalid),
        ("price", "1000000000.01 EUR", Invalid),
        ("price", "99999999999999999999 EUR", Invalid),
        ("price", "12 eur", Invalid),
        ("latitude", "90.01", Invalid),
        ("latitude", "NaN", Invalid),
        ("longitude", "inf", Invalid),
        ("commands", "diagnose a/b", Invalid),
        ("commands", "*", Invalid),
        ("signed_commands", "**", Invalid),
        ("command_deadline", "soon", Invalid),
        ("command_deadline", "0", Invalid),
        ("command_deadline", "-5", Invalid),
        ("command_deadline", "31d", Invalid),
        ("command_deadline", "1e300", Invalid),
        ("addresses", "mac:02:00", Invalid),
        ("addresses", "ip:10.0.0.1", Invalid),
        ("addresses", "imei:49015420323751a", Invalid),
        ("parent", "a/b", Invalid),
        ("type", "é", Invalid),
        ("key_fingerprint", "abc", Invalid),
        ("criticality", "urgent", Invalid),
        ("notes", "\u{1b}[31m", Invalid),
        ("name", "two\nlines", Invalid),
        ("stage", "active", Denied),
        ("firmware", "1.0.0", Denied),
        ("attributes.os", "linux", Denied),
        ("system.certificate", "x", Denied),
        ("component.modem", "1", Denied),
        ("nonsense", "x", Invalid),
        ("tags.", "x", Invalid),
    ] {
        let refusal = refused(name, value);
        assert_eq!(
            (refusal.code, refusal.field.as_str()),
            (code, name),
            "{name}={value}"
        );
    }
    assert_eq!(refused("notes", &"x".repeat(2_049)).code, TooLarge);
    assert_eq!(refused("tags.a", &"x".repeat(257)).code, TooLarge);
}

#[test]
fn scopes_have_their_limits_by_name() {
    let many = |scope: &str, n: usize| (0..n).map(|n| (format!("{scope}.k{n}"), "v".into())).collect();
    for (scope, limit) in [("tags", 20), ("identity", 16), ("administrative", 64)] {
        assert!(write(&mut Device::default(), &many(scope, limit)).is_ok());
        let refusal = write(&mut Device::default(), &many(scope, limit + 1)).unwrap_err();
        assert_eq!(refusal.code, contract::Code::Limit);
        assert!(
            refusal.message.contains(&limit.to_string()),
            "{}",
            refusal.message
        );
    }
}

#[test]
fn identity_is_set_once_and_corrected_while_planned() {
    for (name, first, second) in [
        ("serial_number", "a", "b"),
        ("addresses", "mac:020000000001", "mac:020000000002"),
        ("identity.batch", "1", "2"),
        ("identity.batch", "1", ""),
    ] {
        let mut before = Device::default();
        before.set_stage(Stage::Planned);
        write(&mut before, &set(&[(name, first)])).unwrap();
        let mut after = before.clone();
        write(&mut after, &set(&[(name, second)])).unwrap();
        assert_eq!(set_once(&before, &after), Ok(()));
        before.set_stage(Stage::Active);
        assert_eq!(set_once(&before, &after).unwrap_err().field, name);
        assert_eq!(set_once(&before, &before), Ok(()));
        let empty = Device {
            stage: before.stage,
            ..Device::default()
        };
        assert_eq!(set_once(&empty, &after), Ok(()));
    }
}
