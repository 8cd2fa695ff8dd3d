//! `muster cert revocations`, and the bar of a bulk revocation that is waited for.

use std::{convert::Infallible, time::Duration};

use anyhow::Result;
use client::Client;
use contract::{
    id::ServiceName,
    v1::{BulkRevocation, ListRevocations, RevocationsListed, RevokeMany},
};
use indicatif::ProgressBar;

use super::super::{Global, list::Limit, print};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

#[derive(clap::Args)]
pub(in crate::cli) struct Revocations {
    #[command(flatten)]
    limit: Limit,
}

impl Revocations {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Provisioning, "revocations"),
            |page| ListRevocations {
                page_size: page.size,
                page: page.token,
                ..ListRevocations::default()
            },
            |reply: RevocationsListed| (reply.revocations, reply.next_page),
        )?;
        let headings = [
            "batch",
            "ca",
            "reason",
            "revoked",
            "sessions closed",
            "still open",
            "all found",
        ];
        listed.print(global, &headings, |one: &BulkRevocation| {
            vec![
                one.batch.clone(),
                one.issuer.clone(),
                one.reason.clone(),
                one.revoked.to_string(),
                one.sessions_closed.to_string(),
                one.open.to_string(),
                print::yes(one.complete),
            ]
        })
    }
}

/// Shows how far a bulk revocation is, for as long as its answer is waited for. Without a terminal nobody is asked.
pub(super) async fn follow(client: &Client, bar: &ProgressBar, of: &RevokeMany) -> Infallible {
    loop {
        tokio::time::sleep(LOOK).await;
        if bar.is_hidden() {
            continue;
        }
        let request = ListRevocations::default();
        let asked = client.ask::<RevocationsListed>(ServiceName::Provisioning, "revocations", &request);
        // It is the answer that counts; a look that fails is one less.
        let Ok(listed) = asked.await else { continue };
        let is_it = |one: &&BulkRevocation| one.batch == of.batch && one.issuer == of.issuer;
        if let Some(one) = listed.revocations.iter().find(is_it) {
            bar.set_length(one.revoked);
            bar.set_position(one.revoked.saturating_sub(one.open));
        }
    }
}
