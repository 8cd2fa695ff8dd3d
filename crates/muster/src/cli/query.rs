//! `muster query`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{Changed, Done, ListQueries, PutQuery, QueriesListed, RemoveQuery, SavedQuery},
};

use super::{
    Global,
    list::{Limit, Page},
    print, whole,
};

/// Where the list comes from.
const ALL: (ServiceName, &str) = (ServiceName::Registry, "queries");

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
    /// Show one query
    #[command(after_help = "Examples:\n  muster query show ageing")]
    Show(Show),
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
pub(super) struct Show {
    /// The name
    id: Id,
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
            Query::Show(command) => command.run(global),
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

fn page(page: Page) -> ListQueries {
    ListQueries {
        page_size: page.size,
        page: page.token,
        ..ListQueries::default()
    }
}

fn taken(reply: QueriesListed) -> (Vec<SavedQuery>, String) {
    (reply.queries, reply.next_page)
}

impl Show {
    fn run(self, global: &Global) -> Result<()> {
        let called = ("query", self.id.as_str());
        let query = whole::one(global, called, ALL, page, taken, |one| &one.query_id)?;
        if global.json {
            return print::json(&query);
        }
        print::fields(&[
            ("id", query.query_id.clone()),
            ("version", query.version.to_string()),
            ("description", query.description.clone()),
            ("query", query.r#where.clone()),
        ])
    }
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(global, ALL, page, taken)?;
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
