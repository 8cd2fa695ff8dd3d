//! One decision in the making: records, keys beside them, groups, facts and evidence are written together.

use std::collections::BTreeMap;

use contract::{
    v1::{Device, Evidence},
    wire::Reply,
};
use service::{Fault, Outcome, View};

use super::{Situation, turn};
use crate::{
    choice::Choice,
    command, config, event, index,
    lifecycle::{Cause, Effect, Transition},
    live, retirement,
    roster::Roster,
    state,
};

/// What a transition is accompanied by.
#[derive(Default)]
pub(crate) struct Why<'a> {
    /// The reason that is written down.
    pub(crate) reason: &'a str,
    /// When a device that begins to retire is retired without its receipt.
    pub(crate) deadline_ms: i64,
    /// What it has erased.
    pub(crate) receipt: &'a [String],
    /// What it rests on.
    pub(crate) grounds: BTreeMap<String, String>,
}

/// A decision's writes.
pub(crate) struct Act<'a> {
    pub(crate) s: &'a Situation<'a>,
    pub(crate) outcome: Outcome,
    pub(crate) roster: Roster,
}

impl<'a> Act<'a> {
    pub(crate) fn new(s: &'a Situation<'a>) -> Act<'a> {
        Act {
            s,
            outcome: Outcome::default(),
            roster: Roster::default(),
        }
    }

    /// The records with what this decision has written so far.
    pub(crate) fn view(&self) -> View<'_> {
        self.s.view.over(&self.outcome.changes)
    }

    /// Moves the device; the caller saves its record.
    pub(crate) fn enter(
        &mut self,
        device: &mut Device,
        transition: &Transition,
        why: &Why<'_>,
    ) -> Result<(), Fault> {
        device.set_stage(transition.to);
        device.version = device.version.saturating_add(1);
        device.stage_since_ms = self.s.now_ms;
        device.changed_by.clone_from(&self.s.actor);
        device.change_reason = why.reason.to_owned();
        for effect in transition.effects {
            self.effect(*effect, device, transition.cause, why)?;
        }
        event::moved(
            &mut self.outcome,
            device,
            transition.from,
            transition.cause,
            why.receipt,
        );
        let mut grounds = why.grounds.clone();
        if !why.receipt.is_empty() {
            grounds.insert("erased".into(), why.receipt.join(", "));
        }
        let evidence = Evidence {
            what: "moved".into(),
            from: transition.from.name().into(),
            to: transition.to.name().into(),
            cause: transition.cause.word().into(),
            reason: why.reason.into(),
            grounds,
            ..Evidence::default()
        };
        self.evidence(device, evidence);
        Ok(())
    }

    fn effect(
        &mut self,
        effect: Effect,
        device: &mut Device,
        cause: Cause,
        why: &Why<'_>,
    ) -> Result<(), Fault> {
        match effect {
            Effect::SetDeadline => {
                device.retire_deadline_ms = why.deadline_ms;
                self.outcome.wake_at(wake_key(device), why.deadline_ms);
            }
            Effect::OrderErasure => event::retire_order(&mut self.outcome, device),
            Effect::LiftDeadline => self.outcome.no_wake(wake_key(device)),
            Effect::KeepReceipt => device.erased = true,
            Effect::OpenRecord => retirement::open(&mut self.outcome, device, self.s.now_ms),
            Effect::CloseRecord => {
                let opened = retirement::opened(&self.view(), device)?;
                let how = (cause, why.receipt);
                retirement::close(&mut self.outcome, opened, device, how, self.s.now_ms);
            }
            Effect::LeaveGroups => self.roster.leave_all(self.s.view, &mut self.outcome, device)?,
            Effect::BeginAgain => {
                // What it was and said before its end does not count for its new life.
                device.erased = false;
                device.retire_deadline_ms = 0;
                device.reported_at_ms = 0;
                device.checks.clear();
            }
        }
        Ok(())
    }

    /// Writes down what happened to a device, at its present version.
    pub(crate) fn evidence(&mut self, device: &Device, evidence: Evidence) {
        let evidence = Evidence {
            at_ms: self.s.now_ms,
            version: device.version,
            actor: self.s.actor.clone(),
            ..evidence
        };
        self.outcome
            .put(state::evidence_key(&device.device_id, device.version), &evidence);
    }

    /// Writes the device, lets it join and leave dynamic groups, and tells others what they need to know.
    pub(crate) fn save(&mut self, before: Option<&Device>, device: &mut Device) -> Result<(), Fault> {
        if before.is_none() {
            // Others may have heard of it first.
            device.live = self.view().load(live::key(&device.device_id))?;
        }
        let rules = self.s.rules.clone();
        let verdicts = rules
            .judge(device, self.s.now_ms)
            .map(|(group, fits)| (group.to_owned(), fits));
        self.assign(device, verdicts.collect())?;
        turn::set(self, device);
        let (record, live) = live::parts(before, device, |group| rules.is_live(group));
        self.outcome.put(state::device_key(&device.device_id), &record);
        device.live = live;
        self.beside(before, device)
    }

    /// What others know of the device has changed, or time has passed, and with it the groups that follow from that: its
    /// own record is written only if it names one of them.
    pub(super) fn follow(&mut self, before: &Device, device: &mut Device) -> Result<(), Fault> {
        let rules = self.s.rules.clone();
        let verdicts = rules
            .judge_live(device, self.s.now_ms)
            .map(|(group, fits)| (group.to_owned(), fits));
        self.assign(device, verdicts.collect())?;
        turn::set(self, device);
        let (record, live) = live::parts(Some(before), device, |group| rules.is_live(group));
        let beside = live::groups(before);
        let held = before.groups.iter().filter(|group| !beside.contains(group));
        if !held.eq(&record.groups) {
            self.outcome.put(state::device_key(&device.device_id), &record);
        }
        device.live = live;
        self.beside(Some(before), device)
    }

    fn assign(&mut self, device: &mut Device, verdicts: Vec<(String, bool)>) -> Result<(), Fault> {
        for (group, fits) in verdicts {
            if device.groups.contains(&group) != fits {
                self.roster.find(self.s.view, "query", &group)?;
                self.roster.assign(&mut self.outcome, device, &group, fits);
            }
        }
        Ok(())
    }

    /// Writes what stands beside the device's record.
    fn beside(&mut self, before: Option<&Device>, device: &Device) -> Result<(), Fault> {
        let known = before.and_then(|before| before.live.as_ref());
        match &device.live {
            live if live.as_ref() == known => {}
            Some(live) => self.outcome.put(live::key(&device.device_id), live),
            None => self.outcome.delete(live::key(&device.device_id)),
        }
        match before.filter(|before| index::is_as_before(before, device)) {
            Some(before) => debug_assert_eq!(index::keys(before), index::keys(device)),
            None => self.found_by(before, device),
        }
        config::note(self.s, &mut self.outcome, before, device)?;
        command::note(self.s, &mut self.outcome, before, device)?;
        if before.is_none_or(|before| event::told(before) != event::told(device)) {
            event::device_fact(&mut self.outcome, self.s.view, device)?;
        }
        Ok(())
    }

    /// Writes the keys that the device is found by, where they are others than before.
    fn found_by(&mut self, before: Option<&Device>, device: &Device) {
        let (former, present) = (before.map(index::keys).unwrap_or_default(), index::keys(device));
        for key in former.keys().filter(|key| !present.contains_key(*key)) {
            self.outcome.delete(key.clone());
        }
        for (key, value) in present {
            if !former.contains_key(&key) {
                self.outcome.changes.put(key, value);
            }
        }
    }

    /// Writes the groups whose members changed; what is left is the outcome.
    pub(crate) fn finish(mut self) -> Outcome {
        self.roster.settle(&mut self.outcome);
        self.outcome
    }

    /// The same with an answer.
    pub(crate) fn answer(self, reply: impl Reply + 'static) -> Outcome {
        let mut outcome = self.finish();
        outcome.answer(reply);
        outcome
    }
}

/// The wake-up at a retiring device's deadline.
pub(crate) fn wake_key(device: &Device) -> String {
    format!("{}{}", WAKE, device.device_id)
}

/// Begins the name of such wake-ups.
pub(crate) const WAKE: &str = "retire/";
