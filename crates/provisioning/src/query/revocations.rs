//! `revocations`: how far bulk revocations are.

use contract::v1::{BulkRevocation, ListRevocations, RevocationsListed};
use service::{Fault, View, page, store::StoreError};

use crate::state::{self, Many, Revocation};

pub(super) fn list(view: &View<'_>, m: &ListRevocations) -> Result<RevocationsListed, Fault> {
    let page = page::fill(state::MANY, &m.page, m.page_size, |after, limit| {
        let rows = view.list::<Many>(state::MANY, after, limit)?.into_iter();
        rows.map(|(key, many)| Ok((key, Some(standing(view, &many)?))))
            .collect()
    })?;
    Ok(RevocationsListed {
        revocations: page.rows,
        next_page: page.next,
        ..RevocationsListed::default()
    })
}

fn standing(view: &View<'_>, many: &Many) -> Result<BulkRevocation, StoreError> {
    let (mut open, mut sessions) = (0, many.sessions);
    for name in &many.open {
        let part: Option<Revocation> = view.load(state::revocation_key(name))?;
        let part = part.unwrap_or_default();
        open += part.open.len() as u64;
        sessions = sessions.saturating_add(part.sessions);
    }
    Ok(BulkRevocation {
        batch: many.batch.clone(),
        issuer: many.issuer.clone(),
        reason: many.reason.clone(),
        revoked: many.revoked,
        open,
        sessions_closed: sessions,
        complete: many.is_over,
    })
}
