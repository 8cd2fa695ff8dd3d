//! A device changes its owner: with the secret, in time, and once.

use contract::{
    login::token_digest,
    v1::{
        AcceptTransfer, AuditRead, CancelTransfer, ChangeMembers, Changed, Grant, HistoryShown,
        ListTransfers, MembersChanged, OfferTransfer, PutGroup, PutPerson, ReadAudit, RetireDevice, Role,
        ShowHistory, Transfer, TransferState, TransfersListed,
    },
};

use crate::world::{ADA, Answered, World, data, registered};

const DAY_MS: i64 = 24 * 3_600_000;
const EVE: &str = "operators/eve";
const SECRET: &str = "7ZK2MAVE-10020003";

fn world() -> World {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "register", &registered("pump-7", &[("owner", "north")]))
        .unwrap();
    w.events();
    w
}

fn digest(secret: &str) -> String {
    let digits = token_digest(secret.as_bytes());
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn offer(w: &World) -> OfferTransfer {
    OfferTransfer {
        device_id: "pump-7".into(),
        to: "south".into(),
        sha256: digest(SECRET),
        expires_ms: w.now_ms + DAY_MS,
        note: "contract 4711".into(),
        ..OfferTransfer::default()
    }
}

fn offered(w: &mut World) {
    let offer = offer(w);
    w.ask::<Changed>(ADA, "transfer", &offer).unwrap();
}

fn accept(w: &mut World, who: &str, secret: &str) -> Answered<Changed> {
    let request = AcceptTransfer {
        device_id: "pump-7".into(),
        secret: secret.into(),
        ..AcceptTransfer::default()
    };
    w.ask(who, "accept-transfer", &request)
}

fn last(w: &mut World) -> Transfer {
    let request = ListTransfers {
        device_id: "pump-7".into(),
        ..ListTransfers::default()
    };
    let listed: TransfersListed = w.ask(ADA, "transfers", &request).unwrap();
    listed.transfers.into_iter().next().unwrap()
}

fn group(w: &mut World, id: &str, query: &str) {
    let group = PutGroup {
        group_id: id.into(),
        query: Some(query.to_owned()).filter(|query| !query.is_empty()),
        ..PutGroup::default()
    };
    w.ask::<Changed>(ADA, "put-group", &group).unwrap();
    w.wait(0);
}

fn join(w: &mut World, group: &str) {
    let join = ChangeMembers {
        group_id: group.into(),
        device_ids: vec!["pump-7".into()],
        ..ChangeMembers::default()
    };
    w.ask::<MembersChanged>(ADA, "join-group", &join).unwrap();
}

/// Eve is an operator for the devices of one group.
fn eve_of(w: &mut World, group: &str) {
    let eve = PutPerson {
        id: "eve".into(),
        kind: "operators".into(),
        grants: vec![Grant {
            role: Role::Operator.into(),
            groups: vec![group.into()],
            ..Default::default()
        }],
        ..PutPerson::default()
    };
    w.ask::<Changed>(ADA, "put-person", &eve).unwrap();
}

#[test]
fn the_secret_makes_it_somebody_elses_once_and_all_of_it_is_written_down() {
    let mut w = world();
    offered(&mut w);
    let open = last(&mut w);
    assert_eq!(
        (
            open.state(),
            open.from.as_str(),
            open.to.as_str(),
            open.sha256.as_str()
        ),
        (TransferState::Offered, "north", "south", "")
    );
    assert_eq!(w.device("pump-7").owner, "north");
    accept(&mut w, ADA, SECRET).unwrap();
    assert_eq!(w.device("pump-7").owner, "south");
    let done = last(&mut w);
    assert_eq!(
        (done.state(), done.ended_by.as_str()),
        (TransferState::Accepted, ADA)
    );
    let events = w.events();
    let told: Vec<_> = events
        .iter()
        .map(|e| format!("{} {}", e.subject, e.name))
        .collect();
    assert_eq!(
        told,
        [
            "transfers/pump-7 offered",
            "devices/pump-7 changed",
            "transfers/pump-7 accepted"
        ]
    );
    assert!(events.iter().all(|e| data(e).get("sha256").is_none()));
    let request = ShowHistory {
        device_id: "pump-7".into(),
        ..ShowHistory::default()
    };
    let history: HistoryShown = w.ask(ADA, "history", &request).unwrap();
    let entry = history.entries.last().unwrap();
    assert_eq!(
        (
            entry.what.as_str(),
            entry.from.as_str(),
            entry.to.as_str(),
            entry.reason.as_str()
        ),
        ("transferred", "north", "south", "contract 4711")
    );
    accept(&mut w, ADA, SECRET).unwrap_err();
    // Neither the record nor the audit log keeps what opened it.
    let kept = w.records("z");
    let logged: AuditRead = w.ask(ADA, "audit", &ReadAudit::default()).unwrap();
    let all = format!("{kept:?} {logged:?}");
    assert!(!all.contains(SECRET) && !all.contains(&digest(SECRET)));
    let entry = logged
        .entries
        .iter()
        .find(|entry| entry.verb.ends_with("accept-transfer"));
    assert_eq!(entry.unwrap().subjects, ["devices/pump-7", "transfers/pump-7"]);
}

#[test]
fn whatever_is_wrong_the_answer_is_the_same_and_the_fifth_wrong_secret_ends_it() {
    let mut w = world();
    let nothing = accept(&mut w, ADA, SECRET).unwrap_err();
    offered(&mut w);
    let request = AcceptTransfer {
        device_id: "nobody".into(),
        secret: SECRET.into(),
        ..AcceptTransfer::default()
    };
    let nobody = w.ask::<Changed>(ADA, "accept-transfer", &request).unwrap_err();
    let mut wrong = Vec::new();
    for n in 0..5 {
        wrong.push(accept(&mut w, ADA, &format!("guess-{n}")).unwrap_err());
    }
    let locked = accept(&mut w, ADA, SECRET).unwrap_err();
    let bare = |refusal: &contract::v1::Rejection| (refusal.code.clone(), refusal.message.clone());
    let all = [&nothing, &nobody, &locked].into_iter().chain(&wrong).map(bare);
    let all: std::collections::BTreeSet<_> = all.collect();
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(nothing.code, "denied");
    let last = last(&mut w);
    assert_eq!((last.state(), last.wrong), (TransferState::Locked, 5));
    assert_eq!(w.device("pump-7").owner, "north");
    let told: Vec<_> = w.events().into_iter().map(|e| e.name).collect();
    assert_eq!(
        told,
        ["offered", "refused", "refused", "refused", "refused", "locked"]
    );
}

#[test]
fn it_ends_at_its_deadline_by_itself() {
    let mut w = world();
    offered(&mut w);
    w.restart();
    w.wait(DAY_MS - 1);
    assert_eq!(last(&mut w).state(), TransferState::Offered);
    w.wait(1);
    let expired = last(&mut w);
    assert_eq!(
        (expired.state(), expired.ended_by.as_str()),
        (TransferState::Expired, "services/registry")
    );
    accept(&mut w, ADA, SECRET).unwrap_err();
    assert_eq!(w.events().last().unwrap().name, "expired");
}

#[test]
fn it_is_taken_back_by_hand_by_another_offer_and_when_the_device_retires() {
    let mut w = world();
    let cancel = CancelTransfer {
        device_id: "pump-7".into(),
        reason: "the contract was not signed".into(),
        ..CancelTransfer::default()
    };
    let refused = w.ask::<Changed>(ADA, "cancel-transfer", &cancel).unwrap_err();
    assert_eq!(refused.code, "not-allowed");
    offered(&mut w);
    w.ask::<Changed>(ADA, "cancel-transfer", &cancel).unwrap();
    assert_eq!(last(&mut w).state(), TransferState::Cancelled);
    accept(&mut w, ADA, SECRET).unwrap_err();
    offered(&mut w);
    let second = OfferTransfer {
        sha256: digest("another"),
        to: "west".into(),
        ..offer(&w)
    };
    w.ask::<Changed>(ADA, "transfer", &second).unwrap();
    accept(&mut w, ADA, SECRET).unwrap_err();
    let retire = RetireDevice {
        device_id: "pump-7".into(),
        ..RetireDevice::default()
    };
    w.ask::<Changed>(ADA, "retire", &retire).unwrap();
    assert_eq!(last(&mut w).reason, "the device is retired");
    accept(&mut w, ADA, "another").unwrap_err();
    let refused = w.ask::<Changed>(ADA, "transfer", &second).unwrap_err();
    assert_eq!(refused.code, "not-allowed");
}

#[test]
fn groups_follow_the_owner() {
    let mut w = world();
    for (id, query) in [
        ("north", ""),
        ("south", ""),
        ("norths", "owner = north"),
        ("souths", "owner = south"),
    ] {
        group(&mut w, id, query);
    }
    join(&mut w, "north");
    assert_eq!(w.device("pump-7").groups, ["north", "norths"]);
    let dynamic = OfferTransfer {
        groups: vec!["souths".into()],
        ..offer(&w)
    };
    let refused = w.ask::<Changed>(ADA, "transfer", &dynamic).unwrap_err();
    assert_eq!(refused.field, "groups");
    let moving = OfferTransfer {
        groups: vec!["south".into()],
        ..offer(&w)
    };
    w.ask::<Changed>(ADA, "transfer", &moving).unwrap();
    accept(&mut w, ADA, SECRET).unwrap();
    assert_eq!(w.device("pump-7").groups, ["south", "souths"]);
}

#[test]
fn whoever_has_some_groups_only_gives_from_them_and_takes_into_them() {
    let mut w = world();
    group(&mut w, "north", "");
    group(&mut w, "south", "");
    eve_of(&mut w, "south");
    // The secret opens what Eve could not touch otherwise, but brings it to no group of others.
    let north = OfferTransfer {
        groups: vec!["north".into()],
        ..offer(&w)
    };
    w.ask::<Changed>(ADA, "transfer", &north).unwrap();
    let refused = accept(&mut w, EVE, SECRET).unwrap_err();
    assert!(refused.message.contains("`north`"), "{}", refused.message);
    let south = OfferTransfer {
        groups: vec!["south".into()],
        ..offer(&w)
    };
    let refused = w.ask::<Changed>(EVE, "transfer", &south).unwrap_err();
    assert_eq!(refused.code, "denied");
    w.ask::<Changed>(ADA, "transfer", &south).unwrap();
    accept(&mut w, EVE, SECRET).unwrap();
    assert_eq!(w.device("pump-7").groups, ["south"]);
    // Out of a group that is not hers she gives nothing.
    join(&mut w, "north");
    let back = OfferTransfer {
        to: "west".into(),
        ..south
    };
    let refused = w.ask::<Changed>(EVE, "transfer", &back).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("denied", "groups")
    );
    let mine: TransfersListed = w.ask(EVE, "transfers", &ListTransfers::default()).unwrap();
    assert_eq!(mine.transfers.len(), 1);
}

