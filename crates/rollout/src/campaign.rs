//! A rollout on its way: the moves that change it, each of which leaves its counts and its devices in
//! agreement. Every decision about a running rollout is made of these.

use contract::{
    ServiceName,
    v1::{Artifact, DeviceFact, DeviceUpdate, Rollout, RolloutState, UpdateState, Wave},
};
use service::{Fault, Outcome, View};

use crate::{
    event,
    policy::{self, Verdict},
    state::{self, Holding, Progress},
};

/// Devices assigned or called off in one decision; the rest follows by a wake-up at once.
pub(crate) const PAGE: usize = 500;

/// One rollout and what the decision has come to so far.
pub(crate) struct Campaign<'a> {
    view: &'a View<'a>,
    now: i64,
    pub(crate) rollout: Rollout,
    pub(crate) out: Outcome,
}

impl<'a> Campaign<'a> {
    /// A rollout that is being made; `out` holds its devices.
    pub(crate) fn new(view: &'a View<'a>, now: i64, rollout: Rollout, out: Outcome) -> Campaign<'a> {
        Campaign {
            view,
            now,
            rollout,
            out,
        }
    }

    /// The rollout as it stands.
    pub(crate) fn load(view: &'a View<'a>, id: &str, now: i64) -> Result<Option<Campaign<'a>>, Fault> {
        let rollout = view.load::<Rollout>(state::rollout(id))?;
        Ok(rollout.map(|rollout| Campaign::new(view, now, rollout, Outcome::default())))
    }

    /// All that follows, with the rollout as it has become.
    pub(crate) fn finish(mut self) -> Outcome {
        self.out
            .put(state::rollout(&self.rollout.rollout_id), &self.rollout);
        self.out
    }

    /// Brings an open update to its end and counts it.
    pub(crate) fn settle(
        &mut self,
        mut update: DeviceUpdate,
        to: UpdateState,
        detail: &str,
    ) -> Result<(), Fault> {
        let was = update.state();
        update.set_state(to);
        update.detail = detail.into();
        update.since_ms = self.now;
        self.count(&update);
        self.out.put(
            state::update(&update.rollout_id, update.wave, &update.device_id),
            &update,
        );
        self.out.delete(state::held(&update.device_id));
        if was == UpdateState::Waiting {
            return Ok(());
        }
        self.out.no_wake(timeout_key(&update));
        if to == UpdateState::Canceled {
            event::call_off(&mut self.out, &update, &self.rollout.artifact_id);
        }
        event::take_back(&mut self.out, &update);
        event::updated(&mut self.out, &update);
        self.tell_the_registry(&update)
    }

    /// A device that waits to be accepted may have to pass a test rollout first.
    fn tell_the_registry(&mut self, update: &DeviceUpdate) -> Result<(), Fault> {
        let fact: Option<DeviceFact> = self
            .view
            .fact(ServiceName::Registry, "device", &update.device_id)?;
        if update.state() != UpdateState::Canceled && policy::awaits_acceptance(fact.as_ref()) {
            event::tested(&mut self.out, &self.rollout, update);
        }
        Ok(())
    }

    /// Goes on as far as the counts allow: to the next wave, or to the end.
    pub(crate) fn advance(&mut self) -> Result<(), Fault> {
        while policy::is_active(self.rollout.state()) {
            let number = self.running_wave();
            if let Some(wave) = self.wave(number) {
                match policy::verdict(wave, self.rollout.success_percent) {
                    Verdict::Open => return Ok(()),
                    Verdict::Missed => {
                        let reason = format!(
                            "wave {number}: {} of {} devices failed",
                            wave.failed, wave.devices
                        );
                        return self.end(RolloutState::Failed, &reason);
                    }
                    Verdict::Met => {}
                }
            }
            if number as usize == self.rollout.waves.len() {
                return self.end(RolloutState::Succeeded, "");
            }
            if self.rollout.state() != RolloutState::Running {
                return Ok(());
            }
            self.start_wave(number + 1)?;
        }
        Ok(())
    }

    /// Ends the rollout and calls off what does not install yet.
    pub(crate) fn end(&mut self, state: RolloutState, reason: &str) -> Result<(), Fault> {
        self.rollout.set_state(state);
        self.rollout.version = self.rollout.version.saturating_add(1);
        self.rollout.ended_at_ms = self.now;
        self.rollout.end_reason = reason.into();
        self.out.no_wake(assign_key(&self.rollout.rollout_id));
        event::ended(&mut self.out, &self.rollout);
        match state {
            RolloutState::Succeeded => Ok(()),
            _ => self.call_off(),
        }
    }

    /// What is rolled out.
    pub(crate) fn artifact(&self) -> Result<Artifact, Fault> {
        let artifact = self.view.load(state::artifact(&self.rollout.artifact_id))?;
        Ok(artifact.unwrap_or_default())
    }

    /// Assigns the next page of the running wave. No device is told of a recalled release, even where the
    /// recall has not come to this rollout yet.
    pub(crate) fn assign(&mut self) -> Result<(), Fault> {
        let mut progress = self.progress()?;
        if self.rollout.state() != RolloutState::Running || progress.all_assigned {
            return Ok(());
        }
        let artifact = self.artifact()?;
        if let Some(reason) = policy::recall(&artifact) {
            return self.end(RolloutState::Aborted, &reason);
        }
        let (id, number) = (self.rollout.rollout_id.clone(), self.running_wave());
        let after =
            (!progress.assigned_to.is_empty()).then(|| state::update(&id, number, &progress.assigned_to));
        let after = after.as_ref().map(String::as_bytes);
        let page: Vec<(_, DeviceUpdate)> =
            self.view
                .over(&self.out.changes)
                .list(state::wave(&id, number), after, PAGE)?;
        let whole = page.len() < PAGE;
        if let Some((_, last)) = page.last() {
            progress.assigned_to = last.device_id.clone();
        }
        for (_, update) in page {
            if update.state() == UpdateState::Waiting {
                self.assign_one(update, &artifact);
            }
        }
        progress.all_assigned = whole;
        self.out.put(state::progress(&id), &progress);
        if !whole {
            self.out.wake_at(assign_key(&id), self.now);
        }
        Ok(())
    }

    /// Calls off the next page of an ended rollout.
    pub(crate) fn call_off(&mut self) -> Result<(), Fault> {
        let id = self.rollout.rollout_id.clone();
        let mut progress = self.progress()?;
        let prefix = state::updates(&id);
        let after = format!("{prefix}{}", progress.called_off_to);
        let page: Vec<(_, DeviceUpdate)> =
            self.view
                .over(&self.out.changes)
                .list(&prefix, Some(after.as_bytes()), PAGE)?;
        let whole = page.len() < PAGE;
        if let Some((_, last)) = page.last() {
            progress.called_off_to = format!("{:02}/{}", last.wave, last.device_id);
        }
        for (_, update) in page {
            if policy::is_callable_off(update.state()) {
                self.settle(update, UpdateState::Canceled, "the rollout has ended")?;
            }
        }
        self.out.put(state::progress(&id), &progress);
        if !whole {
            self.out.wake_at(call_off_key(&id), self.now);
        }
        Ok(())
    }

    fn start_wave(&mut self, number: u32) -> Result<(), Fault> {
        let Some(wave) = self.rollout.waves.get_mut(number as usize - 1) else {
            return Ok(());
        };
        wave.started = true;
        let devices = wave.devices;
        self.rollout.version = self.rollout.version.saturating_add(1);
        event::wave_started(&mut self.out, &self.rollout, number, devices);
        let progress = Progress {
            assigned_to: String::new(),
            all_assigned: false,
            ..self.progress()?
        };
        self.out.put(state::progress(&self.rollout.rollout_id), &progress);
        self.assign()
    }

    /// A device has this long from now on.
    pub(crate) fn give_time(&mut self, update: &DeviceUpdate, holding: Holding, ms: u64) {
        let timeout_at_ms = self.now.saturating_add_unsigned(ms);
        let holding = Holding {
            timeout_at_ms,
            ..holding
        };
        self.out.put(state::held(&update.device_id), &holding);
        self.out.wake_at(timeout_key(update), timeout_at_ms);
    }

    fn assign_one(&mut self, mut update: DeviceUpdate, artifact: &Artifact) {
        update.set_state(UpdateState::Assigned);
        update.since_ms = self.now;
        self.out.put(
            state::update(&update.rollout_id, update.wave, &update.device_id),
            &update,
        );
        let holding = Holding::new(&self.rollout, update.wave);
        self.give_time(&update, holding, self.rollout.timeout_ms);
        event::assign(
            &mut self.out,
            &update,
            &artifact.artifact_id,
            artifact.signed.clone(),
        );
        event::updating(&mut self.out, &update);
    }

    fn count(&mut self, update: &DeviceUpdate) {
        let Some(wave) = self.rollout.waves.get_mut((update.wave as usize).wrapping_sub(1)) else {
            return;
        };
        wave.open = wave.open.saturating_sub(1);
        match update.state() {
            UpdateState::Succeeded => wave.succeeded += 1,
            UpdateState::Canceled => wave.canceled += 1,
            _ => wave.failed += 1,
        }
    }

    /// The number of the last wave that was started; 0 before the first.
    fn running_wave(&self) -> u32 {
        self.rollout.waves.iter().filter(|wave| wave.started).count() as u32
    }

    fn wave(&self, number: u32) -> Option<&Wave> {
        self.rollout.waves.get((number as usize).checked_sub(1)?)
    }

    fn progress(&self) -> Result<Progress, Fault> {
        let view = self.view.over(&self.out.changes);
        Ok(view
            .load(state::progress(&self.rollout.rollout_id))?
            .unwrap_or_default())
    }
}

/// The open update of a device, and its rollout's hold on it.
pub(crate) fn held(view: &View<'_>, device: &str) -> Result<Option<(Holding, DeviceUpdate)>, Fault> {
    let Some(holding) = view.load::<Holding>(state::held(device))? else {
        return Ok(None);
    };
    let update = view.load(state::update(&holding.rollout_id, holding.wave, device))?;
    Ok(update.map(|update| (holding, update)))
}

/// The update that a device is to work on: it was told to begin, and has not said that it is done.
pub(crate) fn under_way(view: &View<'_>, device: &str) -> Result<Option<(Holding, DeviceUpdate)>, Fault> {
    let held = held(view, device)?;
    Ok(held.filter(|(holding, update)| policy::is_begun(update.state()) && !holding.claims_success))
}

/// The wake-up that goes on assigning.
pub(crate) fn assign_key(rollout: &str) -> String {
    format!("assign/{rollout}")
}

/// The wake-up that goes on calling off.
pub(crate) fn call_off_key(rollout: &str) -> String {
    format!("call-off/{rollout}")
}

fn timeout_key(update: &DeviceUpdate) -> String {
    format!("timeout/{}/{}", update.rollout_id, update.device_id)
}
