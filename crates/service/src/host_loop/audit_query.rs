//! Reading the audit log in pages, from either end.

use contract::{
    Refusal,
    v1::{AuditEntry, AuditRead, ReadAudit},
    wire::{self, Encoding},
};
use prost::Message;

use crate::{
    keys,
    page::{PAGE_BYTES, ROWS, size},
    record::AuditRecord,
    service::Fault,
    store::{Pair, StoreError},
    view::View,
};

/// Entries read at a time.
const CHUNK: u64 = 250;

/// A page of the log.
pub(super) fn read(ask: &ReadAudit, view: &View<'_>) -> Result<AuditRead, Fault> {
    let size = size(ask.page_size)?;
    let state = view
        .raw_record::<AuditRecord>(keys::AUDIT_STATE)?
        .unwrap_or_default();
    let mut walk = Walk::begin(ask, &state)?;
    let (mut entries, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
    let mut next_page = String::new();
    'pages: while looked_at < ROWS {
        let chunk = walk.chunk(view)?;
        if chunk.is_empty() {
            break;
        }
        for (key, value) in chunk {
            let entry = entry(&key, &value)?;
            if walk.is_beyond(ask, &entry) {
                walk.end();
                break 'pages;
            }
            looked_at += 1;
            if fits(ask, &entry) {
                bytes += wire::encode(&entry, Encoding::Json).len() + 1;
                // An entry that fills a page alone is a page.
                if !entries.is_empty() && (entries.len() == size || bytes > PAGE_BYTES) {
                    next_page = walk.token();
                    break 'pages;
                }
                walk.passed(&entry);
                entries.push(entry);
            } else {
                walk.passed(&entry);
            }
        }
    }
    if next_page.is_empty() && !walk.is_over() && looked_at >= ROWS {
        next_page = walk.token();
    }
    Ok(AuditRead {
        entries,
        next_page,
        head: state.sequence,
        head_hash: state.hash,
        first: state.anchor + 1,
        anchor_hash: state.anchor_hash,
        ..AuditRead::default()
    })
}

/// Where a reader is: everything from `low` to `high` is still to come.
struct Walk {
    low: u64,
    high: u64,
    newest_first: bool,
}

impl Walk {
    fn begin(ask: &ReadAudit, state: &AuditRecord) -> Result<Walk, Refusal> {
        let mut walk = Walk {
            low: state.anchor + 1,
            high: state.sequence,
            newest_first: ask.newest_first,
        };
        if ask.page.is_empty() {
            return Ok(walk);
        }
        let message = "`page` is the `next_page` of the page before, or empty";
        let digits = ask.page.len() == 16 && ask.page.bytes().all(|b| b.is_ascii_hexdigit());
        let last = u64::from_str_radix(&ask.page, 16).ok().filter(|_| digits);
        let last = last.ok_or_else(|| Refusal::invalid("page", message))?;
        if walk.newest_first {
            walk.high = walk.high.min(last.saturating_sub(1));
        } else {
            walk.low = walk.low.max(last.saturating_add(1));
        }
        Ok(walk)
    }

    /// The next entries, in the reader's order.
    fn chunk(&self, view: &View<'_>) -> Result<Vec<Pair>, StoreError> {
        if self.is_over() {
            return Ok(Vec::new());
        }
        let count = CHUNK.min(self.high - self.low + 1);
        let first = if self.newest_first {
            self.high - count + 1
        } else {
            self.low
        };
        let mut pairs = view.scan_raw(keys::AUDIT, Some(&keys::audit(first - 1)), count as usize)?;
        // Where one is missing, the count reaches too far.
        pairs.retain(|(key, _)| *key <= keys::audit(self.high));
        if self.newest_first {
            pairs.reverse();
        }
        Ok(pairs)
    }

    fn passed(&mut self, entry: &AuditEntry) {
        if self.newest_first {
            self.high = entry.sequence - 1;
        } else {
            self.low = entry.sequence + 1;
        }
    }

    /// Whether this entry and all after it are outside of the time that is asked for. The log's order is that of
    /// the decisions; a clock that was set back does not end a walk from the oldest.
    fn is_beyond(&self, ask: &ReadAudit, entry: &AuditEntry) -> bool {
        self.newest_first && entry.time_ms < ask.since_ms
    }

    fn end(&mut self) {
        (self.low, self.high) = (1, 0);
    }

    fn is_over(&self) -> bool {
        self.low > self.high
    }

    /// Names the last entry that was passed.
    fn token(&self) -> String {
        let last = if self.newest_first {
            self.high + 1
        } else {
            self.low - 1
        };
        format!("{last:016x}")
    }
}

fn entry(key: &[u8], value: &[u8]) -> Result<AuditEntry, StoreError> {
    AuditEntry::decode(value).map_err(|_| StoreError::Damaged {
        key: crate::store::printable(key).to_string(),
        reason: "the entry of the audit log does not decode",
    })
}

fn fits(ask: &ReadAudit, entry: &AuditEntry) -> bool {
    (ask.since_ms == 0 || entry.time_ms >= ask.since_ms)
        && (ask.until_ms == 0 || entry.time_ms < ask.until_ms)
        && names(&ask.who, &entry.who)
        && names(&ask.verb, &entry.verb)
        && (ask.subject.is_empty()
            || entry.subjects.iter().any(|subject| names(&ask.subject, subject))
            || entry
                .changes
                .iter()
                .any(|change| names(&ask.subject, &change.record)))
}

/// Whether what is asked for is this, whole or without what stands before the slash.
fn names(asked: &str, this: &str) -> bool {
    asked.is_empty() || asked == this || this.split_once('/').is_some_and(|(_, rest)| asked == rest)
}
