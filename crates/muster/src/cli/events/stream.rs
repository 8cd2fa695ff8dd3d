//! One service's events in order: what is shown, what is a repeat, and when to catch up by replay.
//!
//! A live event says that there are events up to its number, not that this one is next. While the stream catches
//! up, live events only raise the number that the replay has to reach; so nothing waits in memory.

use contract::v1::ReplayMarker;

/// Whether a gap in the numbers means that something is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Every event is seen.
    Whole,
    /// Others may lie between: of a filter, or of a grant.
    Partial,
}

/// What to do with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is next.
    Show,
    /// It was shown, or comes again by replay.
    Drop,
}

/// What a replay's page came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// There is more.
    More,
    /// Everything so far has been shown.
    Complete,
    /// The service's history is another one: its store was restored. It is shown from its beginning.
    NewHistory,
}

/// Where one service's stream is.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    sight: Sight,
    /// The history the numbers belong to; empty until known.
    epoch: String,
    /// Everything up to here has been shown.
    cursor: u64,
    /// The highest number heard of.
    heard: u64,
    behind: bool,
}

impl Stream {
    /// A stream that is to show what comes after `after`; behind until it has caught up.
    pub(super) fn new(sight: Sight, after: u64) -> Stream {
        Stream {
            sight,
            epoch: String::new(),
            cursor: after,
            heard: 0,
            behind: true,
        }
    }

    /// A stream that goes on after a number of a history.
    pub(super) fn resumed(sight: Sight, epoch: &str, after: u64) -> Stream {
        Stream {
            epoch: epoch.to_owned(),
            ..Stream::new(sight, after)
        }
    }

    /// A stream that begins at a marker's newest event.
    pub(super) fn from_now(sight: Sight, marker: &ReplayMarker) -> Stream {
        Stream {
            sight,
            epoch: marker.epoch.clone(),
            cursor: marker.head,
            heard: 0,
            behind: true,
        }
    }

    /// Everything up to here has been shown.
    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The same, with the history that it belongs to.
    pub(super) fn place(&self) -> (&str, u64) {
        (&self.epoch, self.cursor)
    }

    /// Whether a replay is due.
    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Something may have been missed.
    pub(super) fn fall_behind(&mut self) {
        self.behind = true;
    }

    /// A live event.
    pub(super) fn live(&mut self, epoch: &str, sequence: u64) -> Verdict {
        if !self.epoch.is_empty() && epoch != self.epoch {
            // The next replay's marker tells the same.
            self.behind = true;
            return Verdict::Drop;
        }
        self.heard = self.heard.max(sequence);
        if self.sight == Sight::Whole && sequence > self.cursor.saturating_add(1) {
            self.behind = true;
        }
        if self.behind || sequence <= self.cursor {
            return Verdict::Drop;
        }
        self.cursor = sequence;
        Verdict::Show
    }

    /// Whether the page before this marker is of use: it is of this history. The first one tells which that is.
    pub(super) fn meets(&mut self, marker: &ReplayMarker) -> bool {
        if self.epoch.is_empty() {
            self.epoch.clone_from(&marker.epoch);
        }
        !self.is_other(marker)
    }

    /// Whether a marker tells of another history than this one.
    fn is_other(&self, marker: &ReplayMarker) -> bool {
        !self.epoch.is_empty() && marker.epoch != self.epoch
    }

    /// An event of a page whose marker tells of this history. What was there before the store was restored is part of it, and
    /// bears the former one's name.
    pub(super) fn replayed(&mut self, sequence: u64) -> Verdict {
        if sequence <= self.cursor {
            return Verdict::Drop;
        }
        self.cursor = sequence;
        Verdict::Show
    }

