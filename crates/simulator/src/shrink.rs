//! Cutting a failing plan down to what it takes.

use crate::{Plan, Violation, world};

/// Runs that are spent on one plan.
const RUNS: usize = 400;

/// The smallest plan found that still breaks the same invariant, and how it does.
pub fn shrink(plan: &Plan, violation: &Violation) -> (Plan, Violation) {
    let mut best = (plan.clone(), violation.clone());
    let mut runs = 0;
    loop {
        let before = size(&best.0);
        shrink_list(&mut best, &mut runs, |plan| &mut plan.faults);
        shrink_list(&mut best, &mut runs, |plan| &mut plan.acts);
        while best.0.devices > 1 {
            let fewer = Plan {
                devices: best.0.devices - 1,
                ..best.0.clone()
            };
            if !try_out(&mut best, fewer, &mut runs) {
                break;
            }
        }
        if best.0.keep_events_ms > 0 {
            let for_ever = Plan {
                keep_events_ms: 0,
                ..best.0.clone()
            };
            try_out(&mut best, for_ever, &mut runs);
        }
        if size(&best.0) == before || runs >= RUNS {
            return best;
        }
    }
}

fn size(plan: &Plan) -> usize {
    plan.faults.len() + plan.acts.len() + plan.devices
}

/// Leaves out ever smaller stretches of a list.
fn shrink_list<T: Clone>(
    best: &mut (Plan, Violation),
    runs: &mut usize,
    list: impl Fn(&mut Plan) -> &mut Vec<T>,
) {
    let mut stretch = list(&mut best.0).len().div_ceil(2);
    while stretch > 0 {
        let mut at = 0;
        while at < list(&mut best.0).len() {
            let mut fewer = best.0.clone();
            let all = list(&mut fewer);
            all.drain(at..(at + stretch).min(all.len()));
            if !try_out(best, fewer, runs) {
                at += stretch;
            }
        }
        stretch /= 2;
    }
}

fn try_out(best: &mut (Plan, Violation), plan: Plan, runs: &mut usize) -> bool {
    if *runs >= RUNS {
        return false;
    }
    *runs += 1;
    match world::run(&plan, false).violation {
        Some(found) if found.invariant == best.1.invariant => {
            *best = (plan, found);
            true
        }
        _ => false,
    }
}
