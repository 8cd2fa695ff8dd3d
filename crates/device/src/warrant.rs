//! Whether an operator's own signature lets the device do what it is told: the server's word alone does not, where
//! the device was set so.
//!
//! What was signed is made anew from the order: id, this device, name, arguments and times. A signature for another
//! device, another command or other arguments is none for this one. Each is used once: it is noted on the disk before
//! the command begins.

use std::collections::BTreeMap;

use artifact::{COMMAND_TYPE, KeyState, Keyring, PublicKey, Signature, TrustedKey, VerifyError};
use contract::v1::{CommandOrder, CommandStatement, CommandWarrant};
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::{error::Error, files::Folder};

/// The file of the signatures that were used.
const NAME: &str = "warrants";
/// Used ones that are remembered until their time is over.
const SPENT_MAX: usize = 256;
/// The longest time that a signature may give: 31 days.
const LONGEST_MS: i64 = 31 * 24 * 3_600_000;
/// Stands for all commands.
const ALL: &str = "*";

/// Whose signatures count, and for what they are demanded.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    device_id: String,
    keyring: Option<Keyring>,
    demanded: Vec<String>,
}

/// Why a command is not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Distrust {
    #[error("signature-missing: this device does `{0}` only with an operator's own signature")]
    Missing(String),
    #[error(
        "no-keys: this device does `{0}` only with an operator's own signature, and was given no key to check one"
    )]
    NoKeys(String),
    #[error(
        "signature-wrong: it is not for this device, order, command and arguments, or not by a key that counts: {0}"
    )]
    Wrong(VerifyError),
    #[error("signature-early: its time has not begun")]
    Early,
    #[error("signature-expired: its time is over")]
    Expired,
    #[error("signature-long: its time is longer than 31 days")]
    TooLong,
    #[error("no-time: the device does not know the time, and cannot tell whether the signature still counts")]
    NoTime,
    #[error("signature-used: the order `{0}` was begun before; sign another one")]
    Used(String),
    #[error("signature-old: it is older than what the device remembers of used ones; sign it again")]
    Old,
    #[error("too-many: the device remembers 256 signatures whose time is not over")]
    TooMany,
}

/// A signature that counts; it is used up when the command begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warranted {
    order_id: String,
    expires_ms: i64,
}

/// The signatures that were used and whose time is not over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spent {
    /// By order, until when.
    used: BTreeMap<String, i64>,
    /// What ends by then may have been used and forgotten.
    forgotten_ms: i64,
    /// What counts from before then may have been used, and the disk does not know.
    unknown_ms: i64,
}

impl Guard {
    pub(crate) fn new(device_id: &str, keys: &[PublicKey], demanded: &[String]) -> Result<Guard, Error> {
        let trusted = keys.iter().map(|key| TrustedKey {
            key: key.clone(),
            state: KeyState::Active,
        });
        let wrong = |e: artifact::KeyringError| Error::Setting {
            setting: "command_keys",
            why: e.to_string(),
        };
        let keyring = (!keys.is_empty()).then(|| Keyring::new(trusted, 1)).transpose();
        Ok(Guard {
            device_id: device_id.to_owned(),
            keyring: keyring.map_err(wrong)?,
            demanded: demanded.to_vec(),
        })
    }

    /// Nothing: it needs no signature. A signature that is there must count all the same, where there are keys.
    pub(crate) fn check(
        &self,
        order: &CommandOrder,
        now_ms: Option<i64>,
        spent: &Spent,
    ) -> Result<Option<Warranted>, Distrust> {
        let demanded = self
            .demanded
            .iter()
            .any(|name| name == ALL || *name == order.name);
        match (&order.warrant, &self.keyring) {
            (None, _) if demanded => Err(Distrust::Missing(order.name.clone())),
            (Some(_), None) if demanded => Err(Distrust::NoKeys(order.name.clone())),
            (None, _) | (Some(_), None) => Ok(None),
            (Some(warrant), Some(keyring)) => {
                let order_id = order_id(order);
                self.verify(order, order_id, warrant, keyring)?;
                in_time(warrant, now_ms)?;
                spent.admits(order_id, warrant)?;
                Ok(Some(Warranted {
                    order_id: order_id.to_owned(),
                    expires_ms: warrant.expires_ms,
                }))
            }
        }
    }

    fn verify(
        &self,
        order: &CommandOrder,
        order_id: &str,
        warrant: &CommandWarrant,
        keyring: &Keyring,
    ) -> Result<(), Distrust> {
        let statement = CommandStatement {
            order_id: order_id.to_owned(),
            device_id: self.device_id.clone(),
            name: order.name.clone(),
            arguments: order.arguments.clone(),
            not_before_ms: warrant.not_before_ms,
            expires_ms: warrant.expires_ms,
        };
        let signature = |s: &contract::v1::ManifestSignature| Signature {
            keyid: s.key_id.clone(),
            sig: s.signature.clone(),
        };
        let signatures: Vec<_> = warrant.signatures.iter().map(signature).collect();
        keyring
            .verify(
                COMMAND_TYPE,
                COMMAND_TYPE,
                &statement.encode_to_vec(),
                &signatures,
            )
            .map_err(Distrust::Wrong)
    }
}

