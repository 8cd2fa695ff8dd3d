//! Follows another service's facts: a sans-I/O machine that knows what it holds and asks for what
//! it lacks.
//!
//! Facts are a compacted log: each change carries its owner's store epoch and a sequence without
//! gaps. On a gap, a new epoch, a beacon that is ahead, or at start a follower asks the owner for everything
//! after its cursor and takes the pages. If the owner cannot continue from the cursor it sends a whole copy,
//! which replaces the old one at its marker.
//!
//! A change that comes before the pages do is applied at once, and remembered: it may shut somebody out, and a
//! page that was read before it was made must not undo it.

use std::collections::BTreeMap;

use contract::{
    id::ServiceName,
    v1::{Beacon, Fact, FactsAfter, FactsPage},
};

use crate::planted::{self, Mistake};

/// How long an unanswered question waits before it is asked again, milliseconds.
const ASK_AGAIN_MS: u64 = 2_000;
/// How long without a beacon until the copy counts as stale, milliseconds.
const STALE_AFTER_MS: u64 = 5_000;
/// Changes remembered that came before the pages; what comes beyond them waits for the pages.
const AHEAD: usize = 4_096;

/// What a follower holds of one owner's facts, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// The owner's history; 0 when nothing is held.
    pub epoch: u64,
    /// The last change applied.
    pub sequence: u64,
}

/// What is to be done with facts that arrived.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// Changes to apply, in order. A tombstone removes.
    pub apply: Vec<Fact>,
    /// Before applying: the changes are (a part of) a whole copy, so whatever is not in it must go
    /// when `swap` comes. Set on each page of a whole copy.
    pub whole: bool,
    /// The whole copy is complete: what it did not name is gone.
    pub swap: bool,
}

/// Follows one owner.
#[derive(Debug, Clone)]
pub struct Follower {
    owner: ServiceName,
    cursor: Cursor,
    /// Caught up with the owner: the next change is applied as it comes.
    live: bool,
    /// A whole copy is being received.
    rebuilding: bool,
    /// Changes beyond the cursor, by sequence, all of one history.
    ahead: BTreeMap<u64, Fact>,
    asked_at: Option<u64>,
    question: u64,
    heard_at: Option<u64>,
}

impl Follower {
    /// Follows `owner` from what is already held.
    pub fn resume(owner: ServiceName, cursor: Cursor) -> Follower {
        Follower {
            owner,
            cursor,
            live: false,
            rebuilding: false,
            ahead: BTreeMap::new(),
            asked_at: None,
            question: 0,
            heard_at: None,
        }
    }

    /// Whom it follows.
    pub fn owner(&self) -> ServiceName {
        self.owner
    }

    /// What it holds.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Whether it has everything the owner had when it last answered.
    pub fn is_whole(&self) -> bool {
        self.live
    }

    /// Whether the owner has been silent for too long at `now` (monotonic milliseconds).
    pub fn is_stale(&self, now: u64) -> bool {
        !self.live
            || self
                .heard_at
                .is_none_or(|at| now.saturating_sub(at) > STALE_AFTER_MS)
    }

    /// The connection to the owner was lost: what was asked will not be answered.
    pub fn disconnected(&mut self) {
        self.asked_at = None;
        self.live = false;
    }

    /// A change that was published.
    pub fn on_fact(&mut self, fact: &Fact, now: u64) -> Step {
        self.heard_at = Some(now);
        let same = fact.epoch == self.cursor.epoch || planted::is(Mistake::EpochUnnoticed);
        let next = same && Some(fact.sequence) == self.cursor.sequence.checked_add(1);
        let old = same && fact.sequence <= self.cursor.sequence;
        let blind = planted::is(Mistake::StaleFacts) && !old;
        if (next || blind) && self.live {
            self.cursor.sequence = fact.sequence;
            return Step {
                apply: vec![fact.clone()],
                ..Step::default()
            };
        }
        if old {
            return Step::default();
        }
        self.live = false;
        self.run_ahead(fact)
    }

    /// A change that cannot be next is applied all the same, before the pages that lead up to it.
    fn run_ahead(&mut self, fact: &Fact) -> Step {
        if self
            .ahead
            .values()
            .next()
            .is_some_and(|held| held.epoch != fact.epoch)
        {
            self.ahead.clear();
        }
        if self.ahead.len() >= AHEAD {
            return Step::default();
        }
        self.ahead.insert(fact.sequence, fact.clone());
        Step {
            apply: vec![fact.clone()],
            whole: self.rebuilding,
            swap: false,
        }
    }

    /// The owner's head, each second.
    pub fn on_beacon(&mut self, beacon: &Beacon, now: u64) {
        self.heard_at = Some(now);
        let other = beacon.epoch != self.cursor.epoch && !planted::is(Mistake::EpochUnnoticed);
        let behind = other || beacon.head > self.cursor.sequence;
        if behind && !planted::is(Mistake::StaleFacts) {
            self.live = false;
        }
    }

    /// A page that was asked for. A page of another question is ignored.
    pub fn on_page(&mut self, page: FactsPage, now: u64) -> Step {
        if self.asked_at.is_none() || page.request_id != self.question_id() {
            return Step::default();
        }
        self.heard_at = Some(now);
        self.asked_at = None;
        let whole = page.whole || self.rebuilding;
        self.rebuilding = whole && !page.complete;
        self.cursor = Cursor {
            epoch: page.epoch,
            sequence: page.last,
        };
        self.ahead
            .retain(|sequence, fact| fact.epoch == page.epoch && *sequence > page.last);
        let mut apply = page.facts;
        apply.retain(|fact| !self.is_older(fact));
        if page.complete {
            // Once more, so that a whole copy names them.
            apply.extend(self.ahead.values().cloned());
            self.catch_up();
        }
        self.live = page.complete && self.ahead.is_empty();
        Step {
            apply,
            whole,
            swap: whole && page.complete,
        }
    }

