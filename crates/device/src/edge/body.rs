//! What a device has while it runs.

use std::{sync::Arc, time::Duration};

use artifact::{KeyState, Keyring, TrustedKey};
use client::chance;
use contract::v1;
use tokio::time::Instant;

use crate::{
    error::Error,
    event::Event,
    files::Folder,
    ground::Ground,
    identity::{Keys, Roots},
    platform::{Image, Platform},
    settings::{LONGEST, Settings},
    update::{Bounds, Input, Journal, Slots, Stage, step, told},
    warrant::Guard,
};

/// How often the device was started; nothing rests on it.
pub(super) const BOOTS: &str = "boots";
/// No device is to keep its server busy by a slip of the pen.
const HEARTBEAT_LEAST: Duration = Duration::from_millis(100);

/// What a device has while it runs.
pub(crate) struct Body<P> {
    pub(crate) settings: Settings,
    pub(crate) platform: Arc<P>,
    pub(crate) ground: Arc<dyn Ground>,
    pub(crate) folder: Arc<Folder>,
    pub(crate) keys: Keys,
    pub(crate) roots: Roots,
    pub(crate) slots: Slots,
    pub(crate) bounds: Bounds,
    pub(crate) guard: Guard,
    pub(crate) journal: Journal,
    pub(crate) trial: Option<Trial>,
    boots: u64,
    started: Instant,
}

/// A new image that this process has started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trial {
    /// When it must have proved itself.
    pub(crate) deadline: Instant,
    /// It has found itself well, and only the server has not been reached with it yet.
    pub(crate) is_well: bool,
    /// The server has been reached with it, and only the disk has not taken that yet.
    pub(crate) is_reached: bool,
}

impl<P: Platform> Body<P> {
    pub(crate) fn open(ground: Arc<dyn Ground>, settings: Settings, platform: P) -> Result<Body<P>, Error> {
        settings.check()?;
        let bounds = bounds(&settings)?;
        let guard = Guard::new(
            settings.device_id.as_str(),
            &settings.command_keys,
            &settings.signed_commands,
        )?;
        let folder = Arc::new(Folder::on(ground.disk(&settings.folder)?));
        let slots = Slots::new(folder.clone());
        let journal = slots.journal()?;
        let platform = Arc::new(platform);
        let teller = platform.clone();
        let body = Body {
            roots: Roots::new(
                folder.clone(),
                &settings.roots_pem,
                Arc::new(move |event| teller.heard(event)),
            ),
            keys: Keys::new(folder.clone(), ground.clone(), settings.key_kind),
            ground,
            platform,
            boots: boots_before(&folder).saturating_add(1),
            started: Instant::now(),
            trial: None,
            settings,
            folder,
            slots,
            bounds,
            guard,
            journal,
        };
        body.note_start();
        Ok(body)
    }

    /// Notes what a start changes. A device whose disk is full must come up all the same, to say so.
    fn note_start(&self) {
        let marked = self.slots.mark(&self.journal);
        let counted = self.folder.write(BOOTS, format!("{}\n", self.boots).as_bytes());
        for failed in [marked, counted].into_iter().filter_map(Result::err) {
            self.problem(told_whole(&failed));
        }
    }

    /// The image that runs.
    pub(crate) fn image(&self) -> Option<Image> {
        let slot = self.journal.running();
        let held = self.journal.held(slot)?;
        Some(self.slots.image(slot, held))
    }

    /// Something happened to the update: it is on disk before anybody hears of it. Where the disk does not take
    /// it, nothing has happened; where it takes all but the marker, it has, and the marker waits.
    pub(crate) async fn apply(&mut self, input: Input) -> Result<(), Error> {
        let next = step(&self.journal, input);
        if next == self.journal {
            return Ok(());
        }
        let (slots, kept) = (self.slots.clone(), next.clone());
        let failed = slots.blocking(move |slots| slots.save(&kept)).await.err();
        // It may have failed after the new journal was in its place: the disk says which counts.
        let counts = match failed {
            Some(_) => self.slots.journal()?,
            None => next,
        };
        let before = std::mem::replace(&mut self.journal, counts);
        if !matches!(self.journal.stage, Stage::Trying { .. }) {
            self.trial = None;
        }
        if let Some(event) = told(&before, &self.journal) {
            self.platform.heard(event);
        }
        if matches!(self.journal.stage, Stage::Idle | Stage::Ended(_)) {
            self.tidy().await;
        }
        failed.map_or(Ok(()), Err)
    }

