//! Mistakes on purpose, behind a feature that no program for use has: what the invariants of the simulator
//! are worth is what they find. Without the feature [`is`] is constantly false and nothing of this is left.

macro_rules! mistakes {
    ($($name:ident $word:literal $what:literal;)*) => {
        /// A mistake that can be planted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mistake { $(#[doc = $what] $name,)* }

        impl Mistake {
            /// All of them.
            pub const ALL: &'static [Mistake] = &[$(Mistake::$name),*];

            /// Its name on a command line.
            pub const fn word(self) -> &'static str {
                match self { $(Mistake::$name => $word,)* }
            }

            /// What goes wrong.
            pub const fn what(self) -> &'static str {
                match self { $(Mistake::$name => $what,)* }
            }
        }
    };
}

mistakes! {
    EarlyAnswer "early-answer" "A group is answered before it is flushed.";
    OutboxForgotten "outbox-forgotten" "After a restart, what lies past the event cursor is not published.";
    DedupeForgotten "dedupe-forgotten" "A repeated request is decided again.";
    FactAfterReply "fact-after-reply" "A group's replies go out before its facts.";
    WindowDisordered "window-disordered" "On a new link the window is sent again in another order.";
    WindowForgotten "window-forgotten" "On a new link the window is not sent again.";
    KickMissed "kick-missed" "The sessions of a revoked certificate or a suspended device stay open.";
    WakeLost "wake-lost" "Setting a wake-up does not write it.";
    HalfAGroup "half-a-group" "A crash within a commit leaves half of the group on the disk.";
    ReplaySeam "replay-seam" "A replay begins one event too late.";
    StaleFacts "stale-facts" "A follower does not notice the gap in what it follows.";
    EpochUnnoticed "epoch-unnoticed" "A follower does not notice that another history has begun.";
    SequenceReused "sequence-reused" "A restored backup keeps its epoch.";
    EffectForgotten "effect-forgotten" "After a restart, effects without a result are not run.";
    AckInMemory "ack-in-memory" "A request is acknowledged when the front door has it in memory.";
    ResumedAndForgotten "resumed-and-forgotten" "What was sent and not acknowledged is not sent again when its session goes on.";
    SyncSkipped "sync-skipped" "A commit counts once it is written, whether the disk has it or not.";
    TailUnchecked "tail-unchecked" "A record that cannot be read counts as the end of the log, whatever lies behind it.";
    VoidedUnflushed "voided-unflushed" "A full log is voided before the database has flushed what was in it.";
    TurnUnnoted "turn-unnoted" "A log is brought into the database without a note of what it leaves alone.";
    VoidForgotten "void-forgotten" "Opening does not make durable that a log was voided.";
    RowsUncounted "rows-uncounted" "Opening does not mind that rows of the database are missing or older ones.";
}

#[cfg(feature = "planted-bugs")]
mod active {
    use std::cell::Cell;

    use super::Mistake;

    thread_local! {
        static PLANTED: Cell<Option<Mistake>> = const { Cell::new(None) };
    }

    /// Plants a mistake on this thread; `None` takes it away.
    pub fn plant(mistake: Option<Mistake>) {
        PLANTED.set(mistake);
    }

    /// Whether this mistake is to be made.
    pub fn is(mistake: Mistake) -> bool {
        PLANTED.get() == Some(mistake)
    }
}

#[cfg(not(feature = "planted-bugs"))]
mod active {
    use super::Mistake;

    /// Without the feature there is nothing to plant.
    pub fn plant(_mistake: Option<Mistake>) {}

    /// Never.
    #[inline(always)]
    pub const fn is(_mistake: Mistake) -> bool {
        false
    }
}

pub use active::{is, plant};
