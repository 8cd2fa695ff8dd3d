//! Which devices a request is about, for the rules of what another person must approve.

use contract::{ServiceName, approval::Touched, v1::DeviceFact};
use prost::Message;
use service::{Fault, View};

/// Rows that are read at once.
const PAGE: usize = 500;

/// One device.
pub(crate) fn touched_one(view: &View<'_>, id: &str) -> Result<Touched, Fault> {
    touched_devices(view, [id])
}

/// These devices.
pub(super) fn touched_devices<'a>(
    view: &View<'_>,
    ids: impl IntoIterator<Item = &'a str>,
) -> Result<Touched, Fault> {
    let mut touched = Touched::default();
    for id in ids {
        let fact = view.fact::<DeviceFact>(ServiceName::Registry, "device", id)?;
        touched.add(fact.map(|fact| fact.criticality()).unwrap_or_default());
    }
    Ok(touched)
}

/// Looks at all records under a prefix.
pub(crate) fn for_each<M: Message + Default>(
    view: &View<'_>,
    prefix: &str,
    mut look: impl FnMut(M) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = view.list::<M>(prefix, after.as_deref(), PAGE)?;
        let is_last = rows.len() < PAGE;
        for (key, record) in rows {
            look(record)?;
            after = Some(key);
        }
        if is_last {
            return Ok(());
        }
    }
}
