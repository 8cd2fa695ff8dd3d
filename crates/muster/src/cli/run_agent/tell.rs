//! What happens to the agent, a line each.

use agent::{AgentEvent, CommandStep, Event, UpdateStep};
use anyhow::Result;
use host::clock::wall_ms;
use serde_json::{Map, Value, json};

use super::super::{Global, print};

/// Says what has happened to the agent.
pub(super) fn say(global: &Global, heard: &AgentEvent) -> Result<()> {
    let (word, details) = words(&heard.event);
    if global.json {
        let mut document = Map::from_iter([
            ("time_ms".to_owned(), json!(wall_ms().to_string())),
            ("device_id".to_owned(), json!(heard.device_id.as_str())),
            ("event".to_owned(), json!(word)),
        ]);
        document.extend(details.into_iter().map(|(name, value)| (name.to_owned(), value)));
        return print::json(&document);
    }
    let (time, who) = (print::time(wall_ms()), &heard.device_id);
    print::line(format!("{time} {who} {word}{}", said(&details)))
}

/// What belongs to an event, as people read it.
fn said(details: &[(&str, Value)]) -> String {
    let told = details.iter().filter(|(_, value)| *value != json!(""));
    let told = told.map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), print::clean);
        match *name {
            // A sentence of its own.
            "what" => format!("  {value}"),
            name => format!("  {name} {value}"),
        }
    });
    told.collect()
}

/// An event's word and what belongs to it.
fn words(event: &Event) -> (&'static str, Vec<(&'static str, Value)>) {
    let certificate = |serial: &String, not_after_ms: &i64| {
        vec![
            ("serial", json!(serial)),
            ("ends", json!(contract::event::rfc3339(*not_after_ms))),
        ]
    };
    match event {
        Event::Claiming => ("claiming", Vec::new()),
        Event::Enrolled { serial, not_after_ms } => ("enrolled", certificate(serial, not_after_ms)),
        Event::Connected { serial } => ("connected", vec![("serial", json!(serial))]),
        Event::Disconnected { why } => ("disconnected", disconnected(why)),
        Event::Reported => ("reported", Vec::new()),
        Event::Renewed { serial, not_after_ms } => ("renewed", certificate(serial, not_after_ms)),
        Event::Update {
            rollout_id,
            version,
            step,
            detail,
            percent,
        } => (
            "update",
            vec![
                ("rollout", json!(rollout_id)),
                ("version", json!(version)),
                ("step", json!(step_word(*step))),
                ("percent", json!(percent)),
                ("detail", json!(detail)),
            ],
        ),
        Event::Configured { version, error } => (
            "configured",
            vec![
                ("version", json!(version.to_string())),
                ("error", json!(error.as_deref().unwrap_or_default())),
            ],
        ),
        Event::Command {
            command_id,
            name,
            step,
            error,
        } => (
            "command",
            vec![
                ("id", json!(command_id)),
                ("name", json!(name)),
                ("step", json!(command_word(*step))),
                ("error", json!(error)),
            ],
        ),
        Event::RootTaken { fingerprint } => ("root-taken", vec![("fingerprint", json!(fingerprint))]),
        Event::RetireOrdered => ("retire-ordered", Vec::new()),
        Event::Retired => ("retired", Vec::new()),
        Event::Wiped => ("wiped", Vec::new()),
        Event::Problem { what } => ("problem", vec![("what", json!(what))]),
    }
}

fn command_word(step: CommandStep) -> &'static str {
    match step {
        CommandStep::Running => "running",
        CommandStep::Succeeded => "succeeded",
        CommandStep::Failed => "failed",
        CommandStep::Rejected => "rejected",
    }
}

fn step_word(step: UpdateStep) -> &'static str {
    match step {
        UpdateStep::Downloading => "downloading",
        UpdateStep::Verified => "verified",
        UpdateStep::Installing => "installing",
        UpdateStep::Succeeded => "succeeded",
        UpdateStep::Failed => "failed",
        UpdateStep::RolledBack => "rolled-back",
        UpdateStep::Refused => "refused",
        UpdateStep::CalledOff => "called-off",
    }
}

/// Why it was not let in the server knows, and tells those who run it.
fn disconnected(why: &str) -> Vec<(&'static str, Value)> {
    let mut details = vec![("why", json!(why))];
    if why.contains("NotAuthorized") {
        details.push(("ask", json!("where the server is: muster why connect ID")));
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_says_how_far_it_is() {
        let event = Event::Update {
            rollout_id: "r".into(),
            version: "1.1.0".into(),
            step: UpdateStep::RolledBack,
            detail: "ended with 1".into(),
            percent: 100,
        };
        let (word, details) = words(&event);
        assert_eq!(word, "update");
        assert!(details.contains(&("step", json!("rolled-back"))));
    }

    #[test]
    fn a_problem_is_a_sentence() {
        let event = Event::Problem {
            what: "no certificate: there is no such device".into(),
        };
        let (word, details) = words(&event);
        assert_eq!(
            format!("{word}{}", said(&details)),
            "problem  no certificate: there is no such device"
        );
    }

    #[test]
    fn whoever_is_not_let_in_is_told_where_to_ask() {
        let refused = disconnected("Connection refused, return code: `NotAuthorized`");
        assert_eq!(refused.len(), 2);
        assert_eq!(disconnected("the network is down").len(), 1);
    }
}
