//! The roots that an installation's holders trust, read from one text.

use crate::authority::AuthorityError;
use crate::ca_certificate::CaCertificate;
use crate::key::sha256_hex;
use crate::pem_text;
use crate::profile::Tier;
use crate::validity::Validity;

/// A root as those see it who do not hold its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootCertificate {
    /// The SHA-256 of its certificate, in lower-case hex.
    pub fingerprint_sha256: String,
    /// Its certificate, in PEM form.
    pub pem: String,
    /// Its period of validity.
    pub validity: Validity,
}

impl RootCertificate {
    /// Reads certificates one after the other: each must be a root's, which signs itself, and stand there once.
    pub fn read_all(roots_pem: &str) -> Result<Vec<RootCertificate>, AuthorityError> {
        let blocks = pem_text::all_blocks(roots_pem.as_bytes(), &["CERTIFICATE"])?;
        let roots: Vec<_> = blocks
            .iter()
            .map(|der| RootCertificate::read_der(der))
            .collect::<Result<_, _>>()?;
        let is_again = |(at, root): (usize, &RootCertificate)| roots[..at].contains(root);
        match roots.iter().enumerate().any(is_again) {
            true => Err(AuthorityError::Twice),
            false => Ok(roots),
        }
    }
}

impl RootCertificate {
    /// Reads one that lies alone.
    pub fn read_der(der: &[u8]) -> Result<RootCertificate, AuthorityError> {
        let own = CaCertificate::parse(der)?;
        if own.tier != Tier::Root {
            return Err(AuthorityError::NoRoot);
        }
        own.demand_signed_by(&own)?;
        Ok(RootCertificate {
            fingerprint_sha256: sha256_hex(der),
            pem: pem_text::write_block("CERTIFICATE", der),
            validity: own.validity,
        })
    }

    pub(crate) fn parsed(&self) -> Result<CaCertificate, AuthorityError> {
        CaCertificate::parse(&pem_text::only_block(self.pem.as_bytes(), &["CERTIFICATE"])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Authority;
    use crate::founding::{Charter, create_issuing, create_root};
    use crate::key::KeyKind;
    use crate::serial::Serial;

    #[test]
    fn roots_stand_one_after_the_other_and_nothing_else_does() {
        let charter = |n: u8| Charter {
            site: "hq",
            key: KeyKind::P256,
            serial: Serial::from_random([n; 16]),
            now_ms: 1_800_000_000_000,
            lifetime_ms: 100_000_000_000,
        };
        let [one, two] = [1, 2].map(|n| create_root(&charter(n)).unwrap());
        let both = RootCertificate::read_all(&format!("{}{}", one.chain_pem, two.chain_pem)).unwrap();
        let text: String = both.iter().map(|root| root.pem.as_str()).collect();
        assert_eq!(text, one.chain_pem.clone() + &two.chain_pem);
        let twice = RootCertificate::read_all(&one.chain_pem.repeat(2));
        assert_eq!(twice, Err(AuthorityError::Twice));
        let root = Authority::open(&one.chain_pem, &one.key_pem, 1_800_000_000_000).unwrap();
        let issuing = create_issuing(&root, &charter(3)).unwrap();
        assert_eq!(
            RootCertificate::read_all(&issuing.chain_pem),
            Err(AuthorityError::NoRoot)
        );
        assert_eq!(RootCertificate::read_all(""), Ok(Vec::new()));
        assert!(RootCertificate::read_all("roots").is_err());
    }
}
