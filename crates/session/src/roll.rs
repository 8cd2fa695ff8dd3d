//! Sessions by whose they are: found at once for a principal, and gone through in the order of names.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

use contract::id::Principal;

/// The numbers of each principal's sessions.
#[derive(Default)]
pub(crate) struct Roll {
    of: HashMap<Principal, Vec<u64>>,
    order: BTreeSet<Principal>,
}

impl Roll {
    /// Those of a principal.
    pub(crate) fn of(&self, who: &Principal) -> &[u64] {
        self.of.get(who).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn add(&mut self, who: &Principal, id: u64) {
        match self.of.get_mut(who) {
            Some(list) => list.push(id),
            None => {
                self.of.insert(who.clone(), vec![id]);
                self.order.insert(who.clone());
            }
        }
    }

    pub(crate) fn remove(&mut self, who: &Principal, id: u64) {
        let Some(list) = self.of.get_mut(who) else {
            return;
        };
        list.retain(|other| *other != id);
        if list.is_empty() {
            self.of.remove(who);
            self.order.remove(who);
        }
    }

    /// The first principal from there on.
    pub(crate) fn next(&self, from: Bound<&Principal>) -> Option<&Principal> {
        self.order.range::<Principal, _>((from, Bound::Unbounded)).next()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.of.is_empty() && self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_knows_whoever_has_a_session_and_nobody_else() {
        let mut roll = Roll::default();
        let who = |text: &str| text.parse::<Principal>().unwrap();
        let (a, b) = (who("devices/a"), who("operators/b"));
        for (who, id) in [(&b, 1), (&a, 2), (&a, 3)] {
            roll.add(who, id);
        }
        assert_eq!(roll.next(Bound::Unbounded), Some(&a));
        assert_eq!(roll.next(Bound::Excluded(&a)), Some(&b));
        roll.remove(&a, 2);
        assert_eq!(
            (roll.of(&a), roll.next(Bound::Included(&a))),
            (&[3][..], Some(&a))
        );
        roll.remove(&a, 3);
        assert_eq!(roll.next(Bound::Unbounded), Some(&b));
        roll.remove(&b, 1);
        assert!(roll.is_empty());
    }
}
