//! A device's purchase, import, search, succession and export, as typed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod installation;

use std::{fmt::Write, fs};

use installation::Installation;

/// It ends with this code and says these words, printed or complained; all that it said.
#[track_caller]
fn says(server: &Installation, arguments: &[&str], code: i32, words: &[&str]) -> String {
    let said = server.ends(arguments, code);
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    said
}

fn written(server: &Installation, name: &str, text: &str) -> String {
    let path = server.path(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn ids(server: &Installation, query: &str) -> Vec<String> {
    let listed = server.documents(&["device", "list", "--where", query]);
    listed
        .iter()
        .map(|device| device["device_id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn devices_are_bought_received_and_wait_for_their_checks() {
    let server = Installation::running();
    server.good(&["supplier", "put", "acme", "--name", "ACME Pumps"]);
    let place = [
        "order",
        "put",
        "po-17",
        "--supplier",
        "acme",
        "--type",
        "pump",
        "--ordered-on",
        "2026-01-31",
    ];
    server.good(&[
        "type",
        "add",
        "pump",
        "--check",
        "burn-in=attested",
        "--check",
        "fw=firmware-at-least:1.4.0",
    ]);
    says(
        &server,
        &place,
        4,
        &["has not been vetted", "muster supplier vet acme"],
    );
    server.good(&["supplier", "vet", "acme", "--note", "audit"]);
    server.good(&place);
    let note = written(
        &server,
        "note.csv",
        "device_id,serial_number\npump-7,SN-7\npump-8,\n",
    );
    assert!(
        server
            .good(&["order", "expect", "po-17", &note])
            .contains("2 registered")
    );
    assert!(
        server
            .good(&["order", "expect", "po-17", &note])
            .contains("2 unchanged")
    );
    says(
        &server,
        &["order", "receive", "po-17", "pump-7=SN-9"],
        4,
        &["another serial number was expected"],
    );
    server.good(&["order", "receive", "po-17", "pump-7=SN-7", "pump-8=SN-8"]);
    assert_eq!(
        ids(&server, "order = po-17 and stage = registered and type = pump"),
        ["pump-7", "pump-8"]
    );
    for (typed, parts) in [
        (
            "supplier show acme",
            &["ACME Pumps", "audit", "operators/admin"][..],
        ),
        (
            "order show po-17",
            &["supplier     acme", "ordered      2026-01-31", "received     2"],
        ),
    ] {
        let shown = server.good(&typed.split(' ').collect::<Vec<_>>());
        for part in parts {
            assert!(shown.contains(part), "`{part}` of `{typed}` in {shown}");
        }
    }
    let order = &server.documents(&["order", "show", "po-17"])[0];
    assert_eq!(
        (&order["expected"], &order["closed"]),
        (&"2".into(), &serde_json::Value::Null)
    );
    says(
        &server,
        &["order", "show", "po17"],
        3,
        &["perhaps you mean po-17"],
    );
    let why = server.good(&["device", "why", "pump-7", "active"]);
    for part in [
        "asks for a certificate",
        "nobody has attested it",
        "has not reported its firmware",
    ] {
        assert!(why.contains(part), "{part} in {why}");
    }
    let why = server.good(&["device", "why", "pump-7"]);
    let row = |stage: &str| {
        let line = why.lines().find(|line| line.starts_with(stage));
        line.map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(
        row("planned"),
        Some(vec!["planned", "no", "no way leads there"]),
        "{why}"
    );
    assert_eq!(
        row("registered"),
        Some(vec!["registered", "it is there"]),
        "{why}"
    );
    let provisioned = row("provisioned").unwrap_or_default();
    assert!(provisioned.contains(&"yes"), "{why}");
    let active = row("active").unwrap_or_default();
    assert_eq!(active[1..3], ["no", "provisioned"], "{why}");
    assert!(active[3].contains("nobody has attested it"), "{why}");
    assert_eq!(server.documents(&["device", "why", "pump-7"]).len(), 7);
    server.good(&["device", "attest", "pump-7", "burn-in", "--note", "48 h"]);
    let history = server.good(&["--json", "device", "history", "pump-7"]);
    let whats: Vec<_> = history
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["what"].clone())
        .collect();
    assert_eq!(whats, ["registered", "moved", "attested"]);
    let shown = server.good(&["device", "show", "pump-7"]);
    assert!(
        shown.contains("SN-7") && shown.contains("burn-in passed, says operators/admin"),
        "{shown}"
    );
    says(
        &server,
        &["type", "add", "x", "--check", "a=guess"],
        2,
        &["self-test, firmware-at-least, reported, attested"],
    );
    let schema = written(&server, "bad.json", "{\"type\":\"no such\"}");
    says(
        &server,
        &["type", "add", "x", "--schema", &schema],
        2,
        &["no JSON Schema"],
    );
    server.good(&["type", "deprecate", "pump"]);
    says(
        &server,
        &["device", "register", "pump-9", "--type", "pump"],
        4,
        &["is deprecated"],
    );
}

#[test]
fn ten_thousand_rows_with_a_bad_one_are_imported_again_and_again() {
    let server = Installation::running();
    let mut table = String::from("device_id,site,tags.line,warranty_until\n");
    for n in 1..10_000 {
        let warranty = if n == 7_776 { "soon" } else { "2028-01-31" };
        writeln!(table, "d-{n:05},s{},{},{warranty}", n % 10, n % 7).unwrap();
    }
    let file = written(&server, "fleet.csv", &table);
    let dry = says(
        &server,
        &["device", "import", &file, "--dry-run"],
        4,
        &["9998 would be registered", "7777"],
    );
    assert!(dry.contains("1 refused"), "{dry}");
    assert_eq!(server.good(&["device", "count"]).trim(), "0");
    says(
        &server,
        &["device", "import", &file],
        4,
        &["9998 registered, 0 unchanged, 1 refused", "7777", "d-07776"],
    );
    let again = says(
        &server,
        &["--json", "device", "import", &file],
        4,
        &["\"line\":7777"],
    );
    let report: serde_json::Value = serde_json::from_str(again.lines().next().unwrap()).unwrap();
    assert_eq!(
        (report["registered"].as_u64(), report["unchanged"].as_u64()),
        (Some(0), Some(9_998))
    );
    assert_eq!(report["refused"][0]["field"], "warranty_until");
    let mended = written(&server, "mended.csv", &table.replace("soon", "2028-01-31"));
    assert!(
        server
            .good(&["device", "import", &mended])
            .contains("1 registered, 9998 unchanged, 0 refused")
    );
    let senseless = written(&server, "senseless.csv", "device_id,site\nfine,x\na/b,x\n");
    says(
        &server,
        &["device", "import", &senseless],
        2,
        &["nothing was registered", "line 3: device_id `a/b`"],
    );
    says(
        &server,
        &["device", "import", &senseless, "--keep-going"],
        4,
        &["1 registered, 0 unchanged, 1 refused"],
    );
    // Of a spreadsheet that writes semicolons; each fault of each row, and nothing comes of it.
    let faulty = "id;site;criticality;latitude;groups\nx-1;a;hihg;400;hall-9\nx-2;a;high;1;hall-9\nx/3;a;;;\nx-4;a;;;\n";
    let faulty = written(&server, "faulty.csv", faulty);
    says(
        &server,
        &["device", "import", &faulty],
        2,
        &[
            "2 rows: groups: there is no group `hall-9`; `muster group put ID` makes one",
            "line 2: x-1 criticality `hihg`",
            "allowed: low, medium, high, critical",
            "line 2: x-1 latitude `400`",
            "line 4: device_id `x/3`",
            "1 would be registered, 0 unchanged, 3 refused",
            "nothing was registered",
        ],
    );
    assert!(!ids(&server, "site = a").contains(&"x-4".to_owned()));

    assert_eq!(ids(&server, "site = s3 and tags.line = 0").len(), 142);
    let counted = server.good(&[
        "--json",
        "device",
        "count",
        "--by",
        "site",
        "--where",
        "has tags.line",
    ]);
    let counted: serde_json::Value = serde_json::from_str(&counted).unwrap();
    assert_eq!(
        (
            counted["total"].as_str(),
            counted["counts"].as_array().unwrap().len()
        ),
        (Some("9999"), 10)
    );
    server.good(&["query", "put", "line-0", "tags.line = 0"]);
    assert_eq!(ids(&server, "@line-0 and site = s3").len(), 142);
    says(
        &server,
        &["query", "show", "line-0"],
        0,
        &["query        tags.line = 0"],
    );
    says(
        &server,
        &["device", "list", "--where", "site ="],
        2,
        &["a value was expected"],
    );
    says(
        &server,
        &["device", "list", "--where", "colour = red"],
        2,
        &["there is no field `colour`"],
    );
    let sorted = server.good(&[
        "--json",
        "device",
        "list",
        "--where",
        "site = s3",
        "--order-by",
        "-id",
        "--limit",
        "1",
    ]);
    assert!(sorted.contains("d-09993"), "{sorted}");
    server.good(&["group", "put", "hall", "--query", "site = s3"]);
    let members = || {
        let listed = server.good(&["--json", "group", "list"]);
        let group: serde_json::Value = serde_json::from_str(&listed).unwrap();
        (group["members"].clone(), group["settling"].clone())
    };
    let settled = (0..1_200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        members() == ("1000".into(), serde_json::Value::Null)
    });
    assert!(settled, "{:?}", members());
    server.good(&["device", "change", "d-00003", "--set", "site=s4"]);
    assert_eq!(members().0, "999");
}

#[test]
fn what_is_exported_is_imported_elsewhere_without_loss() {
    let server = Installation::running();
    server.good(&["supplier", "put", "acme"]);
    server.good(&["group", "put", "line-7"]);
    server.good(&["device", "register", "z-gateway", "--site", "berlin"]);
    let fields = [
        "name==1+1",
        "parent=z-gateway",
        "longitude=-13.25",
        "latitude=52.5",
        "price=129.50 EUR",
        "notes=one, \"two\"",
        "supplier=acme",
        "commands=logs diagnose",
        "signed_commands=*",
        "addresses=mac:02:00:5e:10:00:01",
        "tags.a,b=\u{202e}x",
    ];
    let mut register = vec![
        "device",
        "register",
        "a-pump",
        "--criticality",
        "critical",
        "--group",
        "line-7",
    ];
    fields.iter().for_each(|field| register.extend(["--set", field]));
    server.good(&register);
    says(
        &server,
        &["device", "register", "x", "--set", "stage=active"],
        5,
        &["not written by operators"],
    );
    server.good(&["device", "register", "gone"]);
    server.good(&["device", "retire", "gone", "--yes"]);
    server.good(&["config", "set", "a-pump", "heartbeat=30s", "net.dns=[\"=1\"]"]);
    let (csv, lines) = (server.path("all.csv"), server.path("all.ndjson"));
    for file in [&csv, &lines] {
        let said = server.good(&["device", "export", file.to_str().unwrap()]);
        assert!(said.contains("2 devices"), "{said}");
        assert!(!fs::read_to_string(file).unwrap().contains(",=1"));
    }
    let show = |server: &Installation| {
        let shown = server.good(&["--json", "device", "show", "a-pump"]);
        let mut device: serde_json::Value = serde_json::from_str(&shown).unwrap();
        for own in ["registered_at_ms", "stage_since_ms"] {
            device.as_object_mut().unwrap().remove(own);
        }
        device
    };
    let own = |server: &Installation| {
        let shown = server.good(&["--json", "config", "show", "a-pump"]);
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        shown["config"]["own"].clone()
    };
    let original = show(&server);
    assert_eq!(original["name"], "=1+1");
    assert_eq!(own(&server), r#"{"heartbeat":"30s","net":{"dns":["=1"]}}"#);
    for file in [&csv, &lines] {
        let file = file.to_str().unwrap();
        assert!(server.good(&["device", "import", file]).contains("2 unchanged"));
        let other = Installation::running();
        other.good(&["supplier", "put", "acme"]);
        other.good(&["group", "put", "line-7"]);
        assert!(
            other.good(&["device", "import", file]).contains("2 registered"),
            "parents come first"
        );
        assert_eq!(show(&other), original, "{file}");
        assert_eq!(own(&other), own(&server), "{file}");
    }
    server.good(&["device", "register", "b-pump"]);
    server.good(&[
        "device",
        "replace",
        "a-pump",
        "b-pump",
        "--reason",
        "bearing gone",
    ]);
    assert_eq!(
        ids(
            &server,
            "replaces = a-pump and group = line-7 and criticality = critical"
        ),
        ["b-pump"]
    );
    let record = server.good(&["device", "record", "gone"]);
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["record"]["history"].as_array().unwrap().len(), 2);
    assert_eq!(record["sha256"].as_str().unwrap().len(), 64);
    server.good(&["device", "readmit", "gone", "--reason", "refurbished", "--yes"]);
    assert_eq!(ids(&server, "id = gone and stage = registered").len(), 1);
}

#[test]
fn a_fleet_that_is_declared_is_made_so_and_what_was_exported_needs_nothing() {
    let server = Installation::running();
    server.good(&["type", "add", "pump", "--check", "burn-in=attested"]);
    server.good(&["supplier", "put", "acme", "--name", "ACME \"Pumps\""]);
    server.good(&["supplier", "vet", "acme", "--note", "audit of March"]);
    for group in [
        ["put", "outer", "--description", "ø"],
        ["put", "line", "--description", ""],
    ] {
        server.good(&[&["group"][..], &group].concat());
    }
    server.good(&[
        "group",
        "put",
        "outer",
        "--command",
        "logs",
        "--signed-command",
        "*",
    ]);
    server.good(&["group", "put", "inner", "--parent", "outer"]);
    server.good(&["group", "put", "rome", "--query", "site = rome"]);
    for device in ["p-1", "p-2"] {
        server.good(&["device", "register", device, "--set", "site=rome"]);
    }
    server.good(&["group", "join", "line", "p-1"]);
    server.good(&[
        "config",
        "template",
        "set",
        "group",
        "rome",
        "a.b=[1,{}]",
        "c=2.5",
        "--priority",
        "3",
    ]);
    server.good(&[
        "query",
        "put",
        "old",
        "firmware < 1.4",
        "--description",
        "two 'quotes'",
    ]);
    server.good(&[
        "monitor",
        "rule",
        "put",
        "hot",
        "temperature",
        "above",
        "80",
        "--points",
        "3",
    ]);
    let role = ["--role", "operator", "--group", "inner", "--command", "logs"];
    server.good(&[&["operator", "add", "eve"][..], &role].concat());
    server.good(&["cert", "issue", "operator", "eve"]);
    server.good(&["person", "put", "integrator", "erp", "--events", "registry/#"]);
    for (typed, part) in [
        ("monitor rule show hot", "temperature above 80, 3 times"),
        ("config template show group rome", "priority  3"),
        ("query show old", "two 'quotes'"),
        ("person show integrator erp", "events    registry/#"),
        (
            "person show operator eve",
            "operator (ordering logs only) for the group `inner`",
        ),
    ] {
        says(&server, &typed.split(' ').collect::<Vec<_>>(), 0, &[part]);
    }
    says(
        &server,
        &["config", "template", "show", "type", "rome"],
        3,
        &["template of a type `rome`"],
    );
    let file = server.path("now.toml");
    let file = file.to_str().unwrap();
    server.good(&["export-fleet", file]);
    says(&server, &["export-fleet", file], 2, &["cannot write"]);
    says(&server, &["plan", file, "--prune"], 0, &["as the file says"]);
    let text = fs::read_to_string(file).unwrap();
    for part in [
        "description = \"ø\"",
        "signed_commands = [\"*\"]",
        "commands = [\"logs\"]\ngroups = [\"inner\"]",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }

    // The tree turned inside out; devices that were chosen stand in the way, devices by a query do not.
    let turned = "[groups.inner]\n[groups.outer]\nparent = \"inner\"\n";
    let file = written(&server, "turned.toml", turned);
    says(
        &server,
        &["apply", &file, "--prune", "--yes"],
        4,
        &["! group line: its 1 devices"],
    );
    says(
        &server,
        &["--as", "eve", "plan", &file],
        5,
        &["operators", "cannot be read"],
    );
    server.good(&["group", "leave", "line", "p-1"]);
    let said = says(
        &server,
        &["apply", &file, "--prune", "--yes"],
        0,
        &["group rome: removed"],
    );
    assert!(
        said.contains("- group line") && said.contains("~ group inner"),
        "{said}"
    );
    says(&server, &["plan", &file, "--prune"], 0, &[]);
    assert_eq!(ids(&server, "site = rome").len(), 2);
    says(&server, &["apply", &file, "--prune"], 0, &["as the file says"]);
    let more = format!("{turned}[groups.new]\n");
    let file = written(&server, "more.toml", &more);
    says(&server, &["apply", &file], 2, &["give --yes"]);
    says(
        &server,
        &["apply", &file, "--dry-run"],
        0,
        &["would make these 1 changes"],
    );

    // What another person must approve waits; the rest is done, and nothing twice.
    server.good(&["operator", "add", "kim", "--role", "admin"]);
    server.good(&["cert", "issue", "operator", "kim"]);
    server.good(&["approval", "require", "registry/put-query"]);
    let waits = "[queries.young]\nquery = \"firmware > 2\"\n[rules.cold]\nmetric = \"temperature\"\n\
                 comparison = \"below\"\nthreshold = -20\n";
    let file = written(&server, "waits.toml", waits);
    says(
        &server,
        &["apply", &file, "--yes"],
        8,
        &["rule cold: version 1", "query young"],
    );
    let waiting = server.documents(&["--as", "kim", "approval", "list"]);
    assert_eq!(waiting.len(), 1);
    let id = waiting[0]["approval_id"].as_str().unwrap();
    server.good(&["--as", "kim", "approval", "approve", id]);
    says(&server, &["plan", &file], 0, &["left alone: query old, rule hot"]);
}

/// What came of it on each device: its id, the word, the exit code of the whole.
fn outcomes(server: &Installation, arguments: &[&str], code: i32) -> Vec<(String, String)> {
    let said = server.ends(&[&["--json"], arguments].concat(), code);
    let told = said.lines().filter(|line| line.starts_with('{'));
    let told = told.map(|line| {
        let told: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        (text("device_id"), text("outcome"))
    });
    told.collect()
}

#[test]
fn several_devices_are_changed_at_once_and_each_is_told_of() {
    let server = Installation::running();
    server.good(&["type", "add", "pump", "--check", "burn-in=attested"]);
    server.good(&["group", "put", "hall"]);
    server.good(&["group", "put", "line", "--parent", "hall"]);
    for id in ["p-1", "p-2", "p-3"] {
        server.good(&["device", "register", id, "--type", "pump", "--site", "rome"]);
    }
    server.good(&["group", "join", "line", "p-1", "p-2"]);
    server.good(&["group", "join", "hall", "p-1", "p-3"]);
    let shown = &server.documents(&["group", "show", "hall"])[0];
    assert_eq!(
        (&shown["members"], &shown["devices"]),
        (&"2".into(), &"3".into()),
        "who is in both is counted once"
    );
    says(
        &server,
        &["group", "show", "hall"],
        0,
        &["members           2", "devices in all    3"],
    );
    server.good(&["group", "leave", "hall", "p-1", "p-3"]);
    let pairs = |pairs: &[(&str, &str)]| {
        let owned = pairs
            .iter()
            .map(|(id, word)| ((*id).to_owned(), (*word).to_owned()));
        owned.collect::<Vec<_>>()
    };
    // Named one by one, each is told of in its order; the worst is the end.
    let named = [
        "device",
        "quarantine",
        "p-2",
        "none",
        "p-1",
        "p-2",
        "--reason",
        "odd",
    ];
    let expected = pairs(&[("p-2", "changed"), ("none", "not-found"), ("p-1", "changed")]);
    assert_eq!(outcomes(&server, &named, 3), expected);
    says(
        &server,
        &["device", "move", "p-1", "none", "active"],
        4,
        &["not-allowed", "not-found", "2 of 2 devices were not changed"],
    );
    says(
        &server,
        &["device", "move", "p-1", "anywhere"],
        2,
        &["`anywhere` is no stage", "maintenance"],
    );
    says(
        &server,
        &[
            "device",
            "change",
            "p-1",
            "p-2",
            "--owner",
            "x",
            "--expected-version",
            "3",
        ],
        2,
        &["--expected-version is that of one device"],
    );
    // By a group or a query there is a count and a question.
    let by_group = ["device", "release", "--group", "hall", "--reason", "sound"];
    says(
        &server,
        &by_group,
        2,
        &["release 2 devices (p-1, p-2): give --yes"],
    );
    says(
        &server,
        &[&by_group[..], &["--dry-run"]].concat(),
        0,
        &["would release 2 devices"],
    );
    assert_eq!(ids(&server, "restriction = quarantined").len(), 2);
    let expected = pairs(&[("p-1", "changed"), ("p-2", "changed")]);
    assert_eq!(
        outcomes(&server, &[&by_group[..], &["--yes"]].concat(), 0),
        expected
    );
    says(
        &server,
        &[
            "device",
            "change",
            "--where",
            "site = rome and id != p-1",
            "--set",
            "tags.a=1",
            "--yes",
        ],
        0,
        &["p-2", "p-3"],
    );
    assert_eq!(ids(&server, "tags.a = 1"), ["p-2", "p-3"]);
    says(
        &server,
        &["device", "suspend", "--where", "site = nowhere", "--yes"],
        3,
        &["no device fits"],
    );
    says(
        &server,
        &["device", "suspend", "p-1", "--where", "site = rome", "--yes"],
        2,
        &["name devices, or give --group or --where"],
    );
    says(
        &server,
        &["device", "suspend", "--reason", "x"],
        2,
        &["<DEVICE>..."],
    );
    says(
        &server,
        &[
            "device", "attest", "--group", "line", "burn-in", "--note", "48 h", "--yes",
        ],
        0,
        &["p-1", "p-2"],
    );
    let attested = server.good(&["device", "show", "p-2"]);
    assert!(attested.contains("burn-in passed"), "{attested}");
    // What cannot be taken back is asked about, however it is named.
    let retire = ["device", "retire", "p-2", "p-3"];
    says(
        &server,
        &retire,
        2,
        &["retire 2 devices for good (p-2, p-3): give --yes"],
    );
    says(&server, &[&retire[..], &["--yes"]].concat(), 0, &[]);
    assert_eq!(ids(&server, "stage = retired"), ["p-2", "p-3"]);
    let readmit = ["device", "readmit", "p-2", "p-3", "--reason", "refurbished"];
    says(
        &server,
        &readmit,
        2,
        &["take 2 devices back (p-2, p-3): give --yes"],
    );
    says(&server, &[&readmit[..], &["--yes"]].concat(), 0, &[]);
    assert_eq!(ids(&server, "stage = registered"), ["p-1", "p-2", "p-3"]);
    let work = [
        "device",
        "maintenance",
        "add",
        "p-1",
        "p-2",
        "inspection",
        "--next",
        "2030-01-31",
    ];
    says(&server, &work, 0, &["p-1", "p-2"]);
    assert_eq!(ids(&server, "maintenance_due = 2030-01-31"), ["p-1", "p-2"]);
    says(
        &server,
        &["device", "maintenance", "add", "p-1", "polish"],
        2,
        &["`polish` is no work"],
    );
    // One device is told of as it always was.
    let one = server.good(&["device", "change", "p-1", "--owner", "north"]);
    assert_eq!(one.lines().count(), 1, "{one}");
    says(
        &server,
        &["device", "retire", "p-1", "--dry-run"],
        0,
        &["would retire p-1 for good"],
    );
}

#[test]
fn an_export_is_edited_and_brought_back() {
    let server = Installation::running();
    for group in ["hall", "line"] {
        server.good(&["group", "put", group]);
    }
    server.good(&["group", "put", "of-rome", "--query", "site = rome"]);
    let table =
        "device_id,site,notes,tags.line,groups\np-1,rome,old,7,hall\np-2,rome,old,8,hall\np-3,rome,,,\n";
    let table = written(&server, "fleet.csv", table);
    server.good(&["device", "import", &table]);
    let file = server.path("edited.csv");
    let file = file.to_str().unwrap();
    server.good(&["device", "export", file, "--versions"]);
    let text = fs::read_to_string(file).unwrap();
    assert!(text.lines().next().unwrap().contains("version"), "{text}");
    // The same changes nothing.
    let update = ["device", "import", file, "--update"];
    let nothing = "0 registered, 0 changed, 3 unchanged, 0 refused";
    says(&server, &update, 0, &[nothing]);
    // As a spreadsheet leaves it: a site, a cleared cell, another group, a new row, and a row that is wrong.
    let edited = text
        .replace("p-1,,hall,", "p-1,,line,")
        .replacen("rome", "berlin", 1)
        .replacen("old", "", 1);
    let columns = text.lines().next().unwrap().split(',').count();
    let more = format!("{edited}p-4{}\n", ",".repeat(columns - 1));
    fs::write(file, &more).unwrap();
    let dry = says(
        &server,
        &[
            "device",
            "import",
            file,
            "--update",
            "--dry-run",
            "--empty-removes",
        ],
        0,
        &["1 would be registered, 1 would be changed, 2 unchanged, 0 refused"],
    );
    for part in [
        "p-1",
        "notes `old` → ``",
        "site `rome` → `berlin`",
        "+line, -hall",
    ] {
        assert!(dry.contains(part), "{part} in {dry}");
    }
    assert_eq!(ids(&server, "site = rome").len(), 3, "nothing was done");
    // Somebody was faster with one of them: the row is told of, the others are done.
    server.good(&["device", "change", "p-2", "--owner", "north"]);
    let late = more.replace(",8,", ",9,");
    fs::write(file, &late).unwrap();
    let said = server.ends(
        &["--json", "device", "import", file, "--update", "--empty-removes"],
        4,
    );
    let report: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    let counts = ["registered", "changed", "unchanged"].map(|name| report[name].as_u64());
    assert_eq!(counts, [Some(1), Some(1), Some(1)], "{report}");
    let refused = &report["refused"][0];
    assert_eq!(
        (&refused["code"], &refused["device_id"]),
        (&"conflict".into(), &"p-2".into())
    );
    let shown: serde_json::Value =
        serde_json::from_str(&server.good(&["--json", "device", "show", "p-1"])).unwrap();
    assert_eq!(
        (&shown["site"], &shown["groups"]),
        (&"berlin".into(), &serde_json::json!(["line"]))
    );
    assert_eq!(shown["notes"], serde_json::Value::Null);
    // Without versions the newest counts, and what is done already is done.
    let plain = "device_id,tags.line,criticality\np-1,7,low\np-2,9,hihg\np-3,,high\n";
    let plain = written(&server, "plain.csv", plain);
    let update = ["device", "import", &plain, "--update"];
    says(
        &server,
        &update,
        4,
        &[
            "0 registered, 2 changed, 0 unchanged, 1 refused",
            "criticality `hihg`",
        ],
    );
    fs::write(
        &plain,
        "{\"device_id\":\"p-2\",\"fields\":{\"tags.line\":\"\",\"owner\":\"north\"}}\n",
    )
    .unwrap();
    let lines = [&update[..], &["--format", "ndjson"]].concat();
    says(&server, &lines, 0, &["1 changed"]);
    says(
        &server,
        &lines,
        0,
        &["0 registered, 0 changed, 1 unchanged, 0 refused"],
    );
    assert_eq!(ids(&server, "owner = north and not has tags.line"), ["p-2"]);
}

#[test]
fn what_is_set_for_devices_alone_is_edited_in_a_file() {
    let server = Installation::running();
    let rows = |first: &str, second: &str| {
        let row =
            |id: &str, settings: &str| serde_json::json!({"device_id": id, "settings": settings}).to_string();
        written(
            &server,
            "set.ndjson",
            &[row("p-1", first), row("p-2", second)].join("\n"),
        )
    };
    let file = rows(r#"{"heartbeat":"30s"}"#, "");
    server.good(&["device", "import", &file]);
    server.good(&["group", "put", "all", "--query", "has id"]);
    server.good(&["config", "template", "set", "group", "all", "log=info"]);
    let listed = || server.good(&["--json", "config", "list"]);
    let settings = || -> Vec<(String, String)> {
        let lines = listed();
        let one = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        lines
            .lines()
            .map(one)
            .map(|own| (text(&own["device_id"]), text(&own["document"])))
            .collect()
    };
    let owned = |id: &str, text: &str| (id.to_owned(), text.to_owned());
    assert_eq!(settings(), [owned("p-1", r#"{"heartbeat":"30s"}"#)]);
    // Something else is refused, unless it is to be so.
    let file = rows(r#"{"heartbeat":"40s"}"#, r#"{"limit":3}"#);
    says(
        &server,
        &["device", "import", &file],
        4,
        &["another `settings`", "2 rows were refused"],
    );
    let update = ["device", "import", &file, "--update"];
    let dry = server.good(&[&update[..], &["--dry-run"]].concat());
    let turn = r#"p-1 settings `{"heartbeat":"30s"}` → `{"heartbeat":"40s"}`"#;
    assert!(dry.contains(turn) && dry.contains("2 would be changed"), "{dry}");
    assert_eq!(settings().len(), 1, "nothing was done");
    says(&server, &update, 0, &["2 changed, 0 unchanged"]);
    says(&server, &update, 0, &["0 changed, 2 unchanged"]);
    let both = [
        owned("p-1", r#"{"heartbeat":"40s"}"#),
        owned("p-2", r#"{"limit":3}"#),
    ];
    assert_eq!(settings(), both);
    // A table's empty cell removes where that is asked for; a row that makes no sense changes nothing.
    let table = written(&server, "set.csv", "device_id,settings\np-1,\np-2,{\"\"}\n");
    let update = ["device", "import", &table, "--update"];
    says(
        &server,
        &update,
        4,
        &["0 changed, 1 unchanged", "settings `{\"\"}`"],
    );
    let update = [&update[..], &["--empty-removes"]].concat();
    says(&server, &update, 4, &["1 changed, 0 unchanged", "is no JSON"]);
    assert_eq!(settings(), [owned("p-2", r#"{"limit":3}"#)]);
    let register =
        |id: &'static str, settings: &'static str| ["device", "register", id, "--settings", settings];
    server.good(&register("p-3", r#"{"limit":4}"#));
    assert_eq!(settings()[1], owned("p-3", r#"{"limit":4}"#));
    says(
        &server,
        &register("p-4", "limit=4"),
        2,
        &["`settings` is no JSON"],
    );
}

#[test]
fn what_was_done_leaves_one_installation_and_comes_to_another_once() {
    let (here, there) = (Installation::running(), Installation::running());
    let devices = written(
        &here,
        "fleet.csv",
        "device_id,site\np-1,rome\np-2,rome\np-3,oslo\np-4,oslo\n",
    );
    here.good(&["device", "import", &devices]);
    there.good(&["device", "import", &devices]);
    let add = |arguments: &[&str]| {
        let words = [&["device", "maintenance", "add"][..], arguments].concat();
        here.good(&words);
    };
    add(&[
        "p-1",
        "inspection",
        "--on",
        "2026-01-31",
        "--next",
        "2030-01-31",
        "--note",
        "=2+2, \"loud\"",
    ]);
    add(&["p-1", "cleaning", "--on", "2026-01-31"]);
    add(&["p-1", "cleaning", "--on", "2026-01-31"]);
    add(&[
        "p-2",
        "part-replaced",
        "--part",
        "bearing",
        "--cost",
        "129.50 EUR",
        "--by",
        "Pump Service Ltd",
    ]);
    add(&["p-3", "battery"]);
    add(&["p-4", "repair"]);
    here.good(&["device", "retire", "p-4", "--yes"]);

    let path = here.path("work.csv");
    let table = path.to_str().unwrap();
    let told = here.good(&["device", "maintenance", "export", table]);
    assert!(told.contains("5 records of 3 devices in"), "{told}");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("device_id,kind,at,by,"), "{text}");
    let lines = here.good(&["device", "maintenance", "export", "-", "--where", "site = rome"]);
    assert_eq!(lines.lines().count(), 4, "{lines}");
    here.good(&["group", "put", "wet"]);
    here.good(&["group", "join", "wet", "p-3"]);
    let lines = here.good(&["device", "maintenance", "export", "-", "--group", "wet"]);
    assert!(lines.lines().count() == 1 && lines.contains("p-3"), "{lines}");

    let import = ["device", "maintenance", "import", table];
    says(&here, &import, 0, &["0 recorded, 5 unchanged, 0 refused"]);
    let dry = [&import[..], &["--dry-run"]].concat();
    says(&there, &dry, 0, &["5 would be recorded, 0 unchanged, 0 refused"]);
    says(&there, &import, 0, &["5 recorded, 0 unchanged, 0 refused"]);
    says(&there, &import, 0, &["0 recorded, 5 unchanged, 0 refused"]);
    for device in ["p-1", "p-2", "p-3"] {
        let of = ["device", "maintenance", "list", device];
        let (left, come) = (here.documents(&of), there.documents(&of));
        assert_eq!(left.len(), come.len());
        for (left, come) in left.iter().zip(&come) {
            for field in ["kind", "at_ms", "by", "note", "part", "cost", "next_due"] {
                assert_eq!(left[field], come[field], "{field} of {device}");
            }
            assert_eq!(left["recorded_by"], come["first_recorded_by"]);
            assert_eq!(left["recorded_at_ms"], come["first_recorded_at_ms"]);
        }
    }
    assert_eq!(ids(&there, "maintenance_due = 2030-01-31"), ["p-1"]);
    says(
        &there,
        &["device", "maintenance", "list", "p-2"],
        0,
        &["operators/admin, brought in by operators/admin"],
    );

    let bad = "device_id,kind,at,colour\np-1,polish,2026-01-31,\nnobody,repair,2026-01-31,\np-1,repair,2026-02-01,\n";
    let bad = written(&there, "bad.csv", bad);
    let import = ["device", "maintenance", "import", &bad];
    says(
        &there,
        &import,
        2,
        &[
            "nothing was recorded (--keep-going records the good rows)",
            "line 2: kind `polish`",
            "line 3: nobody",
        ],
    );
    let kept = [&import[..], &["--keep-going"]].concat();
    says(&there, &kept, 4, &["1 recorded, 0 unchanged, 2 refused"]);
}
