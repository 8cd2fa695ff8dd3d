//! Devices by what they are: by a query, by conditions with a field of their own, or by both.

use std::collections::BTreeSet;

use contract::v1::{
    ConfigsListed, Criticality, Device, DevicesListed, ListConfigs, ListDevices, Restriction, Stage,
};
use contract::{Id, Refusal, wire::Wire};
use service::{
    Fault, Sight, View,
    page::{self, Page},
};

use super::{
    search::{Search, within},
    sorted, understand,
};
use crate::{
    choice::{self, Choice},
    config, index,
    language::{
        Query,
        plan::{self, Range, Ranges},
    },
    policy, state, tree,
};

pub(super) fn devices(
    view: &View<'_>,
    sight: &Sight,
    now_ms: i64,
    m: &ListDevices,
) -> Result<DevicesListed, Fault> {
    let filter = Filter::read(view, sight, now_ms, m)?;
    let search = Search::new(view, filter.ways())?;
    let page = if m.sort.is_empty() {
        by_id(&search, m, |device| {
            Ok(Some(device).filter(|device| filter.matches(device)))
        })?
    } else {
        sorted::page(&search, m, |device| filter.matches(device))?
    };
    Ok(DevicesListed {
        devices: page.rows,
        next_page: page.next,
        ..DevicesListed::default()
    })
}

/// Those for which something is set alone.
pub(super) fn configs(
    view: &View<'_>,
    sight: &Sight,
    now_ms: i64,
    m: &ListConfigs,
) -> Result<ConfigsListed, Fault> {
    let devices = ListDevices {
        r#where: m.r#where.clone(),
        page: m.page.clone(),
        page_size: m.page_size,
        ..ListDevices::default()
    };
    let filter = Filter::read(view, sight, now_ms, &devices)?;
    let search = Search::new(view, filter.ways())?;
    let page = by_id(&search, &devices, |device| match filter.matches(&device) {
        true => config::own(view, &device.device_id),
        false => Ok(None),
    })?;
    Ok(ConfigsListed {
        configs: page.rows,
        next_page: page.next,
        ..ConfigsListed::default()
    })
}

/// A page's token is a device's id, so pages hold while devices come and go, whichever index was used.
fn by_id<M: Wire>(
    search: &Search<'_>,
    m: &ListDevices,
    row: impl Fn(Device) -> Result<Option<M>, Fault>,
) -> Result<Page<M>, Fault> {
    page::fill(state::DEVICES, &m.page, m.page_size, |after, limit| {
        let after = after.map(|key| &key[state::DEVICES.len()..]);
        let found = search.read(after, limit)?.into_iter();
        let rows = found.map(|(id, device)| {
            let key = [state::DEVICES.as_bytes(), &id].concat();
            Ok((key, row(device)?))
        });
        rows.collect()
    })
}

/// What must hold of a listed device.
struct Filter<'a> {
    m: &'a ListDevices,
    sight: &'a Sight,
    /// The group that was asked for, and what lies within it.
    groups: BTreeSet<String>,
    query: Query,
    stage: Option<Stage>,
    restriction: Option<Restriction>,
    criticality: Option<Criticality>,
}

impl Filter<'_> {
    fn read<'a>(
        view: &View<'_>,
        sight: &'a Sight,
        now_ms: i64,
        m: &'a ListDevices,
    ) -> Result<Filter<'a>, Fault> {
        // Whatever an id begins with is an id, unless it is empty.
        if !m.prefix.is_empty() {
            policy::id("prefix", &m.prefix).map(|_: Id| ())?;
        }
        let choices = || -> Result<_, Refusal> {
            Ok((
                choice::optional("stage", m.stage)?,
                choice::optional("restriction", m.restriction)?,
                choice::optional("criticality", m.criticality)?,
            ))
        };
        let (stage, restriction, criticality) = choices()?;
        Ok(Filter {
            m,
            sight,
            groups: match m.group.as_str() {
                "" => BTreeSet::new(),
                group => {
                    state::group(view, "group", group)?;
                    tree::below(view, group)?
                }
            },
            query: understand(view, now_ms, &m.r#where)?,
            stage,
            restriction,
            criticality,
        })
    }

    /// Every way to find what fits.
    fn ways(&self) -> Vec<Ranges> {
        let m = self.m;
        let named = [
            ("stage", self.stage.map_or("", |stage| stage.name())),
            (
                "restriction",
                self.restriction.map_or("", |restriction| restriction.name()),
            ),
            ("model", m.model.as_str()),
            ("firmware", &m.firmware_version),
            ("site", &m.site),
        ];
        let indexed = named
            .into_iter()
            .filter_map(|(field, value)| index::of(field, value));
        let mut ways: Vec<Ranges> = indexed.map(|prefix| vec![Range::index(prefix)]).collect();
        if !m.group.is_empty() {
            let members = self.groups.iter().map(|group| state::members(group).into_bytes());
            ways.push(members.map(Range::index).collect());
        }
        if !m.prefix.is_empty() {
            ways.push(vec![Range::ids(&m.prefix)]);
        }
        ways.extend(within(self.sight));
        ways.extend(plan::ways(&self.query));
        ways
    }

    fn matches(&self, device: &Device) -> bool {
        let text = |wanted: &str, present: &str| wanted.is_empty() || wanted == present;
        self.sight.covers(&device.groups)
            && device.device_id.starts_with(&self.m.prefix)
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
            && (self.m.group.is_empty() || device.groups.iter().any(|group| self.groups.contains(group)))
            && self.query.matches(device)
    }
}
