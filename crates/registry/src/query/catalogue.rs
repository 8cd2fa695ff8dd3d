//! All groups, people and their tokens, types, suppliers, orders and saved queries.

use contract::v1::{
    DeviceType, Group, GroupsListed, ListGroups, ListOrders, ListPeople, ListQueries, ListSuppliers,
    ListTokens, ListTypes, Login, LoginToken, Order, OrdersListed, PasswordShown, PeopleListed, Person,
    QueriesListed, SavedQuery, ShowPassword, ShowType, Supplier, SuppliersListed, TokensListed, TypeShown,
    TypesListed,
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

/// The tokens of one person that have not ended, of which there are few, and whether there is a password.
pub(super) fn tokens(view: &View<'_>, now_ms: i64, m: &ListTokens) -> Result<TokensListed, Fault> {
    let person = state::person(view, &m.kind, &m.id)?;
    let login = state::login(view, &person)?;
    let listed = login.tokens.into_iter().filter(|token| token.expires_ms > now_ms);
    let listed = listed.map(|token| LoginToken {
        sha256: String::new(),
        ..token
    });
    let password = login.password.unwrap_or_default();
    Ok(TokensListed {
        tokens: listed.collect(),
        password: password.number,
        password_set_at_ms: password.set_at_ms,
        ..TokensListed::default()
    })
}

/// What a password is compared with. Whoever it is, as much is read, and an answer comes.
pub(super) fn password(view: &View<'_>, m: ShowPassword) -> Result<PasswordShown, Fault> {
    let person = state::person_or_twin(view, &m.kind, &m.id)?;
    let login: Option<Login> = view.load(state::login_key(&m.kind, &m.id))?;
    let may = person.is_some_and(|person| person.id == m.id && !person.disabled);
    let password = login.and_then(|login| login.password).filter(|_| may);
    let password = password.unwrap_or_default();
    Ok(PasswordShown {
        request_id: m.request_id,
        verifier: password.verifier,
        password: password.number,
    })
}
