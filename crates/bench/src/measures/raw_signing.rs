//! The raw limit of provisioning: rcgen reads requests and signs them, on one thread, and nothing else.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use rcgen::{CertificateSigningRequestParams, Issuer, KeyPair};

/// Certificates a second, for these requests in turn.
pub(crate) fn rate(installation: &Path, requests: &[String], span: Duration) -> Result<f64> {
    let pki = |name: &str| installation.join("pki").join(name);
    let key = pki::open_key(&fs::read(pki("issuing.key"))?, None)?;
    let chain = fs::read_to_string(pki("issuing.pem"))?;
    let issuer = Issuer::from_ca_cert_pem(&chain, KeyPair::from_pem(&key)?)?;
    let begun = Instant::now();
    let mut signed = 0;
    for request in requests.iter().cycle() {
        CertificateSigningRequestParams::from_pem(request)?.signed_by(&issuer)?;
        signed += 1;
        if begun.elapsed() > span {
            break;
        }
    }
    Ok(f64::from(signed) / begun.elapsed().as_secs_f64())
}
