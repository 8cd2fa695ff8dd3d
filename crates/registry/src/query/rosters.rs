//! All groups, and all people.

use contract::v1::{Group, GroupsListed, ListGroups, ListPeople, PeopleListed, Person};
use service::{Fault, View, page};

use crate::state::{GROUPS, PEOPLE};

pub(super) fn groups(view: &View<'_>, m: &ListGroups) -> Result<GroupsListed, Fault> {
    let page = page::list::<Group>(view, GROUPS, &m.page, m.page_size, |_| true)?;
    Ok(GroupsListed {
        groups: page.rows,
        next_page: page.next,
        ..GroupsListed::default()
    })
}

pub(super) fn people(view: &View<'_>, m: &ListPeople) -> Result<PeopleListed, Fault> {
    let page = page::list::<Person>(view, PEOPLE, &m.page, m.page_size, |_| true)?;
    Ok(PeopleListed {
        people: page.rows,
        next_page: page.next,
        ..PeopleListed::default()
    })
}
