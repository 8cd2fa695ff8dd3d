//! One-time secrets: `put-secret`, and what `sign` does with one.
//!
//! Only the digest is kept. It is compared as any text is: whoever guesses chooses no digest, so the time
//! that a comparison takes tells nothing of the secret.

use contract::{
    Refusal,
    id::ServiceName,
    v1::{DeviceFact, PutSecret},
};
use service::{Fault, Outcome};
use sha2::{Digest, Sha256};

use super::Situation;
use crate::{
    event, policy,
    state::{self, Secret},
};

/// The word before the device in the wake-up that forgets a secret.
pub(super) const FORGET: &str = "secret";
/// Wrong ones until the device is locked.
const TRIES: u32 = 5;
/// How long it is locked then, milliseconds. Whoever holds the batch's key can bring this about for any of its
/// devices, so a lock ends by itself.
const LOCKED_MS: i64 = 15 * 60_000;

/// `put-secret`: in the place of any former one.
pub(super) fn decide(s: &Situation<'_>, m: &PutSecret) -> Result<Outcome, Fault> {
    let device = policy::id("device_id", &m.device_id)?;
    policy::secret_lifetime(m.expires_ms, s.now_ms)?;
    let known: Option<DeviceFact> = s.view.fact(ServiceName::Registry, "device", device.as_str())?;
    policy::device(known.as_ref())?;
    let mut outcome = Outcome::default();
    let secret = Secret {
        sha256: contract::login::sha256("sha256", &m.sha256)?,
        expires_ms: m.expires_ms,
        ..Secret::default()
    };
    outcome.put(state::secret_key(device.as_str()), &secret);
    outcome.wake_at(format!("{FORGET}/{device}"), m.expires_ms);
    event::secret_made(&mut outcome, device.as_str(), m.expires_ms);
    Ok(outcome)
}

/// Uses the device's secret up. Whatever is wrong with it, the refusal is the same; a wrong one counts.
pub(super) fn spend(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    device: &str,
    told: &str,
) -> Result<Result<(), Refusal>, Fault> {
    let key = state::secret_key(device);
    let secret: Option<Secret> = s.view.load(&key)?;
    let Some(secret) = secret.filter(|secret| secret.expires_ms > s.now_ms) else {
        let why = "the device has no one-time secret: none was made, or it is used up or has ended";
        return Ok(Err(policy::not_opened(why)));
    };
    if secret.locked_until_ms > s.now_ms {
        return Ok(Err(policy::not_opened(
            "the device is locked after wrong secrets",
        )));
    }
    if hex::encode(Sha256::digest(told)) == secret.sha256 {
        outcome.delete(key);
        event::secret_used(outcome, device);
        return Ok(Ok(()));
    }
    let after = after_a_wrong_one(secret, s.now_ms);
    let why = match after.tries {
        0 => {
            event::secret_locked(outcome, device, after.locked_until_ms);
            format!("a wrong secret, the {TRIES}th: the device is locked")
        }
        tries => format!("a wrong secret, {tries} of {TRIES} until the device is locked"),
    };
    outcome.put(key, &after);
    Ok(Err(policy::not_opened(why)))
}

fn after_a_wrong_one(secret: Secret, now_ms: i64) -> Secret {
    let tries = secret.tries + 1;
    if tries < TRIES {
        return Secret { tries, ..secret };
    }
    Secret {
        tries: 0,
        locked_until_ms: now_ms.saturating_add(LOCKED_MS),
        ..secret
    }
}

/// Its time is over.
pub(super) fn forget(s: &Situation<'_>, device: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let key = state::secret_key(device);
    let secret: Option<Secret> = s.view.load(&key)?;
    if secret.is_some_and(|secret| secret.expires_ms <= s.now_ms) {
        outcome.delete(key);
    }
    Ok(outcome)
}
