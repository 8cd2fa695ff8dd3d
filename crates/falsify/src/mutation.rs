//! What happens to bytes between two who do not trust one another.

use proptest::{prelude::*, sample::Index};

/// Most edits of one input: more and little is left of what was recorded.
const EDITS: usize = 6;
/// Most repeats of one stretch, and the longest stretch.
const REPEATS: usize = 64;
const STRETCH: usize = 48;

/// Inputs made from recorded ones, and now and then from nothing. `words` are pieces that mean something to
/// whoever reads them.
pub fn mutated(
    corpus: Vec<Vec<u8>>,
    words: &'static [&'static [u8]],
) -> impl Strategy<Value = Vec<u8>> + use<> {
    let noise = prop::collection::vec(any::<u8>(), 0..STRETCH);
    prop_oneof![15 => changed(corpus, words), 1 => noise]
}

/// Inputs made from recorded ones alone.
pub fn changed(
    corpus: Vec<Vec<u8>>,
    words: &'static [&'static [u8]],
) -> impl Strategy<Value = Vec<u8>> + use<> {
    let edits = prop::collection::vec(edit(), 0..=EDITS);
    (any::<Index>(), edits).prop_map(move |(seed, edits)| {
        let mut bytes = seed.get(&corpus).clone();
        for edit in &edits {
            edit.apply(&mut bytes, &corpus, words);
        }
        bytes
    })
}

/// One change.
#[derive(Debug, Clone)]
enum Edit {
    Flip(Index, u8),
    Set(Index, u8),
    Number(Index, Vec<u8>),
    Insert(Index, Vec<u8>),
    Word(Index, Index),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
    Cut(Index),
    Splice(Index, Index, Index, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        3 => (at(), 0..8u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        3 => (at(), number()).prop_map(|(at, number)| Edit::Number(at, number)),
        2 => (at(), prop::collection::vec(any::<u8>(), 1..5)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        3 => (at(), at()).prop_map(|(at, word)| Edit::Word(at, word)),
        2 => (at(), 1..STRETCH).prop_map(|(at, len)| Edit::Remove(at, len)),
        1 => (at(), 1..STRETCH, 1..REPEATS).prop_map(|(at, len, times)| Edit::Repeat(at, len, times)),
        1 => at().prop_map(Edit::Cut),
        2 => (at(), at(), at(), 1..STRETCH)
            .prop_map(|(at, other, from, len)| Edit::Splice(at, other, from, len)),
    ]
}

/// The numbers at which lengths and counts go wrong, in one, two and four bytes, both ways round.
fn number() -> impl Strategy<Value = Vec<u8>> {
    let edge = prop::sample::select(vec![
        0u32,
        1,
        0x7F,
        0x80,
        0xFF,
        0x100,
        0x7FFF,
        0x8000,
        0xFFFF,
        0x7FFF_FFFF,
        0x8000_0000,
        u32::MAX,
    ]);
    (edge, 0..5u8).prop_map(|(edge, form)| match form {
        0 => vec![edge as u8],
        1 => (edge as u16).to_be_bytes().to_vec(),
        2 => (edge as u16).to_le_bytes().to_vec(),
        3 => edge.to_be_bytes().to_vec(),
        _ => edge.to_le_bytes().to_vec(),
    })
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&[u8]]) {
        let place = |at: &Index| at.index(bytes.len() + 1);
        let end = |at: usize, len: usize| (at + len).min(bytes.len());
        match self {
            Edit::Flip(at, bit) => alter(bytes, at, |byte| byte ^ (1 << bit)),
            Edit::Set(at, value) => alter(bytes, at, |_| *value),
            Edit::Number(at, number) => {
                let at = place(at);
                bytes.splice(at..end(at, number.len()), number.iter().copied());
            }
            Edit::Insert(at, new) => drop(bytes.splice(place(at)..place(at), new.iter().copied())),
            Edit::Word(at, word) if !words.is_empty() => {
                drop(bytes.splice(place(at)..place(at), word.get(words).iter().copied()));
            }
            Edit::Word(..) => {}
            Edit::Remove(at, len) => drop(bytes.drain(place(at)..end(place(at), *len))),
            Edit::Repeat(at, len, times) => {
                let at = place(at);
                let again = bytes[at..end(at, *len)].repeat(*times);
                bytes.splice(at..at, again);
            }
            Edit::Cut(at) => bytes.truncate(place(at)),
            Edit::Splice(at, other, from, len) => {
                let (at, other) = (place(at), other.get(corpus));
                let from = from.index(other.len() + 1);
                let piece = &other[from..(from + len).min(other.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
}

fn alter(bytes: &mut [u8], at: &Index, change: impl Fn(u8) -> u8) {
    if !bytes.is_empty() {
        let at = at.index(bytes.len());
        bytes[at] = change(bytes[at]);
    }
}
