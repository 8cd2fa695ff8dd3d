//! Every request message of the verb table, in both forms, from whoever can publish.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
};

use contract::{
    Code, Refusal, limits, v1,
    verb::{ANYTHING, VERBS},
    wire::{self, Encoding, Wire},
};
use falsify::{falsify, mutated};
use proptest::{prelude::*, strategy::Union};
use serde_json::Value;

const CASES: u32 = 20_000;

/// Words of JSON, of the canonical form and of protobuf.
const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"0.5",
    b"\"NaN\"",
    b"\"-Infinity\"",
    b"18446744073709551616",
    b"\"9223372036854775807\"",
    b"\\u0000",
    b"\\ud800",
    b"\"request_id\":\"r\",",
    b"\"requestId\":\"r\",",
    b"\xEF\xBB\xBF",
    b"\xC3\x28",
    b"\x0A\x00",
    b"\x0A\xFF\xFF\xFF\xFF\x0F",
    b"\x0B",
    b"\x18\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
    b"\x30\x63",
];

/// A message of the table.
#[derive(Clone, Copy)]
struct Request {
    name: &'static str,
    /// Reads a payload as this message, and checks what came of it.
    read: fn(&[u8]) -> Result<(), Refusal>,
    /// Its protobuf form, of a payload in whichever form.
    protobuf: fn(&[u8]) -> Option<Vec<u8>>,
}

macro_rules! requests {
    ($($name:ident),* $(,)?) => {
        const REQUESTS: &[Request] = &[$(Request {
            name: stringify!($name),
            read: read::<v1::$name>,
            protobuf: protobuf::<v1::$name>,
        }),*];
    };
}

requests! {
    RegisterDevice, RegisterDevices, ShowDevice, ListDevices, ChangeDevice, MoveDevice, RestrictDevice, RetireDevice,
    Report, GetStanding, Erased, AskCommand, PutGroup, RemoveGroup, ChangeMembers, ListGroups, PutPerson, ListPeople, Sign,
    RecordCertificate, TakeRevocations, PutClaim, ListClaims, PutSecret, ListAdmissions, DecideAdmission, Issue, RenewServer, Revoke, RevokeMany, ShowCertificate, ListCertificates, GetAuthorities,
    CertificateUsed, Kicked, OpenArtifact, PutBlock, SealArtifact, ListArtifacts, RecallArtifact, CreateRollout, ShowRollout,
    ListRollouts, ListUpdates, SteerRollout, GetAssignment, GetBlock, UpdateReport, Heartbeat, ShowStatus, ListStatus,
    Summarize, PutRule, RemoveRule, ListRules, ListAlerts, ShowRefused, Presence, PresenceSnapshot, SecurityNotice, Replay,
    FactsAfter, CountDevices, ShowHistory, AskWhy, ShowRetirement, OfferTransfer, AcceptTransfer, CancelTransfer, ListTransfers, RecordMaintenance, MaintainMany, ListMaintenance, ReplaceDevice, ReadmitDevice, Attest, Annotate, PutType,
    DeprecateType, ShowType, ListTypes, PutSupplier, ListSuppliers, PutOrder, ListOrders, ExpectDevices,
    ReceiveDevices, PutQuery, RemoveQuery, ListQueries, ListClients, ShowClient, KickClient, ListLimits, ListListeners,
    ShowConfig, SetConfig, ExplainConfig, ListConfigs, ListConfigDrift, PutConfigTemplate, RemoveConfigTemplate, ListConfigTemplates,
    GetConfig, ReportConfig,
    RunCommand, CancelCommand, ShowCommand, ListCommands, PutCommandOutput, ReadCommandOutput, RunJob, CancelJob, ShowJob, ListJobs, ListJobDevices, GetCommand, ReportCommand,
    ReadAudit,
    PutToken, ListTokens, RevokeToken, PutPassword, ShowPassword,
    AnswerAdmission, PutManufacturer, ListManufacturers, RemoveManufacturer, RefuseFactory,
    RenewMany, AbortRenewal, ListRenewals, ListRenewing, PublishLists, ListRevocations,
    Tested, PutCheckpoint, RemoveCheckpoint, ListCheckpoints,
    PutFourEyes, ShowFourEyes, ListApprovals, DecideApproval,
}

