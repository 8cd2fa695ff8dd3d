//! `why`: the shortest way from where a device is to where it is to be, and what stands in it.

use std::collections::{BTreeSet, VecDeque};

use contract::{
    event::rfc3339,
    v1::{AskWhy, Device, Stage, WayStep, Why},
};
use service::{Fault, View};

use crate::{
    choice,
    decide::ground,
    lifecycle::{self, Transition, said},
    state,
};

pub(super) fn device(view: &View<'_>, now_ms: i64, m: &AskWhy) -> Result<Why, Fault> {
    let wanted: Stage = choice::required("stage", m.stage)?;
    let device = state::device(view, "device_id", &m.device_id)?;
    let present = device.stage();
    let way = way(present, wanted);
    let steps = way.iter().flatten().map(|row| step(view, now_ms, &device, row));
    let steps = steps.collect::<Result<Vec<_>, _>>()?;
    let open = steps.first().is_some_and(|step| step.obstacles.is_empty());
    Ok(Why {
        device_id: m.device_id.clone(),
        present: present.into(),
        wanted: wanted.into(),
        summary: summary(&device, wanted, way.is_some(), &steps),
        steps,
        open,
        ..Why::default()
    })
}

/// The fewest transitions that lead from one stage to another; guards are left out. `None`: there is no way.
fn way(from: Stage, to: Stage) -> Option<Vec<&'static Transition>> {
    let (mut seen, mut open) = (
        BTreeSet::from([from as i32]),
        VecDeque::from([(from, Vec::new())]),
    );
    while let Some((at, way)) = open.pop_front() {
        if at == to {
            return Some(way);
        }
        for row in lifecycle::from(at) {
            if seen.insert(row.to as i32) {
                let mut longer = way.clone();
                longer.push(row);
                open.push_back((row.to, longer));
            }
        }
    }
    None
}

/// A step, judged as if the device stood before it.
fn step(view: &View<'_>, now_ms: i64, device: &Device, row: &Transition) -> Result<WayStep, Fault> {
    let there = Device {
        stage: row.from.into(),
        ..device.clone()
    };
    let obstacles = lifecycle::obstacles(row, &there, &ground(view, now_ms, &there)?);
    Ok(WayStep {
        from: row.from.into(),
        to: row.to.into(),
        cause: row.cause.word().into(),
        how: row.cause.how().into(),
        obstacles,
    })
}

fn summary(device: &Device, wanted: Stage, there_is_a_way: bool, steps: &[WayStep]) -> String {
    let (id, present) = (&device.device_id, said(device.stage()));
    let wanted = said(wanted);
    match steps.first() {
        _ if !there_is_a_way => format!("`{id}` is {present}; no way leads from there to {wanted}"),
        None => format!("`{id}` is {wanted}"),
        Some(step) if device.stage() == Stage::Retiring && step.obstacles.is_empty() => {
            let latest = rfc3339(device.retire_deadline_ms);
            format!(
                "`{id}` is {present}; it is waited for: {}, or it is retired without on {latest}; `retire` with another wait \
                 changes that",
                step.how
            )
        }
        Some(step) if step.obstacles.is_empty() => {
            format!("`{id}` is {present}; the next step is open: {}", step.how)
        }
        Some(step) => format!(
            "`{id}` is {present}; in the way stands: {}",
            step.obstacles.join("; ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_way_through_the_table() {
        use Stage::*;
        let stages = |from, to| way(from, to).map(|way| way.iter().map(|row| row.to).collect::<Vec<_>>());
        assert_eq!(
            stages(Planned, Active),
            Some(vec![Registered, Provisioned, Active])
        );
        assert_eq!(stages(Active, Active), Some(vec![]));
        assert_eq!(stages(Active, Retired), Some(vec![Retiring, Retired]));
        assert_eq!(
            stages(Retired, Active),
            Some(vec![Registered, Provisioned, Active])
        );
        assert_eq!(stages(Active, Planned), None);
    }
}
