//! Whole lists that several commands go by.

use std::collections::BTreeSet;

use anyhow::Result;
use client::{AskError, Client};
use contract::{
    Code, Id,
    id::{Principal, ServiceName},
    v1::{
        Certificate, CertificatesListed, Claim, ClaimsListed, ConfigsListed, Device, DeviceType,
        DevicesListed, GroupsListed, ListCertificates, ListClaims, ListConfigs, ListDevices, ListGroups,
        ListManufacturers, ListPeople, Manufacturer, ManufacturersListed, OwnConfig, PeopleListed, Person,
        ShowType, TypeShown,
    },
    wire::Wire,
};

use super::{
    Global, alike, global,
    list::{Limit, Page},
};
use crate::exit::{Exit, Failure};

/// Asks page after page to the end; what `take` keeps of each.
pub(super) async fn all<Request: Wire, Reply: Wire, Item>(
    client: &Client,
    verb: (ServiceName, &str),
    request: impl Fn(Page) -> Request,
    take: impl Fn(Reply) -> (Vec<Item>, String),
) -> Result<Vec<Item>> {
    Ok(Limit::all().read(client, verb, request, take).await?.items)
}

/// Connects, and shows the one of a list that has this name. What it is called: `("supplier", "acme")`.
pub(super) fn one<Request: Wire, Reply: Wire, Item>(
    global: &Global,
    called: (&str, &str),
    verb: (ServiceName, &str),
    request: impl Fn(Page) -> Request,
    take: impl Fn(Reply) -> (Vec<Item>, String),
    name: impl Fn(&Item) -> &str,
) -> Result<Item> {
    let items = global.block_on(async {
        let (client, _inbox) = global.connect().await?;
        let items = all(&client, verb, request, take).await;
        client.disconnect().await;
        items
    })?;
    pick(items, called, name)
}

/// The one that has this name; where none has, those are named whose names are alike.
pub(super) fn pick<Item>(
    items: Vec<Item>,
    (what, wanted): (&str, &str),
    name: impl Fn(&Item) -> &str,
) -> Result<Item> {
    let alike = alike::hint(wanted, items.iter().map(&name));
    let found = items.into_iter().find(|item| name(item) == wanted);
    let missing = || {
        let message = format!("there is no {what} `{wanted}`{alike}");
        Failure::new(Exit::NotFound, message)
    };
    Ok(found.ok_or_else(missing)?)
}

/// Operators and integrators.
pub(super) async fn people(client: &Client) -> Result<Vec<Person>> {
    let request = |Page { size, token }| ListPeople {
        page_size: size,
        page: token,
        ..ListPeople::default()
    };
    let take = |reply: PeopleListed| (reply.people, reply.next_page);
    all(client, (ServiceName::Registry, "people"), request, take).await
}

/// A type, if there is one.
pub(super) async fn device_type(client: &Client, id: &Id) -> Result<Option<DeviceType>> {
    let request = ShowType {
        type_id: id.to_string(),
        ..ShowType::default()
    };
    match client
        .ask::<TypeShown>(ServiceName::Registry, "show-type", &request)
        .await
    {
        Ok(shown) => Ok(shown.device_type),
        Err(AskError::Refused(refusal)) if refusal.code == Code::NotFound => Ok(None),
        Err(error) => Err(global::explain(error)),
    }
}

/// Batches.
pub(super) async fn claims(client: &Client) -> Result<Vec<Claim>> {
    let request = |Page { size, token }| ListClaims {
        page_size: size,
        page: token,
        ..ListClaims::default()
    };
    let take = |reply: ClaimsListed| (reply.claims, reply.next_page);
    all(client, (ServiceName::Provisioning, "claims"), request, take).await
}

/// Manufacturers whose certificates let devices in.
pub(super) async fn manufacturers(client: &Client) -> Result<Vec<Manufacturer>> {
    let request = |Page { size, token }| ListManufacturers {
        page_size: size,
        page: token,
        ..ListManufacturers::default()
    };
    let take = |reply: ManufacturersListed| (reply.manufacturers, reply.next_page);
    all(
        client,
        (ServiceName::Provisioning, "manufacturers"),
        request,
        take,
    )
    .await
}

/// The ids of the groups that queries fill.
pub(super) async fn dynamic_groups(client: &Client) -> Result<BTreeSet<String>> {
    let request = |Page { size, token }| ListGroups {
        page_size: size,
        page: token,
        ..ListGroups::default()
    };
    let take = |reply: GroupsListed| {
        let dynamic = reply.groups.into_iter().filter(|group| !group.query.is_empty());
        (dynamic.map(|group| group.group_id).collect(), reply.next_page)
    };
    let all: Vec<String> = all(client, (ServiceName::Registry, "groups"), request, take).await?;
    Ok(all.into_iter().collect())
}

/// Devices.
pub(super) async fn devices(client: &Client) -> Result<Vec<Device>> {
    fitting(client, None, "", Some).await
}

/// The devices of a group that fit a query, as far as `keep` wants them; no group and no query are all.
pub(super) async fn fitting<Item>(
    client: &Client,
    group: Option<&Id>,
    query: &str,
    keep: impl Fn(Device) -> Option<Item>,
) -> Result<Vec<Item>> {
    let group = group.map(Id::to_string).unwrap_or_default();
    let request = |Page { size, token }| ListDevices {
        group: group.clone(),
        r#where: query.to_owned(),
        page_size: size,
        page: token,
        ..ListDevices::default()
    };
    let take = |reply: DevicesListed| {
        let found = reply.devices.into_iter().filter_map(&keep);
        (found.collect(), reply.next_page)
    };
    all(client, (ServiceName::Registry, "list"), request, take).await
}

/// What is set for devices alone, of those that fit a query.
pub(super) async fn settings(client: &Client, query: &str) -> Result<Vec<OwnConfig>> {
    let request = |Page { size, token }| ListConfigs {
        r#where: query.to_owned(),
        page_size: size,
        page: token,
        ..ListConfigs::default()
    };
    let take = |reply: ConfigsListed| (reply.configs, reply.next_page);
    all(client, (ServiceName::Registry, "config-list"), request, take).await
}

/// All certificates of one owner; of a claim the owner is its batch.
pub(super) async fn certificates_of(client: &Client, owner: &Principal) -> Result<Vec<Certificate>> {
    let request = |Page { size, token }| ListCertificates {
        kind: owner.kind.word().to_owned(),
        id: owner.id.to_string(),
        page_size: size,
        page: token,
        ..ListCertificates::default()
    };
    let take = |reply: CertificatesListed| (reply.certificates, reply.next_page);
    all(client, (ServiceName::Provisioning, "list"), request, take).await
}