#[test]
fn an_offer_that_makes_no_sense_is_refused_with_the_field() {
    let mut w = world();
    let good = offer(&w);
    let bad = [
        (
            "to",
            OfferTransfer {
                to: String::new(),
                ..good.clone()
            },
        ),
        (
            "to",
            OfferTransfer {
                to: "north".into(),
                ..good.clone()
            },
        ),
        (
            "to",
            OfferTransfer {
                to: "a\nb".into(),
                ..good.clone()
            },
        ),
        (
            "sha256",
            OfferTransfer {
                sha256: "0a".into(),
                ..good.clone()
            },
        ),
        (
            "expires_ms",
            OfferTransfer {
                expires_ms: w.now_ms,
                ..good.clone()
            },
        ),
        (
            "expires_ms",
            OfferTransfer {
                expires_ms: w.now_ms + 91 * DAY_MS,
                ..good.clone()
            },
        ),
        (
            "groups",
            OfferTransfer {
                groups: vec!["none".into()],
                ..good.clone()
            },
        ),
        (
            "device_id",
            OfferTransfer {
                device_id: "nobody".into(),
                ..good.clone()
            },
        ),
    ];
    for (field, offer) in bad {
        let refused = w.ask::<Changed>(ADA, "transfer", &offer).unwrap_err();
        assert_eq!(refused.field, field, "{}", refused.message);
    }
    let stale = OfferTransfer {
        expected_version: 9,
        ..good
    };
    assert_eq!(
        w.ask::<Changed>(ADA, "transfer", &stale).unwrap_err().code,
        "conflict"
    );
    assert!(w.events().is_empty());
}
