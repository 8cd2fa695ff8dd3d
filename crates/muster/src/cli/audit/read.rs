//! Pages of a service's audit log.

use anyhow::Result;
use client::Client;
use contract::{
    id::ServiceName,
    limits,
    v1::{AuditEntry, AuditRead, ReadAudit},
};

use crate::cli::global;

/// Entries of one service up to a number of them, handed out page by page; the last page's frame.
pub(super) async fn pages(
    client: &Client,
    service: ServiceName,
    ask: &ReadAudit,
    most: usize,
    mut take: impl FnMut(Vec<AuditEntry>) -> Result<()>,
) -> Result<AuditRead> {
    let mut ask = ask.clone();
    let mut left = most;
    loop {
        ask.page_size = u32::try_from(left.clamp(1, limits::PAGE_MAX)).unwrap_or(1);
        let mut page: AuditRead = global::ask(client, service, "audit", &ask).await?;
        let mut entries = std::mem::take(&mut page.entries);
        entries.truncate(left);
        left -= entries.len();
        take(entries)?;
        if left == 0 || page.next_page.is_empty() {
            return Ok(page);
        }
        ask.page.clone_from(&page.next_page);
    }
}

/// Names the page after an entry.
pub(super) fn after(sequence: u64) -> String {
    if sequence == 0 {
        String::new()
    } else {
        format!("{sequence:016x}")
    }
}
