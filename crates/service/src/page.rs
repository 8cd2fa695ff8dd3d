//! Pages of a list, the same for every service: bounded in number, in bytes, and in what is read to fill
//! them.

use contract::{
    Refusal, limits,
    wire::{self, Encoding, Wire},
};

use crate::{service::Fault, view::View};

/// A page's bytes as JSON, its larger form, with room for the request id and the next token.
pub(crate) const PAGE_BYTES: usize = limits::PAYLOAD_BYTES - 4 * 1024;
/// Rows looked at for one page: a filter that fits little gives short pages rather than long waits.
pub(crate) const ROWS: usize = 5_000;
/// Rows read at a time once the first reading did not fill the page.
const CHUNK: usize = 500;
/// The longest token: the longest key holds two ids and a few words, in hex.
const TOKEN_CHARS: usize = 512;

/// One page of a list.
#[derive(Debug)]
pub struct Page<M> {
    /// Its entries, in key order.
    pub rows: Vec<M>,
    /// The token of the next page; empty at the end.
    pub next: String,
}

/// What was read for a page: keys in order, and for each the entry if it belongs to the list.
pub type Rows<M> = Vec<(Vec<u8>, Option<M>)>;

/// The records under `prefix` that fit `keep`, after the page token `token`.
pub fn list<M: Wire>(
    view: &View<'_>,
    prefix: &str,
    token: &str,
    page_size: u32,
    keep: impl Fn(&M) -> bool,
) -> Result<Page<M>, Fault> {
    fill(prefix, token, page_size, |after, limit| {
        let rows = view.list::<M>(prefix, after, limit)?;
        Ok(rows
            .into_iter()
            .map(|(key, row)| (key, Some(row).filter(&keep)))
            .collect())
    })
}

/// The same where it takes a look at other records to tell.
pub fn list_where<M: Wire>(
    view: &View<'_>,
    prefix: &str,
    token: &str,
    page_size: u32,
    keep: impl Fn(&M) -> Result<bool, Fault>,
) -> Result<Page<M>, Fault> {
    fill(prefix, token, page_size, |after, limit| {
        let rows = view.list::<M>(prefix, after, limit)?.into_iter();
        rows.map(|(key, row)| Ok((key, keep(&row)?.then_some(row))))
            .collect()
    })
}

