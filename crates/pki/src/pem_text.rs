//! PEM read strictly: the blocks that are expected, and nothing around them.

/// Why a text is not the PEM we expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PemError {
    #[error("the text is not PEM of the expected kind")]
    NotPem,
    #[error("there is text beside the PEM blocks")]
    TrailingData,
}

pub(crate) fn looks_like_pem(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"-----BEGIN ")
}

/// Reads a text that is exactly one block with one of the labels.
pub(crate) fn only_block(text: &[u8], labels: &[&str]) -> Result<Vec<u8>, PemError> {
    let mut blocks = all_blocks(text, labels)?;
    let Some(first) = blocks.pop() else {
        return Err(PemError::NotPem);
    };
    if blocks.is_empty() {
        Ok(first)
    } else {
        Err(PemError::TrailingData)
    }
}

/// Reads a text that is a sequence of such blocks.
pub(crate) fn all_blocks(text: &[u8], labels: &[&str]) -> Result<Vec<Vec<u8>>, PemError> {
    let text = std::str::from_utf8(text).map_err(|_| PemError::NotPem)?;
    let mut blocks = Vec::new();
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let (block, after) = split_block(rest, labels, blocks.is_empty())?;
        blocks.push(block);
        rest = after.trim_ascii_start();
    }
    Ok(blocks)
}

fn split_block<'a>(text: &'a str, labels: &[&str], is_first: bool) -> Result<(Vec<u8>, &'a str), PemError> {
    let Some(after_begin) = text.strip_prefix("-----BEGIN ") else {
        return Err(if is_first {
            PemError::NotPem
        } else {
            PemError::TrailingData
        });
    };
    let (label, _) = after_begin.split_once("-----").ok_or(PemError::NotPem)?;
    if !labels.contains(&label) {
        return Err(PemError::NotPem);
    }
    let end_line = format!("-----END {label}-----");
    let end = text.find(&end_line).ok_or(PemError::NotPem)? + end_line.len();
    let (block, after) = text.split_at(end);
    let block = pem::parse(block).map_err(|_| PemError::NotPem)?;
    Ok((block.into_contents(), after))
}

/// Writes one block, with line feeds on every platform.
pub(crate) fn write_block(label: &str, der: &[u8]) -> String {
    let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), lines)
}
