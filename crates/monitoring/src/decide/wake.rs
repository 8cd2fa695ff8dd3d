//! A time has come. A wake-up's key names what is to be done.

use service::Fault;

use super::{remove_rule, security, snapshot};
use crate::decision::Decision;

pub(super) fn on_wake(decision: &mut Decision<'_>, key: &str) -> Result<(), Fault> {
    match key.split_once('/') {
        Some(("grace", device)) => decision.miss(device),
        Some(("violations", device)) => security::look_again(decision, device),
        Some(("removing", rule)) => remove_rule::clear(decision, rule),
        None if key == snapshot::ABSENTEES => snapshot::seek_absentees(decision),
        _ => Ok(()),
    }
}