/// The id under which an order was signed.
fn order_id(order: &CommandOrder) -> &str {
    match order.order_id.as_str() {
        "" => &order.command_id,
        id => id,
    }
}

fn in_time(warrant: &CommandWarrant, now_ms: Option<i64>) -> Result<(), Distrust> {
    let now_ms = now_ms.ok_or(Distrust::NoTime)?;
    if warrant.expires_ms.saturating_sub(warrant.not_before_ms) > LONGEST_MS {
        return Err(Distrust::TooLong);
    }
    if warrant.not_before_ms > now_ms {
        return Err(Distrust::Early);
    }
    if warrant.expires_ms <= now_ms {
        return Err(Distrust::Expired);
    }
    Ok(())
}

impl Spent {
    /// What was used. Where the disk does not say it any more, what was signed before now counts no more.
    pub(crate) fn read(folder: &Folder, now_ms: Option<i64>) -> Result<Spent, Error> {
        if let Some(spent) = folder.kept(NAME)? {
            return Ok(spent);
        }
        let is_damaged = folder.read(NAME)?.is_some();
        Ok(Spent {
            unknown_ms: if is_damaged { now_ms.unwrap_or(i64::MAX) } else { 0 },
            ..Spent::default()
        })
    }

    fn admits(&self, order_id: &str, warrant: &CommandWarrant) -> Result<(), Distrust> {
        if self.used.contains_key(order_id) {
            return Err(Distrust::Used(order_id.to_owned()));
        }
        if warrant.expires_ms <= self.forgotten_ms || warrant.not_before_ms < self.unknown_ms {
            return Err(Distrust::Old);
        }
        if self.used.len() >= SPENT_MAX {
            return Err(Distrust::TooMany);
        }
        Ok(())
    }

    /// Notes on the disk that a signature is used up.
    pub(crate) fn note(
        mut self,
        folder: &Folder,
        warranted: &Warranted,
        now_ms: Option<i64>,
    ) -> Result<(), Error> {
        if let Some(now_ms) = now_ms {
            self.forget(now_ms);
        }
        self.used.insert(warranted.order_id.clone(), warranted.expires_ms);
        folder.keep(NAME, &self)
    }

    /// Forgets those whose time is over. A clock that goes back does not bring them back.
    fn forget(&mut self, now_ms: i64) {
        let over = self.used.values().filter(|ends| **ends <= now_ms).max();
        if let Some(last) = over {
            self.forgotten_ms = self.forgotten_ms.max(*last);
        }
        self.used.retain(|_, ends| *ends > now_ms);
    }
}

