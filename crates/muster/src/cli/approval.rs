//! `muster approval`: what waits for another person, and what must.

use anyhow::Result;
use client::Client;
use contract::{
    approval,
    id::ServiceName,
    v1::{
        Approval as Waiting, ApprovalDecided, ApprovalsListed, Changed, Criticality, DecideApproval,
        FourEyes, FourEyesRule, FourEyesShown, ListApprovals, PutFourEyes, ShowFourEyes,
    },
};

use super::{Global, global, list::Page, print, whole, words};
use crate::exit::{Exit, Failure};

/// What waits for another person, and what must.
#[derive(clap::Subcommand)]
pub(super) enum Approval {
    /// List the requests that wait: your own, and those that you could approve
    #[command(after_help = "Examples:\n  muster approval list")]
    List(List),
    /// Show a request that waits, whole
    #[command(after_help = "Examples:\n  muster approval show ap-17-3f2a1c")]
    Show(Show),
    /// Have a request done that somebody else asked for
    #[command(after_help = "Examples:\n  muster approval approve ap-17-3f2a1c --reason 'seen on site'")]
    Approve(Decide),
    /// Refuse a request that waits, or take your own back
    #[command(after_help = "Examples:\n  muster approval refuse ap-17-3f2a1c --reason 'wrong pump'")]
    Refuse(Decide),
    /// Show what must be approved by another person
    #[command(after_help = "Examples:\n  muster approval rules")]
    Rules(Rules),
    /// Demand another person for these requests
    #[command(after_help = "Examples:
  muster approval require registry/retire registry/replace --criticality critical
  muster approval require rollout/create --over 100
  muster approval require provisioning/revoke --within 2h")]
    Require(Require),
    /// Demand nobody else for these requests any more
    #[command(after_help = "Examples:\n  muster approval waive rollout/create")]
    Waive(Waive),
}

#[derive(clap::Args)]
pub(super) struct List {}

#[derive(clap::Args)]
pub(super) struct Rules {}

#[derive(clap::Args)]
pub(super) struct Show {
    /// The request, as `list` names it
    id: String,
}

#[derive(clap::Args)]
pub(super) struct Decide {
    /// The request, as `list` names it
    id: String,
    /// Why; it is part of the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

#[derive(clap::Args)]
pub(super) struct Require {
    /// SERVICE/VERB, or SERVICE/*
    #[arg(required = true, value_name = "VERB")]
    verbs: Vec<String>,
    /// Only for devices that matter this much or more
    #[arg(long, value_parser = words::parser::<Criticality>())]
    criticality: Option<Criticality>,
    /// Only for requests about more devices than this
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "DEVICES")]
    over: u32,
    /// How long such requests wait, all of them; a day unless said otherwise
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    within: Option<std::time::Duration>,
}

#[derive(clap::Args)]
pub(super) struct Waive {
    /// As the rules name them
    #[arg(required = true, value_name = "VERB")]
    verbs: Vec<String>,
}

impl Approval {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Approval::List(_) => list(global),
            Approval::Show(command) => command.run(global),
            Approval::Approve(command) => command.run(global, "approve"),
            Approval::Refuse(command) => command.run(global, "disapprove"),
            Approval::Rules(_) => rules(global),
            Approval::Require(command) => command.run(global),
            Approval::Waive(command) => command.run(global),
        }
    }
}

/// Those of every service.
async fn waiting(client: &Client) -> Result<Vec<(ServiceName, Waiting)>> {
    let mut all = Vec::new();
    for service in ServiceName::KEEPERS {
        let request = |Page { size, token }| ListApprovals {
            page_size: size,
            page: token,
            ..ListApprovals::default()
        };
        let take = |reply: ApprovalsListed| (reply.approvals, reply.next_page);
        let found = whole::all(client, (service, "approvals"), request, take).await?;
        all.extend(found.into_iter().map(|one| (service, one)));
    }
    all.sort_by_key(|(_, one)| one.asked_at_ms);
    Ok(all)
}

async fn find(client: &Client, id: &str) -> Result<(ServiceName, Waiting)> {
    let found = waiting(client)
        .await?
        .into_iter()
        .find(|(_, one)| one.approval_id == id);
    found.ok_or_else(|| {
        let message = format!("nothing waits as `{id}` that is yours, or that you could approve");
        Failure::new(Exit::NotFound, message).into()
    })
}

