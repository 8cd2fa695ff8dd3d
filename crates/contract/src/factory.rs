//! What names a device in its manufacturer's certificates.

use crate::v1::{FactoryCertificate, FactoryIdentity, Manufacturer};

impl Manufacturer {
    /// What names the device in one of this manufacturer's certificates; `None`: nothing does.
    pub fn device_in<'a>(&self, certificate: &'a FactoryCertificate) -> Option<&'a str> {
        let name = match self.identity() {
            FactoryIdentity::CommonName => &certificate.common_name,
            FactoryIdentity::SerialNumber | FactoryIdentity::Unspecified => &certificate.serial_number,
        };
        Some(name.as_str()).filter(|name| !name.is_empty())
    }

    /// Whether an operator has refused the certificate of the device of this name.
    pub fn refuses(&self, name: &str) -> bool {
        self.refused.iter().any(|one| one.eq_ignore_ascii_case(name))
    }
}
