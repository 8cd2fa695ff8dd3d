//! From the start of the process to its end: find an identity, connect, and connect again.

use std::time::Duration;

use client::{Backoff, Cause, Client, ConnectError, Identity, Inbox, Options};
use tokio_util::sync::CancellationToken;

use super::{
    body::{Body, now_ms},
    enrolling, retiring,
    session::{Leave, Session},
    trial,
};
use crate::{
    error::Error,
    event::{Ending, Event},
    identity::read_fitting,
    platform::Platform,
    update::Input,
};

/// What ends the wait for a connection.
enum Met {
    Connection(Client, Inbox),
    /// The server refuses the device's certificate.
    Refusal,
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
    if retiring::is_done(&body.folder)? {
        retiring::finish(&mut body)?;
        return Ok(Ending::Retired);
    }
    loop {
        let settled = tokio::select! {
            settled = trial::settle(&mut body) => settled?,
            () = shutdown.cancelled() => return Ok(Ending::Shutdown),
        };
        if let trial::Settled::Restart = settled {
            return Ok(Ending::Restart);
        }
        let identity = tokio::select! {
            identity = identity(&mut body) => identity?,
            () = shutdown.cancelled() => return Ok(Ending::Shutdown),
        };
        let left = match connect(&body, &identity, &shutdown).await {
            Met::Shutdown => return Ok(Ending::Shutdown),
            Met::TrialOver => {
                let why = "the server could not be reached with it in time";
                body.apply(Input::Unhealthy(why.into())).await?;
                continue;
            }
            Met::Refusal => Leave::Retired,
            Met::Connection(client, inbox) => {
                body.tell(Event::Connected {
                    serial: identity.serial.clone(),
                });
                let session = Session::new(&mut body, client, &identity)?;
                session.run(inbox, &shutdown).await?
            }
        };
        match left {
            Leave::Shutdown => return Ok(Ending::Shutdown),
            Leave::Again => {}
            Leave::Retired => {
                retiring::finish(&mut body)?;
                return Ok(Ending::Retired);
            }
        }
    }
}

/// The device's identity, or its first.
async fn identity<P: Platform>(body: &mut Body<P>) -> Result<Identity, Error> {
    let (roots, id) = (&body.settings.roots_pem, &body.settings.device_id);
    // The next certificate, where the present one has ended before it could be tried.
    let mut why = None;
    for (credentials, is_next) in [(body.keys.current()?, false), (body.keys.next()?, true)] {
        let Some(credentials) = credentials else { continue };
        match read_fitting(&credentials, roots, id, now_ms()) {
            Ok(identity) => {
                if is_next {
                    body.keys.promote()?;
                }
                return Ok(identity);
            }
            Err(unfit) => why = Some(unfit.to_string()),
        }
    }
    match (body.settings.claim.clone(), why) {
        (Some(claim), why) => {
            if let Some(why) = why {
                body.problem(format!(
                    "{why}; the device asks for a certificate as if it were new"
                ));
            }
            enrolling::enrol(body, &claim).await
        }
        (None, None) => Err(Error::NoIdentity),
        (None, Some(why)) => last_resort(body, why),
    }
}

/// A certificate that seems not to be valid now, and no claim: perhaps it is the clock that is wrong.
fn last_resort<P: Platform>(body: &Body<P>, why: String) -> Result<Identity, Error> {
    let Some(current) = body.keys.current()? else {
        return Err(Error::NoIdentity);
    };
    let read = Identity::from_pem(&current.chain_pem, &current.key_pem, &body.settings.roots_pem);
    let identity = read.map_err(|_| Error::Identity { why: why.clone() })?;
    body.problem(why);
    Ok(identity)
}

/// Connects, however long it takes.
async fn connect<P: Platform>(body: &Body<P>, identity: &Identity, shutdown: &CancellationToken) -> Met {
    let mut pauses = backoff();
    loop {
        let attempt = attempt(body, identity);
        let failed = tokio::select! {
            connected = attempt => match connected {
                Ok((client, inbox)) => return Met::Connection(client, inbox),
                Err(failed) => failed,
            },
            () = trial::over(body.trial) => return Met::TrialOver,
            () = shutdown.cancelled() => return Met::Shutdown,
        };
        let ConnectError::Failed { why, cause, .. } = failed;
        // The receipt was acknowledged, or the deadline is over: the server has retired the device.
        if cause == Cause::Refused && retiring::is_ordered(&body.folder).unwrap_or(false) {
            return Met::Refusal;
        }
        body.tell(Event::Disconnected { why });
        tokio::select! {
            () = tokio::time::sleep(pauses.pause(rand::random())) => {}
            () = trial::over(body.trial) => return Met::TrialOver,
            () = shutdown.cancelled() => return Met::Shutdown,
        }
    }
}

async fn attempt<P: Platform>(body: &Body<P>, identity: &Identity) -> Result<(Client, Inbox), ConnectError> {
    let options = Options {
        backoff: backoff(),
        ..Options::default()
    };
    let settings = &body.settings;
    Client::connect_with(&settings.server, identity, settings.root.clone(), options).await
}
