//! What a front door under a policy of one's own lets people do: `cargo run -p muster-session --example read_only`.
//! `docs/policies.md` says how it is run.

mod policy;

use contract::{Root, id::Principal, v1::Role};
use policy::ReadOnly;
use session::{
    Caller, Credential, DeviceManagement, Known, KnownBatch, KnownCertificate, KnownDevice, KnownPerson,
    Policy,
};

/// One person is known, whoever asks.
struct Ada(KnownPerson);

impl Known for Ada {
    fn device(&self, _: &str) -> Option<&KnownDevice> {
        None
    }
    fn person(&self, _: &Principal) -> Option<&KnownPerson> {
        Some(&self.0)
    }
    fn certificate(&self, _: &str) -> Option<&KnownCertificate> {
        None
    }
    fn batch(&self, _: &str) -> Option<&KnownBatch> {
        None
    }
}

fn caller(principal: Principal) -> Caller {
    Caller::new(principal, Credential::Nothing)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (root, facts) = (
        Root::default(),
        Ada(KnownPerson {
            role: Role::Admin,
            event_filters: Vec::new(),
            data_devices: Vec::new(),
            disabled: false,
            grants: Vec::new(),
        }),
    );
    let policy = ReadOnly(DeviceManagement::new(root.clone(), 0));
    for who in ["operators/ada", "devices/pump-7"] {
        let caller = caller(who.parse()?);
        let standing = match policy.connect(&caller, &facts, 0) {
            Ok(standing) => standing,
            Err(denial) => {
                println!("{who} may not connect: {}", denial.0);
                continue;
            }
        };
        println!("{who} may connect");
        for verb in ["registry/show", "registry/suspend"] {
            let topic = format!("{root}/{who}/up/{verb}");
            match policy.publish(&caller, &standing, &topic) {
                Ok(_) => println!("{who} may use {verb}"),
                Err(refusal) => println!("{who} may not use {verb}: {}", refusal.message),
            }
        }
    }
    Ok(())
}
