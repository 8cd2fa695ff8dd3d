//! All groups, people, types, suppliers, orders and saved queries.

use contract::v1::{
    DeviceType, Group, GroupsListed, ListGroups, ListOrders, ListPeople, ListQueries, ListSuppliers,
    ListTypes, Order, OrdersListed, PeopleListed, Person, QueriesListed, SavedQuery, ShowType, Supplier,
    SuppliersListed, TypeShown, TypesListed,
};
use service::{Fault, Sight, View, page};

use crate::state::{self, GROUPS, ORDERS, PEOPLE, QUERIES, SUPPLIERS, TYPES};

macro_rules! lists {
    ($($name:ident($ask:ident) $all:ident $row:ident => $reply:ident.$field:ident;)*) => {$(
        pub(super) fn $name(view: &View<'_>, m: &$ask) -> Result<$reply, Fault> {
            let page = page::list::<$row>(view, $all, &m.page, m.page_size, |_| true)?;
            Ok($reply {
                $field: page.rows,
                next_page: page.next,
                ..$reply::default()
            })
        }
    )*};
}

lists! {
    people(ListPeople) PEOPLE Person => PeopleListed.people;
    types(ListTypes) TYPES DeviceType => TypesListed.types;
    suppliers(ListSuppliers) SUPPLIERS Supplier => SuppliersListed.suppliers;
    orders(ListOrders) ORDERS Order => OrdersListed.orders;
    queries(ListQueries) QUERIES SavedQuery => QueriesListed.queries;
}

/// The groups in sight.
pub(super) fn groups(view: &View<'_>, sight: &Sight, m: &ListGroups) -> Result<GroupsListed, Fault> {
    let seen = |group: &Group| sight.has_group(&group.group_id);
    let page = page::list::<Group>(view, GROUPS, &m.page, m.page_size, seen)?;
    Ok(GroupsListed {
        groups: page.rows,
        next_page: page.next,
        ..GroupsListed::default()
    })
}

/// One type.
pub(super) fn kind(view: &View<'_>, m: &ShowType) -> Result<TypeShown, Fault> {
    let device_type = Some(state::find::<DeviceType>(view, "type_id", &m.type_id)?);
    Ok(TypeShown {
        device_type,
        ..TypeShown::default()
    })
}
