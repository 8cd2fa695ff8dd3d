//! Signed firmware metadata: manifest, envelope, keys, verification.
