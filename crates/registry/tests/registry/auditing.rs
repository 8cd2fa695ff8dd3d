//! Who asked for which change: the audit log, as any service keeps it.

use contract::{
    audit::{Head, NOTHING_BEFORE, Walk, Walked},
    v1::{
        AuditChange, AuditEntry, AuditRead, ChangeMembers, Changed, ConfigMode, Erased, PutGroup, ReadAudit,
        Report, RestrictDevice, RetireDevice, RunCommand, SetConfig, ShowDevice,
    },
};
use service::store::Store;

use crate::world::{ADA, World, change, data, register, registered};

const DAY_MS: i64 = 24 * 3_600_000;

fn read(w: &mut World, ask: &ReadAudit) -> AuditRead {
    w.ask(ADA, "audit", ask).unwrap()
}

fn entries(w: &mut World) -> Vec<AuditEntry> {
    read(w, &ReadAudit::default()).entries
}

fn verbs(entries: &[AuditEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.verb.as_str()).collect()
}

fn walk(w: &mut World, heads: &[Head]) -> Walked {
    let page = read(w, &ReadAudit::default());
    let mut walk = if page.first > 1 {
        Walk::after(page.first - 1, &page.anchor_hash)
    } else {
        Walk::default()
    };
    page.entries.iter().for_each(|entry| walk.take(entry, heads));
    walk.end(heads)
}

/// The heads that were published since the last time.
fn heads(w: &mut World) -> Vec<Head> {
    let events = w.all_events().into_iter();
    let heads = events
        .filter(|event| event.subject == "audit/registry")
        .map(|event| {
            let data = data(&event);
            let text = |name: &str| data[name].as_str().unwrap().to_owned();
            Head {
                service: "registry".into(),
                epoch: format!("{:016x}", event.epoch),
                sequence: text("sequence").parse().unwrap(),
                hash: text("hash"),
                first: text("first").parse().unwrap(),
            }
        });
    heads.collect()
}

#[test]
fn an_entry_tells_who_asked_for_what_and_what_it_changed() {
    let mut w = World::new();
    let id = |w: &World| w.now_ms;
    w.ask::<Changed>(ADA, "register", &registered("pump-7", &[("owner", "north")]))
        .unwrap();
    let now = id(&w);
    w.ask_as::<Changed>("r-x", ADA, "change", &change("pump-7", &[("owner", "south")]))
        .unwrap();
    let all = entries(&mut w);
    assert_eq!(verbs(&all), ["registry/register", "registry/change"]);
    let (first, second) = (&all[0], &all[1]);
    assert_eq!((first.sequence, first.previous.as_str()), (1, NOTHING_BEFORE));
    assert_eq!((second.sequence, &second.previous), (2, &first.hash));
    assert_eq!((second.who.as_str(), second.request_id.as_str()), (ADA, "r-x"));
    assert_eq!((second.time_ms, second.outcome.as_str()), (now, "accepted"));
    assert_eq!(second.subjects, ["devices/pump-7"]);
    assert_eq!(second.request_sha256.len(), 64);
    let owner = AuditChange {
        record: "devices/pump-7".into(),
        field: "owner".into(),
        before: "north".into(),
        after: "south".into(),
    };
    assert!(second.changes.contains(&owner), "{:?}", second.changes);
    // Its events stand in the log under these numbers.
    let events = w.events();
    let caused: Vec<_> = events
        .iter()
        .filter(|event| (second.first_event..=second.last_event).contains(&event.sequence))
        .map(|event| event.name.as_str())
        .collect();
    assert_eq!(caused, ["changed"]);
}

#[test]
fn each_order_that_shuts_a_device_out_or_lets_it_in_tells_what_it_was_before() {
    let mut w = World::new();
    w.activate("pump-7");
    let order = RestrictDevice {
        device_id: "pump-7".into(),
        reason: "it leaks".into(),
        ..RestrictDevice::default()
    };
    let retire = RetireDevice {
        device_id: "pump-7".into(),
        reason: "scrap".into(),
        ..RetireDevice::default()
    };
    for (verb, field, before, after) in [
        ("quarantine", "restriction", "NONE", "QUARANTINED"),
        ("suspend", "restriction", "QUARANTINED", "SUSPENDED"),
        ("release", "restriction", "SUSPENDED", "NONE"),
        ("retire", "stage", "ACTIVE", "RETIRING"),
    ] {
        match verb {
            "retire" => w.ask::<Changed>(ADA, verb, &retire).unwrap(),
            _ => w.ask::<Changed>(ADA, verb, &order).unwrap(),
        };
        let entry = entries(&mut w).pop().unwrap();
        assert_eq!((entry.who.as_str(), entry.outcome.as_str()), (ADA, "accepted"));
        assert_eq!(entry.verb, format!("registry/{verb}"));
        assert_eq!(entry.subjects[0], "devices/pump-7");
        let word = |value: &str| format!("{}_{value}", field.to_ascii_uppercase());
        let change = AuditChange {
            record: "devices/pump-7".into(),
            field: field.into(),
            before: word(before),
            after: word(after),
        };
        assert!(entry.changes.contains(&change), "{verb}: {:?}", entry.changes);
    }
}

