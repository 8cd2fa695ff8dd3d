//! One request for each of several devices: which, whether, and what came of it on each.

use std::collections::{BTreeSet, VecDeque};

use anyhow::Result;
use client::{AskError, Client};
use contract::{
    Id,
    id::ServiceName,
    v1::{Changed, Device},
    wire::Wire,
};
use serde::Serialize;

use super::super::{
    Global,
    confirm::{Confirm, Consent},
    global,
    matching::Matching,
    print, progress, whole,
};
use crate::exit::{Exit, Failure};

/// Requests under way.
const UNDER_WAY: usize = 16;
/// Devices that a question names.
const NAMED_MAX: usize = 5;

/// Devices by their ids, or all that a group or a query has.
#[derive(clap::Args)]
pub(super) struct Devices {
    /// The devices
    #[arg(value_name = "DEVICE", required_unless_present_any = ["group", "query"])]
    ids: Vec<Id>,
    #[command(flatten)]
    all: All,
}

/// All devices of a kind, and whether to ask.
#[derive(clap::Args)]
pub(super) struct All {
    /// All devices that this group has now, those of groups within it as well; asks first
    #[arg(long, value_name = "GROUP")]
    group: Option<Id>,
    #[command(flatten)]
    matching: Matching,
    #[command(flatten)]
    confirm: Confirm,
}

/// What is done, in words: `retire`, and `for good`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deed {
    pub(super) verb: &'static str,
    pub(super) before: &'static str,
    pub(super) after: &'static str,
    /// It is asked about, however the devices were named.
    pub(super) grave: bool,
}

impl Deed {
    /// What is said as it is asked for.
    pub(super) fn plain(verb: &'static str) -> Deed {
        Deed {
            verb,
            before: verb,
            after: "",
            grave: false,
        }
    }
}

/// What came of it on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Outcome {
    device_id: String,
    /// `changed`, or the code of a refusal.
    outcome: String,
    #[serde(skip_serializing_if = "is_zero")]
    version: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    field: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip)]
    exit: Option<Exit>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(version: &u64) -> bool {
    *version == 0
}

impl Devices {
    /// Asks for each. One device by its id is told of as a change is, more of them in a table.
    pub(super) fn each<Request: Wire + Sync + 'static>(
        self,
        global: &Global,
        deed: Deed,
        expected_version: u64,
        request: impl Fn(String) -> Request,
    ) -> Result<()> {
        self.all.each(global, (deed, self.ids), expected_version, request)
    }
}

impl All {
    /// The same of ids that were read otherwise.
    pub(super) fn each<Request: Wire + Sync + 'static>(
        self,
        global: &Global,
        (deed, ids): (Deed, Vec<Id>),
        expected_version: u64,
        request: impl Fn(String) -> Request,
    ) -> Result<()> {
        let by_kind = self.group.is_some() || !self.matching.query.is_empty();
        let ids: Vec<_> = ids.iter().map(Id::to_string).collect();
        let alone = !by_kind && ids.len() == 1;
        if expected_version != 0 && !alone {
            return Err(Failure::usage("--expected-version is that of one device; name it").into());
        }
        let ids = match (by_kind, ids.is_empty()) {
            (true, true) => global.block_on(self.fitting(global))?,
            (false, false) => once(ids),
            _ => return Err(Failure::usage("name devices, or give --group or --where").into()),
        };
        if (by_kind || deed.grave || self.confirm.only_says())
            && let Consent::NotWanted = self.confirm.ask(global, &question(deed, &ids))?
        {
            return Ok(());
        }
        match ids.as_slice() {
            [id] if alone => {
                let request = request(id.clone());
                let changed: Changed = global.ask(ServiceName::Registry, deed.verb, &request)?;
                super::changed(global, &changed)
            }
            _ => tell(global, &global.block_on(ask(global, deed.verb, ids, request))?),
        }
    }

    async fn fitting(&self, global: &Global) -> Result<Vec<String>> {
        let (client, _inbox) = global.connect().await?;
        let id = |device: Device| Some(device.device_id);
        let found = whole::fitting(&client, self.group.as_ref(), &self.matching.query, id).await;
        client.disconnect().await;
        let found: Vec<String> = found?;
        if found.is_empty() {
            return Err(Failure::new(Exit::NotFound, "no device fits; nothing was changed").into());
        }
        Ok(found)
    }
}