    /// Whether something newer about the same thing has come already.
    fn is_older(&self, fact: &Fact) -> bool {
        let newer =
            |held: &Fact| held.entity == fact.entity && held.id == fact.id && held.sequence > fact.sequence;
        self.ahead.values().any(newer)
    }

    /// What follows the cursor without a gap is held.
    fn catch_up(&mut self) {
        // An owner may claim any number, also the last of all.
        while let Some(next) = self.cursor.sequence.checked_add(1)
            && self.ahead.remove(&next).is_some()
        {
            self.cursor.sequence = next;
        }
    }

    /// What to ask the owner now, if anything.
    pub fn poll(&mut self, now: u64) -> Option<FactsAfter> {
        let waiting = self
            .asked_at
            .is_some_and(|at| now.saturating_sub(at) < ASK_AGAIN_MS);
        if self.live || waiting {
            return None;
        }
        if self.rebuilding && self.asked_at.is_some() {
            // A page of a whole copy got lost: begin the copy again.
            self.rebuilding = false;
            self.cursor = Cursor::default();
        }
        self.asked_at = Some(now);
        self.question += 1;
        let Cursor { epoch, sequence } = self.cursor;
        Some(FactsAfter {
            request_id: self.question_id(),
            epoch,
            after: sequence,
        })
    }

    fn question_id(&self) -> String {
        // Also by what is held: after a restart an older question's page may still come.
        let Cursor { epoch, sequence } = self.cursor;
        format!("facts-{}-{epoch:x}-{sequence}", self.question)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(sequence: u64) -> Fact {
        Fact {
            epoch: 7,
            sequence,
            entity: "device".into(),
            id: format!("d{sequence}"),
            ..Fact::default()
        }
    }

    fn page(request_id: &str, last: u64, complete: bool, whole: bool) -> FactsPage {
        FactsPage {
            request_id: request_id.into(),
            epoch: 7,
            last,
            complete,
            whole,
            ..FactsPage::default()
        }
    }

    fn live() -> Follower {
        let mut follower = Follower::resume(ServiceName::Registry, Cursor::default());
        let question = follower.poll(0).unwrap();
        follower.on_page(page(&question.request_id, 3, true, true), 1);
        follower
    }

    #[test]
    fn it_asks_takes_pages_and_goes_live() {
        let mut follower = Follower::resume(ServiceName::Registry, Cursor::default());
        let first = follower.poll(0).unwrap();
        assert!(follower.poll(1).is_none(), "one question at a time");
        let step = follower.on_page(page(&first.request_id, 2, false, true), 2);
        assert!(step.whole && !step.swap && !follower.is_whole());
        let second = follower.poll(3).unwrap();
        assert_eq!(second.after, 2);
        let step = follower.on_page(page(&second.request_id, 3, true, false), 4);
        assert!(step.whole && step.swap && follower.is_whole());
        assert_eq!(follower.on_fact(&fact(4), 5).apply.len(), 1);
    }

    #[test]
    fn a_gap_or_a_beacon_ahead_makes_it_ask() {
        let mut follower = live();
        assert_eq!(follower.on_fact(&fact(9), 2).apply, [fact(9)]);
        assert_eq!(follower.poll(3).unwrap().after, 3);
        let mut follower = live();
        follower.on_beacon(&Beacon { epoch: 7, head: 4 }, 2);
        assert!(follower.poll(3).is_some());
        let mut follower = live();
        follower.on_beacon(&Beacon { epoch: 8, head: 0 }, 2);
        assert!(!follower.is_whole());
    }

    #[test]
    fn old_changes_and_old_pages_do_nothing() {
        let mut follower = live();
        assert!(follower.on_fact(&fact(3), 2).apply.is_empty());
        assert!(follower.is_whole());
        assert_eq!(
            follower.on_page(page("facts-99", 50, true, true), 3),
            Step::default()
        );
        assert_eq!(follower.cursor().sequence, 3);
    }

    #[test]
    fn silence_makes_it_stale() {
        let follower = live();
        assert!(!follower.is_stale(5_000));
        assert!(follower.is_stale(5_002));
    }

    #[test]
    fn what_came_before_the_pages_counts_at_once_and_is_not_undone_by_them() {
        let mut follower = live();
        follower.disconnected();
        let question = follower.poll(2).unwrap();
        let shut_out = Fact {
            value: b"suspended".to_vec(),
            ..fact(5)
        };
        assert_eq!(follower.on_fact(&shut_out, 3).apply.len(), 1);
        let older = Fact {
            id: "d5".into(),
            ..fact(4)
        };
        let page = FactsPage {
            facts: vec![older],
            ..page(&question.request_id, 4, true, false)
        };
        assert_eq!(follower.on_page(page, 4).apply, [shut_out]);
        assert!(follower.is_whole(), "4 was in the page, and 5 came ahead of it");
        assert_eq!(follower.cursor().sequence, 5);
    }

    #[test]
    fn a_gap_behind_the_pages_is_asked_for_again() {
        let mut follower = live();
        follower.on_fact(&fact(9), 2);
        let question = follower.poll(3).unwrap();
        follower.on_page(page(&question.request_id, 5, true, false), 4);
        assert!(!follower.is_whole());
        assert_eq!(follower.poll(5).unwrap().after, 5);
    }
}
