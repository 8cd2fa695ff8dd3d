//! The last transfer of each device, or of one.

use contract::v1::{ListTransfers, Transfer, TransferState, TransfersListed};
use service::{Fault, Sight, View, page};

use super::event;
use crate::{choice, state};

pub(crate) fn list(view: &View<'_>, sight: &Sight, m: &ListTransfers) -> Result<TransfersListed, Fault> {
    let wanted: Option<TransferState> = choice::optional("state", m.state)?;
    let fits = |transfer: &Transfer| wanted.is_none_or(|wanted| wanted == transfer.state());
    let seen = |transfer: &Transfer| -> Result<bool, Fault> {
        Ok(fits(transfer) && state::in_sight(view, sight, &transfer.device_id)?)
    };
    let (found, next_page) = if m.device_id.is_empty() {
        let page = page::list_where::<Transfer>(view, state::TRANSFERS, &m.page, m.page_size, seen)?;
        (page.rows, page.next)
    } else {
        let last: Option<Transfer> = view.load(state::transfer_key(&m.device_id))?;
        let last = match last {
            Some(transfer) if seen(&transfer)? => Some(transfer),
            _ => None,
        };
        (last.into_iter().collect(), String::new())
    };
    Ok(TransfersListed {
        transfers: found.into_iter().map(event::bare).collect(),
        next_page,
        ..TransfersListed::default()
    })
}
