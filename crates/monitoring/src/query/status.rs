//! Devices and the fleet.

use contract::{
    Refusal,
    v1::{Connectivity, DeviceStatus, ListStatus, ShowStatus, StatusListed, StatusShown, Summary},
};
use service::{Fault, Sight, View, page};

use crate::{
    request,
    state::{self, Counters},
};

pub(super) fn show(view: &View<'_>, request: &ShowStatus) -> Result<StatusShown, Fault> {
    let id = request::id("device_id", &request.device_id)?;
    let status = view.load::<DeviceStatus>(state::status(id.as_str()))?;
    let status = status.ok_or_else(|| Refusal::not_found("device", id.as_str()).at("device_id"))?;
    Ok(StatusShown {
        status: Some(status),
        ..StatusShown::default()
    })
}

pub(super) fn list(view: &View<'_>, sight: &Sight, request: &ListStatus) -> Result<StatusListed, Fault> {
    let wanted = Connectivity::try_from(request.connectivity).map_err(|_| {
        Refusal::invalid(
            "connectivity",
            "there is no such connectivity; leave it out for all",
        )
    })?;
    let keep = |s: &DeviceStatus| -> Result<bool, Fault> {
        let fits = wanted == Connectivity::Unspecified || s.connectivity() == wanted;
        Ok(fits && sight.device(view, &s.device_id)?)
    };
    let page = page::list_where(view, state::STATUSES, &request.page, request.page_size, keep)?;
    Ok(StatusListed {
        devices: page.rows,
        next_page: page.next,
        ..StatusListed::default()
    })
}

pub(super) fn summary(view: &View<'_>) -> Result<Summary, Fault> {
    let counters = view.load::<Counters>(state::COUNTERS)?.unwrap_or_default();
    let Counters {
        online,
        offline,
        grace,
        never,
        open_alerts,
        ..
    } = counters;
    Ok(Summary {
        request_id: String::new(),
        online,
        offline,
        grace,
        never,
        open_alerts,
    })
}
