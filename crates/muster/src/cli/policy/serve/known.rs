//! What the services say of those whom a broker asks about, for a moment.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Result;
use client::Client;
use contract::id::Principal;
use parking_lot::Mutex;
use tokio::{sync::Semaphore, time::Instant};

use super::super::super::why::answers::Answers;

/// Principals that are remembered; asking again costs two or three requests.
const MOST: usize = 10_000;
/// How many are asked about at the same time.
const AT_ONCE: usize = 32;

/// Asks when it does not know, or has not asked for a while.
pub(super) struct KnownElsewhere {
    client: Client,
    fresh: Duration,
    asking: Semaphore,
    heard: Mutex<HashMap<Principal, (Instant, Arc<Answers>)>>,
}

impl KnownElsewhere {
    pub(super) fn new(client: Client, fresh: Duration) -> KnownElsewhere {
        KnownElsewhere {
            client,
            fresh,
            asking: Semaphore::new(AT_ONCE),
            heard: Mutex::default(),
        }
    }

    /// What is known of somebody; of a claim, of its batch.
    pub(super) async fn about(&self, who: &Principal) -> Result<Arc<Answers>> {
        if let Some(answers) = self.remembered(who) {
            return Ok(answers);
        }
        let _turn = self.asking.acquire().await?;
        // Somebody else may have asked the same meanwhile.
        if let Some(answers) = self.remembered(who) {
            return Ok(answers);
        }
        // From before it was asked: what changes meanwhile is not told late.
        let asked = Instant::now();
        let answers = Arc::new(Answers::known(&self.client, who).await?);
        self.remember(who.clone(), asked, answers.clone());
        Ok(answers)
    }

    fn remembered(&self, who: &Principal) -> Option<Arc<Answers>> {
        let heard = self.heard.lock();
        let (asked, answers) = heard.get(who)?;
        (asked.elapsed() < self.fresh).then(|| answers.clone())
    }

    fn remember(&self, who: Principal, asked: Instant, answers: Arc<Answers>) {
        let mut heard = self.heard.lock();
        if heard.len() >= MOST {
            heard.retain(|_, (asked, _)| asked.elapsed() < self.fresh);
        }
        if heard.len() >= MOST {
            heard.clear();
        }
        heard.insert(who, (asked, answers));
    }
}
