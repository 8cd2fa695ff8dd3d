//! Dynamic groups: which devices are members, as one list that every change of a device is held against.

use std::sync::{Arc, Mutex, PoisonError};

use contract::{Code, Refusal, v1::Device, v1::Stage};
use prost::Message;
use service::{Fault, View};

use crate::{language::Query, state};

/// Dynamic groups of one installation: each change of a device is held against all of them.
pub(crate) const RULES_MAX: usize = 64;

/// The list as it is stored.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RulesRecord {
    #[prost(message, repeated, tag = "1")]
    pub(crate) rules: Vec<RuleRecord>,
}

/// A group and its query.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RuleRecord {
    #[prost(string, tag = "1")]
    pub(crate) group_id: String,
    #[prost(string, tag = "2")]
    pub(crate) query: String,
}

/// The list as it is applied.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    group: String,
    query: Query,
    /// Its members change though no device's record does: the query asks what other services know, or what time it is.
    live: bool,
}

/// What was read last: parsing depends on the stored bytes alone, so that it need not be done again.
#[derive(Debug, Default)]
pub(crate) struct RulesCache(Mutex<Option<(Vec<u8>, Arc<Rules>)>>);

impl RulesCache {
    /// The rules that hold now.
    pub(crate) fn read(&self, view: &View<'_>) -> Result<Arc<Rules>, Fault> {
        let bytes = view.get(state::RULES.as_bytes())?.unwrap_or_default();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, rules)) = kept.as_ref().filter(|(of, _)| *of == bytes) {
            return Ok(rules.clone());
        }
        let rules = Arc::new(Rules::parse(&bytes)?);
        *kept = Some((bytes, rules.clone()));
        Ok(rules)
    }
}

impl Rules {
    fn parse(bytes: &[u8]) -> Result<Rules, Fault> {
        let record = RulesRecord::decode(bytes)
            .map_err(|_| Refusal::new(Code::Internal, "the list of dynamic groups does not decode"))?;
        let parse = |rule: RuleRecord| {
            let query = Query::parse_lasting(&rule.query)?;
            Ok(Rule {
                group: rule.group_id,
                live: query.is_live() || query.is_timed(),
                query,
            })
        };
        let rules = record
            .rules
            .into_iter()
            .map(parse)
            .collect::<Result<_, Refusal>>()?;
        Ok(Rules { rules })
    }

    /// The dynamic groups, each with whether the device belongs to it now.
    pub(crate) fn judge<'a>(
        &'a self,
        device: &'a Device,
        now_ms: i64,
    ) -> impl Iterator<Item = (&'a str, bool)> {
        self.rules.iter().map(move |rule| rule.judge(device, now_ms))
    }

    /// The same, of those alone whose members change though no device's record does.
    pub(crate) fn judge_live<'a>(
        &'a self,
        device: &'a Device,
        now_ms: i64,
    ) -> impl Iterator<Item = (&'a str, bool)> {
        let live = self.rules.iter().filter(|rule| rule.live);
        live.map(move |rule| rule.judge(device, now_ms))
    }

    /// Whether time alone moves devices in and out of any of them.
    pub(crate) fn is_timed(&self) -> bool {
        self.rules.iter().any(|rule| rule.query.is_timed())
    }

    /// When a device must be judged again though nothing happens to it.
    pub(crate) fn turns(&self, device: &Device, now_ms: i64) -> Option<i64> {
        if device.stage() == Stage::Retired {
            return None;
        }
        let turns = self.rules.iter();
        turns.filter_map(|rule| rule.query.turns(device, now_ms)).min()
    }

    /// Whether the members of a group change though no device's record does.
    pub(crate) fn is_live(&self, group: &str) -> bool {
        self.rules.iter().any(|rule| rule.live && rule.group == group)
    }

    /// The query of a group, if it has one.
    pub(crate) fn query(&self, group: &str) -> Option<&Query> {
        let rule = self.rules.iter().find(|rule| rule.group == group);
        rule.map(|rule| &rule.query)
    }

    /// Whether a device belongs to this group; false if it is none of these.
    pub(crate) fn fits(&self, group: &str, device: &Device, now_ms: i64) -> bool {
        self.judge(device, now_ms).any(|(of, fits)| of == group && fits)
    }
}

impl Rule {
    fn judge(&self, device: &Device, now_ms: i64) -> (&str, bool) {
        let living = device.stage() != Stage::Retired;
        (&self.group, living && self.query.matches_at(device, now_ms))
    }
}
