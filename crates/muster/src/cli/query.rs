//! `muster query`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{Changed, Done, ListQueries, PutQuery, QueriesListed, RemoveQuery, SavedQuery},
};

use super::{Global, list::Limit, print};

/// Queries over devices that have a name.
#[derive(clap::Subcommand)]
pub(super) enum Query {
    /// Give a query a name, or change it
    #[command(after_help = "Examples:
  muster query put ageing \"end_of_support < now+90d and stage != retired\"
  muster device list --where '@ageing and site = berlin'")]
    Put(Put),
    /// Take a query's name away
    #[command(after_help = "Examples:\n  muster query remove ageing")]
    Remove(Remove),
    /// List queries
    #[command(after_help = "Examples:\n  muster query list")]
    List(List),
}

#[derive(clap::Args)]
pub(super) struct Put {
    /// The name
    id: Id,
    /// The query, see docs/registry.md
    query: String,
    /// What it is for
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// Only if the query has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(super) struct Remove {
    /// The name
    id: Id,
    /// Only if the query has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    limit: Limit,
}

impl Query {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Query::Put(command) => command.run(global),
            Query::Remove(command) => command.run(global),
            Query::List(command) => command.run(global),
        }
    }
}

impl Put {
    fn run(self, global: &Global) -> Result<()> {
        let request = PutQuery {
            query_id: self.id.to_string(),
            r#where: self.query,
            description: self.description,
            expected_version: self.expected_version,
            ..PutQuery::default()
        };
        let changed: Changed = global.ask(ServiceName::Registry, "put-query", &request)?;
        print::changed(global.json, &changed)
    }
}

impl Remove {
    fn run(self, global: &Global) -> Result<()> {
        let request = RemoveQuery {
            query_id: self.id.to_string(),
            expected_version: self.expected_version,
            ..RemoveQuery::default()
        };
        let done: Done = global.ask(ServiceName::Registry, "remove-query", &request)?;
        print::done(global.json, &done, &format!("{} is removed", self.id))
    }
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Registry, "queries"),
            |page| ListQueries {
                page_size: page.size,
                page: page.token,
                ..ListQueries::default()
            },
            |reply: QueriesListed| (reply.queries, reply.next_page),
        )?;
        let row = |query: &SavedQuery| {
            vec![
                query.query_id.clone(),
                query.r#where.clone(),
                query.description.clone(),
                query.version.to_string(),
            ]
        };
        listed.print(global, &["id", "query", "description", "version"], row)
    }
}