/// Fills a page with what `read` finds: up to a limit of keys that begin with `prefix`, after a key.
/// Fewer than the limit mean that there are no more.
pub fn fill<M: Wire>(
    prefix: &str,
    token: &str,
    page_size: u32,
    mut read: impl FnMut(Option<&[u8]>, usize) -> Result<Rows<M>, Fault>,
) -> Result<Page<M>, Fault> {
    let size = size(page_size)?;
    let mut after = key(prefix, token)?;
    let (mut rows, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
    while looked_at < ROWS {
        // One more than fits tells whether there is a next page.
        let wanted = if looked_at == 0 { size + 1 } else { CHUNK };
        let found = read(after.as_deref(), wanted)?;
        let ended = found.len() < wanted;
        looked_at += found.len();
        for (key, row) in found {
            if let Some(row) = row {
                bytes += wire::encode(&row, Encoding::Json).len() + 1;
                // An entry that fills a page alone is a page.
                if !rows.is_empty() && (rows.len() == size || bytes > PAGE_BYTES) {
                    let next = token_of(prefix, after.as_deref());
                    return Ok(Page { rows, next });
                }
                rows.push(row);
            }
            after = Some(key);
        }
        if ended {
            let next = String::new();
            return Ok(Page { rows, next });
        }
    }
    let next = token_of(prefix, after.as_deref());
    Ok(Page { rows, next })
}

/// How many entries a page has.
pub(crate) fn size(asked: u32) -> Result<usize, Refusal> {
    match asked as usize {
        0 => Ok(limits::PAGE_DEFAULT),
        n if n <= limits::PAGE_MAX => Ok(n),
        n => {
            let (most, usual) = (limits::PAGE_MAX, limits::PAGE_DEFAULT);
            let message = format!("a page has 1 to {most} entries, not {n}; 0 means {usual}");
            Err(Refusal::invalid("page_size", message))
        }
    }
}

/// The token of a page that begins after this key: the key less its prefix, in hex, since keys hold NULs.
pub fn token_of(prefix: &str, last: Option<&[u8]>) -> String {
    let rest = last.and_then(|key| key.strip_prefix(prefix.as_bytes()));
    let digits = rest.unwrap_or_default().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

/// The key that a token names: always one below the prefix, whatever the caller sends.
pub fn key(prefix: &str, token: &str) -> Result<Option<Vec<u8>>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let message = "`page` is the `next_page` of the page before, or empty";
    let rest = unhex(token).ok_or_else(|| Refusal::invalid("page", message))?;
    Ok(Some([prefix.as_bytes(), &rest].concat()))
}

fn unhex(token: &str) -> Option<Vec<u8>> {
    let digits = token.bytes().all(|b| b.is_ascii_hexdigit());
    if token.len() > TOKEN_CHARS || !token.len().is_multiple_of(2) || !digits {
        return None;
    }
    let byte = |n| u8::from_str_radix(token.get(n..n + 2)?, 16).ok();
    (0..token.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use contract::v1::Group;

    use super::*;

    fn group(n: usize, text: usize) -> Group {
        Group {
            group_id: format!("{n:06}"),
            description: "x".repeat(text),
            ..Group::default()
        }
    }

    /// The ids of all pages of `upto` groups, and how many pages there were.
    fn walk(upto: usize, size: u32, text: usize, keep: impl Fn(usize) -> bool) -> (Vec<usize>, usize) {
        let (mut ids, mut pages, mut next) = (Vec::new(), 0, String::new());
        loop {
            let page = fill("g\0", &next, size, |after, limit| {
                let all = (0..upto).map(|n| (format!("g\0{n:06}").into_bytes(), n));
                let rest = all.filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after));
                let read = rest.map(|(key, n)| (key, keep(n).then(|| group(n, text))));
                Ok(read.take(limit).collect())
            });
            let page = page.unwrap();
            assert!(page.rows.len() <= size as usize);
            let bytes: usize = page
                .rows
                .iter()
                .map(|row| wire::encode(row, Encoding::Json).len() + 1)
                .sum();
            assert!(bytes <= PAGE_BYTES || page.rows.len() == 1);
            ids.extend(page.rows.iter().map(|row| row.group_id.parse::<usize>().unwrap()));
            pages += 1;
            next = page.next;
            if next.is_empty() {
                return (ids, pages);
            }
        }
    }

    #[test]
    fn pages_cover_everything_once() {
        for upto in [0, 1, 9, 10, 11, 499, 500, 501, 1_234] {
            for size in [1, 10, 499, 500] {
                let (ids, pages) = walk(upto, size, 0, |_| true);
                assert_eq!(ids, (0..upto).collect::<Vec<_>>());
                assert_eq!(pages, upto.div_ceil(size as usize).max(1), "{upto} by {size}");
            }
        }
    }

    #[test]
    fn a_filter_that_fits_little_is_cut_off_and_goes_on() {
        let (ids, pages) = walk(12_000, 100, 0, |n| n == 11_000);
        assert_eq!((ids, pages), (vec![11_000], 3));
    }

    #[test]
    fn a_page_fits_a_message_and_a_large_entry_is_a_page() {
        let (ids, pages) = walk(20, 500, 60_000, |_| true);
        assert_eq!((ids.len(), pages), (20, 5));
        let (ids, pages) = walk(3, 500, PAGE_BYTES, |_| true);
        assert_eq!((ids.len(), pages), (3, 3));
    }

    #[test]
    fn sizes_and_tokens_that_nobody_gave_are_refused() {
        let ask = |token: &str, size| fill::<Group>("g", token, size, |_, _| Ok(Vec::new()));
        let field = |fault: Fault| match fault {
            Fault::Refused(refusal) => refusal.field,
            other => panic!("{other}"),
        };
        for bad in ["x", "0", "zz", "é1", &"00".repeat(300), "+1", "0.1"] {
            assert_eq!(field(ask(bad, 0).unwrap_err()), "page", "{bad}");
        }
        assert_eq!(field(ask("", 501).unwrap_err()), "page_size");
        assert!(ask("00ff", 500).is_ok());
    }
}
