//! `muster cert secret`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{Done, PutSecret},
};
use data_encoding::{Encoding, Specification};
use qrcode::{QrCode, render::unicode};
use rand::{TryRngCore, rngs::OsRng};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    super::{Global, print},
    FORMS, When,
};
use crate::exit::{Exit, Failure};

/// Crockford's alphabet: no letter that looks like a digit.
const ALPHABET: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Of the secret, 160 bits: 32 characters.
const BYTES: usize = 20;
/// Characters between two dashes.
const GROUP: usize = 8;

#[derive(clap::Args)]
pub(in crate::cli) struct Secret {
    /// The device
    device: Id,
    /// When it ends, a year from now at most
    #[arg(long, default_value = "7d", value_name = FORMS)]
    expires: When,
    /// Show it as a QR code too
    #[arg(long)]
    qr: bool,
}

impl Secret {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let secret = fresh()?;
        let request = PutSecret {
            request_id: String::new(),
            device_id: self.device.to_string(),
            sha256: hex::encode(Sha256::digest(secret.as_bytes())),
            expires_ms: self.expires.ms(),
        };
        let _: Done = global.ask(ServiceName::Provisioning, "put-secret", &request)?;
        if global.json {
            return print::json(&serde_json::json!({
                "device_id": request.device_id,
                "secret": secret.as_str(),
                "expires_ms": request.expires_ms.to_string(),
            }));
        }
        print::fields(&[
            ("device", request.device_id),
            ("secret", secret.to_string()),
            ("expires", print::time(request.expires_ms)),
        ])?;
        if self.qr {
            print::line(picture(&secret)?)?;
        }
        print::note("this is the only time that the secret is shown");
        Ok(())
    }
}

/// For example `7ZK2…-…`, in groups that can be read out.
pub(in crate::cli) fn fresh() -> Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    OsRng
        .try_fill_bytes(&mut *bytes)
        .map_err(|error| Failure::new(Exit::Failed, format!("no randomness: {error}")))?;
    let text = Zeroizing::new(encoding()?.encode(&*bytes));
    let mut grouped = Zeroizing::new(String::with_capacity(text.len() + text.len() / GROUP));
    for (place, letter) in text.chars().enumerate() {
        if place > 0 && place % GROUP == 0 {
            grouped.push('-');
        }
        grouped.push(letter);
    }
    Ok(grouped)
}

fn encoding() -> Result<Encoding> {
    let mut specification = Specification::new();
    specification.symbols.push_str(ALPHABET);
    Ok(specification.encoding()?)
}

fn picture(secret: &str) -> Result<String> {
    let code = QrCode::new(secret)?;
    Ok(code.render::<unicode::Dense1x2>().build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_new_each_time_and_easy_to_read_out() {
        let (one, other) = (fresh().unwrap(), fresh().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [8; 4]);
        assert!(one.chars().all(|c| c == '-' || ALPHABET.contains(c)));
        assert!(picture(&one).unwrap().lines().count() > 10);
    }
}
