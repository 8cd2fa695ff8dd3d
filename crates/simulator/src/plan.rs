//! What a seed decides beforehand: who there is, what is done, and what goes wrong when. A plan can be cut
//! down, so that a failing one becomes a short story.

use contract::ServiceName;

use crate::{
    dice::Dice,
    disk::{LAST_STEP, TurnEnd},
};

/// Something that an operator does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Makes the claim certificate.
    MakeBatch,
    /// Registers a device.
    Register(String),
    /// Gives a device another name.
    Rename(String),
    /// Shuts it out.
    Suspend(String),
    /// Leaves it only what repairs it.
    Quarantine(String),
    /// Lifts a restriction.
    Release(String),
    /// Ends its life; it has so many milliseconds to erase its keys.
    Retire(String, u64),
    /// Revokes its certificates.
    Revoke(String),
    /// Makes a group or describes it anew.
    Group(String),
    /// Makes a rule.
    Rule,
    /// Announces a release's image.
    OpenImage(u64),
    /// Sends a release's image.
    SendImage(u64),
    /// Has it checked.
    SealImage(u64),
    /// Assigns a release to these devices.
    RollOut {
        /// Which.
        release: u64,
        /// To whom.
        devices: Vec<String>,
        /// The how manieth time, from 0.
        turn: u64,
    },
    /// Pauses, resumes or aborts a rollout.
    Steer {
        /// `pause`, `resume` or `abort`.
        verb: &'static str,
        /// Of which release.
        release: u64,
        /// Which of its rollouts.
        turn: u64,
    },
    /// Asks for a list.
    List,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A service is killed in its next round.
    KillService(ServiceName),
    /// Its disk fails in its next commit.
    DiskFails(ServiceName),
    /// Its disk is full for so long.
    DiskFull(ServiceName, u64),
    /// Its disk is slow for so long: each commit takes a while.
    DiskSlow(ServiceName, u64),
    /// It does nothing for so long.
    Pause(ServiceName, u64),
    /// Its connection to the front door breaks.
    CutService(ServiceName),
    /// A backup of a service's state is taken.
    BackUp(ServiceName),
    /// A service's state is brought back from its newest backup, as a history of its own.
    Restore(ServiceName),
    /// The front door is killed.
    KillFrontDoor,
    /// Everything is killed.
    KillAll,
    /// A service's machine loses power in its next round.
    PowerCut(ServiceName),
    /// A service's full log is brought into its database, and that ends after so many steps; or before the last one.
    EndTurn {
        /// Whose.
        service: ServiceName,
        /// After so many steps.
        steps: u64,
        /// In which way.
        how: TurnEnd,
    },
    /// A service ends as it was told to, and closes its store; perhaps its machine loses power then.
    Stop(ServiceName, bool),
    /// A service is killed, perhaps by a power cut, and a bit flips in one of its files while they lie there.
    FlipLog(ServiceName),
    /// A client's connection breaks, wherever its bytes are.
    CutClient(usize),
    /// A client's connection breaks the next time that something is under way to it: a part of that arrives.
    CutAmid(usize),
    /// A client's packets vanish for so long; nobody is told.
    Silence(usize, u64),
    /// A client loses power.
    Unplug(usize),
    /// A device with the SDK is killed after so many steps of its disk; with the power cut, what it did not sync is
    /// at the mercy of its disk.
    EndDevice {
        /// Which, among those with the SDK.
        device: usize,
        /// After so many steps.
        steps: u64,
        /// Whether its power is cut.
        power: bool,
    },
    /// Its disk is full for so long.
    DeviceFull(usize, u64),
    /// One bit of an image on its way to it flips where it lies.
    DeviceFlip(usize),
    /// The network is slow for so long.
    SlowNetwork(u64),
    /// The wall clock jumps.
    Clock(i64),
}

