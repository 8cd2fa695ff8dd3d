//! Makes a plan so, one request after the other.

use std::time::{Duration, Instant};

use anyhow::Result;
use client::{AskError, Client};
use contract::{
    Code,
    grant::Rights,
    v1::{Changed, Done},
    verb::Verb,
    wire::Wire,
};
use serde_json::json;

use super::{
    super::{Global, global, print},
    calls::{self, Call},
    diff::{Change, Plan},
    entry::{Entry, Kind, Present},
    say, steps,
};
use crate::exit::{Exit, Failure};

/// How long a background work of the registry is looked at again.
const PAUSE: Duration = Duration::from_millis(200);

/// Refuses before anything is asked for, if whoever asks may not all of it. What they may is not known if they may not
/// read the list of people.
pub(super) fn demand(plan: &Plan, present: &Present, me: &(Kind, String)) -> Result<()> {
    let Some(Entry::Person(person)) = present.find(me.0, &me.1).map(|live| &live.entry) else {
        return Ok(());
    };
    let granted = calls::put_person(me.0, &me.1, person, 0);
    let rights = Rights::of(granted.role(), &granted.grants);
    for call in plan.changes.iter().flat_map(steps::of) {
        let (service, name) = call.verb();
        let refused = Verb::find(service, name).and_then(|verb| rights.demand(verb).err());
        if let Some(refusal) = refused {
            let message = format!("nothing was changed: {}", refusal.message);
            return Err(Failure::new(Exit::Denied, message).into());
        }
    }
    Ok(())
}

/// Makes one change after the other. A refusal ends it; one that waits for another person does not.
pub(super) async fn apply(global: &Global, client: &Client, plan: &Plan) -> Result<()> {
    let mut waiting = Vec::new();
    for (done, change) in plan.changes.iter().enumerate() {
        match make(global, client, change).await {
            Ok(version) => report(global, change, version)?,
            Err(refusal) if is_waiting(&refusal) => waiting.push(say::name(change)),
            Err(error) => {
                let (exit, all) = (crate::exit::code_of(&error), plan.changes.len());
                let message = format!(
                    "{}: {error:#}; {done} of {all} changes are made, apply it again for the others",
                    say::name(change)
                );
                return Err(Failure::new(Exit::of(exit), message).into());
            }
        }
    }
    match waiting.is_empty() {
        true => Ok(()),
        false => {
            let message = format!(
                "these wait for another person (muster approval list): {}",
                waiting.join(", ")
            );
            Err(Failure::new(Exit::Waiting, message).into())
        }
    }
}

fn is_waiting(error: &anyhow::Error) -> bool {
    crate::exit::code_of(error) == Exit::Waiting as u8
}

fn report(global: &Global, change: &Change, version: u64) -> Result<()> {
    if global.json {
        return print::json(&json!({
            "kind": change.kind, "id": change.id, "action": change.action, "version": version,
        }));
    }
    let name = say::name(change);
    match version {
        0 => print::line(format!("{name}: removed")),
        version => print::line(format!("{name}: version {version}")),
    }
}

/// The last version that came of it; 0: it is gone.
async fn make(global: &Global, client: &Client, change: &Change) -> Result<u64> {
    let mut version = 0;
    for call in steps::of(change) {
        version = patiently(global, client, &call).await?;
    }
    Ok(version)
}

/// A dynamic group's members leave in the background, as a removed rule's alerts are cleared.
async fn patiently(global: &Global, client: &Client, call: &Call) -> Result<u64> {
    let end = Instant::now() + global.timeout;
    loop {
        match send(client, call).await {
            Err(AskError::Refused(refusal)) if Instant::now() < end && passes(call, refusal.code) => {
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer.map_err(global::explain),
        }
    }
}

fn passes(call: &Call, code: Code) -> bool {
    code == Code::Busy || (code == Code::Precondition && matches!(call, Call::RemoveGroup(_)))
}

async fn send(client: &Client, call: &Call) -> Result<u64, AskError> {
    match call {
        Call::PutType(m) => put(client, call, m).await,
        Call::DeprecateType(m) => put(client, call, m).await,
        Call::PutSupplier(m) => put(client, call, m).await,
        Call::PutGroup(m) => put(client, call, m).await,
        Call::PutTemplate(m) => put(client, call, m).await,
        Call::PutQuery(m) => put(client, call, m).await,
        Call::PutRule(m) => put(client, call, m).await,
        Call::PutPerson(m) => put(client, call, m).await,
        Call::RemoveGroup(m) => remove(client, call, m).await,
        Call::RemoveTemplate(m) => remove(client, call, m).await,
        Call::RemoveQuery(m) => remove(client, call, m).await,
        Call::RemoveRule(m) => remove(client, call, m).await,
    }
}

async fn put(client: &Client, call: &Call, message: &impl Wire) -> Result<u64, AskError> {
    let (service, verb) = call.verb();
    client
        .ask(service, verb, message)
        .await
        .map(|changed: Changed| changed.version)
}

async fn remove(client: &Client, call: &Call, message: &impl Wire) -> Result<u64, AskError> {
    let (service, verb) = call.verb();
    client.ask(service, verb, message).await.map(|_: Done| 0)
}
