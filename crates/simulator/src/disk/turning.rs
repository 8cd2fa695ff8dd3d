//! A full log's turn on the simulated disk: when it gets on, and where it ends.

use super::{Disk, State};
use crate::dice::Dice;

/// A turn ends when all but one of its steps are done.
pub(crate) const LAST_STEP: u64 = u64::MAX;

/// How a turn ends, short of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnEnd {
    /// The process is killed.
    Kill,
    /// Its machine loses power.
    PowerCut,
    /// The disk fails after so many more steps of its own.
    Fails(u64),
}

/// What came of a chance to get on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// Nothing was to be done, or not now.
    Idle,
    /// A step was done; what comes next, if it was not the last one.
    Moved(Option<&'static str>),
    /// The process ends here.
    Ends {
        /// For want of power.
        power: bool,
    },
    /// The step failed: the store is closed.
    Failed(String),
}

/// How fast logs fill and are brought in.
pub(super) struct Pace {
    full_bytes: u64,
    percent: u64,
    /// Keys in a step, at most.
    keys: u64,
    /// After so many steps it ends in this way.
    end: Option<(u64, TurnEnd)>,
    /// How many turns came to their end.
    turns: u64,
}

impl Pace {
    /// Logs of one seed hold a few commits, those of another one many.
    pub(super) fn of(dice: &mut Dice) -> Pace {
        Pace {
            full_bytes: (12 << 10) + dice.between(1, 48) * 1_000,
            percent: dice.between(2, 60),
            keys: dice.between(1, 60),
            end: None,
            turns: 0,
        }
    }

    /// A log is full at so many bytes.
    pub(super) fn full_bytes(&self) -> u64 {
        self.full_bytes
    }

    /// In which way the process ends before this step, if it does.
    fn end_before(&mut self, step: &str) -> Option<TurnEnd> {
        let (left, how) = self.end.as_mut()?;
        let due = match *left {
            LAST_STEP => step == "voided",
            left => left == 0,
        };
        if due {
            let how = *how;
            self.end = None;
            return Some(how);
        }
        if *left != LAST_STEP {
            *left -= 1;
        }
        None
    }

    /// Whatever was to end a turn has ended the process.
    pub(super) fn opened(&mut self) {
        self.end = None;
    }
}

impl Disk {
    /// A turn begins, if none is under way, and ends after so many steps.
    pub(crate) fn end_turn(&self, steps: u64, how: TurnEnd) {
        let mut state = self.0.lock();
        if let Some(store) = &mut state.store {
            // If it cannot, nothing will end.
            let _ = store.hurry();
            state.pace.end = Some((steps, how));
        }
    }

    /// The process ends as it was told to: everything is brought in, as far as the disk takes it.
    pub(crate) fn stop(&self) {
        let mut state = self.0.lock();
        let (full, turning) = (state.full, &mut state.store);
        if let Some(store) = turning.as_mut().filter(|_| !full) {
            // What is not brought in stays in the logs.
            let _ = store.checkpoint();
        }
        state.close();
    }

    /// The applier gets its chance.
    pub(crate) fn turn_on(&self) -> Turned {
        self.0.lock().turn_on()
    }

    /// How many logs were brought in.
    pub(crate) fn turns(&self) -> u64 {
        self.0.lock().pace.turns
    }

    /// Whether the store is open, and no failure has closed it.
    pub(crate) fn is_sound(&self) -> bool {
        let state = self.0.lock();
        state.store.as_ref().is_some_and(|store| !store.is_poisoned())
    }
}

impl State {
    fn turn_on(&mut self) -> Turned {
        let Some(next) = self.store.as_ref().and_then(|store| store.turning()) else {
            return Turned::Idle;
        };
        // On a full disk it waits.
        if self.full {
            return Turned::Idle;
        }
        match self.pace.end_before(next) {
            Some(TurnEnd::Fails(steps)) => {
                let torn = self.dice.below(256);
                self.platters().for_each(|file| file.fail_after(steps, torn));
            }
            Some(how) => {
                self.close();
                return Turned::Ends {
                    power: how == TurnEnd::PowerCut,
                };
            }
            None if self.pace.end.is_none() && !self.dice.percent(self.pace.percent) => return Turned::Idle,
            None => {}
        }
        self.step()
    }

    fn step(&mut self) -> Turned {
        let keys = self.dice.between(1, self.pace.keys) as usize;
        let Some(store) = &mut self.store else {
            return Turned::Idle;
        };
        if let Err(error) = store.step(keys) {
            return Turned::Failed(error.to_string());
        }
        let next = store.turning();
        self.pace.turns += u64::from(next.is_none());
        Turned::Moved(next)
    }
}