/// What a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where all other chance comes from.
    pub seed: u64,
    /// How many devices that the world plays itself.
    pub devices: usize,
    /// How many devices that are the SDK's.
    pub sdks: usize,
    /// When what happens, milliseconds.
    pub acts: Vec<(u64, Act)>,
    /// When what goes wrong, milliseconds.
    pub faults: Vec<(u64, Fault)>,
    /// How long services keep their events, milliseconds; 0: for ever.
    pub keep_events_ms: u64,
    /// When nothing new happens any more. What follows is time to finish.
    pub busy_ms: u64,
}

/// How long everything has to come to rest, milliseconds of simulated time: longer than the longest wait of
/// any part (a request is given up after half a minute, a dead link noticed in as much), and than a wall clock
/// that was put back holds up what was planned by it.
pub(crate) const SETTLE_MS: u64 = 420_000;

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Plan {
        let mut dice = Dice::new(seed, 1);
        let devices = dice.between(1, 5) as usize;
        let sdks = dice.between(0, 2) as usize;
        let busy_ms = dice.between(if sdks > 0 { 25_000 } else { 8_000 }, 40_000);
        let names: Vec<_> = (0..devices)
            .map(device_name)
            .chain((0..sdks).map(sdk_name))
            .collect();
        let mut acts = vec![(0, Act::MakeBatch)];
        acts.extend(
            names
                .iter()
                .map(|name| (dice.below(3_000), Act::Register(name.clone()))),
        );
        for _ in 0..dice.between(3, 30) {
            let at = dice.between(2_000, busy_ms);
            acts.push((at, act(&mut dice, &names)));
        }
        if sdks > 0 {
            releases(&mut dice, sdks, busy_ms, &mut acts);
        }
        changes_of_mind(seed, &names, busy_ms, &mut acts);
        acts.sort_by_key(|(at, _)| *at);
        let calm = dice.percent(10);
        let count = if calm { 0 } else { dice.between(1, 24) };
        let mut faults = Vec::new();
        for _ in 0..count {
            let at = dice.between(200, busy_ms);
            let fault = match dice.below(3) {
                0 if sdks > 0 => device_fault(&mut dice, sdks),
                _ => fault(&mut dice, devices),
            };
            if let Fault::Restore(service) = fault {
                // Young enough that the same clients have seen what was after it.
                let taken = at.saturating_sub(dice.between(200, 12_000));
                faults.push((taken, Fault::BackUp(service)));
            }
            faults.push((at, fault));
        }
        if !calm && dice.percent(40) {
            // What is lost at the very end is not shown by what comes after it.
            let last = dice
                .pick(&ServiceName::KEEPERS)
                .copied()
                .unwrap_or(ServiceName::Registry);
            faults.push((busy_ms - dice.between(1, 400), Fault::KillService(last)));
        }
        if !calm {
            cuts(seed, devices, busy_ms, &mut faults);
            disk_faults(seed, busy_ms, &mut faults);
            registry_brought_back(seed, busy_ms, &mut faults);
            turns_end(seed, busy_ms, &mut faults);
            slow_disks(seed, busy_ms, &mut faults);
        }
        faults.sort_by_key(|(at, _)| *at);
        Plan {
            seed,
            devices,
            sdks,
            acts,
            faults,
            keep_events_ms: keep_events_ms(seed),
            busy_ms,
        }
    }
}

/// In a third of the seeds so little is kept that whoever was away for a while finds a part of it gone.
fn keep_events_ms(seed: u64) -> u64 {
    // Chance of its own, so that the rest of a seed's plan is what it was before there was a retention.
    let mut dice = Dice::new(seed, 4);
    if dice.percent(33) {
        dice.between(400, 12_000)
    } else {
        0
    }
}

/// The name of the device in this place.
pub(crate) fn device_name(place: usize) -> String {
    format!("d-{place}")
}

/// The name of the device with the SDK in this place.
pub(crate) fn sdk_name(place: usize) -> String {
    format!("s-{place}")
}

