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

/// The most ids that are gathered from an index that is not in their order.
const SPAN_MAX: usize = 4_096;

/// Keys of such an index that are read at a time, at first and at most: what lies beyond the last value is read in vain.
const CHUNKS: (usize, usize) = (4, 64);

/// Where to look.
pub(crate) struct Search<'a> {
    view: &'a View<'a>,
    sources: Vec<Source>,
}

/// Ids in their order.
enum Source {
    Keys { prefix: Vec<u8>, id_at: usize },
    Ids(Vec<Vec<u8>>),
}

impl<'a> Search<'a> {
    /// By the narrowest of these ways; none is all devices.
    pub(crate) fn new(view: &'a View<'a>, ways: Vec<Ranges>) -> Result<Search<'a>, Fault> {
        let is_span = |range: &Range| matches!(range, Range::Span { .. });
        let (spans, straight): (Vec<_>, Vec<_>) =
            ways.into_iter().partition(|ranges| ranges.iter().any(is_span));
        let mut best: Option<(usize, Vec<Source>)> = None;
        for ranges in straight.into_iter().chain(spans) {
            // What was probed to its end is known to be wide, and no more.
            let least = best
                .as_ref()
                .map(|(least, _)| *least)
                .filter(|least| *least < PROBE);
            let most = least.unwrap_or(SPAN_MAX);
            if let Some((keys, sources)) = open(view, ranges, most)?
                && (best.is_none() || keys < most)
            {
                best = Some((keys, sources));
            }
        }
        let all = || {
            let (prefix, id_at) = (state::DEVICES.into(), state::DEVICES.len());
            vec![Source::Keys { prefix, id_at }]
        };
        let sources = best.map_or_else(all, |(_, sources)| sources);
        Ok(Search { view, sources })
    }

    /// Finds no device.
    pub(crate) fn nowhere(view: &'a View<'a>) -> Search<'a> {
        let sources = Vec::new();
        Search { view, sources }
    }

    /// Finds the members of a group as well.
    pub(crate) fn and_members(mut self, group: &str) -> Search<'a> {
        if !self.finds_all() {
            let prefix = state::members(group).into_bytes();
            let id_at = prefix.len();
            self.sources.push(Source::Keys { prefix, id_at });
        }
        self
    }

    fn finds_all(&self) -> bool {
        matches!(self.sources.as_slice(), [Source::Keys { prefix, .. }] if prefix == state::DEVICES.as_bytes())
    }

    /// Up to `limit` devices after a folded id. Fewer mean that there are no more.
    pub(crate) fn read(&self, after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Device)>, Fault> {
        if let [Source::Keys { prefix, id_at }] = self.sources.as_slice()
            && prefix.starts_with(state::DEVICES.as_bytes())
        {
            return state::devices(self.view, &prefix[*id_at..], after, limit);
        }
        let ids = self.ids(after, limit)?;
        ids.into_iter()
            .map(|id| Ok((id.clone(), self.load(&id)?)))
            .collect()
    }

    fn ids(&self, after: Option<&[u8]>, limit: usize) -> Result<BTreeSet<Vec<u8>>, Fault> {
        let mut ids = BTreeSet::new();
        for source in &self.sources {
            ids.extend(source.read(self.view, after, limit)?);
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

impl Source {
    fn read(&self, view: &View<'_>, after: Option<&[u8]>, limit: usize) -> Result<Vec<Vec<u8>>, Fault> {
        match self {
            Source::Keys { prefix, id_at } => {
                let after = after.map(|id| [&prefix[..*id_at], id].concat());
                let keys = view.scan(prefix, after.as_deref(), limit)?;
                Ok(keys.into_iter().map(|(key, _)| key[*id_at..].to_vec()).collect())
            }
            Source::Ids(ids) => {
                let from = after.map_or(0, |after| ids.partition_point(|id| id.as_slice() <= after));
                Ok(ids[from..].iter().take(limit).cloned().collect())
            }
        }
    }
}

/// Opens a way, with about how many keys it has: those of straight ranges are counted up to `PROBE` each. `None`: an
/// index that is not in the order of the ids has more than `most`.
fn open(view: &View<'_>, ranges: Ranges, most: usize) -> Result<Option<(usize, Vec<Source>)>, Fault> {
    let (mut keys, mut spanned, mut sources) = (0, 0, Vec::new());
    for range in ranges {
        sources.push(match range {
            Range::Keys { prefix, id_at } => {
                if keys < PROBE {
                    keys += view.scan(&prefix, None, PROBE)?.len();
                }
                Source::Keys { prefix, id_at }
            }
            Range::Span { prefix, low, high } => {
                // Together they are held to it: a circle has many.
                let left = most.saturating_sub(spanned);
                let Some(ids) = gather(view, &prefix, &low, &high, left)? else {
                    return Ok(None);
                };
                spanned += ids.len();
                keys += ids.len();
                Source::Ids(ids.into_iter().collect())
            }
        });
    }
    Ok(Some((keys, sources)))
}

/// The ids behind the values from one to another.
fn gather(
    view: &View<'_>,
    prefix: &[u8],
    low: &[u8],
    high: &[u8],
    most: usize,
) -> Result<Option<BTreeSet<Vec<u8>>>, Fault> {
    let (mut ids, mut after, mut chunk) = (BTreeSet::new(), [prefix, low].concat(), CHUNKS.0);
    while ids.len() <= most {
        let page = view.scan(prefix, Some(&after), chunk)?;
        let ended = page.len() < chunk;
        chunk = CHUNKS.1.min(2 * chunk);
        for (key, _) in page {
            let rest = key.get(prefix.len()..).unwrap_or_default();
            if rest.get(..high.len()).unwrap_or(rest) > high {
                return Ok((ids.len() <= most).then_some(ids));
            }
            let id = rest.rsplit(|byte| *byte == 0).next().unwrap_or_default();
            ids.insert(id.to_vec());
            after = key;
        }
        if ended {
            break;
        }
    }
    Ok((ids.len() <= most).then_some(ids))
}
