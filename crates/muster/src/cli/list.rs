//! Lists that come in pages, read up to a limit.

use std::io::{self, IsTerminal};

use anyhow::Result;
use contract::{id::ServiceName, limits, wire::Wire};

use super::{Global, global, order::Order, print};

/// What a person reads at a glance. A program that read only so much would miss the rest unnoticed.
const GLANCE: usize = 100;

/// How much of a list is wanted.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Limit {
    /// Show at most this many [default: 100 on a terminal, else all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Show them all, on a terminal too
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Sort by this column of the table; `-COLUMN` turns the order round. Reads the whole list
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    sort: Option<Order>,
    /// Show every column whole, however wide that is [default: what there is room for]
    #[arg(long)]
    wide: bool,
}

/// The page that a request is to ask for.
pub(super) struct Page {
    pub(super) size: u32,
    pub(super) token: String,
}

/// What a list came to.
pub(super) struct Listed<Item> {
    pub(super) items: Vec<Item>,
    more: bool,
    /// Whoever gave a limit knows that there may be more.
    asked: bool,
    /// How it is to be sorted and how much of it is then wanted.
    sort: Option<(Order, usize)>,
    wide: bool,
}

impl Limit {
    /// No limit.
    pub(super) fn all() -> Limit {
        Limit {
            limit: None,
            all: true,
            sort: None,
            wide: false,
        }
    }

    fn count(&self) -> usize {
        match self.limit {
            _ if self.all => usize::MAX,
            Some(limit) => limit,
            None if io::stdout().is_terminal() => GLANCE,
            None => usize::MAX,
        }
    }

    /// Asks page after page. `take` opens a reply: its items and the name of the next page.
    pub(super) async fn read<Request: Wire, Reply: Wire, Item>(
        &self,
        client: &client::Client,
        (service, verb): (ServiceName, &str),
        request: impl Fn(Page) -> Request,
        take: impl Fn(Reply) -> (Vec<Item>, String),
    ) -> Result<Listed<Item>> {
        let count = if self.sort.is_some() {
            usize::MAX
        } else {
            self.count()
        };
        let mut items = Vec::new();
        let mut token = String::new();
        loop {
            let wanted = count - items.len();
            let size = u32::try_from(wanted.clamp(1, limits::PAGE_MAX)).unwrap_or(1);
            let reply: Reply = global::ask(client, service, verb, &request(Page { size, token })).await?;
            let (page, next) = take(reply);
            items.extend(page);
            if next.is_empty() || items.len() >= count {
                let more = !next.is_empty() || items.len() > count;
                items.truncate(count);
                let sort = self.sort.clone().map(|order| (order, self.count()));
                let asked = self.limit.is_some();
                return Ok(Listed {
                    items,
                    more,
                    asked,
                    sort,
                    wide: self.wide,
                });
            }
            token = next;
        }
    }

    /// Connects, asks page after page, leaves.
    pub(super) fn collect<Request: Wire, Reply: Wire, Item>(
        &self,
        global: &Global,
        verb: (ServiceName, &str),
        request: impl Fn(Page) -> Request,
        take: impl Fn(Reply) -> (Vec<Item>, String),
    ) -> Result<Listed<Item>> {
        global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let listed = self.read(&client, verb, request, take).await;
            client.disconnect().await;
            listed
        })
    }
}

impl<Item: serde::Serialize> Listed<Item> {
    /// Prints a table, or one JSON document an item.
    pub(super) fn print(
        mut self,
        global: &Global,
        headings: &[&str],
        row: impl Fn(&Item) -> Vec<String>,
    ) -> Result<()> {
        if let Some((order, count)) = self.sort.take() {
            order.apply(&mut self.items, headings, &row)?;
            self.more = self.items.len() > count;
            self.items.truncate(count);
        }
        if global.json {
            self.items.iter().try_for_each(print::json)?;
        } else {
            let rows = self.items.iter().map(row).map(print::Row::from);
            print::list(self.wide, headings, rows.collect())?;
        }
        if self.more && !self.asked {
            print::note("there are more: --limit N, or --all");
        }
        Ok(())
    }
}