    /// The marker says what the journal does; also one that a full disk did not take with it.
    pub(crate) async fn mark(&self) -> Result<(), Error> {
        let (slots, journal) = (self.slots.clone(), self.journal.clone());
        slots.blocking(move |slots| slots.mark(&journal)).await
    }

    /// What was on its way is no longer wanted.
    async fn tidy(&self) {
        let slots = self.slots.clone();
        if let Err(error) = slots.blocking(|slots| slots.tidy(None)).await {
            self.problem(told_whole(&error));
        }
    }

    pub(crate) fn tell(&self, event: Event) {
        self.platform.heard(event);
    }

    pub(crate) fn problem(&self, what: impl Into<String>) {
        self.platform.heard(Event::Problem { what: what.into() });
    }

    /// The time of day, if it is known.
    pub(crate) fn now_ms(&self) -> Option<i64> {
        self.ground.now_ms()
    }

    /// A number between 0 and 1, by chance.
    pub(crate) fn chance(&self) -> f64 {
        chance(&*self.ground.network())
    }

    /// A duration cut by chance to between nine tenths and eleven tenths.
    pub(crate) fn about(&self, duration: Duration) -> Duration {
        duration.mul_f64(0.9 + self.chance() / 5.0)
    }

    /// What the device says of itself.
    pub(crate) fn report(&self) -> v1::Report {
        let about = &self.settings.about;
        v1::Report {
            model: about.model.clone(),
            hardware_revision: about.hardware_revision.clone(),
            firmware_version: self.firmware_version(),
            location: about.location.as_ref().map(|location| v1::Location {
                place: location.place.clone(),
                latitude: location.latitude,
                longitude: location.longitude,
            }),
            attributes: about.attributes.clone(),
            ..v1::Report::default()
        }
    }

    pub(crate) fn heartbeat(&self) -> v1::Heartbeat {
        let metrics = self.platform.metrics().into_iter();
        v1::Heartbeat {
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            boot_count: self.boots,
            firmware_version: self.firmware_version(),
            metrics: metrics
                .filter(|(_, value)| value.is_finite())
                .take(contract::limits::ENTRIES_MAX)
                .collect(),
            ..v1::Heartbeat::default()
        }
    }

    /// How often the device says that it is alive.
    pub(crate) fn heartbeat_every(&self) -> Duration {
        let set = self.platform.heartbeat();
        set.unwrap_or(self.settings.heartbeat)
            .clamp(HEARTBEAT_LEAST, LONGEST)
    }

    /// The confirmed one's: an image on trial is not yet what the device runs.
    fn firmware_version(&self) -> String {
        let held = self.journal.held(self.journal.active);
        held.map_or(&self.settings.about.firmware_version, |held| &held.version)
            .clone()
    }
}

fn bounds(settings: &Settings) -> Result<Bounds, Error> {
    let keys = settings.release_keys.iter().map(|key| TrustedKey {
        key: key.clone(),
        state: KeyState::Active,
    });
    let keyring = Keyring::new(keys, settings.release_threshold).map_err(|e| Error::Setting {
        setting: "release_keys",
        why: e.to_string(),
    })?;
    Ok(Bounds {
        keyring,
        model: settings.about.model.clone(),
        hardware_revision: settings.about.hardware_revision.clone(),
        image_bytes_max: settings.image_bytes_max,
    })
}

/// Starts so far; a count that cannot be read begins anew, for nothing rests on it.
fn boots_before(folder: &Folder) -> u64 {
    let before = folder.read_text(BOOTS).unwrap_or_default();
    before.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// An error and what the system says of it.
pub(crate) fn told_whole(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
