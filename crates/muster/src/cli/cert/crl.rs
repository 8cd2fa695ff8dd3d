//! `muster cert crl`

use std::path::PathBuf;

use anyhow::Result;
use contract::{
    id::ServiceName,
    v1::{Authorities, GetAuthorities, ListsPublished, PublishLists},
};

use super::{
    super::{Global, print},
    authorities::NO_LIST,
};
use crate::{
    exit::{Exit, Failure},
    folder::write_public,
};

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct Crl {
    #[command(subcommand)]
    order: Option<Order>,
    /// Write it here instead
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Order {
    /// Have the lists made anew and published now
    ///
    /// The server does it by itself half a second after a revocation, and when half of the lists' time is over. All
    /// lists are made at once, under one number; it is answered when they are there. Whoever asks while lists are
    /// being made waits for those.
    #[command(after_help = "Examples:
  muster cert crl publish
  muster --json cert crl publish | jq .number")]
    Publish,
}

impl Crl {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self.order {
            Some(Order::Publish) => publish(global),
            None => self.show(global),
        }
    }

    fn show(&self, global: &Global) -> Result<()> {
        let request = GetAuthorities::default();
        let told: Authorities = global.ask(ServiceName::Provisioning, "authorities", &request)?;
        if told.crl.is_empty() {
            let message = format!("{NO_LIST}; it is served over HTTP: /crl/all.pem");
            return Err(Failure::new(Exit::NotFound, message).into());
        }
        if let Some(file) = &self.out {
            write_public(file, told.crl.as_bytes())?;
        }
        match (global.json, &self.out) {
            (true, _) => print::json(&serde_json::json!({ "number": told.crl_number, "crl": told.crl })),
            (false, Some(file)) => print::line(format!("number {}, in {}", told.crl_number, file.display())),
            (false, None) => print::line(told.crl.trim_end()),
        }
    }
}

fn publish(global: &Global) -> Result<()> {
    let request = PublishLists::default();
    let published: ListsPublished = global.ask(ServiceName::Provisioning, "publish-lists", &request)?;
    if global.json {
        return print::json(&published);
    }
    print::line(format!(
        "number {} is published, good until {}",
        published.number,
        print::time(published.next_update_ms)
    ))?;
    for list in &published.lists {
        let names = match list.entries {
            1 => "1 certificate".to_owned(),
            entries => format!("{entries} certificates"),
        };
        print::line(format!(
            "the list of {} names {names}",
            print::clean(&list.issuer)
        ))?;
    }
    Ok(())
}
