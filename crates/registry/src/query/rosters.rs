//! All groups, and all people.

use contract::v1::{Group, GroupsListed, ListGroups, ListPeople, PeopleListed, Person};
use service::{Fault, View};

use super::page::{self, Ask};
use crate::state::{GROUPS, PEOPLE};

pub(super) fn groups(view: &View<'_>, m: &ListGroups) -> Result<GroupsListed, Fault> {
    let ask = Ask::read(m.page_size, &m.page, GROUPS)?;
    let read = |after: Option<&[u8]>, limit| view.list::<Group>(GROUPS, after, limit);
    let page = page::fill(ask, GROUPS, read, |_| true)?;
    Ok(GroupsListed {
        groups: page.rows,
        next_page: page.next,
        ..GroupsListed::default()
    })
}

pub(super) fn people(view: &View<'_>, m: &ListPeople) -> Result<PeopleListed, Fault> {
    let ask = Ask::read(m.page_size, &m.page, PEOPLE)?;
    let read = |after: Option<&[u8]>, limit| view.list::<Person>(PEOPLE, after, limit);
    let page = page::fill(ask, PEOPLE, read, |_| true)?;
    Ok(PeopleListed {
        people: page.rows,
        next_page: page.next,
        ..PeopleListed::default()
    })
}
