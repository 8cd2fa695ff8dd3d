//! `muster device retirement`: the signed record of a device's end.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use artifact::{KeyState, Keyring, PublicKey, RETIREMENT_TYPE, Signature, TrustedKey, VerifyError};
use contract::{
    Id,
    id::ServiceName,
    v1::{
        Retirement as Found, RetirementRecord, RetirementShown, RetirementState, ShowRetirement,
        SignedRetirement,
    },
};

use super::super::{Global, print, words::say};
use crate::{
    exit::{Exit, Failure},
    folder::{read_text, unreadable, write_public},
};

/// A signed record is far smaller.
const FILE_MAX: u64 = 256 * 1024;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Retirement {
    #[command(subcommand)]
    verify: Option<Check>,
    /// The device
    #[arg(required = true)]
    id: Option<Id>,
    /// Which of its lives, by the version that the order to retire gave it [default: the last]
    #[arg(
        long = "of",
        default_value_t = 0,
        hide_default_value = true,
        value_name = "VERSION"
    )]
    version: u64,
    /// Write the signed record into this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Check {
    /// Whether a signed record is as this installation signed it; no server is needed
    #[command(after_help = "Examples:
  muster device retirement verify pump-7.retirement
  muster device retirement verify pump-7.retirement --key other-site.pub")]
    Verify(Verify),
}

#[derive(clap::Args)]
struct Verify {
    /// What `--out` has written
    file: PathBuf,
    /// The public half of the key that must have signed it [default: pki/retirement.pub of the installation]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

impl Retirement {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match (self.verify, self.id) {
            (Some(Check::Verify(verify)), _) => verify.run(global),
            (None, Some(id)) => show(global, &id, self.version, self.out.as_deref()),
            (None, None) => Err(Failure::usage("name a device").into()),
        }
    }
}

fn show(global: &Global, id: &Id, version: u64, out: Option<&Path>) -> Result<()> {
    let request = ShowRetirement {
        device_id: id.to_string(),
        version,
        ..ShowRetirement::default()
    };
    let shown: RetirementShown = global.ask(ServiceName::Registry, "retirement", &request)?;
    let absent = || Failure::new(Exit::NotFound, format!("nobody has retired {id}"));
    let found = shown.retirement.ok_or_else(absent)?;
    if let Some(path) = out {
        write_public(path, &serde_json::to_vec_pretty(signed(&found)?)?)?;
        return print::line(format!("{} is written", path.display()));
    }
    if global.json {
        return print::json(&found);
    }
    let record = record(&found)?;
    print::fields(&[
        ("state", say(found.state())),
        ("waits for", found.waits_for.clone()),
    ])?;
    describe(&record)?;
    match &found.signed {
        Some(signed) if found.state() == RetirementState::Signed => print::fields(&[
            ("signed", print::time(found.signed_at_ms)),
            ("by key", signed.key_id.clone()),
        ]),
        _ => Ok(()),
    }
}

/// The signed record, once there is one.
fn signed(found: &Found) -> Result<&SignedRetirement> {
    let done = found.state() == RetirementState::Signed;
    found.signed.as_ref().filter(|_| done).ok_or_else(|| {
        let message = format!(
            "the record of {} is not signed yet: it waits for {}",
            found.device_id, found.waits_for
        );
        Failure::new(Exit::Unavailable, message).into()
    })
}

fn record(found: &Found) -> Result<RetirementRecord> {
    match (&found.record, &found.signed) {
        (Some(record), _) => Ok(record.clone()),
        (None, Some(signed)) => {
            serde_json::from_slice(&signed.payload).context("the server's record cannot be read")
        }
        (None, None) => Ok(RetirementRecord::default()),
    }
}

fn describe(record: &RetirementRecord) -> Result<()> {
    let text = String::clone;
    print::fields(&[
        ("device", text(&record.device_id)),
        ("name", text(&record.name)),
        ("serial number", text(&record.serial_number)),
        ("type", text(&record.device_type)),
        ("model", text(&record.model)),
        ("owner", text(&record.owner)),
        ("replaced by", text(&record.replaced_by)),
        ("ordered", text(&record.ordered_at)),
        ("ordered by", text(&record.ordered_by)),
        ("reason", text(&record.reason)),
        ("retired", text(&record.retired_at)),
        ("cause", text(&record.cause)),
        ("erasure", say(record.erasure())),
        ("erased", record.erased.join(", ")),
        ("groups left", record.groups_left.join(", ")),
    ])?;
    for one in &record.certificates {
        let end = match one.revoked_at.as_str() {
            "" => format!("ended {}", one.not_after),
            at => format!("revoked {at} ({})", one.reason),
        };
        print::fields(&[("certificate", format!("{}, {end}", one.serial))])?;
    }
    Ok(())
}

