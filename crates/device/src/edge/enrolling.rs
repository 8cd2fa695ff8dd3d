//! The first certificate: asked for with the claim of the device's batch, or with what its manufacturer gave it.

use std::time::Duration;

use client::{AskError, Client, ConnectError, Identity, Options};
use contract::{
    Code, Refusal,
    id::ServiceName,
    v1::{Sign, Signed},
};

use super::{
    body::{Body, told_whole},
    connecting::{backoff, fitting},
    returning,
};
use crate::{
    error::Error,
    event::Event,
    identity::{Credentials, Request, read_fitting},
    platform::Platform,
};

/// Pause after a refusal that says nothing of when to try again: somebody has to register the device first.
const REFUSED: Duration = Duration::from_secs(30);

/// The longest a server can ask to be left alone.
const LONGEST: Duration = Duration::from_secs(3600);

/// Asks until there is a certificate, or the one that is there is of use after all: a clock may have been set.
pub(crate) async fn enrol<P: Platform>(body: &mut Body<P>, claiming: &Identity) -> Result<Identity, Error> {
    body.tell(Event::Claiming);
    let mut pauses = backoff();
    loop {
        let mut pause = pauses.pause(body.chance());
        match attempt(body, claiming).await {
            Ok(Asked::Enrolled(identity)) => return Ok(*identity),
            Ok(Asked::Unfit(why)) => body.problem(why),
            Ok(Asked::Refused(refusal)) => {
                // A batch that was refused as one does not come back as one.
                pause = pause.max(after(&refusal).mul_f64(1.0 + body.chance() / 5.0));
                body.problem(format!("no certificate: {refusal}"));
            }
            Ok(Asked::Unreached(why)) => body.tell(Event::Disconnected { why }),
            // A full disk: the same request goes out once there is room.
            Err(error @ Error::Files { .. }) => body.problem(told_whole(&error)),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        if let Ok(identity) = fitting(body)? {
            return Ok(identity);
        }
        if let Some(identity) = returning::renew(body).await? {
            return Ok(identity);
        }
    }
}

/// Whether the same request would be refused again: the answer to it is remembered unless it says when to
/// try again.
pub(crate) fn is_final(refusal: &Refusal) -> bool {
    refusal.retry_after_ms == 0 && !matches!(refusal.code, Code::Busy | Code::Internal)
}

/// When to try again after a refusal.
pub(crate) fn after(refusal: &Refusal) -> Duration {
    match refusal.retry_after_ms {
        0 if is_final(refusal) => REFUSED,
        ms => Duration::from_millis(ms).min(LONGEST),
    }
}

/// What the reply to a request gives the device to use.
pub(crate) fn credentials(request: Request, signed: Signed) -> Credentials {
    Credentials {
        key_pem: request.key_pem,
        chain_pem: signed.certificate,
    }
}

/// The request as it is sent.
pub(crate) fn sign(request: &Request) -> Sign {
    Sign {
        csr: request.csr_pem.clone(),
        ..Sign::default()
    }
}

/// What asking came to.
enum Asked {
    Enrolled(Box<Identity>),
    Unreached(String),
    Refused(Refusal),
    Unfit(String),
}

enum Asking {
    Unreached(String),
    Refused(Refusal),
}

enum Taking {
    Files(Error),
    Unfit(String),
}

/// Asks once. A request that is of no use any more is dropped.
async fn attempt<P: Platform>(body: &Body<P>, claiming: &Identity) -> Result<Asked, Error> {
    let request = body.keys.request(body.settings.device_id.as_str())?;
    let signed = match ask(body, claiming, &request).await {
        Ok(signed) => signed,
        Err(Asking::Unreached(why)) => return Ok(Asked::Unreached(why)),
        Err(Asking::Refused(refusal)) => {
            if is_final(&refusal) {
                body.keys.drop_request()?;
            }
            return Ok(Asked::Refused(refusal));
        }
    };
    match take(body, request, signed) {
        Ok(identity) => Ok(Asked::Enrolled(Box::new(identity))),
        Err(Taking::Files(error)) => Err(error),
        Err(Taking::Unfit(why)) => {
            body.keys.drop_request()?;
            Ok(Asked::Unfit(why))
        }
    }
}

async fn ask<P: Platform>(body: &Body<P>, claiming: &Identity, request: &Request) -> Result<Signed, Asking> {
    let settings = &body.settings;
    let connected = Client::connect_over(
        body.ground.network(),
        &settings.server,
        claiming,
        settings.root.clone(),
        Options::default(),
    );
    let (client, _inbox) = connected.await.map_err(|failed| {
        let ConnectError::Failed { why, .. } = failed;
        Asking::Unreached(why)
    })?;
    let name = request.name().into();
    let secret = settings.claim.as_ref().and_then(|claim| claim.secret.clone());
    let first = Sign {
        secret: secret.unwrap_or_default(),
        ..sign(request)
    };
    let signed = client
        .ask_as(name, ServiceName::Provisioning, "sign", &first)
        .await;
    client.disconnect().await;
    signed.map_err(|failed| match failed {
        AskError::Refused(refusal) => Asking::Refused(refusal),
        other => Asking::Unreached(other.to_string()),
    })
}

/// Keeps a certificate, if it is the device's.
fn take<P: Platform>(body: &Body<P>, request: Request, signed: Signed) -> Result<Identity, Taking> {
    let id = &body.settings.device_id;
    let at_ms = body.keys.at_least(body.now_ms(), &signed.certificate);
    body.roots
        .take(&signed.roots, &signed.root_links, at_ms)
        .map_err(Taking::Files)?;
    let roots = body.roots.trusted_pem(body.now_ms()).map_err(Taking::Files)?;
    let credentials = credentials(request, signed);
    let identity = read_fitting(&credentials, &roots, id, body.now_ms())
        .map_err(|unfit| Taking::Unfit(unfit.to_string()))?;
    body.keys.enrolled(&credentials).map_err(Taking::Files)?;
    body.tell(Event::Enrolled {
        serial: identity.serial.clone(),
        not_after_ms: identity.not_after_ms,
    });
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_left_alone_for_ever() {
        for (code, retry_after_ms, expected) in [
            (Code::Denied, 0, REFUSED),
            (Code::Busy, 0, Duration::ZERO),
            (Code::Busy, 1_500, Duration::from_millis(1_500)),
            (Code::Denied, u64::MAX, LONGEST),
        ] {
            let refusal = Refusal::new(code, "").retry_after_ms(retry_after_ms);
            assert_eq!(after(&refusal), expected);
        }
    }
}
