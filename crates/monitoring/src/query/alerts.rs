//! Alerts, oldest first.

use contract::v1::{Alert, AlertsListed, ListAlerts};
use service::{Fault, View, page};

use crate::{request, state};

pub(super) fn list(view: &View<'_>, request: &ListAlerts) -> Result<AlertsListed, Fault> {
    if !request.device_id.is_empty() {
        request::id("device_id", &request.device_id)?;
    }
    let prefix = if request.include_cleared {
        state::ALERTS
    } else {
        state::OPEN_ALERTS
    };
    let keep = |alert: &Alert| request.device_id.is_empty() || alert.device_id == request.device_id;
    let page = page::list(view, prefix, &request.page, request.page_size, keep)?;
    Ok(AlertsListed {
        alerts: page.rows,
        next_page: page.next,
        ..AlertsListed::default()
    })
}