#[test]
fn settings_and_commands_are_told() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "register", &registered("pump", &[]))
        .unwrap();
    let set = SetConfig {
        device_id: "pump".into(),
        mode: ConfigMode::Merge.into(),
        document: r#"{"net":{"mtu":1400}}"#.into(),
        ..SetConfig::default()
    };
    w.ask::<Changed>(ADA, "config-set", &set).unwrap();
    let run = RunCommand {
        device_id: "pump".into(),
        command_id: "c-1".into(),
        name: "logs".into(),
        ..RunCommand::default()
    };
    w.ask::<Changed>(ADA, "command-run", &run).unwrap();
    let told = |entry: &AuditEntry, record: &str, field: &str, after: &str| {
        let fits = |c: &AuditChange| c.record == record && c.field == field && c.after == after;
        assert!(entry.changes.iter().any(fits), "{:?}", entry.changes);
    };
    let entries = entries(&mut w);
    let [.., set, run] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    told(set, "configs/pump", "net.mtu", "1400");
    told(run, "commands/c-1", "name", "logs");
}

#[test]
fn members_are_told_by_the_group_and_found_by_the_device() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "register", &register("pump-7")).unwrap();
    let group = PutGroup {
        group_id: "line".into(),
        ..PutGroup::default()
    };
    w.ask::<Changed>(ADA, "put-group", &group).unwrap();
    let join = ChangeMembers {
        group_id: "line".into(),
        device_ids: vec!["pump-7".into()],
        ..ChangeMembers::default()
    };
    w.ask::<contract::v1::MembersChanged>(ADA, "join-group", &join)
        .unwrap();
    let about = |subject: &str| ReadAudit {
        subject: subject.into(),
        ..ReadAudit::default()
    };
    let of_device = read(&mut w, &about("devices/pump-7")).entries;
    assert_eq!(verbs(&of_device), ["registry/register", "registry/join-group"]);
    let member = of_device[1]
        .changes
        .iter()
        .find(|change| change.field == "members.pump-7");
    assert_eq!(member.map(|change| change.after.as_str()), Some("yes"));
    assert_eq!(
        verbs(&read(&mut w, &about("line")).entries),
        ["registry/put-group", "registry/join-group"]
    );
}

#[test]
fn what_reads_repeats_or_changes_nothing_has_no_entry() {
    let mut w = World::new();
    w.activate("pump-7");
    let before = entries(&mut w).len();
    let show = ShowDevice {
        device_id: "pump-7".into(),
        ..ShowDevice::default()
    };
    w.ask::<contract::v1::DeviceShown>(ADA, "show", &show).unwrap();
    w.ask::<Changed>("devices/pump-7", "report", &Report::default())
        .unwrap();
    let owner = change("pump-7", &[("owner", "north")]);
    w.ask_as::<Changed>("once", ADA, "change", &owner).unwrap();
    w.ask_as::<Changed>("once", ADA, "change", &owner).unwrap();
    w.ask::<Changed>(ADA, "change", &change("pump-8", &[]))
        .unwrap_err();
    assert_eq!(entries(&mut w).len(), before + 1);
}

#[test]
fn a_devices_receipt_is_told_once() {
    let mut w = World::new();
    w.activate("pump-7");
    let retire = RetireDevice {
        device_id: "pump-7".into(),
        reason: "worn".into(),
        ..RetireDevice::default()
    };
    w.ask::<Changed>(ADA, "retire", &retire).unwrap();
    for _ in 0..2 {
        w.ask::<contract::v1::Done>("devices/pump-7", "erased", &Erased::default())
            .unwrap();
    }
    let ask = ReadAudit {
        who: "devices/pump-7".into(),
        ..ReadAudit::default()
    };
    let own = read(&mut w, &ask).entries;
    assert_eq!(verbs(&own), ["registry/erased"]);
    assert_eq!(own[0].subjects, ["devices/pump-7"]);
}

#[test]
fn the_head_is_published_soon_and_once_and_the_chain_goes_on_after_a_restart() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "register", &register("a")).unwrap();
    w.ask::<Changed>(ADA, "register", &register("b")).unwrap();
    assert_eq!(heads(&mut w), []);
    w.wait(10_000);
    w.wait(10_000);
    let published = heads(&mut w);
    assert_eq!(
        published.iter().map(|head| head.sequence).collect::<Vec<_>>(),
        [2]
    );
    w.restart();
    w.ask::<Changed>(ADA, "register", &register("c")).unwrap();
    let walked = walk(&mut w, &published);
    assert_eq!((walked.entries, walked.heads, walked.faults), (3, 1, vec![]));
}

