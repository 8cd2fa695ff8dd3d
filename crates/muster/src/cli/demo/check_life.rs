//! What people decided, as the checker sees it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use client::Client;
use contract::{id::ServiceName, v1};

use super::{
    super::global,
    check::{Expected, Story, subjects},
    life::{NEXT_OWNER, ORDER},
    report::Report,
};

/// Looks at events, and at what the registry says.
pub(super) async fn check(
    report: &mut Report,
    story: &Story,
    client: &Client,
    (expected, devices): (&Expected, &BTreeMap<String, v1::Device>),
) -> Result<()> {
    check_order(report, client, expected).await?;
    check_acceptance(report, story, expected);
    let device = |id: &str| devices.get(id).cloned().unwrap_or_default();
    let critical = device(&expected.critical).criticality();
    let most = critical == v1::Criticality::Critical;
    report.check("one device matters most", most, &*expected.critical);
    let owner = device(&expected.transferred).owner;
    let accepted = subjects(story, ServiceName::Registry, "accepted", |_| true).len();
    report.check(
        "one has its next owner",
        owner == NEXT_OWNER && accepted == 1,
        owner,
    );
    let (old, new) = (device(&expected.retired), device(&expected.successor));
    let placed =
        new.replaces == old.device_id && old.replaced_by == new.device_id && !old.device_id.is_empty();
    report.check(
        "the successor has the place of the retired one",
        placed,
        new.device_id,
    );
    check_record(report, client, expected).await
}

async fn check_order(report: &mut Report, client: &Client, expected: &Expected) -> Result<()> {
    let ask = v1::ListOrders::default();
    let listed: v1::OrdersListed = global::ask(client, ServiceName::Registry, "orders", &ask).await?;
    let order = listed
        .orders
        .into_iter()
        .find(|order| order.order_id == ORDER)
        .unwrap_or_default();
    let all = expected.ordered.len() as u64;
    let good = (order.expected, order.received) == (all, all);
    let seen = format!("{} of {}", order.received, order.expected);
    report.check("what was ordered has arrived", good, seen);
    Ok(())
}

fn check_acceptance(report: &mut Report, story: &Story, expected: &Expected) {
    let passed = subjects(story, ServiceName::Registry, "attested", |data| {
        data["passed"] == true
    });
    let ordered: BTreeSet<_> = expected
        .ordered
        .iter()
        .map(|id| format!("devices/{id}"))
        .collect();
    let seen = format!("{} of {}", passed.len(), ordered.len());
    report.check("it passed its acceptance test", passed == ordered, seen);
}

async fn check_record(report: &mut Report, client: &Client, expected: &Expected) -> Result<()> {
    let ask = v1::ShowRetirement {
        device_id: expected.retired.clone(),
        ..v1::ShowRetirement::default()
    };
    let shown: v1::RetirementShown = global::ask(client, ServiceName::Registry, "retirement", &ask).await?;
    let state = shown.retirement.unwrap_or_default().state();
    let signed = state == v1::RetirementState::Signed;
    report.check("the record of the end is signed", signed, state.as_str_name());
    Ok(())
}
