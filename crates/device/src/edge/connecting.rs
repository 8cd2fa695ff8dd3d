//! From the start of the process to its end: find an identity, connect, and connect again.

use std::time::Duration;

use client::{Backoff, Cause, Client, ConnectError, Identity, Inbox, Options};
use tokio_util::sync::CancellationToken;

use super::{
    body::{Body, told_whole},
    configuring, enrolling, retiring, returning,
    session::{Leave, Session},
    trial,
};
use crate::{
    error::Error,
    event::{Ending, Event},
    identity::{Credentials, read_fitting},
    platform::Platform,
};

/// What ends the wait for a connection.
enum Met {
    Connection(Client, Inbox),
    /// A connection with the next certificate, where the present one is refused.
    NextConnection(Client, Inbox, Identity),
    /// The server refuses a device that it has ordered to retire.
    Refusal,
    /// The certificate has ended.
    End,
    TrialOver,
    Shutdown,
}

/// Pauses between attempts: from a second to a minute, so that a fleet does not keep its server down.
pub(crate) fn backoff() -> Backoff {
    Backoff::new(Duration::from_secs(1), Duration::from_secs(60))
}

/// Runs the device to its end.
pub(crate) async fn run<P: Platform>(
    mut body: Body<P>,
    shutdown: CancellationToken,
) -> Result<Ending, Error> {
    if retiring::is_done(&body)? {
        retiring::finish(&mut body)?;
        return Ok(Ending::Retired);
    }
    if retiring::is_wiping(&body.folder)? {
        retiring::wipe(&mut body)?;
        return Ok(Ending::Wiped);
    }
    tokio::select! {
        biased;
        () = configuring::restore(&body) => {}
        () = shutdown.cancelled() => return Ok(Ending::Shutdown),
    }
    loop {
        let settled = tokio::select! {
            biased;
            settled = trial::settle(&mut body) => settled?,
            () = shutdown.cancelled() => return Ok(Ending::Shutdown),
        };
        if let trial::Settled::Restart = settled {
            return Ok(Ending::Restart);
        }
        let identity = tokio::select! {
            biased;
            identity = identity(&mut body) => identity?,
            () = shutdown.cancelled() => return Ok(Ending::Shutdown),
        };
        match meet(&mut body, &identity, &shutdown).await? {
            Leave::Shutdown => return Ok(Ending::Shutdown),
            Leave::Again => {}
            Leave::Restart => return Ok(Ending::Restart),
            Leave::Wiped => {
                retiring::wipe(&mut body)?;
                return Ok(Ending::Wiped);
            }
            Leave::Retired => {
                retiring::finish(&mut body)?;
                return Ok(Ending::Retired);
            }
        }
    }
}

/// Connects, and does what there is to do while there is a connection.
async fn meet<P: Platform>(
    body: &mut Body<P>,
    identity: &Identity,
    shutdown: &CancellationToken,
) -> Result<Leave, Error> {
    match connect(body, identity, shutdown).await {
        Met::Shutdown => Ok(Leave::Shutdown),
        Met::TrialOver => tokio::select! {
            biased;
            failed = trial::fail(body) => failed.map(|()| Leave::Again),
            () = shutdown.cancelled() => Ok(Leave::Shutdown),
        },
        Met::End => Ok(Leave::Again),
        Met::Refusal => Ok(Leave::Retired),
        Met::Connection(client, inbox) => attend(body, client, inbox, identity, shutdown).await,
        Met::NextConnection(client, inbox, next) => {
            body.keys.promote()?;
            body.tell(Event::Renewed {
                serial: next.serial.clone(),
                not_after_ms: next.not_after_ms,
            });
            attend(body, client, inbox, &next, shutdown).await
        }
    }
}

/// While there is a connection.
async fn attend<P: Platform>(
    body: &mut Body<P>,
    client: Client,
    inbox: Inbox,
    identity: &Identity,
    shutdown: &CancellationToken,
) -> Result<Leave, Error> {
    body.tell(Event::Connected {
        serial: identity.serial.clone(),
    });
    Session::new(body, client, identity)?.run(inbox, shutdown).await
}

/// The device's identity: the one it has, the next over one that has ended, or its first.
async fn identity<P: Platform>(body: &mut Body<P>) -> Result<Identity, Error> {
    let why = match fitting(body)? {
        Ok(identity) => return Ok(identity),
        Err(why) => why,
    };
    if let Some(identity) = returning::renew(body).await? {
        return Ok(identity);
    }
    let roots = body.roots.trusted_pem(body.now_ms())?;
    match (body.settings.way_in(&roots), why) {
        (Some(hopeful), why) => {
            if let Some(why) = why {
                body.problem(format!(
                    "{why}; the device asks for a certificate as if it were new"
                ));
            }
            enrolling::enrol(body, &hopeful?).await
        }
        (None, None) => Err(Error::NoIdentity),
        (None, Some(why)) => last_resort(body, why),
    }
}

