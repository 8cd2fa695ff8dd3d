//! The signed record of a device's end.
//!
//! ```text
//! ordered ── retired ──► revoking ── no certificate counts any more ──► signing ── a signature ──► signed
//! ```
//!
//! It begins with the order to retire and is about the life that ends with it: whoever readmits the device changes
//! nothing in it. What became of the certificates is provisioning's truth, so it is asked until none of them counts.
//! The installation's key signs outside, as an effect.

mod certify;
mod draft;
mod show;

use contract::v1::Retirement;
use service::{View, store::StoreError};

use crate::state;

pub(crate) use self::{
    certify::{answered, signed, wake},
    draft::{close, open, opened},
    show::show,
};

/// The effect that signs: its payload are the bytes, its result a `RetirementSignature`, or nothing where there is no
/// key.
pub const SIGN: &str = "sign-retirement";

/// Begins the names of what is asked, ordered and waited for.
pub(crate) const NAME: &str = "retirement/";

/// Names one attempt of one retirement; unique for ever, since a device's version grows.
fn name(retirement: &Retirement) -> String {
    let Retirement {
        device_id,
        version,
        attempt,
        ..
    } = retirement;
    format!("{NAME}{device_id}/{version}/{attempt}")
}

/// The retirement whose present attempt has this name.
fn named(view: &View<'_>, name: &str) -> Result<Option<Retirement>, StoreError> {
    let parts = name.strip_prefix(NAME).and_then(|rest| {
        let (rest, _) = rest.rsplit_once('/')?;
        let (device, version) = rest.rsplit_once('/')?;
        Some((device, version.parse().ok()?))
    });
    let Some((device, version)) = parts else {
        return Ok(None);
    };
    let found: Option<Retirement> = view.load(state::retirement_key(device, version))?;
    Ok(found.filter(|found| self::name(found) == name))
}

/// The last one of a device.
fn newest(view: &View<'_>, device: &str) -> Result<Option<Retirement>, StoreError> {
    let found = view.list(state::retirements(device), None, 1)?;
    Ok(found.into_iter().next().map(|(_, retirement)| retirement))
}

fn key(retirement: &Retirement) -> String {
    state::retirement_key(&retirement.device_id, retirement.version)
}
