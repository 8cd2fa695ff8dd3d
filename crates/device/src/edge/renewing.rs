//! The next certificate: a new key, asked for in time, and used once a connection has been made with it.

use std::{sync::Arc, time::Duration};

use client::{AskError, Cause, Client, ConnectError, Identity, Options};
use contract::{
    id::ServiceName,
    v1::{GetStanding, Signed, Standing},
};

use super::{
    body::{Body, told_whole},
    enrolling::{after, credentials, is_final, sign},
};
use crate::{
    error::Error,
    ground::Ground,
    identity::{Keys, Roots, due_ms, read_fitting},
    platform::Platform,
    settings::Settings,
};

/// How often the clock is looked at, and the pause after an attempt that failed.
const LOOK: Duration = Duration::from_secs(600);

/// What asking for the next certificate came to.
pub(crate) enum Renewal {
    /// It is in place.
    Done(Identity),
    /// Not now; once more after a pause.
    Later(String, Duration),
    /// The server gives none. Asked again it would say the same for a while.
    Useless(String, Duration),
    /// What it gave is of no use, for example an answer of long ago whose certificate has ended. The next request is
    /// another one.
    Unfit(String, Duration),
    /// The folder cannot be read or written.
    Files(Error),
}

/// What renewing needs.
pub(crate) struct Renewer {
    keys: Keys,
    roots: Roots,
    ground: Arc<dyn Ground>,
    settings: Settings,
    client: Client,
}

/// How long until the clock is to be looked at again: until the next certificate is due, and no longer than
/// ten minutes, for the clock may be set.
pub(crate) fn pause(identity: &Identity, now_ms: Option<i64>) -> Duration {
    let due = due_ms(identity.not_before_ms, identity.not_after_ms, &identity.serial);
    let wait = now_ms.map_or(0, |now| due.saturating_sub(now));
    Duration::from_millis(u64::try_from(wait).unwrap_or(0)).min(LOOK)
}

/// Whether the next certificate is due.
pub(crate) fn is_due(identity: &Identity, now_ms: Option<i64>) -> bool {
    let due = due_ms(identity.not_before_ms, identity.not_after_ms, &identity.serial);
    now_ms.is_some_and(|now| now >= due)
}

impl Renewer {
    pub(crate) fn of<P: Platform>(body: &Body<P>, client: &Client) -> Renewer {
        Renewer {
            keys: body.keys.clone(),
            roots: body.roots.clone(),
            ground: body.ground.clone(),
            settings: body.settings.clone(),
            client: client.clone(),
        }
    }

    pub(crate) async fn renew(self) -> Renewal {
        match self.try_renew().await {
            Ok(done) => done,
            Err(error) => Renewal::Files(error),
        }
    }

    async fn try_renew(&self) -> Result<Renewal, Error> {
        if self.keys.next()?.is_none()
            && let Some(later) = self.ask().await?
        {
            return Ok(later);
        }
        self.prove().await
    }

    /// Asks for it, and keeps it.
    async fn ask(&self) -> Result<Option<Renewal>, Error> {
        let request = self.keys.request(self.settings.device_id.as_str())?;
        let (name, sign) = (request.name().into(), sign(&request));
        let asked = self
            .client
            .ask_as::<Signed>(name, ServiceName::Provisioning, "renew", &sign);
        let next = match asked.await {
            Ok(signed) => {
                // First the roots: the certificate may be of one that is new.
                let at_ms = self.keys.at_least(self.ground.now_ms(), &signed.certificate);
                self.roots.take(&signed.roots, &signed.root_links, at_ms)?;
                credentials(request, signed)
            }
            Err(AskError::Refused(refusal)) => {
                // The server's word of when counts: somebody may be looking at it just now.
                let pause = match refusal.retry_after_ms {
                    0 => after(&refusal).max(LOOK),
                    _ => after(&refusal),
                };
                let why = format!("no next certificate: {refusal}");
                if is_final(&refusal) {
                    self.keys.drop_request()?;
                    return Ok(Some(Renewal::Useless(why, pause)));
                }
                return Ok(Some(Renewal::Later(why, pause)));
            }
            Err(error) => return Ok(Some(Renewal::Later(error.to_string(), LOOK / 10))),
        };
        if let Err(unfit) = self.read(&next) {
            self.keys.drop_request()?;
            return Ok(Some(Renewal::Unfit(unfit, LOOK)));
        }
        self.keys.renewed(&next)?;
        Ok(None)
    }

    /// Connects with it beside the present connection; only then it takes the present one's place.
    async fn prove(&self) -> Result<Renewal, Error> {
        let Some(next) = self.keys.next()? else {
            return Ok(Renewal::Later("the next certificate is gone".into(), LOOK));
        };
        let identity = match self.read(&next) {
            Ok(identity) => identity,
            Err(unfit) => {
                self.keys.drop_next()?;
                return Ok(Renewal::Later(unfit, LOOK / 10));
            }
        };
        let options = Options {
            suffix: "next".into(),
            ..Options::default()
        };
        let (server, root) = (&self.settings.server, self.settings.root.clone());
        match Client::connect_over(self.ground.network(), server, &identity, root, options).await {
            Ok((client, _inbox)) => {
                let standing = client
                    .ask::<Standing>(ServiceName::Registry, "standing", &GetStanding::default())
                    .await;
                client.disconnect().await;
                if let Err(error) = standing {
                    return Ok(Renewal::Later(error.to_string(), LOOK / 10));
                }
                self.keys.promote()?;
                Ok(Renewal::Done(identity))
            }
            Err(ConnectError::Failed { why, cause, .. }) => {
                if cause == Cause::Refused {
                    self.keys.drop_next()?;
                }
                Ok(Renewal::Later(why, LOOK / 10))
            }
        }
    }

    fn read(&self, next: &crate::identity::Credentials) -> Result<Identity, String> {
        let (id, now_ms) = (&self.settings.device_id, self.ground.now_ms());
        let roots = self
            .roots
            .trusted_pem(now_ms)
            .map_err(|error| told_whole(&error))?;
        read_fitting(next, &roots, id, now_ms).map_err(|unfit| unfit.to_string())
    }
}
