//! The journal of what was acknowledged, held against what the services say.

use std::collections::BTreeMap;

use contract::{ServiceName, v1};
use serde::Deserialize;

use crate::{
    crew::ROLLOUT,
    load::{self, Counter, Journal, Made},
    world::Person,
};

/// How many of the newest requests are asked once more. Fewer than the answers that a service keeps for one person.
const REPEATED: usize = 25;

/// What the journal and the services disagree about.
pub struct Verdict {
    /// How much was acknowledged.
    pub acknowledged: u64,
    /// What was acknowledged and is not there, or not as it was acknowledged.
    pub lost: Vec<String>,
}

impl Verdict {
    /// Fails if anything is lost, or if there was nothing to lose.
    pub fn demand_nothing_lost(&self) {
        assert_eq!(self.lost, Vec::<String>::new());
        assert!(self.acknowledged > 50, "the load was none: {}", self.acknowledged);
    }
}

impl Journal {
    /// How much was acknowledged.
    pub fn count(&self) -> u64 {
        self.acknowledged
    }

    /// Compares every entry with what the services say, asks the newest requests once more, and reads the
    /// registry's events from the first.
    pub async fn audit(&self, admin: &mut Person) -> Verdict {
        let mut lost = self.odd.clone();
        self.audit_reports(admin, &mut lost).await;
        self.audit_rollout(admin, &mut lost).await;
        let there = devices(admin).await;
        compare("device", &self.devices, &there, &mut lost);
        compare("claim", &self.claims, &claims(admin).await, &mut lost);
        compare("rule", &self.rules, &rules(admin).await, &mut lost);
        self.audit_repeats(admin, &mut lost).await;
        self.audit_events(admin, &mut lost).await;
        Verdict {
            acknowledged: self.acknowledged,
            lost,
        }
    }

    async fn audit_reports(&self, admin: &Person, lost: &mut Vec<String>) {
        for (id, counter) in &self.reports {
            let request = v1::ShowDevice {
                device_id: id.clone(),
                ..v1::ShowDevice::default()
            };
            let shown: v1::DeviceShown = admin.ask(ServiceName::Registry, "show", &request).await;
            let attributes = shown.device.unwrap().attributes;
            let there = attributes.get("counter").map_or(0, |n| n.parse().unwrap());
            within(id, *counter, there, lost);
        }
    }

    async fn audit_rollout(&self, admin: &Person, lost: &mut Vec<String>) {
        let request = v1::ShowRollout {
            rollout_id: ROLLOUT.into(),
            ..v1::ShowRollout::default()
        };
        let shown: v1::RolloutShown = admin.ask(ServiceName::Rollout, "show", &request).await;
        within(ROLLOUT, self.rollout, shown.rollout.unwrap().version, lost);
    }

    /// A repeat under the same request id changes nothing, and hears the same.
    async fn audit_repeats(&self, admin: &Person, lost: &mut Vec<String>) {
        for (id, made) in self.devices.iter().rev().take(REPEATED) {
            let request = load::device(id);
            let again = admin.client.ask_as::<v1::Changed>(
                made.name.clone(),
                ServiceName::Registry,
                "register",
                &request,
            );
            repeated(id, made, again.await, lost);
        }
        for (id, made) in self.rules.iter().rev().take(REPEATED) {
            let request = v1::PutRule {
                rule: Some(load::rule(id)),
                ..v1::PutRule::default()
            };
            let again = admin.client.ask_as::<v1::Changed>(
                made.name.clone(),
                ServiceName::Monitoring,
                "put-rule",
                &request,
            );
            repeated(id, made, again.await, lost);
        }
    }

