//! Inputs as strangers send them: recorded ones, and what becomes of them when bytes are changed, lost,
//! repeated or mixed. For tests alone: nothing but `[dev-dependencies]` names this crate.
//!
//! A fuzz test is a [corpus](Corpus), a [strategy](mutated) over it and a property; [`falsify`] looks for an input
//! that breaks the property and gives back the smallest. [`every_cut`], [`every_flip`] and [`every_byte`]
//! walk what can be walked whole.
#![forbid(unsafe_code)]

mod corpus;
mod mutation;
mod search;
mod walks;

pub use corpus::Corpus;
pub use mutation::{changed, mutated};
pub use search::falsify;
pub use walks::{every_byte, every_cut, every_flip};
