//! Where a scan begins.

/// The smallest key that a scan of `prefix` strictly after `after` may return.
pub(crate) fn start(prefix: &[u8], after: Option<&[u8]>) -> Vec<u8> {
    match after {
        Some(after) if after >= prefix => [after, &[0]].concat(),
        _ => prefix.to_vec(),
    }
}
