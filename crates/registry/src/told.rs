//! What the audit log tells of the registry's records.

use contract::{
    document,
    v1::{
        Checkpoint, ConfigTemplate, Device, DeviceCommand, DeviceConfig, DeviceType, FourEyes, Group, Login,
        LoginToken, Order, Person, SavedQuery, Supplier, Transfer,
    },
};
use prost::Message;
use serde_json::{Value, json};
use service::told as tell;

use crate::{checkpoint, command, config, state};

/// What stands beside each device's record and follows from it, or says what its event says.
const SILENT: [u8; 4] = [b'x', b'u', b'i', b'h'];

/// Whether records under this key are told of at all.
pub(crate) fn tells(key: &[u8]) -> bool {
    !key.first().is_some_and(|letter| SILENT.contains(letter))
}

/// A record, if people are to read what became of it. What stands beside records says nothing new.
pub(crate) fn told(key: &[u8], record: &[u8]) -> Option<(String, Value)> {
    let (letter, rest) = std::str::from_utf8(key).ok()?.split_at_checked(1)?;
    match letter {
        state::DEVICES => tell("devices", |device: &Device| &device.device_id, record),
        state::GROUPS => tell("groups", |group: &Group| &group.group_id, record),
        state::FOUR_EYES => tell("settings", |_: &FourEyes| "four-eyes", record),
        state::TYPES => tell("types", |of: &DeviceType| &of.type_id, record),
        state::SUPPLIERS => tell("suppliers", |supplier: &Supplier| &supplier.supplier_id, record),
        state::ORDERS => tell("orders", |order: &Order| &order.order_id, record),
        state::QUERIES => tell("queries", |query: &SavedQuery| &query.query_id, record),
        state::PEOPLE => {
            let (_, person) = tell("people", |person: &Person| &person.id, record)?;
            let kind = person.get("kind")?.as_str()?;
            Some((format!("{kind}/{}", person.get("id")?.as_str()?), person))
        }
        state::LOGINS => login(record),
        "c" => configured(rest, record),
        "k" if rest.starts_with('d') => {
            tell("commands", |command: &DeviceCommand| &command.command_id, record)
        }
        "k" => command::told_job(rest, record),
        "m" => {
            let (group, device) = rest.split_once('\0')?;
            Some((format!("groups/{group}"), json!({ "members": { device: "yes" } })))
        }
        state::TRANSFERS => transfer(record),
        checkpoint::CHECKPOINTS => checkpointed(record),
        // A record is not changed; that it came stands in the device's.
        "n" => None,
        // It follows from the device's record, and says of itself who signed it.
        state::RETIREMENTS => None,
        _ => None,
    }
}

/// An offer to another owner, without what opens it.
fn transfer(record: &[u8]) -> Option<(String, Value)> {
    let transfer = Transfer {
        sha256: String::new(),
        ..Transfer::decode(record).ok()?
    };
    let name = format!("transfers/{}", transfer.device_id);
    Some((name, serde_json::to_value(&transfer).ok()?))
}

/// How far a consumer was: of its removal only, for moving on is no change that anybody asks about.
fn checkpointed(record: &[u8]) -> Option<(String, Value)> {
    let checkpoint = Checkpoint::decode(record).ok()?;
    let owner = checkpoint.owner.replace('/', ".");
    let name = format!("checkpoints/{owner}.{}", checkpoint.checkpoint_id);
    Some((name, serde_json::to_value(&checkpoint).ok()?))
}

/// What a person logs in with, without what opens.
fn login(record: &[u8]) -> Option<(String, Value)> {
    let login = Login::decode(record).ok()?;
    let token = |token: LoginToken| {
        let told = json!({ "expires_ms": token.expires_ms.to_string(), "note": token.note });
        (token.token_id, told)
    };
    let password = login.password.map(|password| password.number.to_string());
    let tokens: serde_json::Map<_, _> = login.tokens.into_iter().map(token).collect();
    Some((
        format!("logins/{}/{}", login.kind, login.id),
        json!({ "tokens": tokens, "password": password }),
    ))
}

/// What somebody set, setting by setting; what follows from it for devices is told by events.
fn configured(rest: &str, record: &[u8]) -> Option<(String, Value)> {
    let settings = |text: &str| Value::Object(document::from_text(text));
    match rest.chars().next()? {
        'd' => {
            let config = DeviceConfig::decode(record).ok()?;
            Some((format!("configs/{}", config.device_id), settings(&config.own)))
        }
        't' => {
            let template = ConfigTemplate::decode(record).ok()?;
            let (scope, id) = (config::word(template.scope()), &template.id);
            let told = json!({ "document": settings(&template.document), "priority": template.priority });
            Some((format!("templates/{scope}.{id}"), told))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use contract::v1::{Device, DeviceLive, Evidence};

    use super::*;

    #[test]
    fn nothing_is_told_of_what_is_silent() {
        let records = [
            Vec::new(),
            Device::default().encode_to_vec(),
            DeviceLive::default().encode_to_vec(),
            Evidence::default().encode_to_vec(),
            b"pump-7".to_vec(),
        ];
        for letter in SILENT {
            let key = [&[letter], b"model\0m\0pump-7".as_slice()].concat();
            assert!(!tells(&key) && records.iter().all(|record| told(&key, record).is_none()));
        }
        assert!(tells(b"dpump-7") && told(b"dpump-7", &records[1]).is_some());
        assert!(tells(b"m") && tells(b""));
    }
}
