//! Why somebody was not let in.

use contract::{
    Code, Kind, Refusal,
    v1::{RefusedShown, ShowRefused},
};
use service::{Fault, Sight, View};

use crate::{refusals, request};

/// Kinds of whoever connects.
const KINDS: [Kind; 4] = [Kind::Device, Kind::Claim, Kind::Operator, Kind::Integrator];

pub(super) fn show(view: &View<'_>, sight: &Sight, request: &ShowRefused) -> Result<RefusedShown, Fault> {
    let id = request::id("id", &request.id)?;
    let kind = Kind::from_word(&request.kind).filter(|kind| KINDS.contains(kind));
    let kind = kind.ok_or_else(|| {
        let refusal = Refusal::invalid("kind", "there is no such kind of principal that connects");
        refusal.allowing(KINDS.map(Kind::word))
    })?;
    // Devices have been held to the groups already.
    let is_person = matches!(kind, Kind::Operator | Kind::Integrator);
    if is_person && *sight != Sight::Everything {
        let message = "of operators and integrators only those hear who may see the whole fleet";
        return Err(Refusal::new(Code::Denied, message).at("kind").into());
    }
    Ok(RefusedShown {
        refused: refusals::of(view, kind.word(), id.as_str())?,
        ..RefusedShown::default()
    })
}
