//! `muster group`

mod tree;

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    limits,
    v1::{
        ChangeMembers, Changed, CommandNames, Done, Group as Listed, GroupsListed, ListGroups,
        MembersChanged, PutGroup, RemoveGroup,
    },
};

use super::{
    Global,
    confirm::{Confirm, Consent},
    global,
    list::Limit,
    print,
    rule::Rule,
};

/// Put devices into groups.
#[derive(clap::Subcommand)]
pub(super) enum Group {
    /// Make a group, or change its description, its query, its place or its rule of commands; what is not said stays
    #[command(after_help = "Examples:
  muster group put line-7 --description 'pumps of hall 3'
  muster group put old-pumps --query \"type = pump and firmware < 1.4\"
  muster group put hall-3 --parent berlin
  muster group put critical --command diagnose --command logs --signed-command open
  muster group put line-7 --command-deadline 10m --commands-at-once 2")]
    Put(Put),
    /// Remove a group; its members stay
    #[command(after_help = "Examples:\n  muster group remove line-7 --yes")]
    Remove(Remove),
    /// Add devices to a group
    #[command(after_help = "Examples:\n  muster group join line-7 pump-7 pump-8")]
    Join(Members),
    /// Take devices out of a group
    #[command(after_help = "Examples:\n  muster group leave line-7 pump-7")]
    Leave(Members),
    /// List groups
    #[command(after_help = "Examples:\n  muster group list\n  muster device list --group line-7")]
    List(List),
    /// Show groups as they lie within one another
    #[command(after_help = "Examples:\n  muster group tree\n  muster group tree berlin")]
    Tree(tree::Tree),
    /// Show one group, what lies above and below it, and how many devices it has: put into it, and in all
    #[command(after_help = "Examples:\n  muster group show hall-3")]
    Show(tree::Show),
}

#[derive(clap::Args)]
pub(super) struct Put {
    /// The group
    id: Id,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// Makes it a dynamic group: its members are the devices that fit, see docs/registry.md
    #[arg(long)]
    query: Option<String>,
    /// Puts it within this group, so that who asks for that one, or was granted it, has this one as well
    #[arg(long, value_name = "GROUP", conflicts_with = "no_parent")]
    parent: Option<Id>,
    /// Takes it out of the group that it lies within
    #[arg(long)]
    no_parent: bool,
    #[command(flatten)]
    rule: Rule,
    /// Only if the group has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(super) struct Remove {
    /// The group
    id: Id,
    /// Only if the group has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(clap::Args)]
pub(super) struct Members {
    /// The group
    group: Id,
    /// The devices
    #[arg(required = true)]
    devices: Vec<Id>,
}

#[derive(clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    limit: Limit,
}

impl Group {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Group::Put(command) => command.run(global),
            Group::Remove(command) => command.run(global),
            Group::Join(command) => command.run(global, "join-group"),
            Group::Leave(command) => command.run(global, "leave-group"),
            Group::List(command) => command.run(global),
            Group::Tree(command) => command.run(global),
            Group::Show(command) => command.run(global),
        }
    }
}

impl Put {
    fn run(self, global: &Global) -> Result<()> {
        let request = PutGroup {
            request_id: String::new(),
            group_id: self.id.to_string(),
            description: self.description,
            expected_version: self.expected_version,
            query: self.query,
            parent: match self.no_parent {
                true => Some(String::new()),
                false => self.parent.map(|parent| parent.to_string()),
            },
            commands: self.rule.commands().map(|names| CommandNames { names }),
            signed_commands: self.rule.signed_commands().map(|names| CommandNames { names }),
            commands_within_ms: self.rule.within_ms(),
            commands_at_once: self.rule.at_once(),
        };
        let changed: Changed = global.ask(ServiceName::Registry, "put-group", &request)?;
        print::changed(global.json, &changed)
    }
}

impl Remove {
    fn run(self, global: &Global) -> Result<()> {
        let Consent::Given = self
            .confirm
            .ask(global, &format!("remove the group {}", self.id))?
        else {
            return Ok(());
        };
        let request = RemoveGroup {
            group_id: self.id.to_string(),
            expected_version: self.expected_version,
            ..RemoveGroup::default()
        };
        let done: Done = global.ask(ServiceName::Registry, "remove-group", &request)?;
        print::done(global.json, &done, &format!("{} is removed", self.id))
    }
}

impl Members {
    fn run(self, global: &Global, verb: &str) -> Result<()> {
        global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            // One request takes only so many.
            for devices in self.devices.chunks(limits::PAGE_MAX) {
                let request = ChangeMembers {
                    request_id: String::new(),
                    group_id: self.group.to_string(),
                    device_ids: devices.iter().map(Id::to_string).collect(),
                };
                let reply: MembersChanged =
                    global::ask(&client, ServiceName::Registry, verb, &request).await?;
                say(global, &reply)?;
            }
            client.disconnect().await;
            Ok(())
        })
    }
}

fn say(global: &Global, reply: &MembersChanged) -> Result<()> {
    if global.json {
        return print::json(reply);
    }
    print::line(format!(
        "{}: {} changed, version {}",
        reply.group_id, reply.changed, reply.version
    ))
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Registry, "groups"),
            |page| ListGroups {
                page_size: page.size,
                page: page.token,
                ..ListGroups::default()
            },
            |reply: GroupsListed| (reply.groups, reply.next_page),
        )?;
        listed.print(
            global,
            &["id", "within", "members", "description", "query", "version"],
            row,
        )
    }
}

fn row(group: &Listed) -> Vec<String> {
    vec![
        group.group_id.clone(),
        group.parent.clone(),
        group.members.to_string(),
        group.description.clone(),
        if group.settling {
            format!("{} (settling)", group.query)
        } else {
            group.query.clone()
        },
        group.version.to_string(),
    ]
}
