//! Lists that come in pages, read up to a limit.

use anyhow::Result;
use contract::{id::ServiceName, limits, wire::Wire};

use super::{Global, global, order::Order, print};

/// How much of a list is wanted.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Limit {
    /// Show at most this many
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
    /// Show them all
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Sort by this column of the table; `-COLUMN` turns the order round. Reads the whole list
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    sort: Option<Order>,
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
    /// How it is to be sorted and how much of it is then wanted.
    sort: Option<(Order, usize)>,
}

impl Limit {
    /// No limit.
    pub(super) fn all() -> Limit {
        Limit {
            limit: 0,
            all: true,
            sort: None,
        }
    }

    fn count(&self) -> usize {
        if self.all { usize::MAX } else { self.limit }
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
                return Ok(Listed { items, more, sort });
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
            print::table(headings, self.items.iter().map(row).collect())?;
        }
        if self.more {
            print::note("there are more: --limit N, or --all");
        }
        Ok(())
    }
}
