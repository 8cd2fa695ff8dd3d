//! An update, from its assignment to its end.
//!
//! ```text
//!          offer               whole, right        server knows, still assigned
//! Idle ──────────► Downloading ──────────► Verified ──────────► Installing
//!   ▲ ▲               │  │  ▲ damaged once    │                     │ in its slot
//!   │ └───────────────┘  └──┘                 │ called off          ▼
//!   │       called off                        ▼             healthy Trying ◄─┐ started, up to 3 times
//!   │ acknowledged                           Idle            ┌──────┤        │
//! Ended ◄────────────────────────────────────────────────────┘      └────────┘
//!   ▲                                   undone                      │ not well, not in time, too often
//!   └──────────────────────────────── RollingBack ◄─────────────────┘
//! ```
//!
//! The journal holds the state. It is on disk before anything is done about it; what is to be done follows
//! from it alone ([`machine::task`]), and doing it twice is harmless. So a restart needs no path of its own.

mod download;
mod journal;
mod judge;
mod machine;
mod slots;
mod tell;

pub(crate) use download::{Arrived, Download};
pub(crate) use journal::{End, Job, Journal, Stage};
pub(crate) use judge::{Bounds, Offer, judge};
pub(crate) use machine::{Input, Task, step, task};
pub(crate) use slots::Slots;
pub(crate) use tell::{progress, told};

#[cfg(test)]
mod tests;