impl Verify {
    fn run(self, global: &Global) -> Result<()> {
        let path = self.key.unwrap_or_else(|| global.folder().pki("retirement.pub"));
        let key = PublicKey::from_pem(&read_text(&path)?)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        let signed = read(&self.file)?;
        let record = judge(&signed, key).map_err(|why| {
            Failure::new(
                Exit::Damaged,
                format!("{} does not hold: {why}", self.file.display()),
            )
        })?;
        if global.json {
            return print::json(&record);
        }
        print::line(format!(
            "{} holds: signed by key {}",
            self.file.display(),
            signed.key_id
        ))?;
        print::fields(&[("installation", record.installation.clone())])?;
        describe(&record)
    }
}

fn read(path: &Path) -> Result<SignedRetirement> {
    let refuse = |why: String| Failure::usage(format!("{} is no signed record: {why}", path.display()));
    let length = std::fs::metadata(path)
        .map_err(|error| unreadable(path, &error))?
        .len();
    if length > FILE_MAX {
        return Err(refuse(format!("it has {length} bytes")).into());
    }
    let text = read_text(path)?;
    Ok(serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?)
}

/// What was signed, if this key signed it, or what is wrong.
fn judge(signed: &SignedRetirement, key: PublicKey) -> Result<RetirementRecord, String> {
    let own = key.key_id();
    let trusted = TrustedKey {
        key,
        state: KeyState::Active,
    };
    let ring = Keyring::new([trusted], 1).map_err(|error| error.to_string())?;
    let signature = Signature {
        keyid: signed.key_id.clone(),
        sig: signed.signature.clone(),
    };
    let verdict = ring.verify(
        RETIREMENT_TYPE,
        &signed.payload_type,
        &signed.payload,
        &[signature],
    );
    verdict.map_err(|error| match error {
        VerifyError::BadSignature(id) => {
            format!(
                "record and signature do not belong together; one of them was changed after key {id} signed"
            )
        }
        VerifyError::UnknownKey(id) => format!("it names the key {id:?}, and not {own}"),
        VerifyError::WrongType => format!("it says that it is `{}`", signed.payload_type),
        other => other.to_string(),
    })?;
    serde_json::from_slice(&signed.payload).map_err(|error| format!("what was signed is no record: {error}"))
}

#[cfg(test)]
mod tests {
    use artifact::SigningKey;

    use super::*;

    fn sealed(key: &SigningKey) -> SignedRetirement {
        let record = RetirementRecord {
            device_id: "pump-7".into(),
            reason: "sold".into(),
            ..RetirementRecord::default()
        };
        let payload = serde_json::to_vec_pretty(&record).unwrap();
        let signature = artifact::sign(RETIREMENT_TYPE, &payload, key);
        SignedRetirement {
            payload_type: RETIREMENT_TYPE.into(),
            payload,
            key_id: signature.keyid,
            signature: signature.sig,
        }
    }

    #[test]
    fn what_was_signed_holds_and_says_what_it_said() {
        let key = SigningKey::from_seed(&[1; 32]);
        assert_eq!(judge(&sealed(&key), key.public_key()).unwrap().reason, "sold");
    }

    #[test]
    fn any_change_is_found_and_named() {
        let (key, other) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let whole = sealed(&key);
        let text = String::from_utf8(whole.payload.clone()).unwrap();
        let payload = text.replace("sold", "lost").into_bytes();
        let changes: [(SignedRetirement, &str); 5] = [
            (
                SignedRetirement {
                    payload,
                    ..whole.clone()
                },
                "changed after",
            ),
            (
                SignedRetirement {
                    signature: vec![0; 64],
                    ..whole.clone()
                },
                "changed after",
            ),
            (
                SignedRetirement {
                    payload: Vec::new(),
                    ..whole.clone()
                },
                "empty",
            ),
            (
                SignedRetirement {
                    payload_type: "text/plain".into(),
                    ..whole.clone()
                },
                "text/plain",
            ),
            (sealed(&other), "it names the key"),
        ];
        for (changed, part) in changes {
            let why = judge(&changed, key.public_key()).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
        // Somebody else's signature in this key's name.
        let forged = SignedRetirement {
            key_id: whole.key_id,
            ..sealed(&other)
        };
        assert!(
            judge(&forged, key.public_key())
                .unwrap_err()
                .contains("changed after")
        );
        for at in 0..whole.payload.len() {
            let mut payload = whole.payload.clone();
            payload[at] ^= 1;
            let changed = SignedRetirement {
                payload,
                ..sealed(&key)
            };
            assert!(judge(&changed, key.public_key()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn other_files_are_the_callers_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert_eq!(crate::exit::code_of(&read(&path).unwrap_err()), 2);
        for text in ["", "{\"nonsense\":1}", "[]"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(crate::exit::code_of(&read(&path).unwrap_err()), 2, "{text:?}");
        }
    }
}
