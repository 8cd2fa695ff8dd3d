//! Pages that are bounded in rows, in bytes, and in how much is looked at for them.

use contract::{Refusal, limits::PAGE_MAX};
use serde::Serialize;
use service::{Fault, store::StoreError};

use crate::policy;

/// Records looked at for one page: bounds how long a filter that matches nothing takes.
const LOOKED_AT: usize = 5_000;
/// The rows of one page in JSON: leaves room in the largest payload for the rest of the reply.
const PAGE_BYTES: usize = 240 * 1024;

/// What one page is asked for.
pub(super) struct Ask {
    size: usize,
    after: Option<Vec<u8>>,
}

impl Ask {
    /// Reads the size and the token; a token is the last key that was looked at, less its `prefix`.
    pub(super) fn read(size: u32, token: &str, prefix: &str) -> Result<Ask, Refusal> {
        let size = policy::page_size(size)?;
        if token.is_empty() {
            return Ok(Ask { size, after: None });
        }
        match unhex(token) {
            Some(rest) => Ok(Ask {
                size,
                after: Some([prefix.as_bytes(), &rest].concat()),
            }),
            None => Err(Refusal::invalid(
                "page",
                "`page` is the last page's `next_page`, or empty",
            )),
        }
    }
}

/// A page and the token of the next one.
pub(super) struct Page<T> {
    pub(super) rows: Vec<T>,
    pub(super) next: String,
}

/// Fills a page from what `read` yields after a key, as far as `keep` wants it.
pub(super) fn fill<T: Serialize>(
    ask: Ask,
    prefix: &str,
    read: impl Fn(Option<&[u8]>, usize) -> Result<Vec<(Vec<u8>, T)>, StoreError>,
    keep: impl Fn(&T) -> bool,
) -> Result<Page<T>, Fault> {
    let mut page = Page {
        rows: Vec::new(),
        next: String::new(),
    };
    let (mut last, mut bytes, mut looked) = (ask.after, 0, 0);
    while looked < LOOKED_AT {
        // One more than fits tells whether there is a next page.
        let wanted = (ask.size + 1).min(PAGE_MAX).min(LOOKED_AT - looked);
        let chunk = read(last.as_deref(), wanted)?;
        let ended = chunk.len() < wanted;
        looked += chunk.len();
        for (key, row) in chunk {
            if keep(&row) {
                bytes += serde_json::to_vec(&row).map_or(0, |json| json.len() + 1);
                let full = page.rows.len() == ask.size || bytes > PAGE_BYTES;
                if full && !page.rows.is_empty() {
                    page.next = token(last.as_deref(), prefix);
                    return Ok(page);
                }
                page.rows.push(row);
            }
            last = Some(key);
        }
        if ended {
            return Ok(page);
        }
    }
    page.next = token(last.as_deref(), prefix);
    Ok(page)
}

fn token(key: Option<&[u8]>, prefix: &str) -> String {
    let rest = key
        .and_then(|key| key.strip_prefix(prefix.as_bytes()))
        .unwrap_or_default();
    rest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(token: &str) -> Option<Vec<u8>> {
    // The longest key holds two ids and a kind.
    if token.len() > 512 || !token.len().is_multiple_of(2) || !token.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..token.len())
        .step_by(2)
        .map(|n| u8::from_str_radix(token.get(n..n + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(upto: usize, after: Option<&[u8]>, limit: usize) -> Vec<(Vec<u8>, usize)> {
        let all = (0..upto).map(|n| (format!("n{n:06}").into_bytes(), n));
        all.filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after))
            .take(limit)
            .collect()
    }

    fn all(upto: usize, size: u32, keep: impl Fn(&usize) -> bool) -> (Vec<usize>, usize) {
        let (mut rows, mut pages, mut next) = (Vec::new(), 0, String::new());
        loop {
            let page = {
                let read = |after: Option<&[u8]>, limit| Ok(numbers(upto, after, limit));
                fill(Ask::read(size, &next, "n").unwrap(), "n", read, &keep).unwrap()
            };
            assert!(page.rows.len() <= size as usize);
            rows.extend(page.rows);
            pages += 1;
            next = page.next;
            if next.is_empty() {
                return (rows, pages);
            }
        }
    }

    #[test]
    fn pages_cover_everything_once() {
        for upto in [0, 1, 9, 10, 11, 499, 500, 501, 1_234] {
            for size in [1, 10, 499, 500] {
                let (rows, pages) = all(upto, size, |_| true);
                assert_eq!(rows, (0..upto).collect::<Vec<_>>());
                assert_eq!(pages, upto.div_ceil(size as usize).max(1), "{upto} by {size}");
            }
        }
    }

    #[test]
    fn a_filter_that_matches_little_is_cut_off_and_goes_on() {
        let (rows, pages) = all(12_000, 100, |n| *n == 11_000);
        assert_eq!((rows, pages), (vec![11_000], 3));
    }

    #[test]
    fn tokens_that_nobody_gave_are_refused() {
        for bad in ["x", "0", "zz", "é1", &"00".repeat(300), "+1", "0.1"] {
            assert_eq!(Ask::read(0, bad, "d").err().unwrap().field, "page", "{bad}");
        }
    }
}