/// Decodes, and holds what was decoded to its two forms.
fn read<M: Wire>(payload: &[u8]) -> Result<(), Refusal> {
    let message = wire::decode::<M>(payload, "").inspect_err(|refusal| {
        assert_eq!(refusal.code, Code::Malformed);
        assert!(
            refusal.message.len() <= 6 * payload.len() + 4096,
            "an answer larger than its question"
        );
    })?;
    if Encoding::of(payload) == Encoding::Json {
        assert!(depth(payload) <= limits::JSON_DEPTH);
    }
    let protobuf = wire::encode(&message, Encoding::Protobuf);
    assert!(
        protobuf.len() <= payload.len() + 16,
        "{} bytes grew to {}",
        payload.len(),
        protobuf.len()
    );
    let again: M = wire::decode(&protobuf, "").unwrap();
    assert_eq!(wire::encode(&again, Encoding::Protobuf), protobuf);
    let json = wire::encode(&message, Encoding::Json);
    // Protobuf can say what this JSON cannot: an enum's number that this version does not know gives
    // nothing, a number that is not finite gives `null`. The services refuse both.
    if json.is_empty() || has_null(&value(&json)) {
        assert_eq!(Encoding::of(payload), Encoding::Protobuf);
        return Ok(());
    }
    assert!(
        json.len() <= 64 * payload.len() + 4096,
        "{} bytes grew to {}",
        payload.len(),
        json.len()
    );
    let again: M = wire::decode(&json, Encoding::Json.content_type()).unwrap();
    let again = wire::encode(&again, Encoding::Json);
    let (again, json) = (value(&again), value(&json));
    assert!(same(&again, &json), "{json} became {again}");
    Ok(())
}

fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap()
}

fn has_null(json: &Value) -> bool {
    match json {
        Value::Array(all) => all.iter().any(has_null),
        Value::Object(all) => all.values().any(has_null),
        other => other.is_null(),
    }
}

/// Equal, but for the last binary digit of a fraction: serde_json reads those fast, not exactly.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            (one - other).abs() <= f64::EPSILON * one.abs()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let both = one.iter().zip(other);
            one.len() == other.len() && both.into_iter().all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
        }
        _ => one == other,
    }
}

/// How deep JSON nests, strings left out.
fn depth(json: &[u8]) -> usize {
    let outside = std::str::from_utf8(json)
        .unwrap()
        .replace("\\\\", "")
        .replace("\\\"", "");
    let (mut now, mut most) = (0usize, 0);
    for (_, text) in outside.split('"').enumerate().filter(|(n, _)| n % 2 == 0) {
        for c in text.chars() {
            match c {
                '{' | '[' => now += 1,
                '}' | ']' => now -= 1,
                _ => {}
            }
            most = most.max(now);
        }
    }
    most
}

fn protobuf<M: Wire>(payload: &[u8]) -> Option<Vec<u8>> {
    let message = wire::decode::<M>(payload, "").ok()?;
    Some(message.encode_to_vec())
}

impl Request {
    /// The recorded payloads: `{name}.json`, and `{name}-….bin` that were found.
    fn recorded(&self) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/requests");
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let own = |path: &PathBuf| {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            stem.split('-').next() == Some(self.name)
        };
        let mut own: Vec<_> = files.filter(own).collect();
        own.sort_by_key(|path| path.extension() != Some("json".as_ref()));
        own.iter().map(|path| fs::read(path).unwrap()).collect()
    }

    fn json(&self) -> String {
        String::from_utf8(self.recorded().remove(0)).unwrap()
    }

    /// The recorded payloads and the protobuf forms of those that have one.
    fn seeds(&self) -> Vec<Vec<u8>> {
        let recorded = self.recorded();
        let protobuf: Vec<_> = recorded.iter().filter_map(|seed| (self.protobuf)(seed)).collect();
        [recorded, protobuf].concat()
    }

    fn refusal(&self, payload: &[u8]) -> String {
        match (self.read)(payload) {
            Ok(()) => panic!("{} takes \"{}\"", self.name, payload.escape_ascii()),
            Err(refusal) => refusal.message,
        }
    }
}

