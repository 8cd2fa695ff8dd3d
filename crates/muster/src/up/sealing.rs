//! The registry's executor: the installation's key under the records of retirements.

use artifact::{RETIREMENT_TYPE, SigningKey};
use contract::v1::RetirementSignature;
use host::Executor;
use prost::Message;

/// Signs, where there is a key.
pub(super) struct Sealing(Option<SigningKey>);

impl Sealing {
    pub(super) fn with(key: Option<SigningKey>) -> Sealing {
        Sealing(key)
    }
}

impl Executor for Sealing {
    fn run(&self, effect: &service::Effect) -> Vec<u8> {
        let Some(key) = self.0.as_ref().filter(|_| effect.kind == registry::SIGN) else {
            return Vec::new();
        };
        let signature = artifact::sign(RETIREMENT_TYPE, &effect.payload, key);
        let made = RetirementSignature {
            key_id: signature.keyid,
            signature: signature.sig,
            payload_type: RETIREMENT_TYPE.into(),
        };
        made.encode_to_vec()
    }
}