/// Up to three releases, each announced, sent, checked and rolled out, one after the other.
fn releases(dice: &mut Dice, sdks: usize, busy_ms: u64, acts: &mut Vec<(u64, Act)>) {
    let names: Vec<_> = (0..sdks).map(sdk_name).collect();
    let mut release = 0;
    let mut at = dice.between(6_000, 12_000);
    for _ in 0..dice.between(1, 3) {
        release += dice.between(1, 4);
        let steps = [
            Act::OpenImage(release),
            Act::SendImage(release),
            Act::SealImage(release),
            Act::RollOut {
                release,
                devices: names.clone(),
                turn: 0,
            },
        ];
        for (n, step) in steps.into_iter().enumerate() {
            acts.push(((at + n as u64).min(busy_ms), step));
        }
        at += dice.between(1_500, 9_000);
    }
}

/// Connections that break while something is under way: what a session that goes on is for.
fn cuts(seed: u64, devices: usize, busy_ms: u64, faults: &mut Vec<(u64, Fault)>) {
    let mut dice = Dice::new(seed, 7);
    let count = if dice.percent(60) { dice.between(1, 12) } else { 0 };
    faults.extend((0..count).map(|_| {
        // The operator and the integrator come first, and have most to lose.
        let client = if dice.percent(50) {
            dice.below(2)
        } else {
            dice.below(devices as u64 + 2)
        };
        (dice.between(2_000, busy_ms), Fault::CutAmid(client as usize))
    }));
}

/// What goes wrong below a service's store.
fn disk_faults(seed: u64, busy_ms: u64, faults: &mut Vec<(u64, Fault)>) {
    let mut dice = Dice::new(seed, 8);
    let count = if dice.percent(60) { dice.between(1, 5) } else { 0 };
    for _ in 0..count {
        let kept = dice.pick(&ServiceName::KEEPERS).copied();
        let service = kept.unwrap_or(ServiceName::Registry);
        let fault = match dice.percent(60) {
            true => Fault::PowerCut(service),
            false => Fault::FlipLog(service),
        };
        faults.push((dice.between(500, busy_ms), fault));
    }
}

/// The registry is brought back too, in a part of the seeds: what it forgets others know of.
fn registry_brought_back(seed: u64, busy_ms: u64, faults: &mut Vec<(u64, Fault)>) {
    let mut dice = Dice::new(seed, 9);
    if dice.percent(25) {
        let at = dice.between(4_000, busy_ms);
        let taken = at - dice.between(200, 12_000).min(at);
        faults.push((taken, Fault::BackUp(ServiceName::Registry)));
        faults.push((at, Fault::Restore(ServiceName::Registry)));
    }
}

/// Full logs on their way into the database, cut off in between.
fn turns_end(seed: u64, busy_ms: u64, faults: &mut Vec<(u64, Fault)>) {
    let mut dice = Dice::new(seed, 10);
    let count = if dice.percent(60) { dice.between(1, 6) } else { 0 };
    for _ in 0..count {
        let kept = dice.pick(&ServiceName::KEEPERS).copied();
        let service = kept.unwrap_or(ServiceName::Registry);
        let how = match dice.below(3) {
            0 => TurnEnd::Kill,
            1 => TurnEnd::PowerCut,
            _ => TurnEnd::Fails(dice.below(12)),
        };
        let steps = match dice.below(4) {
            0 => LAST_STEP,
            1 => dice.below(6),
            _ => dice.below(30),
        };
        let at = dice.between(2_000, busy_ms);
        faults.push((at, Fault::EndTurn { service, steps, how }));
        if dice.percent(40) {
            // Before the next log is full.
            let at = at + dice.between(50, 6_000);
            faults.push((at.min(busy_ms), Fault::Stop(service, dice.percent(60))));
        }
    }
}

/// Disks that take their time, in a third of the seeds.
fn slow_disks(seed: u64, busy_ms: u64, faults: &mut Vec<(u64, Fault)>) {
    let mut dice = Dice::new(seed, 11);
    let count = if dice.percent(33) { dice.between(1, 3) } else { 0 };
    for _ in 0..count {
        let kept = dice.pick(&ServiceName::KEEPERS).copied();
        let service = kept.unwrap_or(ServiceName::Registry);
        let slow = Fault::DiskSlow(service, dice.between(1_000, 15_000));
        faults.push((dice.between(1_000, busy_ms), slow));
    }
}

