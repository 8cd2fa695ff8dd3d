//! Reading past what cannot be read.
//!
//! Neither engine goes on behind a page that it cannot read. But a read that begins behind it may
//! succeed: so the next key that can be read is looked for, in steps that grow, and then narrowed down.

use service::store::StoreError;

use crate::fault::Fault;
use crate::{envelope, meta};

/// How much of a key tells where a page ends. Keys that agree so far are taken for neighbours.
const WIDTH: usize = 64;

/// What a walk meets.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A row, its checksum found right.
    Row(&'a [u8], &'a [u8]),
    /// A row whose bytes are not what was written.
    Damaged(&'a [u8], &'static str),
    /// Nothing can be read from the first key on up to the second; `None` is the end.
    Gap(&'a [u8], Option<&'a [u8]>),
}

/// A row as an engine returns it: its key, and its record in the envelope.
pub(crate) type Found = Option<(Vec<u8>, Vec<u8>)>;

/// Walks all rows; `next` returns the first one from a key on.
pub(crate) fn walk(next: impl Fn(&[u8]) -> Result<Found, Fault>, visit: &mut dyn FnMut(Seen<'_>)) {
    let mut from = Vec::new();
    loop {
        match next(&from) {
            Ok(None) => return,
            Ok(Some((key, record))) => {
                if !meta::is_own(&key) {
                    visit(see(&key, &record));
                }
                from = key;
                from.push(0);
            }
            Err(_) => {
                let readable = |place: &Place| next(place).is_ok();
                let end = beyond(&from, readable);
                visit(Seen::Gap(&from, end.as_ref().map(|place| &place[..])));
                let Some(end) = end else { return };
                from = end.to_vec();
            }
        }
    }
}

fn see<'a>(key: &'a [u8], record: &'a [u8]) -> Seen<'a> {
    match envelope::open(key, record) {
        Ok(payload) => Seen::Row(key, payload),
        Err(StoreError::Damaged { reason, .. }) => Seen::Damaged(key, reason),
        Err(_) => Seen::Damaged(key, "it cannot be read"),
    }
}

/// A place among the keys, as a number of [`WIDTH`] digits.
type Place = [u8; WIDTH];

/// The first place behind `from` at which reading succeeds, as far as growing steps tell.
fn beyond(from: &[u8], readable: impl Fn(&Place) -> bool) -> Option<Place> {
    let mut fails = [0; WIDTH];
    let known = from.len().min(WIDTH);
    fails[..known].copy_from_slice(&from[..known]);
    for bit in 0..WIDTH * 8 {
        let Some(tried) = add(fails, bit) else { continue };
        if readable(&tried) {
            return Some(narrow(fails, tried, readable));
        }
        fails = tried;
    }
    None
}

/// The place between `fails` and `succeeds` at which reading begins to succeed.
fn narrow(mut fails: Place, mut succeeds: Place, readable: impl Fn(&Place) -> bool) -> Place {
    for _ in 0..WIDTH * 8 {
        let middle = between(&fails, &succeeds);
        if middle == fails {
            break;
        }
        if readable(&middle) {
            succeeds = middle;
        } else {
            fails = middle;
        }
    }
    succeeds
}

/// `place` and two to the power of `bit`; `None` beyond the last place.
fn add(mut place: Place, bit: usize) -> Option<Place> {
    let mut carry = 1u16 << (bit % 8);
    for digit in place[..WIDTH - bit / 8].iter_mut().rev() {
        let sum = u16::from(*digit) + carry;
        *digit = sum as u8;
        carry = sum >> 8;
        if carry == 0 {
            return Some(place);
        }
    }
    None
}

/// Half way, rounded down.
fn between(low: &Place, high: &Place) -> Place {
    let mut sum = [0u16; WIDTH];
    let mut carry = 0;
    for at in (0..WIDTH).rev() {
        let digit = u16::from(low[at]) + u16::from(high[at]) + carry;
        sum[at] = digit & 0xff;
        carry = digit >> 8;
    }
    let mut half = [0; WIDTH];
    for (digit, sum) in half.iter_mut().zip(sum) {
        let whole = carry << 8 | sum;
        *digit = (whole >> 1) as u8;
        carry = whole & 1;
    }
    half
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Seen, walk};
    use crate::envelope;
    use crate::fault::Fault;

    /// Rows `device/00000` and so on; reading in `bad` fails.
    fn walked<const N: usize>(rows: u32, bad: [(u32, u32); N]) -> (usize, usize) {
        let key = |row: u32| format!("device/{row:05}").into_bytes();
        let stored: BTreeMap<_, _> = (0..rows)
            .map(|row| {
                let mut record = Vec::new();
                envelope::seal(&key(row), b"value", &mut record);
                (key(row), record)
            })
            .collect();
        let next = |from: &[u8]| {
            let met = stored.range(from.to_vec()..).next();
            let is_bad = |key: &Vec<u8>| {
                bad.iter()
                    .any(|(first, end)| *key >= name(*first) && *key < name(*end))
            };
            match met {
                Some((key, _)) if is_bad(key) => Err(Fault::Corrupt("a page".to_owned())),
                met => Ok(met.map(|(key, record)| (key.clone(), record.clone()))),
            }
        };
        let (mut seen, mut gaps) = (0, 0);
        walk(next, &mut |met| match met {
            Seen::Row(..) => seen += 1,
            Seen::Gap(..) => gaps += 1,
            Seen::Damaged(key, reason) => panic!("{}: {reason}", key.escape_ascii()),
        });
        (seen, gaps)
    }

    fn name(row: u32) -> Vec<u8> {
        format!("device/{row:05}").into_bytes()
    }

    #[test]
    fn every_row_beside_a_bad_page_is_found() {
        assert_eq!(walked(1000, []), (1000, 0));
        assert_eq!(walked(1000, [(0, 40)]), (960, 1));
        assert_eq!(walked(1000, [(400, 440)]), (960, 1));
        assert_eq!(walked(1000, [(400, 440), (440, 445), (700, 703)]), (952, 2));
        assert_eq!(walked(1000, [(100, 105), (110, 115)]).1, 2);
        assert_eq!(walked(1000, [(960, 1000)]).0, 960);
        assert_eq!(walked(1000, [(0, 1000)]).0, 0);
    }
}
