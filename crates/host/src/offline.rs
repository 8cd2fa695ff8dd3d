//! Decides requests of whoever owns the state folder, while the service does not run.
//!
//! The very decisions that a running service takes, and the same one commit: facts, events and what else
//! follows are on disk with it, and go out when the service next connects.

use bytes::Bytes;
use contract::{
    Id, Root,
    id::{Kind, Principal},
    v1::{Frame, Purpose},
};
use service::{
    Context, HostLoop, Input, Service, Settings,
    store::{Store, StoreError},
};

use crate::{Clock, clock::OsEntropy};

/// A service that does not run, and where it belongs.
pub struct Offline<'a, S: Service> {
    /// The service.
    pub service: std::sync::Arc<S>,
    /// Its store.
    pub store: &'a dyn Store,
    /// The topics' root.
    pub root: Root,
    /// The installation's name.
    pub site: String,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// Why a request was not decided, or not as was hoped.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The service refused it.
    #[error("{verb} is refused: {reason}")]
    Refused {
        /// What was asked.
        verb: &'static str,
        /// Why not.
        reason: String,
    },
    /// Nothing was written, or the store does not say.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: Service> Offline<'_, S> {
    /// Decides one command as asked by `services/{as_whom}`, under a name that is used once, and commits it.
    pub fn decide(&self, as_whom: Id, verb: &'static str, payload: Bytes) -> Result<(), OfflineError> {
        let settings = Settings {
            root: self.root.clone(),
            site: self.site.clone(),
            epoch: self.store.epoch(),
        };
        // How long its logs are kept is for the running service to say.
        let mut host_loop = HostLoop::open(self.service.clone(), settings, self.store)?;
        let mut cx = Context {
            now: self.clock.now(),
            entropy: &mut OsEntropy,
            site: &self.site,
        };
        let request = self.request(as_whom, verb, payload);
        let group = host_loop.decide(vec![Input::Frame(request)], self.store, &mut cx)?;
        let proof = self.store.commit(group.batch())?;
        let released = group.committed(&proof);
        match released
            .frames
            .into_iter()
            .find(|frame| !frame.rejected.is_empty())
        {
            Some(Frame { reason, .. }) => Err(OfflineError::Refused { verb, reason }),
            None => Ok(()),
        }
    }

    fn request(&self, as_whom: Id, verb: &str, payload: Bytes) -> Frame {
        let who = Principal::new(Kind::Service, as_whom);
        let mut frame = Frame {
            topic: self.root.up(&who, S::NAME, verb),
            payload,
            correlation: format!("{:032x}", rand::random::<u128>()).into_bytes().into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Request);
        frame
    }
}
