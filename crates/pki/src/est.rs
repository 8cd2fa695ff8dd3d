//! Bodies of EST (RFC 7030): requests and certificates as base64 without armour.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use cms::cert::x509::Certificate;
use cms::cert::x509::der::{Decode, Encode};
use cms::content_info::ContentInfo;

use crate::csr::{CSR_MAX_BYTES, Csr, CsrError};
use crate::pem_text;

/// The largest body that is read: base64 of the largest request, with a line break wherever somebody wants one.
pub const EST_BODY_MAX_BYTES: usize = 2 * CSR_MAX_BYTES;
/// Columns of base64 in an answer (RFC 2045, section 6.8).
const COLUMNS: usize = 76;

const READ: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A request as it came in a body, proved and in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EstRequest {
    /// What it proves.
    pub csr: Csr,
    /// The same in PEM form.
    pub pem: String,
}

/// Certificates that cannot be put into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these are no certificates that PKCS #7 can hold")]
pub struct EstAnswerError;

/// Reads the body of an enrolment: PKCS #10 in base64 (RFC 7030, section 4.2.1; RFC 8951, section 3.1), or in PEM
/// form, which many clients send.
pub fn est_request(body: &[u8]) -> Result<EstRequest, CsrError> {
    if body.len() > EST_BODY_MAX_BYTES {
        return Err(CsrError::TooLarge);
    }
    if pem_text::looks_like_pem(body) {
        let csr = Csr::parse(body)?;
        let pem = String::from_utf8(body.to_vec()).map_err(|_| CsrError::NotParseable)?;
        return Ok(EstRequest { csr, pem });
    }
    let text: Vec<u8> = body
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let der = READ.decode(text).map_err(|_| CsrError::NotParseable)?;
    Ok(EstRequest {
        csr: Csr::parse(&der)?,
        pem: pem_text::write_block("CERTIFICATE REQUEST", &der),
    })
}

/// Certificates in PEM form as a PKCS #7 that holds nothing else, in base64 (RFC 7030, sections 4.1.3 and 4.2.3).
pub fn certificates_only(certificates_pem: &str) -> Result<String, EstAnswerError> {
    let mut blocks =
        pem_text::all_blocks(certificates_pem.as_bytes(), &["CERTIFICATE"]).map_err(|_| EstAnswerError)?;
    // They are a set (RFC 5652, section 5.1).
    blocks.sort();
    blocks.dedup();
    let read = |der: &Vec<u8>| Certificate::from_der(der).map_err(|_| EstAnswerError);
    let certificates: Vec<Certificate> = blocks.iter().map(read).collect::<Result<_, _>>()?;
    if certificates.is_empty() {
        return Err(EstAnswerError);
    }
    let bundle = ContentInfo::try_from(certificates).map_err(|_| EstAnswerError)?;
    let der = bundle.to_der().map_err(|_| EstAnswerError)?;
    let text = READ.encode(der);
    let lines = text
        .as_bytes()
        .chunks(COLUMNS)
        .map(|line| String::from_utf8_lossy(line).into_owned() + "\r\n");
    Ok(lines.collect())
}
