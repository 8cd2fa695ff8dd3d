//! Pages of a list: bounded in number and in what is read to fill them.

use contract::{Refusal, limits};
use service::Fault;

/// Rows read for one page: a filter that fits little gives short pages rather than long waits.
const ROWS: usize = 2_000;

/// One page of a list, and the token of the next.
pub(crate) struct Page<M> {
    pub(crate) rows: Vec<M>,
    pub(crate) next: String,
}

/// How many entries a page has.
fn size(asked: u32) -> Result<usize, Refusal> {
    match asked as usize {
        0 => Ok(limits::PAGE_DEFAULT),
        n if n <= limits::PAGE_MAX => Ok(n),
        _ => Err(Refusal::invalid(
            "page_size",
            format!("a page has up to {} entries", limits::PAGE_MAX),
        )),
    }
}

/// Fills a page of what lies under `prefix` after the token; `read` gives keys in order, and for each the
/// row if it fits.
pub(crate) fn fill<M>(
    prefix: &str,
    token: &str,
    asked: u32,
    mut read: impl FnMut(Option<&[u8]>, usize) -> Result<Vec<(Vec<u8>, Option<M>)>, Fault>,
) -> Result<Page<M>, Fault> {
    let size = size(asked)?;
    if token.len() > 4 * limits::ID_CHARS {
        return Err(Refusal::invalid("page", "send the next_page of the page before").into());
    }
    let decoded =
        hex::decode(token).map_err(|_| Refusal::invalid("page", "send the next_page of the page before"))?;
    let mut after = (!decoded.is_empty()).then(|| [prefix.as_bytes(), &decoded].concat());
    let (mut rows, mut looked_at) = (Vec::new(), 0);
    while looked_at < ROWS {
        let read = read(after.as_deref(), size + 1)?;
        let whole = read.len() <= size;
        looked_at += read.len();
        for (key, row) in read {
            if let Some(row) = row {
                if rows.len() == size {
                    return Ok(Page {
                        rows,
                        next: next(prefix, after.as_deref()),
                    });
                }
                rows.push(row);
            }
            after = Some(key);
        }
        if whole {
            return Ok(Page {
                rows,
                next: String::new(),
            });
        }
    }
    Ok(Page {
        rows,
        next: next(prefix, after.as_deref()),
    })
}

fn next(prefix: &str, last: Option<&[u8]>) -> String {
    hex::encode(last.and_then(|key| key.get(prefix.len()..)).unwrap_or_default())
}
