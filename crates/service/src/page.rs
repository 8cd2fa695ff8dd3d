//! Pages of a list: bounded in number, in bytes, and in what is read to fill them.

use contract::{
    Refusal, limits,
    wire::{self, Encoding, Wire},
};

use crate::{service::Fault, view::View};

/// A page's bytes as JSON, its larger form, with room for the request id and the next token.
const PAGE_BYTES: usize = limits::PAYLOAD_BYTES - 4 * 1024;
/// Rows read for one page: a filter that fits little gives short pages rather than long waits.
const ROWS: usize = 2_000;

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

/// The entries under `prefix` that fit `keep`, after the page token `page`, and the next token.
pub fn read<M: Wire>(
    view: &View<'_>,
    prefix: &str,
    page: &str,
    page_size: u32,
    keep: impl Fn(&M) -> bool,
) -> Result<(Vec<M>, String), Fault> {
    let size = size(page_size)?;
    if page.len() > 2 * limits::ID_CHARS || page.chars().any(char::is_control) {
        return Err(Refusal::invalid("page", "send the next_page of the page before").into());
    }
    let mut after = (!page.is_empty()).then(|| format!("{prefix}{page}").into_bytes());
    let (mut kept, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
    while looked_at < ROWS {
        let rows = view.list::<M>(prefix, after.as_deref(), size + 1)?;
        let whole = rows.len() <= size;
        looked_at += rows.len();
        for (key, row) in rows {
            if keep(&row) {
                bytes += wire::encode(&row, Encoding::Json).len() + 1;
                if !kept.is_empty() && (kept.len() == size || bytes > PAGE_BYTES) {
                    return Ok((kept, token(prefix, after)));
                }
                kept.push(row);
            }
            after = Some(key);
        }
        if whole {
            return Ok((kept, String::new()));
        }
    }
    Ok((kept, token(prefix, after)))
}

fn token(prefix: &str, last: Option<Vec<u8>>) -> String {
    let key = last
        .and_then(|key| String::from_utf8(key).ok())
        .unwrap_or_default();
    key.strip_prefix(prefix).unwrap_or_default().to_owned()
}