    /// The events have no gap, and tell of each device once.
    async fn audit_events(&self, admin: &mut Person, lost: &mut Vec<String>) {
        let events = replayed(admin, ServiceName::Registry).await;
        let mut told = BTreeMap::<&str, usize>::new();
        for (next, event) in (1..).zip(&events) {
            if event.sequence != u64::to_string(&next) {
                lost.push(format!("event {next} is missing: {} comes", event.sequence));
                return;
            }
            if event.r#type.ends_with(".registered.v1")
                && let Some(id) = event.subject.strip_prefix("devices/")
            {
                *told.entry(id).or_default() += 1;
            }
        }
        for id in self.devices.keys() {
            let times = told.get(id.as_str()).copied().unwrap_or(0);
            if times != 1 {
                lost.push(format!("{id}: {times} events tell that it was registered"));
            }
        }
    }
}

/// What is there lies between what was acknowledged and what was sent.
fn within(what: &str, counter: Counter, there: u64, lost: &mut Vec<String>) {
    if !(counter.acknowledged..=counter.sent).contains(&there) {
        let (acknowledged, sent) = (counter.acknowledged, counter.sent);
        lost.push(format!(
            "{what}: {acknowledged} was acknowledged, {sent} was sent, {there} is there"
        ));
    }
}

/// Each thing is there, and was made once.
fn compare(
    what: &str,
    made: &BTreeMap<String, Made>,
    there: &BTreeMap<String, String>,
    lost: &mut Vec<String>,
) {
    for (id, made) in made {
        match there.get(id) {
            Some(answer) if *answer == made.answer => {}
            Some(answer) => lost.push(format!(
                "{what} {id}: {} was acknowledged, {answer} is there",
                made.answer
            )),
            None => lost.push(format!("{what} {id} was acknowledged and is not there")),
        }
    }
}

fn repeated(id: &str, made: &Made, again: Result<v1::Changed, client::AskError>, lost: &mut Vec<String>) {
    match again {
        Ok(changed) if changed.version.to_string() == made.answer => {}
        other => lost.push(format!("{id}: a repeat hears {other:?}, not {}", made.answer)),
    }
}

async fn devices(admin: &Person) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut page = String::new();
    loop {
        let request = v1::ListDevices {
            page_size: 500,
            page,
            prefix: "device-".into(),
            ..v1::ListDevices::default()
        };
        let listed: v1::DevicesListed = admin.ask(ServiceName::Registry, "list", &request).await;
        all.extend(
            listed
                .devices
                .into_iter()
                .map(|d| (d.device_id, d.version.to_string())),
        );
        page = listed.next_page;
        if page.is_empty() {
            return all;
        }
    }
}

async fn claims(admin: &Person) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut page = String::new();
    loop {
        let request = v1::ListClaims {
            page,
            ..v1::ListClaims::default()
        };
        let listed: v1::ClaimsListed = admin.ask(ServiceName::Provisioning, "claims", &request).await;
        all.extend(listed.claims.into_iter().map(|c| (c.batch, c.serial)));
        page = listed.next_page;
        if page.is_empty() {
            return all;
        }
    }
}

async fn rules(admin: &Person) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut page = String::new();
    loop {
        let request = v1::ListRules {
            page,
            ..v1::ListRules::default()
        };
        let listed: v1::RulesListed = admin.ask(ServiceName::Monitoring, "rules", &request).await;
        all.extend(
            listed
                .rules
                .into_iter()
                .map(|r| (r.rule_id, r.version.to_string())),
        );
        page = listed.next_page;
        if page.is_empty() {
            return all;
        }
    }
}

/// What is read of a CloudEvent.
#[derive(Deserialize)]
struct Told {
    sequence: String,
    r#type: String,
    subject: String,
}

/// All events of a service, by replay.
async fn replayed(admin: &mut Person, service: ServiceName) -> Vec<Told> {
    let mut told = Vec::new();
    let mut after = 0;
    loop {
        let request = v1::Replay {
            after,
            ..v1::Replay::default()
        };
        let marker: v1::ReplayMarker = admin.ask(service, "replay", &request).await;
        for _ in 0..marker.sent {
            let delivery = admin.inbox.recv().await.unwrap();
            told.push(serde_json::from_slice(&delivery.payload).unwrap());
        }
        after = marker.last;
        if marker.complete {
            return told;
        }
    }
}
