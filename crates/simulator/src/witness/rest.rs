//! What must be so when everything has come to rest, and what still keeps it from that.

use contract::{
    ServiceName,
    v1::{DeviceFact, Restriction, Stage},
};
use prost::Message;
use service::inspect;

use super::Witness;
use crate::{
    invariant::{Invariant, Violation},
    plan::Act,
};

impl Witness {
    /// What a device's or an order's end still waits for.
    pub(crate) fn waits_for(&self) -> Option<String> {
        let each = |service| {
            let finished = self.demand_finished(service, 0);
            finished.and_then(|()| self.demand_copies(service, 0)).err()
        };
        let waiting = ServiceName::KEEPERS.into_iter().find_map(each);
        waiting
            .or_else(|| self.demand_orders_hold(0).err())
            .map(|found| found.seen)
    }

    /// What must be so when everything has come to rest.
    pub(crate) fn at_rest(&mut self, at_ms: u64) -> Result<(), Violation> {
        for service in ServiceName::KEEPERS {
            self.look(service, at_ms)?;
            self.demand_finished(service, at_ms)?;
            self.demand_copies(service, at_ms)?;
        }
        self.demand_orders_hold(at_ms)
    }

    /// No request and no effect waits (I9).
    fn demand_finished(&self, service: ServiceName, at_ms: u64) -> Result<(), Violation> {
        let Some(rows) = self.rows.get(&service) else {
            return Ok(());
        };
        let (requests, effects) = inspect::unfinished(rows).unwrap_or_default();
        if requests.is_empty() && effects.is_empty() {
            return Ok(());
        }
        Err(Violation {
            invariant: Invariant::Progress,
            seen: format!("{service} still waits for requests {requests:?} and effects {effects:?}"),
            at_ms,
        })
    }

    /// What a service holds of others' facts is what they are (I10).
    fn demand_copies(&self, service: ServiceName, at_ms: u64) -> Result<(), Violation> {
        let mut owners = ServiceName::KEEPERS.into_iter();
        owners.try_for_each(|owner| self.demand_copy(service, owner, at_ms))
    }

    pub(super) fn demand_copy(
        &self,
        service: ServiceName,
        owner: ServiceName,
        at_ms: u64,
    ) -> Result<(), Violation> {
        let Some(rows) = self.rows.get(&service) else {
            return Ok(());
        };
        let held = inspect::copies(rows, owner).unwrap_or_default();
        let facts = self.facts(owner, at_ms)?;
        if held.is_empty() || held == facts {
            return Ok(());
        }
        Err(Violation {
            invariant: Invariant::Copies,
            seen: format!(
                "{service}'s copy of {owner}'s facts differs: {}",
                difference(&held, &facts)
            ),
            at_ms,
        })
    }

    /// What the operator was told last of a device is how it is (I2).
    fn demand_orders_hold(&self, at_ms: u64) -> Result<(), Violation> {
        for (entity, id, value) in self.facts(ServiceName::Registry, at_ms)? {
            let Ok(fact) = DeviceFact::decode(value.as_slice()) else {
                continue;
            };
            if entity != "device" {
                continue;
            }
            let mut restriction = Restriction::None;
            let mut retired = false;
            // What a backup had of it counts until something is ordered anew.
            let mut is_known = !self.orders.has_former_history(&id);
            for order in self.orders.accepted_about(&id) {
                is_known |= !matches!(order.act, Act::Rename(_) | Act::Revoke(_) | Act::Register(_));
                match order.act {
                    Act::Suspend(_) => restriction = Restriction::Suspended,
                    Act::Quarantine(_) => restriction = Restriction::Quarantined,
                    Act::Release(_) => restriction = Restriction::None,
                    Act::Retire(..) => retired = true,
                    _ => {}
                }
            }
            let as_told = if retired {
                fact.stage() == Stage::Retired
            } else {
                fact.restriction() == restriction
            };
            if is_known && !as_told {
                let told = if retired {
                    "retired".to_owned()
                } else {
                    format!("{restriction:?}")
                };
                return Err(Violation {
                    invariant: if retired {
                        Invariant::Progress
                    } else {
                        Invariant::Final
                    },
                    seen: format!(
                        "{id} should be {told}, and is {:?}, {:?}",
                        fact.stage(),
                        fact.restriction()
                    ),
                    at_ms,
                });
            }
        }
        Ok(())
    }
}

type Copy = (String, String, Vec<u8>);

fn difference(held: &[Copy], facts: &[Copy]) -> String {
    let name = |copy: &Copy| format!("{} {}", copy.0, copy.1);
    let missing = facts.iter().find(|fact| !held.contains(fact));
    let extra = held.iter().find(|copy| !facts.contains(copy));
    format!(
        "it lacks {:?} and has {:?}",
        missing.map(name).unwrap_or_default(),
        extra.map(name).unwrap_or_default()
    )
}
