//! All rows of a database counted. Of many, several threads count: whoever has nothing left gets the upper half of the
//! keys that another one has yet to count.

use std::{num::NonZero, thread};

use parking_lot::{Condvar, Mutex};

use crate::fault::Fault;
use crate::tally::Tally;
use crate::tree::Tree;

/// What is counted before any thread is worth it.
const FEW: usize = 65_536;
/// Rows between two looks at whether somebody has nothing left.
const STRETCH: usize = 4_096;
/// The most threads: four services may start at once.
const THREADS_MAX: usize = 4;

/// What the rows in `tree` come to whose key `counts`.
pub(crate) fn of<T: Tree>(tree: &T, counts: impl Fn(&[u8]) -> bool + Sync) -> Result<Tally, Fault> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    by(tree, counts, FEW, threads.min(THREADS_MAX))
}

fn by<T: Tree>(
    tree: &T,
    counts: impl Fn(&[u8]) -> bool + Sync,
    few: usize,
    threads: usize,
) -> Result<Tally, Fault> {
    let (mut whole, mut tally) = (Part::default(), Tally::default());
    let alone = if threads > 1 { few } else { usize::MAX };
    if !whole.stretch(tree, &counts, alone, &mut tally)? {
        return Ok(tally);
    }
    let desk = Desk {
        threads,
        state: Mutex::new(State {
            parts: vec![whole],
            ..State::default()
        }),
        news: Condvar::new(),
    };
    let counted = thread::scope(|scope| {
        let begin = |_| scope.spawn(|| desk.count(tree, &counts));
        let begun: Vec<_> = (0..threads).map(begin).collect();
        let end = |counting: thread::ScopedJoinHandle<'_, _>| counting.join().unwrap_or_else(|_| Err(died()));
        begun.into_iter().map(end).collect::<Result<Vec<_>, Fault>>()
    })?;
    counted.into_iter().for_each(|part| tally.join(part));
    Ok(tally)
}

fn died() -> Fault {
    Fault::Other("a thread that counts the rows ended by a panic".into())
}

/// The rows from one key to another, which is not among them.
#[derive(Debug, Default, PartialEq)]
struct Part {
    from: Vec<u8>,
    /// None: to the last.
    end: Option<Vec<u8>>,
}

impl Part {
    /// Counts so many rows and moves `from` behind them; whether there may be more.
    fn stretch<T: Tree>(
        &mut self,
        tree: &T,
        counts: impl Fn(&[u8]) -> bool,
        most: usize,
        tally: &mut Tally,
    ) -> Result<bool, Fault> {
        let (mut met, from) = (0, std::mem::take(&mut self.from));
        for row in tree.range(&from) {
            let (key, record) = row?;
            let key = key.as_ref();
            if self.end.as_deref().is_some_and(|end| key >= end) {
                return Ok(false);
            }
            if counts(key) {
                tally.add(key, record.as_ref());
            }
            met += 1;
            if met == most {
                self.from = [key, &[0]].concat();
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps the lower half of the keys, and gives the upper one. Where the rows lie nobody knows: a half may be empty.
    fn halve(&mut self) -> Option<Part> {
        let middle = middle(&self.from, self.end.as_deref())?;
        let end = self.end.replace(middle.clone());
        Some(Part { from: middle, end })
    }
}

/// A key between two, as if they were fractions.
fn middle(from: &[u8], end: Option<&[u8]>) -> Option<Vec<u8>> {
    let alike = |end: &[u8]| from.iter().zip(end).take_while(|(a, b)| a == b).count();
    let common = end.map_or(0, alike);
    let digits = |key: &[u8]| {
        let mut digits = [0; 8];
        let rest = key.get(common..).unwrap_or_default();
        digits
            .iter_mut()
            .zip(rest)
            .for_each(|(digit, byte)| *digit = *byte);
        u64::from_be_bytes(digits)
    };
    let (low, high) = (digits(from), end.map_or(u64::MAX, digits));
    let middle = low + high.saturating_sub(low) / 2;
    let head = from.get(..common).unwrap_or_default();
    (middle > low).then(|| [head, &middle.to_be_bytes()].concat())
}

/// Where parts change hands.
struct Desk {
    threads: usize,
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    parts: Vec<Part>,
    /// Threads that wait for one.
    waiting: usize,
    /// One of them could not read.
    failed: bool,
}

impl Desk {
    fn count<T: Tree>(&self, tree: &T, counts: impl Fn(&[u8]) -> bool) -> Result<Tally, Fault> {
        let bell = Bell(self);
        let counted = self.count_all(tree, counts);
        if counted.is_ok() {
            std::mem::forget(bell);
        }
        counted
    }

    fn fail(&self) {
        self.state.lock().failed = true;
        self.news.notify_all();
    }

    fn count_all<T: Tree>(&self, tree: &T, counts: impl Fn(&[u8]) -> bool) -> Result<Tally, Fault> {
        let mut tally = Tally::default();
        while let Some(mut part) = self.take() {
            while part.stretch(tree, &counts, STRETCH, &mut tally)? {
                self.share(&mut part);
            }
        }
        Ok(tally)
    }

    /// The next part; none when all is counted.
    fn take(&self) -> Option<Part> {
        let mut state = self.state.lock();
        state.waiting += 1;
        loop {
            if state.failed {
                return None;
            }
            if let Some(part) = state.parts.pop() {
                state.waiting -= 1;
                return Some(part);
            }
            if state.waiting == self.threads {
                self.news.notify_all();
                return None;
            }
            self.news.wait(&mut state);
        }
    }

    /// Leaves half of a part to whoever waits.
    fn share(&self, part: &mut Part) {
        let mut state = self.state.lock();
        if state.waiting > state.parts.len()
            && let Some(half) = part.halve()
        {
            state.parts.push(half);
            self.news.notify_one();
        }
    }
}

/// Tells the others, who would wait for ever, when a thread ends before its time.
struct Bell<'a>(&'a Desk);

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        self.0.fail();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Rows in memory; the one under this key cannot be read.
    #[derive(Debug, Default)]
    struct Shelf {
        rows: BTreeMap<Vec<u8>, Vec<u8>>,
        damaged: Option<Vec<u8>>,
    }

    impl Tree for Shelf {
        type Bytes = Vec<u8>;

        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
            Ok(self.rows.get(key).cloned())
        }

        fn range(&self, from: &[u8]) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), Fault>> {
            self.rows
                .range(from.to_vec()..)
                .map(|(key, record)| match self.damaged.as_ref() == Some(key) {
                    true => Err(Fault::Corrupt("here".into())),
                    false => Ok((key.clone(), record.clone())),
                })
        }

