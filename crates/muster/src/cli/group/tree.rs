//! `muster group tree` and `show`

use std::collections::BTreeSet;

use anyhow::Result;
use client::Client;
use contract::{
    Id,
    id::ServiceName,
    v1::{Group, GroupsListed, ListGroups},
};

use super::super::{Global, device, list::Page, print, rule, whole};

#[derive(clap::Args)]
pub(crate) struct Tree {
    /// Only this one, and what lies within it
    group: Option<Id>,
}

#[derive(clap::Args)]
pub(crate) struct Show {
    /// The group
    group: Id,
}

impl Tree {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let groups = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let groups = all(&client).await;
            client.disconnect().await;
            groups
        })?;
        let roots: Vec<_> = match &self.group {
            Some(group) => vec![find(&groups, group.as_str())?],
            None => roots(&groups),
        };
        let rows: Vec<_> = roots
            .into_iter()
            .flat_map(|root| below(&groups, root, 0))
            .collect();
        if global.json {
            return print::json(&rows.iter().map(|(_, group)| group).collect::<Vec<_>>());
        }
        for (depth, group) in rows {
            print::line(line(depth, group))?;
        }
        Ok(())
    }
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let (groups, devices) = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let groups = all(&client).await?;
            find(&groups, self.group.as_str())?;
            let devices = device::total(&client, format!("group = '{}'", self.group)).await?;
            client.disconnect().await;
            Ok((groups, devices))
        })?;
        let group = find(&groups, self.group.as_str())?;
        if global.json {
            let mut document = serde_json::to_value(group)?;
            document["devices"] = devices.to_string().into();
            return print::json(&document);
        }
        let within = below(&groups, group, 0);
        let inside: Vec<_> = within
            .iter()
            .skip(1)
            .map(|(_, group)| group.group_id.as_str())
            .collect();
        print::fields(&[
            ("id", group.group_id.clone()),
            ("version", group.version.to_string()),
            ("description", group.description.clone()),
            ("query", group.query.clone()),
            ("commands", group.commands.join(", ")),
            ("signed commands", group.signed_commands.join(", ")),
            ("command deadline", rule::deadline(group.commands_within_ms)),
            ("commands at once", rule::at_once(group.commands_at_once)),
            ("members", group.members.to_string()),
            ("within", above(&groups, group).join(", ")),
            ("groups within", inside.join(", ")),
            ("devices in all", devices.to_string()),
            ("state", state(group).to_owned()),
        ])
    }
}

/// All groups in sight.
async fn all(client: &Client) -> Result<Vec<Group>> {
    let request = |Page { size, token }| ListGroups {
        page_size: size,
        page: token,
        ..ListGroups::default()
    };
    let take = |reply: GroupsListed| (reply.groups, reply.next_page);
    whole::all(client, (ServiceName::Registry, "groups"), request, take).await
}

fn find<'a>(groups: &'a [Group], id: &str) -> Result<&'a Group> {
    whole::pick(groups.iter().collect(), ("group", id), |group| &group.group_id)
}

/// Those whose parents are not among them.
fn roots(groups: &[Group]) -> Vec<&Group> {
    let ids: BTreeSet<_> = groups.iter().map(|group| &group.group_id).collect();
    groups
        .iter()
        .filter(|group| !ids.contains(&group.parent))
        .collect()
}

/// A group and what lies within it, with how deep.
fn below<'a>(groups: &'a [Group], group: &'a Group, depth: usize) -> Vec<(usize, &'a Group)> {
    let mut rows = vec![(depth, group)];
    for child in groups.iter().filter(|child| child.parent == group.group_id) {
        rows.extend(below(groups, child, depth + 1));
    }
    rows
}

/// The ids of those that it lies within, the nearest first.
fn above(groups: &[Group], group: &Group) -> Vec<String> {
    let (mut chain, mut at) = (Vec::new(), group);
    while !at.parent.is_empty() && chain.len() < groups.len() {
        chain.push(at.parent.clone());
        match groups.iter().find(|group| group.group_id == at.parent) {
            Some(parent) => at = parent,
            None => break,
        }
    }
    chain
}

fn line(depth: usize, group: &Group) -> String {
    let words = [
        format!("{}{}", "  ".repeat(depth), group.group_id),
        match group.members {
            1 => "1 member".to_owned(),
            n => format!("{n} members"),
        },
        group.query.clone(),
        state(group).to_owned(),
    ];
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join("  ")
}

fn state(group: &Group) -> &'static str {
    match (group.settling, group.moving) {
        (true, _) => "settling: its members are being found",
        (false, true) => "moving: others are being told of its devices",
        (false, false) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_told_from_its_roots_and_a_lost_parent_is_no_root() {
        let group = |id: &str, parent: &str| Group {
            group_id: id.into(),
            parent: parent.into(),
            ..Group::default()
        };
        let groups = [
            group("b", "a"),
            group("a", "unseen"),
            group("c", "b"),
            group("d", ""),
        ];
        let names: Vec<_> = roots(&groups)
            .into_iter()
            .flat_map(|root| below(&groups, root, 0))
            .map(|(depth, group)| format!("{depth}{}", group.group_id))
            .collect();
        assert_eq!(names, ["0a", "1b", "2c", "0d"]);
        assert_eq!(above(&groups, &groups[2]), ["b", "a", "unseen"]);
    }
}
