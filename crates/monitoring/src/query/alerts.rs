//! Alerts, oldest first.

use contract::v1::{Alert, AlertsListed, ListAlerts};
use service::{Fault, Sight, View, page};

use crate::{request, state};

pub(super) fn list(view: &View<'_>, sight: &Sight, request: &ListAlerts) -> Result<AlertsListed, Fault> {
    if !request.device_id.is_empty() {
        request::id("device_id", &request.device_id)?;
    }
    let prefix = if request.include_cleared {
        state::ALERTS
    } else {
        state::OPEN_ALERTS
    };
    let keep = |alert: &Alert| -> Result<bool, Fault> {
        let fits = request.device_id.is_empty() || alert.device_id == request.device_id;
        Ok(fits && sight.device(view, &alert.device_id)?)
    };
    let page = page::list_where(view, prefix, &request.page, request.page_size, keep)?;
    Ok(AlertsListed {
        alerts: page.rows,
        next_page: page.next,
        ..AlertsListed::default()
    })
}
