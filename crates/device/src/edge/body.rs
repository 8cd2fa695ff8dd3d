//! What a device has while it runs.

use std::{sync::Arc, time::Duration};

use artifact::{KeyState, Keyring, TrustedKey};
use contract::v1;
use tokio::time::Instant;

use crate::{
    clock,
    error::Error,
    event::Event,
    files::Folder,
    identity::Keys,
    platform::{Image, Platform},
    settings::{LONGEST, Settings},
    update::{Bounds, Input, Journal, Slots, Stage, step, told},
};

const BOOTS: &str = "boots";
/// No device is to keep its server busy by a slip of the pen.
const HEARTBEAT_LEAST: Duration = Duration::from_millis(100);

/// What a device has while it runs.
pub(crate) struct Body<P> {
    pub(crate) settings: Settings,
    pub(crate) platform: Arc<P>,
    pub(crate) folder: Arc<Folder>,
    pub(crate) keys: Keys,
    pub(crate) slots: Slots,
    pub(crate) bounds: Bounds,
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
}

impl<P: Platform> Body<P> {
    pub(crate) fn open(settings: Settings, platform: P) -> Result<Body<P>, Error> {
        settings.check()?;
        let bounds = bounds(&settings)?;
        let folder = Arc::new(Folder::open(&settings.folder)?);
        let slots = Slots::new(folder.clone());
        let journal = slots.journal()?;
        let body = Body {
            keys: Keys::new(folder.clone()),
            platform: Arc::new(platform),
            boots: boots_before(&folder).saturating_add(1),
            started: Instant::now(),
            trial: None,
            settings,
            folder,
            slots,
            bounds,
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
    /// it, nothing has happened.
    pub(crate) async fn apply(&mut self, input: Input) -> Result<(), Error> {
        let next = step(&self.journal, input);
        if next == self.journal {
            return Ok(());
        }
        let (slots, kept) = (self.slots.clone(), next.clone());
        if let Err(error) = blocking(move || slots.save(&kept)).await {
            // The cut may have come after the new journal was in its place: the disk says which counts.
            self.journal = self.slots.journal()?;
            return Err(error);
        }
        let before = std::mem::replace(&mut self.journal, next);
        if !matches!(self.journal.stage, Stage::Trying { .. }) {
            self.trial = None;
        }
        if let Some(event) = told(&before, &self.journal) {
            self.platform.heard(event);
        }
        if matches!(self.journal.stage, Stage::Idle | Stage::Ended(_)) {
            self.tidy().await;
        }
        Ok(())
    }

    /// What was on its way is no longer wanted.
    async fn tidy(&self) {
        let slots = self.slots.clone();
        if let Err(error) = blocking(move || slots.tidy(None)).await {
            self.problem(told_whole(&error));
        }
    }

    pub(crate) fn tell(&self, event: Event) {
        self.platform.heard(event);
    }

    pub(crate) fn problem(&self, what: impl Into<String>) {
        self.platform.heard(Event::Problem { what: what.into() });
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

/// File work, away from the threads that serve the network.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(gone) => Err(Error::Files {
            path: "".into(),
            doing: "file work",
            source: std::io::Error::other(gone),
        }),
    }
}

/// A duration cut by chance to between nine tenths and eleven tenths.
pub(crate) fn about(duration: Duration) -> Duration {
    duration.mul_f64(0.9 + rand::random::<f64>() / 5.0)
}

/// The time of day, if it is known.
pub(crate) fn now_ms() -> Option<i64> {
    clock::now_ms()
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
