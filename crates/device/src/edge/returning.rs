//! A certificate that ended while the device was away: for a while the server still renews over it, and opens
//! nothing else.

use client::{Cause, Client, ConnectError, Identity, Inbox};

use super::{
    body::{Body, told_whole},
    connecting::{attempt, backoff, fitting},
    renewing::{Renewal, Renewer},
    trial,
};
use crate::{error::Error, event::Event, identity::read_ended, platform::Platform};

/// Attempts that a device with a claim makes before it tries that, too. A refusal within TLS often looks like a
/// network that fails: the connection is reset before the reason is read.
const ATTEMPTS: u32 = 3;

/// What became of a certificate that has ended.
enum Came {
    /// The next one is in place, or one is of use after all: the clock may have been set.
    Back(Identity),
    /// The server does not renew over it.
    Refused,
    /// Nothing yet, and there is something else to try: a claim, or the former image.
    Elsewhere,
}

/// The next certificate, over the last one; nothing where there is none, or the server refuses it.
pub(super) async fn renew<P: Platform>(body: &mut Body<P>) -> Result<Option<Identity>, Error> {
    // The one that was to be next may have been used before the device knew; then only that one counts.
    if let Some(next) = ended(body, true)? {
        match over(body, &next, true).await? {
            Came::Back(identity) => return Ok(Some(identity)),
            Came::Refused if body.keys.next()?.is_some() => body.keys.drop_next()?,
            // It was let in, and the server has no other.
            Came::Refused => return Ok(None),
            Came::Elsewhere => return Ok(None),
        }
    }
    let Some(last) = ended(body, false)? else {
        return Ok(None);
    };
    match over(body, &last, false).await? {
        Came::Back(identity) => Ok(Some(identity)),
        Came::Refused | Came::Elsewhere => Ok(None),
    }
}

fn ended<P: Platform>(body: &Body<P>, is_next: bool) -> Result<Option<Identity>, Error> {
    let credentials = match is_next {
        true => body.keys.next()?,
        false => body.keys.current()?,
    };
    let (Some(credentials), Some(now)) = (credentials, body.now_ms()) else {
        return Ok(None);
    };
    let roots = body.roots.trusted_pem(Some(now))?;
    Ok(read_ended(&credentials, &roots, &body.settings.device_id, now))
}

/// Goes on until there is an answer; a device with a claim has another way.
async fn over<P: Platform>(body: &mut Body<P>, ended: &Identity, mut is_next: bool) -> Result<Came, Error> {
    body.problem("the certificate has ended; the device asks for the next one over it");
    let mut pauses = backoff();
    let mut attempts = 0;
    loop {
        let mut pause = pauses.pause(body.chance());
        match attempt(body, ended).await {
            Ok((client, inbox)) => match ask(body, client, inbox, std::mem::take(&mut is_next)).await? {
                Renewal::Done(identity) => {
                    body.tell(Event::Renewed {
                        serial: identity.serial.clone(),
                        not_after_ms: identity.not_after_ms,
                    });
                    return Ok(Came::Back(identity));
                }
                Renewal::Useless(why, _) => {
                    body.problem(why);
                    return Ok(Came::Refused);
                }
                Renewal::Later(why, longer) => {
                    body.problem(why);
                    pause = pause.max(longer);
                }
                Renewal::Unfit(why, _) => {
                    body.problem(why);
                    attempts += 1;
                    if attempts >= ATTEMPTS {
                        return Ok(Came::Refused);
                    }
                }
                Renewal::Files(error) => body.problem(told_whole(&error)),
            },
            Err(ConnectError::Failed { why, cause, .. }) => {
                body.tell(Event::Disconnected { why });
                if cause == Cause::Refused {
                    return Ok(Came::Refused);
                }
                attempts += 1;
                if attempts >= ATTEMPTS && body.settings.has_way_in() {
                    return Ok(Came::Elsewhere);
                }
            }
        }
        tokio::select! {
            biased;
            () = tokio::time::sleep(pause) => {}
            () = trial::over(body.trial) => return Ok(Came::Elsewhere),
        }
        if let Ok(identity) = fitting(body)? {
            return Ok(Came::Back(identity));
        }
    }
}

async fn ask<P: Platform>(
    body: &Body<P>,
    client: Client,
    _inbox: Inbox,
    is_next: bool,
) -> Result<Renewal, Error> {
    if is_next {
        // It was let in, so the one before it is not the newest any more.
        body.keys.promote()?;
    }
    let renewal = Renewer::of(body, &client).renew().await;
    client.disconnect().await;
    Ok(renewal)
}
