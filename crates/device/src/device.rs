//! A device, from opening its folder to its end.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    edge::{self, Body},
    error::Error,
    event::Ending,
    ground::{Ground, Machine},
    platform::{Image, Platform},
    settings::Settings,
};

/// A device whose folder is open.
pub struct Device<P>(Body<P>);

impl<P: Platform> Device<P> {
    /// Opens the device's folder, which is made if it is not there.
    pub fn open(settings: Settings, platform: P) -> Result<Device<P>, Error> {
        Device::open_on(Arc::new(Machine), settings, platform)
    }

    /// The same, on another ground than this machine.
    pub fn open_on(ground: Arc<dyn Ground>, settings: Settings, platform: P) -> Result<Device<P>, Error> {
        Body::open(ground, settings, platform).map(Device)
    }

    /// The image that runs; `None` is the one the device was delivered with.
    pub fn image(&self) -> Option<Image> {
        self.0.image()
    }

    /// Runs until it is told to stop, retires, or has to restart. Then its folder is free for another.
    pub async fn run(self, shutdown: CancellationToken) -> Result<Ending, Error> {
        let folder = self.0.folder.clone();
        let ended = edge::run(self.0, shutdown).await;
        folder.left_alone().await;
        ended
    }
}