/// The certificate that is of use now, or why there is none. The next one counts where the present one has ended
/// before it could be tried.
pub(super) fn fitting<P: Platform>(body: &Body<P>) -> Result<Result<Identity, Option<String>>, Error> {
    let mut why = None;
    for (credentials, is_next) in [(body.keys.current()?, false), (body.keys.next()?, true)] {
        let Some(credentials) = credentials else { continue };
        match read(body, &credentials) {
            Ok(identity) => {
                if is_next {
                    body.keys.promote()?;
                }
                return Ok(Ok(identity));
            }
            Err(unfit) => why = Some(unfit),
        }
    }
    Ok(Err(why))
}

fn read<P: Platform>(body: &Body<P>, credentials: &Credentials) -> Result<Identity, String> {
    let roots = body
        .roots
        .trusted_pem(body.now_ms())
        .map_err(|error| told_whole(&error))?;
    read_fitting(credentials, &roots, &body.settings.device_id, body.now_ms())
        .map_err(|unfit| unfit.to_string())
}

/// A certificate that seems not to be valid now, and no claim: perhaps it is the clock that is wrong.
fn last_resort<P: Platform>(body: &Body<P>, why: String) -> Result<Identity, Error> {
    let Some(current) = body.keys.current()? else {
        return Err(Error::NoIdentity);
    };
    let roots = body.roots.trusted_pem(body.now_ms())?;
    let read = Identity::from_pem(&current.chain_pem, &current.key_pem, &roots);
    let identity = read.map_err(|_| Error::Identity { why: why.clone() })?;
    body.problem(why);
    Ok(identity)
}

/// Connects, however long it takes.
async fn connect<P: Platform>(body: &Body<P>, identity: &Identity, shutdown: &CancellationToken) -> Met {
    let mut pauses = backoff();
    // Whoever has nothing better than a certificate that seems to have ended goes on trying it.
    let has_begun_in_time = !has_ended(identity, body.now_ms());
    loop {
        let attempt = attempt(body, identity);
        let failed = tokio::select! {
            biased;
            connected = attempt => match connected {
                Ok((client, inbox)) => return Met::Connection(client, inbox),
                Err(failed) => failed,
            },
            () = trial::over(body.trial) => return Met::TrialOver,
            () = shutdown.cancelled() => return Met::Shutdown,
        };
        let ConnectError::Failed { why, cause, .. } = failed;
        body.tell(Event::Disconnected { why });
        if cause == Cause::Refused {
            // The receipt was acknowledged, or the deadline is over: the server has retired the device.
            if retiring::is_ordered(&body.folder).unwrap_or(false) {
                return Met::Refusal;
            }
            let other = tokio::select! {
            biased;
                other = attempt_next(body) => other,
                () = trial::over(body.trial) => return Met::TrialOver,
                () = shutdown.cancelled() => return Met::Shutdown,
            };
            if let Some((client, inbox, next)) = other {
                return Met::NextConnection(client, inbox, next);
            }
        }
        if has_begun_in_time && has_ended(identity, body.now_ms()) {
            return Met::End;
        }
        tokio::select! {
            biased;
            () = tokio::time::sleep(pauses.pause(body.chance())) => {}
            () = trial::over(body.trial) => return Met::TrialOver,
            () = shutdown.cancelled() => return Met::Shutdown,
        }
    }
}

/// Whether a certificate's time is over, as far as the device knows the time.
pub(super) fn has_ended(identity: &Identity, now_ms: Option<i64>) -> bool {
    now_ms.is_some_and(|now| now > identity.not_after_ms)
}

/// A device that was cut off after the server had seen its next certificate, and before it knew that, may be
/// refused with the present one.
async fn attempt_next<P: Platform>(body: &Body<P>) -> Option<(Client, Inbox, Identity)> {
    let next = body.keys.next().ok().flatten()?;
    let identity = read(body, &next).ok()?;
    let (client, inbox) = attempt(body, &identity).await.ok()?;
    Some((client, inbox, identity))
}

pub(super) async fn attempt<P: Platform>(
    body: &Body<P>,
    identity: &Identity,
) -> Result<(Client, Inbox), ConnectError> {
    let options = Options {
        backoff: backoff(),
        ..Options::default()
    };
    let settings = &body.settings;
    let (network, root) = (body.ground.network(), settings.root.clone());
    Client::connect_over(network, &settings.server, identity, root, options).await
}