        fn put(&self, _: &[u8], _: &[u8]) -> Result<(), Fault> {
            Err(Fault::Full)
        }

        fn remove(&self, _: &[u8]) -> Result<(), Fault> {
            Err(Fault::Full)
        }

        fn flush(&self) -> Result<(), Fault> {
            Ok(())
        }
    }

    fn record(number: usize) -> Vec<u8> {
        let mut sealed = Vec::new();
        crate::envelope::seal(b"k", &number.to_be_bytes(), &mut sealed);
        sealed
    }

    fn alone(shelf: &Shelf, counts: impl Fn(&[u8]) -> bool) -> Tally {
        let mut tally = Tally::default();
        let rows = shelf.rows.iter().filter(|(key, _)| counts(key));
        rows.for_each(|(key, record)| tally.add(key, record));
        tally
    }

    /// Rows as a service has them: nearly all keys begin alike.
    fn shelf(rows: usize) -> Shelf {
        let row = |n: usize| (format!("sddev-{n:07}").into_bytes(), record(n));
        let few = (0..20).map(|n| (vec![n * 12, 0, n], record(n.into())));
        Shelf {
            rows: (0..rows).map(row).chain(few).collect(),
            damaged: None,
        }
    }

    #[test]
    fn several_threads_count_each_row_once() {
        let shelf = shelf(60_000);
        for threads in [1, 2, 4] {
            let odd = |key: &[u8]| key.last().is_some_and(|byte| byte % 2 == 1);
            assert_eq!(
                by(&shelf, |_| true, 100, threads).unwrap(),
                alone(&shelf, |_| true)
            );
            assert_eq!(by(&shelf, odd, 100, threads).unwrap(), alone(&shelf, odd));
        }
        assert_eq!(of(&shelf, |_| true).unwrap(), alone(&shelf, |_| true));
    }

    #[test]
    fn a_row_that_cannot_be_read_ends_it_for_all() {
        let mut shelf = shelf(60_000);
        shelf.damaged = Some(b"sddev-0059999".to_vec());
        assert!(matches!(by(&shelf, |_| true, 100, 4), Err(Fault::Corrupt(_))));
    }

    proptest! {
        #[test]
        fn a_middle_lies_between(from in prop::collection::vec(any::<u8>(), 0..12), end in prop::option::of(prop::collection::vec(any::<u8>(), 0..12))) {
            prop_assume!(end.as_ref().is_none_or(|end| from < *end));
            let mut part = Part { from: from.clone(), end: end.clone() };
            if let Some(half) = part.halve() {
                prop_assert!(part.from < half.from && part.end.as_ref() == Some(&half.from));
                prop_assert!(end.as_ref().is_none_or(|end| half.from < *end));
                prop_assert_eq!((part.from, half.end), (from, end));
            }
        }
    }
}
