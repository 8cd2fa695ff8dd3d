//! Certificates: claims, signing, renewal, revocation, CRL.
