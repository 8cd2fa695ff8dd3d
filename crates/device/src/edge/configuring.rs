//! Brings the device to what it is to be set to: on its disk first, then applied, then told.

use std::sync::Arc;

use client::Client;
use contract::{
    document::{self, Document, EFFECTIVE_BYTES, Form},
    id::ServiceName,
    v1::{ConfigChange, ConfigState, Done, GetConfig, ReportConfig},
};

use super::{
    body::{Body, told_whole},
    errand::Failed,
    words::reason,
};
use crate::{
    configuration::{Kept, Outcome},
    event::Event,
    files::Folder,
    platform::Platform,
};

/// Applies what the device was set to before it went down: it is not to wait for a server. What fails is told once
/// there is one.
pub(super) async fn restore<P: Platform>(body: &Body<P>) {
    let mut kept = match Kept::read(&body.folder) {
        Ok(kept) if kept.version > 0 => kept,
        Ok(_) => return,
        Err(error) => return body.problem(told_whole(&error)),
    };
    let said = apply(&*body.platform, &kept).await;
    let is_known = kept.outcome == Outcome::Told(said.clone());
    if !is_known {
        kept.outcome = Outcome::Untold(said);
        if let Err(error) = kept.write(&body.folder) {
            body.problem(told_whole(&error));
        }
    }
}

/// What configuring needs, apart from the device itself.
pub(crate) struct Configurer<P> {
    client: Client,
    platform: Arc<P>,
    folder: Arc<Folder>,
}

impl<P: Platform> Configurer<P> {
    pub(super) fn of(body: &Body<P>, client: &Client) -> Configurer<P> {
        Configurer {
            client: client.clone(),
            platform: body.platform.clone(),
            folder: body.folder.clone(),
        }
    }

    /// Goes all the way: asks unless a change says it all, keeps, applies, tells. It may be cut off anywhere, and
    /// begins again with what is on the disk.
    pub(super) async fn configure(self, change: Option<ConfigChange>) -> Result<(), Failed> {
        let files = |error| Failed::Other(told_whole(&error));
        let mut kept = Kept::read(&self.folder).map_err(files)?;
        let wanted = match change.and_then(|change| follow(&kept, &change)) {
            Some(wanted) => wanted,
            None => self.ask(&kept).await?,
        };
        let is_other = wanted.version != kept.version || wanted.document != kept.document;
        if is_other {
            kept = wanted;
            kept.write(&self.folder).map_err(files)?;
        }
        if kept.outcome == Outcome::Pending && (is_other || kept.version > 0) {
            kept.outcome = Outcome::Untold(apply(&*self.platform, &kept).await);
            kept.write(&self.folder).map_err(files)?;
        }
        if let Outcome::Untold(said) = kept.outcome.clone() {
            self.tell(&kept, said.as_deref()).await?;
            kept.outcome = Outcome::Told(said);
            kept.write(&self.folder).map_err(files)?;
        }
        Ok(())
    }

    async fn ask(&self, kept: &Kept) -> Result<Kept, Failed> {
        let asked = GetConfig::default();
        let state = self
            .client
            .ask::<ConfigState>(ServiceName::Registry, "config", &asked);
        let state = state.await.map_err(Failed::Ask)?;
        let document = read(&state.document).map_err(Failed::Other)?;
        let outcome = if (state.version, &document) == (kept.version, &kept.document) {
            kept.outcome.clone()
        } else {
            Outcome::Pending
        };
        Ok(Kept {
            version: state.version,
            document,
            outcome,
        })
    }

    async fn tell(&self, kept: &Kept, said: Option<&str>) -> Result<(), Failed> {
        let report = ReportConfig {
            version: kept.version,
            error: said.unwrap_or_default().to_owned(),
            ..ReportConfig::default()
        };
        let told = self
            .client
            .ask::<Done>(ServiceName::Registry, "config-report", &report);
        told.await.map(drop).map_err(Failed::Ask)
    }
}

/// What a change makes of what is kept, if it is one of it.
fn follow(kept: &Kept, change: &ConfigChange) -> Option<Kept> {
    let patch = document::parse("patch", &change.patch, Form::Patch, 2 * EFFECTIVE_BYTES).ok()?;
    kept.changed(change.base_version, change.version, &patch)
}

fn read(text: &str) -> Result<Document, String> {
    document::parse("document", text, Form::Document, 2 * EFFECTIVE_BYTES).map_err(|refusal| refusal.message)
}

/// Lets the platform apply it; what comes back is why it did not.
async fn apply<P: Platform>(platform: &P, kept: &Kept) -> Option<String> {
    let applied = platform.configure(&kept.document).await;
    let said = applied.err().map(|why| reason(&why));
    platform.heard(Event::Configured {
        version: kept.version,
        error: said.clone(),
    });
    said
}