fn list(global: &Global) -> Result<()> {
    let all = global.block_on(async {
        let (client, _inbox) = global.connect().await?;
        let all = waiting(&client).await;
        client.disconnect().await;
        all
    })?;
    if global.json {
        return all.iter().try_for_each(|(_, one)| print::json(one));
    }
    let rows = all.into_iter().map(|(_, one)| {
        vec![
            one.approval_id,
            one.verb,
            one.who,
            one.subjects.join(", "),
            print::time(one.expires_ms),
        ]
    });
    print::table(&["id", "verb", "who", "about", "until"], rows.collect())
}

impl Show {
    fn run(self, global: &Global) -> Result<()> {
        let (_, one) = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let found = find(&client, &self.id).await;
            client.disconnect().await;
            found
        })?;
        if global.json {
            return print::json(&one);
        }
        print::fields(&[
            ("id", one.approval_id),
            ("verb", one.verb),
            ("who", one.who),
            ("about", one.subjects.join(", ")),
            ("asked", print::time(one.asked_at_ms)),
            ("until", print::time(one.expires_ms)),
            ("because", one.why),
            ("request", one.request),
        ])
    }
}

impl Decide {
    fn run(self, global: &Global, verb: &str) -> Result<()> {
        let decided: ApprovalDecided = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let (service, _) = find(&client, &self.id).await?;
            let request = DecideApproval {
                request_id: String::new(),
                approval_id: self.id.clone(),
                reason: self.reason.clone(),
            };
            let decided = global::ask(&client, service, verb, &request).await;
            client.disconnect().await;
            decided
        })?;
        if global.json {
            return print::json(&decided);
        }
        let detail = match decided.detail.is_empty() {
            true => String::new(),
            false => format!(": {}", decided.detail),
        };
        print::line(format!("{}: {}{detail}", decided.approval_id, decided.outcome))
    }
}

async fn settings(client: &Client) -> Result<FourEyes> {
    let shown: FourEyesShown = global::ask(
        client,
        ServiceName::Registry,
        "four-eyes",
        &ShowFourEyes::default(),
    )
    .await?;
    Ok(shown.settings.unwrap_or_default())
}

fn rules(global: &Global) -> Result<()> {
    let settings = global.block_on(async {
        let (client, _inbox) = global.connect().await?;
        let settings = settings(&client).await;
        client.disconnect().await;
        settings
    })?;
    if global.json {
        return print::json(&settings);
    }
    if settings.rules.is_empty() {
        return print::line("nobody needs another person");
    }
    for rule in &settings.rules {
        print::line(approval::words(rule))?;
    }
    let within = print::duration(std::time::Duration::from_millis(settings.within_ms));
    print::line(format!("requests wait for {within}"))
}

impl Require {
    fn run(self, global: &Global) -> Result<()> {
        change(global, |settings| {
            settings.rules.push(FourEyesRule {
                verbs: self.verbs.clone(),
                criticality: self.criticality.unwrap_or_default().into(),
                over_devices: self.over,
            });
            if let Some(within) = self.within {
                settings.within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
            }
        })
    }
}

impl Waive {
    fn run(self, global: &Global) -> Result<()> {
        change(global, |settings| {
            for rule in &mut settings.rules {
                rule.verbs.retain(|verb| !self.verbs.contains(verb));
            }
            settings.rules.retain(|rule| !rule.verbs.is_empty());
        })
    }
}

/// The settings are read, changed and written with their version: whoever was faster is not overwritten.
fn change(global: &Global, change: impl Fn(&mut FourEyes)) -> Result<()> {
    let changed: Changed = global.block_on(async {
        let (client, _inbox) = global.connect().await?;
        let mut settings = settings(&client).await?;
        change(&mut settings);
        let request = PutFourEyes {
            request_id: String::new(),
            rules: settings.rules,
            within_ms: settings.within_ms,
            expected_version: settings.version,
        };
        let changed = global::ask(&client, ServiceName::Registry, "put-four-eyes", &request).await;
        client.disconnect().await;
        changed
    })?;
    print::changed(global.json, &changed)
}