#[cfg(test)]
mod tests {
    use artifact::SigningKey;
    use contract::v1::ManifestSignature;

    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[9; 32])
    }

    fn guard() -> Guard {
        Guard::new("pump-7", &[key().public_key()], &["wipe".to_owned()]).unwrap()
    }

    fn signed_by(key: &SigningKey, change: impl Fn(&mut CommandStatement)) -> CommandOrder {
        let mut statement = CommandStatement {
            order_id: "o-1".into(),
            device_id: "pump-7".into(),
            name: "wipe".into(),
            arguments: r#"{"all":true}"#.into(),
            not_before_ms: NOW_MS - 1_000,
            expires_ms: NOW_MS + 1_000,
        };
        change(&mut statement);
        let signature = artifact::sign(COMMAND_TYPE, &statement.encode_to_vec(), key);
        CommandOrder {
            command_id: "o-1".into(),
            name: "wipe".into(),
            arguments: r#"{"all":true}"#.into(),
            warrant: Some(CommandWarrant {
                not_before_ms: statement.not_before_ms,
                expires_ms: statement.expires_ms,
                signatures: vec![ManifestSignature {
                    key_id: signature.keyid,
                    signature: signature.sig,
                }],
            }),
            ..CommandOrder::default()
        }
    }

    fn signed() -> CommandOrder {
        signed_by(&key(), |_| {})
    }

    fn judged(order: &CommandOrder) -> Result<Option<Warranted>, Distrust> {
        guard().check(order, Some(NOW_MS), &Spent::default())
    }

    #[test]
    fn what_was_signed_for_this_device_counts_and_nothing_else() {
        assert!(judged(&signed()).unwrap().is_some());
        type Change = fn(&mut CommandStatement);
        let others: [Change; 4] = [
            |s| s.order_id = "o-2".into(),
            |s| s.device_id = "pump-8".into(),
            |s| s.name = "reboot".into(),
            |s| s.arguments = "{}".into(),
        ];
        for change in others {
            let order = signed_by(&key(), change);
            assert!(matches!(
                judged(&order),
                Err(Distrust::Wrong(VerifyError::BadSignature(_)))
            ));
        }
        let orders: [fn(&mut CommandOrder); 5] = [
            |o| o.command_id = "o-2".into(),
            |o| o.order_id = "o-2".into(),
            |o| o.arguments = "{}".into(),
            |o| o.warrant.as_mut().unwrap().expires_ms += 1,
            |o| o.warrant.as_mut().unwrap().signatures[0].signature[7] ^= 1,
        ];
        for change in orders {
            let mut order = signed();
            change(&mut order);
            assert!(matches!(judged(&order), Err(Distrust::Wrong(_))), "{order:?}");
        }
        let stranger = signed_by(&SigningKey::from_seed(&[8; 32]), |_| {});
        assert!(matches!(
            judged(&stranger),
            Err(Distrust::Wrong(VerifyError::UnknownKey(_)))
        ));
        // A job's order is signed under the job's id.
        let mut of_job = signed();
        of_job.command_id = "o-1-7".into();
        of_job.order_id = "o-1".into();
        assert!(judged(&of_job).is_ok());
    }

    #[test]
    fn what_is_demanded_is_demanded_whatever_comes() {
        let mut bare = signed();
        bare.warrant = None;
        assert_eq!(judged(&bare), Err(Distrust::Missing("wipe".into())));
        let keyless = Guard::new("pump-7", &[], &["wipe".to_owned()]).unwrap();
        let check = |guard: &Guard, order: &CommandOrder| guard.check(order, Some(NOW_MS), &Spent::default());
        assert_eq!(check(&keyless, &signed()), Err(Distrust::NoKeys("wipe".into())));
        let mut other = bare.clone();
        other.name = "logs".into();
        assert_eq!(judged(&other), Ok(None));
        let strict = Guard::new("pump-7", &[key().public_key()], &[ALL.to_owned()]).unwrap();
        assert_eq!(check(&strict, &other), Err(Distrust::Missing("logs".into())));
        // A signature that is not demanded must be right all the same.
        let mut wrong = signed();
        wrong.name = "logs".into();
        assert!(matches!(judged(&wrong), Err(Distrust::Wrong(_))));
    }

    #[test]
    fn it_has_its_time() {
        let at = |now_ms| guard().check(&signed(), now_ms, &Spent::default());
        assert_eq!(at(None), Err(Distrust::NoTime));
        assert_eq!(at(Some(NOW_MS - 1_001)), Err(Distrust::Early));
        assert!(at(Some(NOW_MS - 1_000)).is_ok() && at(Some(NOW_MS + 999)).is_ok());
        assert_eq!(at(Some(NOW_MS + 1_000)), Err(Distrust::Expired));
        let long = signed_by(&key(), |s| s.expires_ms = NOW_MS + LONGEST_MS);
        assert_eq!(judged(&long), Err(Distrust::TooLong));
    }

    #[test]
    fn it_counts_once_whatever_the_clock_and_the_disk_do() {
        let folder = tempfile::tempdir().unwrap();
        let disk = crate::ground::OwnFolder::open(folder.path()).unwrap();
        let folder_on_disk = Folder::on(std::sync::Arc::new(disk));
        let spent = |now_ms| Spent::read(&folder_on_disk, Some(now_ms)).unwrap();
        let check = |order: &CommandOrder, now_ms| guard().check(order, Some(now_ms), &spent(now_ms));
        let first = check(&signed(), NOW_MS).unwrap().unwrap();
        spent(NOW_MS).note(&folder_on_disk, &first, Some(NOW_MS)).unwrap();
        assert_eq!(check(&signed(), NOW_MS), Err(Distrust::Used("o-1".into())));
        let other = Warranted {
            order_id: "o-9".into(),
            expires_ms: NOW_MS + 90_000,
        };
        spent(NOW_MS + 2_000)
            .note(&folder_on_disk, &other, Some(NOW_MS + 2_000))
            .unwrap();
        // It is forgotten by now, and the clock goes back.
        assert_eq!(check(&signed(), NOW_MS), Err(Distrust::Old));
        std::fs::write(folder.path().join(NAME), "x").unwrap();
        assert_eq!(check(&signed(), NOW_MS), Err(Distrust::Old));
        let later = signed_by(&key(), |s| {
            s.not_before_ms = NOW_MS;
            s.expires_ms = NOW_MS + 9_000;
        });
        assert!(check(&later, NOW_MS).is_ok());
        let full = Spent {
            used: (0..SPENT_MAX).map(|n| (n.to_string(), i64::MAX)).collect(),
            ..Spent::default()
        };
        assert_eq!(
            guard().check(&signed(), Some(NOW_MS), &full),
            Err(Distrust::TooMany)
        );
    }
}
