//! What happened to a device, the oldest first.

use contract::v1::{Evidence, HistoryShown, ShowHistory};
use service::{Fault, View, page};

use crate::state;

pub(super) fn device(view: &View<'_>, m: &ShowHistory) -> Result<HistoryShown, Fault> {
    let device = state::device(view, "device_id", &m.device_id)?;
    let of = state::history(&device.device_id);
    let page = page::list::<Evidence>(view, &of, &m.page, m.page_size, |_| true)?;
    Ok(HistoryShown {
        entries: page.rows,
        next_page: page.next,
        ..HistoryShown::default()
    })
}
