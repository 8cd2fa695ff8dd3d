//! What must hold at every step. The words are in docs/invariants.md, under the same numbers.

use std::fmt;

macro_rules! invariants {
    ($($number:literal $name:ident $title:literal;)*) => {
        /// An invariant of the whole system.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Invariant { $(#[doc = $title] $name,)* }

        impl Invariant {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Invariant] = &[$(Invariant::$name),*];

            /// Its number in docs/invariants.md.
            pub const fn number(self) -> u8 {
                match self { $(Invariant::$name => $number,)* }
            }

            /// Its heading there.
            pub const fn title(self) -> &'static str {
                match self { $(Invariant::$name => $title,)* }
            }
        }
    };
}

invariants! {
    1 Acknowledged "What was acknowledged is there";
    2 Final "Nothing final is undone";
    3 Certificates "No certificate that the store does not know";
    4 OneState "A device is in one state";
    5 ShutOut "Who is shut out does nothing more";
    6 Sequences "Sequences have no gaps and are never used again";
    7 Order "Requests of one principal take effect in their order, and named ones once";
    8 Answered "Every request is answered once, or its connection ends";
    9 Progress "Nothing waits for ever once faults cease";
    10 Copies "Copies of facts become equal to the facts";
    11 Streams "Who follows events and replays has all of them";
    12 Images "A device runs only what was verified, and always has something to run";
    13 Devices "A device keeps its key, and ends what it is assigned";
    14 Sessions "A session that goes on owes nothing";
    15 Stores "A store serves what was committed to it, or nothing";
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "I{} ({})", self.number(), self.title())
    }
}

/// An invariant that did not hold, and how that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// What was seen.
    pub seen: String,
    /// When, milliseconds of simulated time.
    pub at_ms: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} broken at {} ms: {}", self.invariant, self.at_ms, self.seen)
    }
}
