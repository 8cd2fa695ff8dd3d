//! `docs/topics.md`, written from the verb table.

use std::fmt::Write;

use contract::{
    code::Code,
    id::{Kind, ServiceName},
    scope::Scope,
    v1::Role,
    verb::{ANYTHING, Audit, EVENTS, NOTHING, PUSHES, Promise, Repeat, VERBS, Verb, Who},
};

/// The whole page.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    for service in ServiceName::KEEPERS.into_iter().chain([ServiceName::FrontDoor]) {
        let _ = write!(
            page,
            "\n## {service}\n\n| verb | who | request → reply | bytes | may be repeated | what |\n|---|---|---|---|---|---|\n"
        );
        for verb in VERBS.iter().filter(|verb| verb.service == service) {
            let _ = writeln!(page, "{}", row(verb));
        }
        if service == ServiceName::FrontDoor {
            page.push_str(FRONT_DOOR_FOOT);
        }
    }
    page.push_str(PUSH_HEAD);
    for push in PUSHES {
        let to = push.to.word();
        let retained = if push.retained { " *Retained.*" } else { "" };
        let _ = writeln!(
            page,
            "| `down/{}/{}` | {to} | `{}` | {}{retained} |",
            push.service, push.name, push.message, push.summary
        );
    }
    page.push_str(EVENT_HEAD);
    for event in EVENTS {
        let subject = event.subject;
        let _ = writeln!(
            page,
            "| `events/{}/{subject}/+/{}` | {} |",
            event.service, event.name, event.summary
        );
    }
    page.push_str(CODE_HEAD);
    for code in Code::ALL {
        let _ = writeln!(
            page,
            "| `{}` | 0x{:02X} | {} |",
            code.word(),
            code.mqtt_reason(),
            code.meaning()
        );
    }
    page
}

fn row(verb: &Verb) -> String {
    let repeated = match verb.repeat {
        Repeat::Harmless => "always",
        Repeat::Answered => "by request id",
    };
    let mut what = verb.summary.to_owned();
    what.push_str(match verb.promise {
        Promise::Durable => "",
        Promise::Receipt => " *Acknowledged on receipt.*",
        Promise::Delivery => " *Acknowledged when it is handed out.*",
    });
    if verb.repair {
        what.push_str(" *Open in quarantine.*");
    }
    if verb.audit == Audit::Recorded {
        what.push_str(" *In the audit log.*");
    }
    if verb.open_to(Kind::Operator) {
        match verb.scope() {
            Scope::Fleet => {}
            Scope::Devices | Scope::Sight => what.push_str(" *By groups.*"),
            Scope::Open => what.push_str(" *With any grant.*"),
        }
    }
    let who: Vec<_> = verb.who.iter().map(say).collect();
    let who = if who.is_empty() {
        "nobody on the bus".to_owned()
    } else {
        who.join(", ")
    };
    format!(
        "| `{}` | {who} | {} → {} | {} | {repeated} | {what} |",
        verb.name,
        message(verb.request),
        message(verb.reply),
        verb.max_bytes
    )
}

fn message(name: &str) -> String {
    match name {
        ANYTHING | NOTHING => name.into(),
        name => format!("`{name}`"),
    }
}

fn say(who: &Who) -> String {
    match who {
        Who::Device => Kind::Device.word().into(),
        Who::Claim => Kind::Claim.word().into(),
        Who::Integrator => Kind::Integrator.word().into(),
        Who::Operator(roles) if roles.len() == Role::ALL.len() => "operators".into(),
        Who::Operator(roles) => format!("operators: {}", Role::any_of(roles)),
        Who::Service(service) => format!("services/{service}"),
        Who::AnyService => "services".into(),
    }
}

const HEAD: &str = "\
# Topics

This page is written from the verb table in `crates/contract/src/verb.rs`; a test compares the two. A verb that is
not here does not exist. `{root}` is `muster/v1` unless configured otherwise; messages are in `proto/muster/v1`.

| topic | who writes | who reads |
|---|---|---|
| `{root}/{kind}/{id}/up/{service}/{verb}` | the principal | the service |
| `{root}/{kind}/{id}/down/{service}/{verb}/accepted` and `/rejected` | the service | the principal |
| `{root}/{kind}/{id}/down/{service}/{word}` | the service, unasked | the principal |
| `{root}/events/{service}/{subject}/{event}` | the service | whoever is granted it |
| `{root}/facts/{service}/{entity}/{id}` | the service | services only |

`{kind}` is `devices`, `claims`, `operators`, `integrators` or `services`. You publish under your own `up/` only, and
subscribe under your own `down/` only, and to the events that you are granted.

A payload that begins with `{` is JSON (canonical protobuf JSON), anything else protobuf; the reply comes in the same
form. A verb that may be repeated *by request id* needs a `request_id` in the payload, or MQTT 5 correlation data: a
repeat within a day gets the first answer again and changes nothing, another payload under the same id is a
`conflict`. QoS 1 is acknowledged when the request is on disk or finally rejected, unless the table says otherwise.

An operator may be granted a role for some groups only ([operators.md](operators.md)). A verb that works *by groups* is then
held to their devices; one that is open *with any grant* tells of no device; all others take the role for the whole fleet.
";

const FRONT_DOOR_FOOT: &str = "
All but `data` are answered inside the front door, by what is in its memory; no service hears of them. Behind a foreign
broker nobody answers them.
";

const PUSH_HEAD: &str = "
## Unasked

| topic | to | message | what |
|---|---|---|---|
";

const EVENT_HEAD: &str = "
## Events

Each is a CloudEvent 1.0 in structured JSON with a sequence without gaps for its service. What was missed is asked for
with `replay`.

| topic | when |
|---|---|
";

const CODE_HEAD: &str = "
## Rejections

The list is closed. In MQTT 5 the reason code comes in the PUBACK, too.

| code | MQTT 5 | what it means |
|---|---|---|
";
