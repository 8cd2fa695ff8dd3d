//! `sign` over a factory certificate: the manufacturer vouches for the hardware, the registry for its place.
//!
//! The front door has verified the certificate with that manufacturer's CAs. It opens the device that is registered with
//! the serial number in it, and no other as long as that one lives.

use contract::{
    Code, Refusal, ServiceName,
    id::Kind,
    v1::{Claim, DeviceFact, FactoryCertificate, Manufacturer, Sign, Stage},
};
use pki::Csr;
use service::{Caller, Fault, Outcome};

use super::{
    Situation, pace,
    planning::{self, Wanted},
    sign,
};
use crate::{
    event, policy, profile,
    state::{self, FactoryUse},
};

pub(super) fn sign(
    s: &mut Situation<'_>,
    caller: &Caller,
    shown: &FactoryCertificate,
    m: &Sign,
) -> Result<Outcome, Fault> {
    let device = caller.principal.id.as_str();
    let manufacturer = state::manufacturer(s.view, &shown.manufacturer)?;
    let manufacturer = manufacturer.filter(|found| found.name == shown.manufacturer);
    let manufacturer = manufacturer
        .ok_or_else(|| policy::not_opened_by_factory("there is no such manufacturer any more"))?;
    let name = policy::named_by_factory(&manufacturer, shown)?;
    let known: Option<DeviceFact> = s.view.fact(ServiceName::Registry, "device", device)?;
    policy::built_as(known.as_ref(), &manufacturer, name)?;
    demand_no_second(s, &manufacturer, name, device)?;
    policy::new_device(known.as_ref())?;
    sign::nobody_uses_it(s, device)?;
    let csr = policy::csr(&m.csr, &planning::subject(s, Kind::Device, device)?)?;
    let terms = profile::terms(known.as_ref(), &s.service.settings);
    terms.demand_key(csr.key_kind())?;
    demand_key_of_its_own(&csr, shown)?;
    policy::expected_key(known.as_ref(), &csr.key_fingerprint_sha256())?;
    let mut outcome = Outcome::default();
    if let Some(early) = pace::step(s, &mut outcome, &as_batch(&manufacturer))? {
        return Ok(early);
    }
    let wanted = Wanted {
        kind: Kind::Device,
        id: device,
        lifetime_ms: terms.lifetime_ms,
        extras: terms.extras(&s.authorities.signing.id)?,
        batch: &manufacturer.name,
        origin: &manufacturer.name,
    };
    let next = planning::plan(s, &mut outcome, &wanted, &csr)?;
    let used = FactoryUse {
        device_id: device.to_owned(),
        at_ms: s.now_ms,
        fingerprint: shown.fingerprint.clone(),
    };
    outcome.put(state::factory_key(&manufacturer.name, name), &used);
    event::factory_used(&mut outcome, shown, name, &next.certificate());
    let counted = Manufacturer {
        used: manufacturer.used + 1,
        ..manufacturer
    };
    outcome.put(state::manufacturer_key(&counted.name), &counted);
    Ok(outcome)
}

/// A factory certificate that has let one device in lets in no second one, until that one is retired: then its hardware
/// may have another life.
fn demand_no_second(
    s: &Situation<'_>,
    manufacturer: &Manufacturer,
    name: &str,
    device: &str,
) -> Result<(), Fault> {
    let used: Option<FactoryUse> = s.view.load(state::factory_key(&manufacturer.name, name))?;
    let Some(used) = used.filter(|used| used.device_id != device) else {
        return Ok(());
    };
    let opened = used.device_id.as_str();
    let former: Option<DeviceFact> = s.view.fact(ServiceName::Registry, "device", opened)?;
    match former.is_none_or(|former| former.stage() == Stage::Retired) {
        true => Ok(()),
        false => Err(policy::not_opened_by_factory(format!("it has opened devices/{opened}")).into()),
    }
}

/// The manufacturer's key stays what it was made for: if it gets out, the device's own certificate is not lost with it.
fn demand_key_of_its_own(csr: &Csr, shown: &FactoryCertificate) -> Result<(), Refusal> {
    if csr.key_fingerprint_sha256() != shown.key_fingerprint {
        return Ok(());
    }
    let message = "this is the factory certificate's own key; make another one";
    Err(Refusal::new(Code::Untrusted, message).at("csr"))
}

/// As far as its pace is concerned.
fn as_batch(manufacturer: &Manufacturer) -> Claim {
    Claim {
        batch: manufacturer.name.clone(),
        per_minute: manufacturer.per_minute,
        ..Claim::default()
    }
}
