//! Why somebody was not let in, the last time: what an operator is told who asks.

use std::collections::BTreeMap;

use contract::{
    id::{Kind, Principal},
    limits,
    v1::ClientRefusal,
};

/// Principals of one sort of which that is remembered; then the one is forgotten that was refused longest ago.
const MOST: usize = 2_048;

/// The last refusals. Claims have a place of their own: any holder of a batch may choose any id.
#[derive(Default)]
pub(super) struct Refusals {
    claims: BTreeMap<Principal, ClientRefusal>,
    others: BTreeMap<Principal, ClientRefusal>,
}

impl Refusals {
    pub(super) fn note(&mut self, who: &Principal, why: &str, address: &str, wall_ms: i64) {
        let all = match who.kind {
            Kind::Claim => &mut self.claims,
            _ => &mut self.others,
        };
        if all.len() >= MOST && !all.contains_key(who) {
            let oldest = all.iter().min_by_key(|(_, refusal)| refusal.time_ms);
            let oldest = oldest.map(|(who, _)| who.clone());
            oldest.map(|oldest| all.remove(&oldest));
        }
        let refusal = all.entry(who.clone()).or_default();
        *refusal = ClientRefusal {
            why: why.chars().take(limits::TEXT_CHARS).collect(),
            address: address.into(),
            time_ms: wall_ms,
            count: refusal.count.saturating_add(1),
        };
    }

    pub(super) fn of(&self, who: &Principal) -> Option<&ClientRefusal> {
        self.claims.get(who).or_else(|| self.others.get(who))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_is_told_and_the_oldest_is_forgotten() {
        let mut refusals = Refusals::default();
        let who = |n: usize| format!("devices/d{n}").parse::<Principal>().unwrap();
        for n in 0..=MOST {
            refusals.note(&who(n), "no", "a", n as i64);
        }
        assert_eq!(refusals.of(&who(0)), None);
        refusals.note(&who(1), "never", "b", 9_000);
        let last = refusals.of(&who(1)).unwrap();
        assert_eq!(
            (last.why.as_str(), last.address.as_str(), last.count),
            ("never", "b", 2)
        );
        refusals.note(&"claims/c".parse().unwrap(), "no", "a", 9_001);
        assert!(refusals.of(&who(2)).is_some(), "claims push out claims alone");
    }
}