#[test]
fn recorded_requests_are_read_and_the_table_has_no_others() {
    for verb in VERBS.iter().filter(|verb| verb.request != ANYTHING) {
        let known = REQUESTS.iter().any(|request| request.name == verb.request);
        assert!(known, "add {} to the list above", verb.request);
    }
    for request in REQUESTS {
        assert_eq!(
            (request.read)(request.json().as_bytes()),
            Ok(()),
            "{}",
            request.name
        );
        for seed in request.seeds() {
            drop((request.read)(&seed));
        }
    }
}

#[test]
fn changed_requests_are_read_or_refused() {
    let inputs = REQUESTS.iter().enumerate().map(|(n, request)| {
        let inputs = mutated(request.seeds(), WORDS);
        inputs.prop_map(move |bytes| (n, bytes)).boxed()
    });
    let (taken, refused) = (Cell::new(0u32), Cell::new(0u32));
    let found = falsify(CASES, &Union::new(inputs), |(n, bytes)| {
        let tally = if (REQUESTS[*n].read)(bytes).is_ok() {
            &taken
        } else {
            &refused
        };
        tally.set(tally.get() + 1);
    });
    if let Some((n, bytes)) = found {
        let name = format!("{}-found.bin", REQUESTS[n].name);
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        fs::write(&kept, &bytes).unwrap();
        let (bytes, kept) = (bytes.escape_ascii(), kept.display());
        panic!("fails on \"{bytes}\"; once it is understood: cp {kept} tests/fuzz/corpus/requests/");
    }
    let (taken, refused) = (taken.get(), refused.get());
    println!("{taken} taken, {refused} refused");
    assert!(
        taken.min(refused) > CASES / 20,
        "{taken} taken, {refused} refused"
    );
}

#[test]
fn a_field_stands_once_whichever_way_it_is_spelt() {
    for request in REQUESTS {
        let json = request.json();
        let rest = json.strip_prefix('{').unwrap();
        let Some((key, _)) = rest.split_once(':') else {
            continue;
        };
        let camel = key
            .split('_')
            .enumerate()
            .map(|(n, word)| match (n, word.split_at(1)) {
                (0, _) => word.to_owned(),
                (_, (first, word)) => first.to_uppercase() + word,
            });
        for twin in [key.to_owned(), camel.collect()] {
            let payload = format!("{{{twin}:\"r\",{rest}");
            let message = request.refusal(payload.as_bytes());
            assert!(
                message.contains("duplicate field") || message.contains("invalid"),
                "{message}"
            );
        }
    }
}

#[test]
fn deep_payloads_are_refused_before_they_are_parsed() {
    for request in REQUESTS {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[[[{\"a\":", "}]]]")] {
            for levels in [limits::JSON_DEPTH, 1_000, 40_000] {
                let (open, close) = (open.repeat(levels), close.repeat(levels));
                let payload = format!("{{\"request_id\":{open}1{close}}}");
                assert!(request.refusal(payload.as_bytes()).contains("nested"));
            }
        }
        // Length-delimited fields within one another, as protobuf nests, and groups, which proto3 has not.
        for tag in [b"\x0A", b"\x12", b"\x0B", b"\x13"] {
            drop((request.read)(&tag.repeat(100_000)));
        }
    }
}

#[test]
fn json_begins_with_its_brace() {
    for request in REQUESTS {
        let json = request.json();
        for before in ["\u{FEFF}", "\u{FEFF} ", " ", "\n", "\t", "\r\n", "\n\n"] {
            // Trailing blanks make every length: a length byte must not happen to fit.
            for blanks in 0..300 {
                let payload = format!("{before}{json}{}", " ".repeat(blanks));
                let message = request.refusal(payload.as_bytes());
                assert!(message.contains("JSON begins with"), "{message}");
            }
        }
    }
}
