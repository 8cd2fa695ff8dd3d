//! The rules.

use contract::v1::{ListRules, Rule, RulesListed};
use service::{Fault, View, page};

use crate::state;

pub(super) fn list(view: &View<'_>, request: &ListRules) -> Result<RulesListed, Fault> {
    let (rules, next_page) =
        page::read::<Rule>(view, state::RULES, &request.page, request.page_size, |_| true)?;
    Ok(RulesListed {
        rules,
        next_page,
        ..RulesListed::default()
    })
}
