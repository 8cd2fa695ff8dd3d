//! Lists that come in pages, read up to a limit.

use anyhow::Result;
use contract::{id::ServiceName, limits, wire::Wire};

use super::{Global, global, print};

/// How much of a list is wanted.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Limit {
    /// Show at most this many
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
    /// Show them all
    #[arg(long, conflicts_with = "limit")]
    all: bool,
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
}

impl Limit {
    /// No limit.
    pub(super) fn all() -> Limit {
        Limit { limit: 0, all: true }
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
        let mut items = Vec::new();
        let mut token = String::new();
        loop {
            let wanted = self.count() - items.len();
            let size = u32::try_from(wanted.clamp(1, limits::PAGE_MAX)).unwrap_or(1);
            let reply: Reply = global::ask(client, service, verb, &request(Page { size, token })).await?;
            let (page, next) = take(reply);
            items.extend(page);
            if next.is_empty() || items.len() >= self.count() {
                let more = !next.is_empty() || items.len() > self.count();
                items.truncate(self.count());
                return Ok(Listed { items, more });
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
        self,
        global: &Global,
        headings: &[&str],
        row: impl Fn(&Item) -> Vec<String>,
    ) -> Result<()> {
        if global.json {
            self.items.iter().try_for_each(print::json)?;
        } else {
            print::table(headings, self.items.iter().map(row).collect())?;
        }
        if self.more {
            eprintln!("there are more: --limit N, or --all");
        }
        Ok(())
    }
}
