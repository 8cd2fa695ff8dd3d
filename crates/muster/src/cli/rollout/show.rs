//! `muster rollout show`, `list` and `updates`

use std::time::Duration;

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{
        DeviceUpdate, ListRollouts, ListUpdates, Rollout, RolloutShown, RolloutsListed, ShowRollout,
        UpdateState, UpdatesListed, Wave,
    },
};

use super::{
    super::{
        Global,
        list::Limit,
        print,
        words::{self, say},
    },
    total,
};

#[derive(clap::Args)]
pub(in crate::cli) struct Show {
    /// The rollout
    id: Id,
}

#[derive(clap::Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Updates {
    /// The rollout
    id: Id,
    /// Only devices on which it is in this state
    #[arg(long, value_parser = words::parser::<UpdateState>())]
    state: Option<UpdateState>,
    #[command(flatten)]
    limit: Limit,
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = ShowRollout {
            rollout_id: self.id.to_string(),
            ..ShowRollout::default()
        };
        let shown: RolloutShown = global.ask(ServiceName::Rollout, "show", &request)?;
        let rollout = shown.rollout.unwrap_or_default();
        if global.json {
            print::json(&rollout)
        } else {
            print_rollout(&rollout)
        }
    }
}

impl List {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Rollout, "list"),
            |page| ListRollouts {
                page_size: page.size,
                page: page.token,
                ..ListRollouts::default()
            },
            |reply: RolloutsListed| (reply.rollouts, reply.next_page),
        )?;
        let headings = [
            "id",
            "state",
            "firmware",
            "group",
            "wave",
            "devices",
            "left out",
            "succeeded",
            "failed",
            "created",
        ];
        listed.print(global, &headings, row)
    }
}

impl Updates {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let wanted = ListUpdates {
            rollout_id: self.id.to_string(),
            state: self.state.unwrap_or_default().into(),
            ..ListUpdates::default()
        };
        let listed = self.limit.collect(
            global,
            (ServiceName::Rollout, "updates"),
            |page| ListUpdates {
                page_size: page.size,
                page: page.token,
                ..wanted.clone()
            },
            |reply: UpdatesListed| (reply.updates, reply.next_page),
        )?;
        listed.print(
            global,
            &["device", "wave", "state", "since", "detail"],
            update_row,
        )
    }
}

fn row(rollout: &Rollout) -> Vec<String> {
    let total = total(rollout);
    vec![
        rollout.rollout_id.clone(),
        say(rollout.state()),
        rollout.firmware_version.clone(),
        rollout.group.clone(),
        format!("{}/{}", total.number, rollout.waves.len()),
        total.devices.to_string(),
        rollout.left_out.to_string(),
        total.succeeded.to_string(),
        total.failed.to_string(),
        print::time(rollout.created_at_ms),
    ]
}

fn update_row(update: &DeviceUpdate) -> Vec<String> {
    vec![
        update.device_id.clone(),
        update.wave.to_string(),
        say(update.state()),
        print::time(update.since_ms),
        update.detail.clone(),
    ]
}

fn print_rollout(rollout: &Rollout) -> Result<()> {
    print::fields(&[
        ("id", rollout.rollout_id.clone()),
        ("version", rollout.version.to_string()),
        ("state", say(rollout.state())),
        ("firmware", rollout.firmware_version.clone()),
        ("artifact", rollout.artifact_id.clone()),
        ("group", rollout.group.clone()),
        ("a wave is good at", format!("{} %", rollout.success_percent)),
        (
            "time for each device",
            print::duration(Duration::from_millis(rollout.timeout_ms)),
        ),
        ("devices that cannot take it", left_out(rollout)),
        ("created", print::time(rollout.created_at_ms)),
        ("created by", rollout.created_by.clone()),
        ("ended", print::time(rollout.ended_at_ms)),
        ("reason", rollout.end_reason.clone()),
    ])?;
    let headings = ["wave", "", "devices", "succeeded", "failed", "canceled", "open"];
    print::table(&headings, rollout.waves.iter().map(wave_row).collect())
}

/// Empty when everybody takes part.
fn left_out(rollout: &Rollout) -> String {
    match rollout.left_out {
        0 => String::new(),
        devices => format!(
            "{devices}: muster rollout updates {} --state refused",
            rollout.rollout_id
        ),
    }
}

fn wave_row(wave: &Wave) -> Vec<String> {
    vec![
        wave.number.to_string(),
        if wave.started {
            "started".into()
        } else {
            "waits".into()
        },
        wave.devices.to_string(),
        wave.succeeded.to_string(),
        wave.failed.to_string(),
        wave.canceled.to_string(),
        wave.open.to_string(),
    ]
}