#[test]
fn what_is_touched_on_the_disk_is_found() {
    let mut w = World::new();
    for id in ["a", "b", "c"] {
        w.ask::<Changed>(ADA, "register", &register(id)).unwrap();
    }
    w.wait(20_000);
    let published = heads(&mut w);
    let key = [b"j".as_slice(), &2u64.to_be_bytes()].concat();
    let mut entry = entries(&mut w).remove(1);
    entry.who = "operators/eve".into();
    // With a hash of its own: the next entry does not follow from it.
    entry.hash = contract::audit::hash(&entry);
    let mut batch = service::store::Batch::default();
    batch.put(key.clone(), prost::Message::encode_to_vec(&entry));
    w.store.commit(&batch).unwrap();
    assert_eq!(
        walk(&mut w, &published).faults,
        ["3 does not follow from 2: one of them was changed"]
    );
    batch.delete(key);
    w.store.commit(&batch).unwrap();
    let faults = walk(&mut w, &published).faults;
    assert_eq!(faults, ["3 follows 1: entries were removed or put in between"]);
    batch.delete([b"j".as_slice(), &3u64.to_be_bytes()].concat());
    w.store.commit(&batch).unwrap();
    assert!(walk(&mut w, &published).faults[0].contains("3 was published as its head"));
}

#[test]
fn old_entries_go_and_their_end_stays_as_the_anchor() {
    let mut w = World::new();
    w.keep_audit(400 * DAY_MS.unsigned_abs());
    for n in 0..300 {
        w.ask::<Changed>(ADA, "register", &register(&format!("a{n}")))
            .unwrap();
    }
    w.wait(399 * DAY_MS);
    w.ask::<Changed>(ADA, "register", &register("young")).unwrap();
    w.wait(2 * DAY_MS);
    w.wait(1_000);
    w.wait(20_000);
    let page = read(&mut w, &ReadAudit::default());
    assert_eq!((page.first, page.head), (301, 301));
    assert_eq!(page.entries[0].previous, page.anchor_hash);
    let published = heads(&mut w);
    assert_eq!(published.last().map(|head| head.first), Some(301));
    let walked = walk(&mut w, &published);
    assert_eq!((walked.entries, walked.faults), (1, vec![]));
    w.restart();
    w.ask::<Changed>(ADA, "register", &register("next")).unwrap();
    assert_eq!(walk(&mut w, &published).faults, [""; 0]);
}

#[test]
fn pages_from_either_end_hold_each_entry_once() {
    let mut w = World::new();
    for n in 0..620 {
        w.ask::<Changed>(
            if n % 2 == 0 { ADA } else { "operators/bob" },
            "register",
            &register(&format!("a{n}")),
        )
        .unwrap();
    }
    for (newest_first, who, expected) in [
        (false, "", 620),
        (true, "", 620),
        (true, "bob", 310),
        (false, ADA, 310),
    ] {
        let mut ask = ReadAudit {
            newest_first,
            who: who.into(),
            page_size: 77,
            ..ReadAudit::default()
        };
        let mut seen = Vec::new();
        loop {
            let page = read(&mut w, &ask);
            assert!(page.entries.len() <= 77);
            seen.extend(page.entries.iter().map(|entry| entry.sequence));
            if page.next_page.is_empty() {
                break;
            }
            ask.page = page.next_page;
        }
        assert_eq!(seen.len(), expected);
        if newest_first {
            seen.reverse();
        }
        assert!(seen.is_sorted_by(|a, b| a < b));
    }
    for bad in ["x", "zzzzzzzzzzzzzzzz", "00", "+000000000000001"] {
        let ask = ReadAudit {
            page: bad.into(),
            ..ReadAudit::default()
        };
        assert_eq!(
            w.ask::<AuditRead>(ADA, "audit", &ask).unwrap_err().field,
            "page",
            "{bad}"
        );
    }
}

#[test]
fn times_and_verbs_narrow_it_down() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "register", &register("a")).unwrap();
    w.wait(1_000);
    let since_ms = w.now_ms;
    w.ask::<Changed>(ADA, "change", &change("a", &[("owner", "x")]))
        .unwrap();
    w.wait(1_000);
    w.ask::<Changed>(ADA, "register", &register("b")).unwrap();
    for (ask, expected) in [
        (
            ReadAudit {
                since_ms,
                ..ReadAudit::default()
            },
            vec![2, 3],
        ),
        (
            ReadAudit {
                since_ms,
                newest_first: true,
                ..ReadAudit::default()
            },
            vec![3, 2],
        ),
        (
            ReadAudit {
                until_ms: since_ms,
                ..ReadAudit::default()
            },
            vec![1],
        ),
        (
            ReadAudit {
                verb: "register".into(),
                ..ReadAudit::default()
            },
            vec![1, 3],
        ),
        (
            ReadAudit {
                verb: "registry/change".into(),
                ..ReadAudit::default()
            },
            vec![2],
        ),
    ] {
        let found: Vec<_> = read(&mut w, &ask)
            .entries
            .iter()
            .map(|entry| entry.sequence)
            .collect();
        assert_eq!(found, expected, "{ask:?}");
    }
}
