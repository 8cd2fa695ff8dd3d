//! `muster firmware recall`

use anyhow::Result;
use client::Client;
use contract::{
    id::ServiceName,
    v1::{Changed, RecallArtifact},
};

use super::{
    super::{
        Global,
        confirm::{Confirm, Consent},
        global, print,
    },
    choice::{Choice, FORMS},
};

#[derive(clap::Args)]
pub(in crate::cli) struct Recall {
    /// A release, or how its artifact id begins
    #[arg(value_name = FORMS)]
    artifact: Choice,
    /// Why; part of the record, and of the end of each rollout
    #[arg(long)]
    reason: String,
    /// Let it be rolled out again; rollouts that the recall ended stay ended
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    confirm: Confirm,
}

impl Recall {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let Consent::Given = self.confirm.ask(global, &self.what())? else {
            return Ok(());
        };
        let changed = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let changed = self.ask(&client).await;
            client.disconnect().await;
            changed
        })?;
        print::changed(global.json, &changed)
    }

    fn what(&self) -> String {
        if self.undo {
            format!("let {} be rolled out again", self.artifact)
        } else {
            format!("recall {} and abort its rollouts for good", self.artifact)
        }
    }

    async fn ask(self, client: &Client) -> Result<Changed> {
        let artifact_id = match self.artifact.whole_id() {
            Some(id) => id.to_owned(),
            None => self.artifact.find(client).await?.artifact_id,
        };
        let request = RecallArtifact {
            request_id: String::new(),
            artifact_id,
            reason: self.reason,
            undo: self.undo,
        };
        global::ask(client, ServiceName::Rollout, "recall", &request).await
    }
}
