//! The devices that may fit a query, in the order of their ids: by the narrowest index there is, else all.

use std::collections::BTreeSet;

use contract::v1::Device;
use service::{Fault, Sight, View, store::StoreError};

use crate::{
    language::plan::{Range, Ranges},
    state,
};

/// How far an index is read to see whether it is narrow.
const PROBE: usize = 256;

/// The way to the devices in sight, where that is not all.
pub(super) fn within(sight: &Sight) -> Option<Ranges> {
    match sight {
        Sight::Everything => None,
        Sight::Groups(groups) => {
            let members = groups.iter().map(|group| state::members(group).into_bytes());
            Some(members.map(Range::index).collect())
        }
    }
}

/// Where to look.
pub(super) struct Search<'a> {
    view: &'a View<'a>,
    ranges: Ranges,
}

impl<'a> Search<'a> {
    /// By the narrowest of these ways.
    pub(super) fn new(view: &'a View<'a>, ways: Vec<Ranges>) -> Result<Search<'a>, Fault> {
        let mut best: Option<(usize, Ranges)> = None;
        for ranges in ways {
            let keys = size(view, &ranges)?;
            if best.as_ref().is_none_or(|(least, _)| keys < *least) {
                best = Some((keys, ranges));
            }
        }
        let ranges = best.map_or_else(|| vec![Range::ids("")], |(_, ranges)| ranges);
        Ok(Search { view, ranges })
    }

    /// Up to `limit` devices after a folded id. Fewer mean that there are no more.
    pub(super) fn read(&self, after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Device)>, Fault> {
        if let [range] = self.ranges.as_slice()
            && range.prefix.starts_with(state::DEVICES.as_bytes())
        {
            let after = after.map(|id| key(range, id));
            let rows = self.view.list::<Device>(&range.prefix, after.as_deref(), limit)?;
            return Ok(rows
                .into_iter()
                .map(|(key, device)| (key[range.id_at..].to_vec(), device))
                .collect());
        }
        let ids = self.ids(after, limit)?;
        ids.into_iter()
            .map(|id| Ok((id.clone(), self.load(&id)?)))
            .collect()
    }

    fn ids(&self, after: Option<&[u8]>, limit: usize) -> Result<BTreeSet<Vec<u8>>, Fault> {
        let mut ids = BTreeSet::new();
        for range in &self.ranges {
            let after = after.map(|id| key(range, id));
            let keys = self.view.scan(&range.prefix, after.as_deref(), limit)?;
            ids.extend(keys.into_iter().map(|(key, _)| key[range.id_at..].to_vec()));
            while ids.len() > limit {
                ids.pop_last();
            }
        }
        Ok(ids)
    }

    fn load(&self, id: &[u8]) -> Result<Device, Fault> {
        let id = String::from_utf8_lossy(id);
        let reason = "an index names it, but there is no such device";
        let found = state::device_or_twin(self.view, &id)?;
        Ok(found.ok_or(StoreError::Damaged {
            key: id.into_owned(),
            reason,
        })?)
    }
}

fn key(range: &Range, id: &[u8]) -> Vec<u8> {
    [&range.prefix[..range.id_at], id].concat()
}

fn size(view: &View<'_>, ranges: &Ranges) -> Result<usize, Fault> {
    let mut keys = 0;
    for range in ranges {
        keys += view.scan(&range.prefix, None, PROBE)?.len();
        if keys >= PROBE {
            break;
        }
    }
    Ok(keys)
}