    /// The end of a page of replay.
    pub(super) fn marker(&mut self, marker: &ReplayMarker) -> Page {
        if self.is_other(marker) {
            *self = Stream {
                epoch: marker.epoch.clone(),
                ..Stream::new(self.sight, 0)
            };
            return Page::NewHistory;
        }
        self.epoch.clone_from(&marker.epoch);
        // A number beyond the newest is no place to wait at.
        self.cursor = self.cursor.max(marker.last).min(marker.head);
        self.behind = !marker.complete || self.cursor < self.heard;
        if self.behind { Page::More } else { Page::Complete }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(last: u64, head: u64) -> ReplayMarker {
        ReplayMarker {
            last,
            head,
            complete: last >= head,
            epoch: "a".into(),
            ..ReplayMarker::default()
        }
    }

    fn caught_up(sight: Sight, head: u64) -> Stream {
        let mut stream = Stream::from_now(sight, &marker(u64::MAX, head));
        assert!(stream.is_behind());
        assert_eq!(stream.marker(&marker(head, head)), Page::Complete);
        stream
    }

    #[test]
    fn live_events_are_shown_once_and_in_order() {
        let mut stream = caught_up(Sight::Whole, 10);
        assert_eq!(stream.live("a", 11), Verdict::Show);
        assert_eq!(stream.live("a", 11), Verdict::Drop);
        assert_eq!(stream.live("a", 9), Verdict::Drop);
        assert!(!stream.is_behind());
    }

    #[test]
    fn a_gap_is_filled_by_replay() {
        let mut stream = caught_up(Sight::Whole, 10);
        assert_eq!(stream.live("a", 13), Verdict::Drop);
        assert!(stream.is_behind());
        assert_eq!(stream.live("a", 14), Verdict::Drop);
        for sequence in 11..=13 {
            assert_eq!(stream.replayed(sequence), Verdict::Show);
        }
        // The page was read before 14 was there.
        assert_eq!(stream.marker(&marker(13, 13)), Page::More);
        assert_eq!(stream.replayed(14), Verdict::Show);
        assert_eq!(stream.marker(&marker(14, 14)), Page::Complete);
        assert_eq!(stream.live("a", 15), Verdict::Show);
    }

    #[test]
    fn who_sees_a_part_sees_no_gap_but_catches_up_after_a_loss() {
        let mut stream = caught_up(Sight::Partial, 10);
        assert_eq!(stream.live("a", 20), Verdict::Show);
        stream.fall_behind();
        assert_eq!(stream.live("a", 31), Verdict::Drop);
        assert_eq!(stream.replayed(25), Verdict::Show);
        assert_eq!(stream.replayed(31), Verdict::Show);
        assert_eq!(stream.marker(&marker(40, 40)), Page::Complete);
        assert_eq!(stream.cursor(), 40);
    }

    #[test]
    fn pages_follow_one_another() {
        let mut stream = Stream::new(Sight::Partial, 0);
        assert_eq!(stream.marker(&marker(500, 900)), Page::More);
        assert_eq!(stream.cursor(), 500);
        assert_eq!(stream.marker(&marker(900, 900)), Page::Complete);
    }

    #[test]
    fn a_restored_store_is_shown_from_its_beginning() {
        let mut stream = caught_up(Sight::Whole, 10);
        assert_eq!(stream.live("b", 3), Verdict::Drop);
        assert!(stream.is_behind());
        let other = ReplayMarker {
            epoch: "b".into(),
            ..marker(10, 3)
        };
        assert_eq!(stream.marker(&other), Page::NewHistory);
        assert_eq!(stream.cursor(), 0);
        assert_eq!(stream.replayed(1), Verdict::Show);
    }

    #[test]
    fn a_stream_goes_on_in_its_history_and_begins_anew_in_another() {
        let mut stream = Stream::resumed(Sight::Whole, "a", 7);
        assert!(stream.meets(&marker(8, 8)));
        assert_eq!(stream.replayed(7), Verdict::Drop);
        assert_eq!(stream.replayed(8), Verdict::Show);
        assert_eq!(stream.place(), ("a", 8));
        let mut stream = Stream::resumed(Sight::Whole, "b", 7);
        assert!(!stream.meets(&marker(8, 8)));
        let mut fresh = Stream::new(Sight::Whole, 0);
        assert!(fresh.meets(&marker(8, 8)));
        assert_eq!(fresh.replayed(1), Verdict::Show);
        assert_eq!(fresh.place(), ("a", 1), "known before the page is whole");
        assert_eq!(stream.marker(&marker(8, 8)), Page::NewHistory);
        assert_eq!(stream.place(), ("a", 0));
    }

    #[test]
    fn a_number_from_the_future_waits_at_the_newest() {
        let mut stream = Stream::new(Sight::Whole, 1_000);
        assert_eq!(stream.marker(&marker(1_000, 10)), Page::Complete);
        assert_eq!(stream.live("a", 11), Verdict::Show);
    }
}
