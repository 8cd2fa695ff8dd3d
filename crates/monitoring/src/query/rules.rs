//! The rules.

use contract::v1::{ListRules, Rule, RulesListed};
use service::{Fault, View, page};

use crate::state;

pub(super) fn list(view: &View<'_>, request: &ListRules) -> Result<RulesListed, Fault> {
    let page = page::list::<Rule>(view, state::RULES, &request.page, request.page_size, |_| true)?;
    Ok(RulesListed {
        rules: page.rows,
        next_page: page.next,
        ..RulesListed::default()
    })
}
