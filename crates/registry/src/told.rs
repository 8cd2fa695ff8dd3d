//! What the audit log tells of the registry's records.

use contract::v1::{Device, DeviceType, Group, Order, Person, SavedQuery, Supplier};
use serde_json::{Value, json};
use service::told as tell;

use crate::state;

/// A record, if people are to read what became of it. What stands beside records says nothing new.
pub(crate) fn told(key: &[u8], record: &[u8]) -> Option<(String, Value)> {
    let (letter, rest) = std::str::from_utf8(key).ok()?.split_at_checked(1)?;
    match letter {
        state::DEVICES => tell("devices", |device: &Device| &device.device_id, record),
        state::GROUPS => tell("groups", |group: &Group| &group.group_id, record),
        state::TYPES => tell("types", |of: &DeviceType| &of.type_id, record),
        state::SUPPLIERS => tell("suppliers", |supplier: &Supplier| &supplier.supplier_id, record),
        state::ORDERS => tell("orders", |order: &Order| &order.order_id, record),
        state::QUERIES => tell("queries", |query: &SavedQuery| &query.query_id, record),
        state::PEOPLE => {
            let (_, person) = tell("people", |person: &Person| &person.id, record)?;
            let kind = person.get("kind")?.as_str()?;
            Some((format!("{kind}/{}", person.get("id")?.as_str()?), person))
        }
        "m" => {
            let (group, device) = rest.split_once('\0')?;
            Some((format!("groups/{group}"), json!({ "members": { device: "yes" } })))
        }
        _ => None,
    }
}