/// Each id once, in the order in which they came.
fn once(ids: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    ids.into_iter().filter(|id| seen.insert(id.clone())).collect()
}

/// `retire 12 devices for good (pump-1, pump-2, …)`
fn question(deed: Deed, ids: &[String]) -> String {
    let words = |whom: &str| {
        let words = [deed.before, whom, deed.after];
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        words.join(" ")
    };
    match ids {
        [id] => words(id),
        ids => {
            let more = if ids.len() > NAMED_MAX { ", …" } else { "" };
            let named = ids[..ids.len().min(NAMED_MAX)].join(", ");
            format!("{} ({named}{more})", words(&format!("{} devices", ids.len())))
        }
    }
}

/// Asks for each, so many at a time. Where nobody answers any more, the rest is not asked.
async fn ask<Request: Wire + Sync + 'static>(
    global: &Global,
    verb: &'static str,
    ids: Vec<String>,
    request: impl Fn(String) -> Request,
) -> Result<Vec<Outcome>> {
    let (client, _inbox) = global.connect().await?;
    let bar = progress::bar(ids.len() as u64, "devices");
    let (mut ids, mut under_way, mut outcomes) = (ids.into_iter(), VecDeque::new(), Vec::new());
    let mut answers = true;
    loop {
        while under_way.len() < UNDER_WAY
            && let Some(id) = ids.next()
        {
            if !answers {
                outcomes.push(Outcome::of(id, Err(AskError::Closed), "was not asked for"));
                continue;
            }
            let (client, request) = (client.clone(), request(id.clone()));
            let asked = tokio::spawn(async move { ask_one(&client, verb, &request).await });
            under_way.push_back((id, asked));
        }
        let Some((id, asked)) = under_way.pop_front() else {
            break;
        };
        let answer = asked.await?;
        answers &= matches!(answer, Ok(_) | Err(AskError::Refused(_)));
        outcomes.push(Outcome::of(id, answer, "may be done, or not"));
        bar.inc(1);
    }
    bar.finish_and_clear();
    client.disconnect().await;
    Ok(outcomes)
}

async fn ask_one(client: &Client, verb: &str, request: &impl Wire) -> Result<Changed, AskError> {
    client.ask(ServiceName::Registry, verb, request).await
}

impl Outcome {
    fn of(device_id: String, answer: Result<Changed, AskError>, otherwise: &str) -> Outcome {
        let mut outcome = Outcome {
            device_id,
            outcome: "changed".to_owned(),
            version: 0,
            field: String::new(),
            message: String::new(),
            exit: None,
        };
        match answer {
            Ok(changed) => outcome.version = changed.version,
            Err(AskError::Refused(refusal)) => {
                outcome.exit = Some(refusal.code.into());
                outcome.outcome = refusal.code.word().to_owned();
                outcome.field.clone_from(&refusal.field);
                let allowed = match refusal.allowed.as_slice() {
                    [] => String::new(),
                    words => format!("; allowed: {}", words.join(", ")),
                };
                outcome.message = format!("{}{allowed}", refusal.message);
            }
            Err(error) => {
                let error = global::explain(error);
                outcome.exit = Some(Exit::of(crate::exit::code_of(&error)));
                outcome.outcome = "unanswered".to_owned();
                outcome.message = format!("it {otherwise}: {error}");
            }
        }
        outcome
    }
}

