//! Wills: a publish like any other, made by the door when a client is lost.

use contract::{Root, verb::Promise};

use super::{Forward, Wish, publishing};
use crate::{
    lane::Turn,
    peer::Caller,
    policy::{Policy, Standing},
    protocol::Will,
};

/// What a will asks for, if its client may ask for that now.
pub(crate) fn spoken(
    will: Will,
    policy: &dyn Policy,
    root: &Root,
    caller: &Caller,
    standing: &Standing,
    connection: u64,
    wall_ms: i64,
) -> Option<Wish> {
    let verb = publishing::check(policy, root, caller, standing, &will.publish).ok()?;
    if verb.promise == Promise::Delivery {
        return Some(publishing::hand_out(will.publish, wall_ms));
    }
    let frame = publishing::frame(caller, will.publish, connection);
    Some(Wish::of(
        verb,
        Forward {
            verb,
            frame,
            packet_id: None,
            turn: Turn::First,
        },
    ))
}
