//! `put-query` and `remove-query`: queries that have a name.

use contract::v1::{PutQuery, RemoveQuery, SavedQuery};
use service::{Fault, Outcome};

use super::{Situation, changed};
use crate::{
    event,
    language::{Query, Surroundings},
    policy, state, tree,
};

pub(super) fn put(s: &Situation<'_>, m: PutQuery) -> Result<Outcome, Fault> {
    policy::text("description", &m.description)?;
    let present = state::present::<SavedQuery>(s.view, "query_id", &m.query_id)?;
    let present = present.unwrap_or(SavedQuery {
        query_id: m.query_id,
        ..SavedQuery::default()
    });
    policy::version("query", m.expected_version, present.version)?;
    let mut wanted = SavedQuery {
        r#where: m.r#where,
        description: m.description,
        ..present.clone()
    };
    understood(s, &wanted)?;
    let mut outcome = Outcome::default();
    if wanted != present || wanted.version == 0 {
        wanted.version = wanted.version.saturating_add(1);
        outcome.put(state::key::<SavedQuery>(&wanted.query_id), &wanted);
        event::catalogued(&mut outcome, format!("queries/{}", wanted.query_id), &wanted);
    }
    outcome.answer(changed(&wanted.query_id, wanted.version));
    Ok(outcome)
}

/// The query can be read now, with itself in place, so that it is no circle.
fn understood(s: &Situation<'_>, query: &SavedQuery) -> Result<(), Fault> {
    let saved = |name: &str| {
        if name == query.query_id {
            return Ok(query.r#where.clone());
        }
        Ok(state::find::<SavedQuery>(s.view, "where", name)?.r#where)
    };
    let around = Surroundings {
        now_ms: s.now_ms,
        saved: &saved,
        below: &|group| Ok(tree::named(s.view, group)?),
    };
    Query::parse(&query.r#where, &around).map(|_| ())
}

pub(super) fn remove(s: &Situation<'_>, m: RemoveQuery) -> Result<Outcome, Fault> {
    let mut query: SavedQuery = state::find(s.view, "query_id", &m.query_id)?;
    policy::version("query", m.expected_version, query.version)?;
    query.version = query.version.saturating_add(1);
    query.r#where.clear();
    let mut outcome = Outcome::default();
    outcome.delete(state::key::<SavedQuery>(&query.query_id));
    event::catalogued(&mut outcome, format!("queries/{}", query.query_id), &query);
    Ok(outcome)
}