/// Prints what came of it; the worst of it is how the process ends.
fn tell(global: &Global, outcomes: &[Outcome]) -> Result<()> {
    if global.json {
        outcomes.iter().try_for_each(print::json)?;
    } else {
        let row = |outcome: &Outcome| {
            let version = match outcome.version {
                0 => String::new(),
                version => version.to_string(),
            };
            let (device, word) = (outcome.device_id.clone(), outcome.outcome.clone());
            vec![device, word, version, outcome.message.clone()]
        };
        print::table(
            &["device", "outcome", "version", "why"],
            outcomes.iter().map(row).collect(),
        )?;
    }
    verdict(outcomes)
}

fn verdict(outcomes: &[Outcome]) -> Result<()> {
    let exits = outcomes.iter().filter_map(|outcome| outcome.exit);
    let Some(worst) = exits.clone().max_by_key(|exit| weight(*exit)) else {
        return Ok(());
    };
    let message = match (exits.count(), outcomes.len()) {
        (1, all) => format!("1 of {all} devices was not changed"),
        (some, all) => format!("{some} of {all} devices were not changed"),
    };
    Err(Failure::new(worst, message).into())
}

/// How bad an end is: what waits for somebody, what is a slip, what is in the way, what may not be, what fails.
fn weight(exit: Exit) -> u8 {
    match exit {
        Exit::Waiting => 0,
        Exit::Usage => 1,
        Exit::NotFound => 2,
        Exit::Conflict => 3,
        Exit::Denied => 4,
        Exit::Unavailable => 5,
        Exit::Failed | Exit::Damaged | Exit::Differs => 6,
    }
}

#[cfg(test)]
mod tests {
    use contract::{Code, Refusal};

    use super::*;

    fn refused(id: &str, code: Code) -> Outcome {
        let refusal = Refusal::new(code, "no").at("reason").allowing(["a".to_owned()]);
        Outcome::of(id.into(), Err(AskError::Refused(refusal)), "")
    }

    #[test]
    fn the_worst_of_several_ends_is_the_end() {
        let good = Outcome::of("a".into(), Ok(Changed::default()), "");
        assert!(verdict(&[good.clone(), good.clone()]).is_ok());
        let end = |codes: &[Code]| {
            let all: Vec<_> = codes.iter().map(|code| refused("x", *code)).collect();
            let error = verdict(&[std::slice::from_ref(&good), all.as_slice()].concat()).unwrap_err();
            (crate::exit::code_of(&error), error.to_string())
        };
        assert_eq!(
            end(&[Code::NotFound]),
            (3, "1 of 2 devices was not changed".into())
        );
        assert_eq!(
            end(&[Code::NotAllowed, Code::NotFound, Code::AwaitingApproval]).0,
            4
        );
        assert_eq!(end(&[Code::Denied, Code::Conflict]).0, 5);
        assert_eq!(end(&[Code::Internal, Code::Denied]).0, 1);
        assert_eq!(end(&[Code::AwaitingApproval]).0, 8);
        let silent = Outcome::of("x".into(), Err(AskError::Closed), "was not asked for");
        assert_eq!(
            (silent.exit, silent.outcome.as_str()),
            (Some(Exit::Unavailable), "unanswered")
        );
        assert!(silent.message.starts_with("it was not asked for: "));
        let told = refused("x", Code::Conflict);
        assert_eq!(
            (told.outcome.as_str(), told.message.as_str()),
            ("conflict", "no; allowed: a")
        );
    }

    #[test]
    fn a_question_counts_and_names_some() {
        let deed = Deed {
            verb: "retire",
            before: "retire",
            after: "for good",
            grave: true,
        };
        let ids = |n: usize| (0..n).map(|n| format!("p-{n}")).collect::<Vec<_>>();
        assert_eq!(question(deed, &ids(1)), "retire p-0 for good");
        assert_eq!(question(deed, &ids(2)), "retire 2 devices for good (p-0, p-1)");
        let many = question(Deed::plain("suspend"), &ids(12));
        assert_eq!(many, "suspend 12 devices (p-0, p-1, p-2, p-3, p-4, …)");
        let twice = ["b", "a", "b"].map(str::to_owned).to_vec();
        assert_eq!(once(twice), ["b", "a"]);
    }
}
