//! Devices by what they are, in the order of their ids.

use contract::v1::{Criticality, Device, DevicesListed, ListDevices, Restriction, Stage};
use contract::{Id, Refusal};
use service::{
    Fault, View,
    page::{self, Page},
    store::StoreError,
};

use crate::{choice, policy, state};

pub(super) fn devices(view: &View<'_>, m: &ListDevices) -> Result<DevicesListed, Fault> {
    let filter = Filter::read(m)?;
    let page = match m.group.as_str() {
        "" => in_all(view, m, &filter)?,
        group => in_group(view, m, &filter, group)?,
    };
    Ok(DevicesListed {
        devices: page.rows,
        next_page: page.next,
        ..DevicesListed::default()
    })
}

fn in_all(view: &View<'_>, m: &ListDevices, filter: &Filter<'_>) -> Result<Page<Device>, Fault> {
    let prefix = state::device_key(&m.prefix);
    page::list(view, &prefix, &m.page, m.page_size, |device| {
        filter.matches(device)
    })
}

/// By the membership index: as many point reads as there are members.
fn in_group(
    view: &View<'_>,
    m: &ListDevices,
    filter: &Filter<'_>,
    group: &str,
) -> Result<Page<Device>, Fault> {
    state::group(view, "group", group)?;
    let (members, prefix) = (state::members(group), state::member_key(group, &m.prefix));
    page::fill(&prefix, &m.page, m.page_size, |after, limit| {
        let mut devices = Vec::new();
        for (key, _) in view.scan(prefix.as_bytes(), after, limit)? {
            let id = String::from_utf8_lossy(&key[members.len()..]).into_owned();
            let reason = "it is a member of a group, but there is no such device";
            let device = state::device_or_twin(view, &id)?;
            let device = device.ok_or(StoreError::Damaged { key: id, reason })?;
            devices.push((key, Some(device).filter(|device| filter.matches(device))));
        }
        Ok(devices)
    })
}

/// What must hold of a listed device.
struct Filter<'a> {
    m: &'a ListDevices,
    stage: Option<Stage>,
    restriction: Option<Restriction>,
    criticality: Option<Criticality>,
}

impl Filter<'_> {
    fn read(m: &ListDevices) -> Result<Filter<'_>, Refusal> {
        // Whatever an id begins with is an id, unless it is empty.
        if !m.prefix.is_empty() {
            policy::id("prefix", &m.prefix).map(|_: Id| ())?;
        }
        Ok(Filter {
            m,
            stage: choice::optional("stage", m.stage)?,
            restriction: choice::optional("restriction", m.restriction)?,
            criticality: choice::optional("criticality", m.criticality)?,
        })
    }

    fn matches(&self, device: &Device) -> bool {
        let text = |wanted: &str, present: &str| wanted.is_empty() || wanted == present;
        device.device_id.starts_with(&self.m.prefix)
            && self.stage.is_none_or(|stage| stage == device.stage())
            && self
                .restriction
                .is_none_or(|restriction| restriction == device.restriction())
            && self
                .criticality
                .is_none_or(|criticality| criticality == device.criticality())
            && text(&self.m.model, &device.model)
            && text(&self.m.firmware_version, &device.firmware_version)
            && text(&self.m.site, &device.site)
            && (self.m.group.is_empty() || device.groups.contains(&self.m.group))
    }
}