/// An operator who does not know what he wants: of a device, and of a rollout.
fn changes_of_mind(seed: u64, names: &[String], busy_ms: u64, acts: &mut Vec<(u64, Act)>) {
    // Chance of its own, as of what is kept.
    let mut dice = Dice::new(seed, 6);
    let rolled_out = acts.iter().find_map(|(at, act)| match act {
        Act::RollOut { release, devices, .. } => Some((*at, *release, devices.clone())),
        _ => None,
    });
    let mut add = |dice: &mut Dice, mut at: u64, steps: Vec<Act>| {
        for step in steps {
            at = (at + dice.between(1, 2_500)).min(busy_ms);
            acts.push((at, step));
        }
    };
    if dice.percent(40)
        && let Some(name) = dice.pick(names).cloned()
    {
        let at = dice.between(3_000, busy_ms);
        let mut steps = vec![
            Act::Suspend(name.clone()),
            Act::Release(name.clone()),
            Act::Quarantine(name.clone()),
        ];
        steps.extend(dice.percent(60).then_some(Act::Release(name)));
        add(&mut dice, at, steps);
    }
    if let Some((at, release, devices)) = rolled_out.filter(|_| dice.percent(50)) {
        let steer = |verb| Act::Steer {
            verb,
            release,
            turn: 0,
        };
        let again = Act::RollOut {
            release,
            devices,
            turn: 1,
        };
        let steps = match dice.below(3) {
            0 => vec![steer("pause"), steer("resume")],
            1 => vec![steer("abort"), again],
            _ => vec![steer("pause"), steer("abort"), again, steer("resume")],
        };
        add(&mut dice, at, steps);
    }
}

fn device_fault(dice: &mut Dice, sdks: usize) -> Fault {
    let device = dice.below(sdks as u64) as usize;
    match dice.below(10) {
        0..6 => Fault::EndDevice {
            device,
            steps: dice.below(40),
            power: dice.percent(60),
        },
        6..8 => Fault::DeviceFull(device, dice.between(300, 15_000)),
        _ => Fault::DeviceFlip(device),
    }
}

fn act(dice: &mut Dice, names: &[String]) -> Act {
    let name = dice.pick(names).cloned().unwrap_or_default();
    match dice.below(100) {
        0..20 => Act::Rename(name),
        20..32 => Act::Suspend(name),
        32..42 => Act::Quarantine(name),
        42..62 => Act::Release(name),
        62..70 => Act::Revoke(name),
        70..76 => Act::Retire(name, 5_000),
        76..84 => Act::Group(name),
        84..88 => Act::Rule,
        _ => Act::List,
    }
}

fn fault(dice: &mut Dice, devices: usize) -> Fault {
    let service = dice
        .pick(&ServiceName::KEEPERS)
        .copied()
        .unwrap_or(ServiceName::Registry);
    // The operator and the integrator are clients too.
    let client = dice.below(devices as u64 + 2) as usize;
    match dice.below(100) {
        0..16 => Fault::KillService(service),
        16..26 => Fault::DiskFails(service),
        26..32 => Fault::DiskFull(service, dice.between(500, 20_000)),
        32..38 => Fault::Pause(service, dice.between(500, 20_000)),
        38..44 => Fault::CutService(service),
        44..51 => {
            let kept = [
                ServiceName::Monitoring,
                ServiceName::Monitoring,
                ServiceName::Rollout,
            ];
            Fault::Restore(dice.pick(&kept).copied().unwrap_or(ServiceName::Monitoring))
        }
        51..58 => Fault::KillFrontDoor,
        58..62 => Fault::KillAll,
        62..78 => Fault::CutClient(client),
        78..85 => Fault::Silence(client, dice.between(1_000, 40_000)),
        85..91 => Fault::Unplug(client),
        91..96 => Fault::SlowNetwork(dice.between(1_000, 8_000)),
        _ => {
            // Beyond five minutes back the authority refuses to sign until the clock is right.
            let jump = dice.between(1, 240_000) as i64;
            Fault::Clock(if dice.percent(50) { jump } else { -jump })
        }
    }
}
