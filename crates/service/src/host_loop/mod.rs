//! The loop that runs any service, without its disk, bus and clock.
//!
//! A shell hands [`HostLoop::decide`] what has arrived; it gets a [`Group`]: one batch, and behind the
//! proof that the batch is durable, everything that follows from it.

mod answers;
mod apply;
mod approvals;
mod audit;
mod audit_query;
mod call;
mod changes;
mod early;
mod facts;
mod group;
mod query;
mod requests;
mod retention;
mod rights;
mod ring;
mod steady;
mod wakes;

use std::sync::Arc;

use contract::{
    Refusal, Root,
    id::{Principal, ServiceName},
    v1::{Frame, Purpose},
};
use prost::Message;

pub use self::rights::{granted, reach, touched};
use self::{call::Call, early::Early, facts::Following, steady::Steady};
pub use self::{
    group::{Effect, Group, Released},
    query::{Query, QueryDone},
};
use crate::{
    follower::Cursor,
    keys,
    planted::{self, Mistake},
    record::{AuditRecord, CursorRecord, EffectRecord, Heads, Number, RequestRecord},
    service::{Context, Service},
    store::{Read, StoreError},
    view::View,
};

/// Events sent again after a reconnect; whoever misses older ones sees the gap and replays.
const RESENT_EVENTS: usize = 5_000;

/// What the loop must know about its installation.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The topics' root.
    pub root: Root,
    /// The installation's name.
    pub site: String,
    /// The store's epoch.
    pub epoch: u64,
}

/// Something that has happened.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // nearly every input is a frame
pub enum Input {
    /// A frame from the bus.
    Frame(Frame),
    /// The bus is connected: what lies past the cursors is published.
    Connected,
    /// The bus is gone.
    Disconnected,
    /// The broker has taken every event up to this one.
    Taken {
        /// Its sequence.
        event: u64,
    },
    /// An executor has come to a result.
    EffectDone {
        /// The effect's id.
        id: String,
        /// What it came to, as the service understands it.
        result: Vec<u8>,
    },
    /// What the service cannot see by itself has changed: it is woken with this key now.
    Woken(String),
    /// Requests that an empty service decides once: verb and payload.
    Bootstrap(Vec<(String, Vec<u8>)>),
}

/// Runs one service. All its memory can be read from the store again.
pub struct HostLoop<S: Service> {
    service: Arc<S>,
    settings: Settings,
    heads: Heads,
    taken: u64,
    taken_stored: u64,
    following: Vec<Following>,
    /// Requests that wait until everything is known of those followed.
    early: Early,
    approvals_at: u64,
    next_wake: Option<i64>,
    connected: bool,
    beacon_at: Option<u64>,
    swept_at: u64,
    audit: audit::Log,
    events: retention::Retention,
}

impl<S: Service> HostLoop<S> {
    /// Reads from the store where the service stands.
    pub fn open(service: Arc<S>, settings: Settings, base: &dyn Read) -> Result<HostLoop<S>, StoreError> {
        let empty = Default::default();
        let view = View::new(base, &empty);
        let taken = view.raw_record::<Number>(keys::OUTBOX)?.unwrap_or_default().value;
        let heads = view.raw_record::<Heads>(keys::HEADS)?.unwrap_or_default();
        let mut following = Vec::new();
        for owner in followed::<S>(&service) {
            let held = view
                .raw_record::<CursorRecord>(&keys::cursor(owner))?
                .unwrap_or_default();
            following.push(Following::resume(
                owner,
                Cursor {
                    epoch: held.epoch,
                    sequence: held.sequence,
                },
            ));
        }
        let next_wake = wakes::next(&view, 0)?;
        let audit = audit::Log::resume(
            view.raw_record::<AuditRecord>(keys::AUDIT_STATE)?
                .unwrap_or_default(),
        );
        Ok(HostLoop {
            service,
            settings,
            heads,
            taken,
            taken_stored: taken,
            following,
            early: Early::default(),
            approvals_at: 0,
            next_wake,
            connected: false,
            beacon_at: None,
            swept_at: 0,
            audit,
            events: retention::Retention::default(),
        })
    }

    /// For how long entries of the audit log are kept, milliseconds; 0 for ever.
    #[must_use]
    pub fn keeping_audit(mut self, keep_ms: u64) -> HostLoop<S> {
        self.audit.keep_ms = keep_ms;
        self
    }

    /// For how long events are kept, milliseconds, and how many of them; 0 is for ever, and any number.
    #[must_use]
    pub fn keeping_events(mut self, keep_ms: u64, most: u64) -> HostLoop<S> {
        self.events.keep_ms = keep_ms;
        self.events.most = most;
        self
    }

    /// The effects whose result is not known: to be run (again) at start.
    pub fn pending_effects(&self, base: &dyn Read) -> Result<Vec<Effect>, StoreError> {
        if planted::is(Mistake::EffectForgotten) {
            return Ok(Vec::new());
        }
        let pairs = base.scan(keys::EFFECT, None, usize::MAX)?;
        let effects = pairs.into_iter().filter_map(|(key, value)| {
            let record = EffectRecord::decode(value.as_slice()).ok()?;
            let id = String::from_utf8(key[keys::EFFECT.len()..].to_vec()).ok()?;
            Some(Effect {
                id,
                kind: record.kind,
                payload: record.payload,
            })
        });
        Ok(effects.collect())
    }

    /// When the loop must run again even if nothing arrives: the next wake-up, milliseconds since 1970.
    pub fn next_wake(&self) -> Option<i64> {
        self.next_wake
    }

    /// The service and the settings, for the read threads.
    pub fn shared(&self) -> (Arc<S>, Settings) {
        (self.service.clone(), self.settings.clone())
    }

    /// The last event and fact sequence.
    pub fn heads(&self) -> (u64, u64) {
        (self.heads.event, self.heads.fact)
    }

    /// Whether it holds everything of those it follows.
    pub fn is_whole(&self) -> bool {
        self.following.iter().all(Following::is_whole)
    }

    fn rights_are_open(&self) -> bool {
        self.following.iter().any(Following::leaves_rights_open)
    }

    /// Decides everything that has arrived and everything whose time has come. After an error the
    /// loop's memory is ahead of the store: open both anew.
    pub fn decide(
        &mut self,
        inputs: Vec<Input>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<Group<S::Request>, StoreError> {
        let base = &Steady::new(base);
        let mut group = Group::default();
        let heads = self.heads;
        self.fire_wakes(&mut group, base, cx)?;
        for input in inputs {
            self.take(input, &mut group, base, cx)?;
        }
        self.take_up_early(&mut group, base, cx)?;
        self.sweep_answers(&mut group, base, cx.now)?;
        self.expire_approvals(&mut group, base, cx.now)?;
        self.tend_audit(&mut group, base, cx.now)?;
        self.forget_events(&mut group, base, cx.now)?;
        self.speak_up(&mut group, cx.now.mono_ms);
        if self.heads != heads {
            group.batch.put(keys::HEADS, self.heads.encode_to_vec());
        }
        // The cursor rides along with other writes: a stale one costs repeats, never a loss.
        if self.taken != self.taken_stored && !group.batch.is_empty() {
            group
                .batch
                .put(keys::OUTBOX, Number { value: self.taken }.encode_to_vec());
            self.taken_stored = self.taken;
        }
        if group.wakes_changed {
            self.next_wake = self.wake_after(&group, base)?;
        }
        group.head = self.heads.event;
        Ok(group)
    }

    fn take(
        &mut self,
        input: Input,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        // What waited has come before this.
        self.take_up_early(group, base, cx)?;
        match input {
            Input::Frame(frame) => self.on_frame(frame, group, base, cx),
            Input::Connected => self.on_connected(group, base),
            Input::Disconnected => {
                self.connected = false;
                self.following.iter_mut().for_each(Following::disconnected);
                self.early.clear();
                Ok(())
            }
            Input::Taken { event } => {
                self.taken = self.taken.max(event);
                Ok(())
            }
            Input::EffectDone { id, result } => self.on_effect(&id, &result, group, base, cx),
            Input::Woken(key) => {
                let decided = self
                    .service
                    .clone()
                    .on_wake(&View::new(base, &group.batch), &key, cx);
                self.settle_own("wake-up", &key, decided, group, base, cx)
            }
            Input::Bootstrap(requests) => self.bootstrap(requests, group, base, cx),
        }
    }

    fn on_frame(
        &mut self,
        frame: Frame,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        match frame.purpose() {
            Purpose::Request => self.on_request(frame, group, base, cx),
            Purpose::Fact => self.on_fact_frame(&frame, group, base, cx),
            Purpose::Beacon => {
                self.on_beacon_frame(&frame, cx.now.mono_ms);
                Ok(())
            }
            Purpose::Reply => self.on_reply_frame(frame, group, base, cx),
            _ => Ok(()),
        }
    }

    /// Publishes what lies past the cursors: requests without an answer, then events.
    fn on_connected(&mut self, group: &mut Group<S::Request>, base: &dyn Read) -> Result<(), StoreError> {
        self.connected = true;
        self.beacon_at = None;
        for (key, value) in base.scan(keys::REQUEST, None, usize::MAX)? {
            let tag = String::from_utf8_lossy(&key[keys::REQUEST.len()..]).into_owned();
            if let Ok(record) = RequestRecord::decode(value.as_slice()) {
                group.requests.push(requests::frame(&tag, record));
            }
        }
        let events = if planted::is(Mistake::OutboxForgotten) {
            0
        } else {
            RESENT_EVENTS
        };
        let mut missed = Vec::new();
        for (_, value) in base.scan(keys::EVENT, Some(&keys::event(self.taken)), events)? {
            missed.push(self.event_frame(&value)?);
        }
        // What this round has decided already comes after them.
        missed.append(&mut group.events);
        group.events = missed;
        Ok(())
    }

    fn on_effect(
        &mut self,
        id: &str,
        result: &[u8],
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        let key = keys::effect(id);
        if View::new(base, &group.batch).raw(&key)?.is_none() {
            return Ok(());
        }
        let service = self.service.clone();
        let decided = service.on_effect(&View::new(base, &group.batch), id, result, cx);
        self.settle_own("effect", id, decided, group, base, cx)?;
        group.batch.delete(key);
        Ok(())
    }

    fn bootstrap(
        &mut self,
        requests: Vec<(String, Vec<u8>)>,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        if View::new(base, &group.batch).raw(keys::BOOTSTRAPPED)?.is_some() {
            return Ok(());
        }
        for (n, (verb, payload)) in requests.into_iter().enumerate() {
            match Call::bootstrap(S::NAME, &self.settings.root, &verb, n, payload) {
                Some(call) => self.decide_call(call, None, group, base, cx)?,
                None => group
                    .warnings
                    .push(format!("the bootstrap names `{verb}`, which is no verb")),
            }
        }
        group.batch.put(keys::BOOTSTRAPPED, vec![1]);
        Ok(())
    }

    fn on_request(
        &mut self,
        frame: Frame,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        // Kept whole while it may have to wait; bytes are shared.
        let kept = self.rights_are_open().then(|| frame.clone());
        match Call::read(S::NAME, &self.settings.root, frame) {
            Ok(call) => {
                let kept = kept.filter(|_| early::may_be::<S>(call.verb));
                self.decide_call(call, kept, group, base, cx)
            }
            Err(topic) => {
                group.warnings.push(format!(
                    "a request on {} is not for this service",
                    topic.escape_debug()
                ));
                Ok(())
            }
        }
    }

    fn actor(&self) -> String {
        Principal::from(S::NAME).to_string()
    }

    fn refuse(&self, call: &Call, refusal: &Refusal, group: &mut Group<S::Request>) {
        group.replies.push(call.rejected(&self.settings.root, refusal));
    }
}

/// Whom a service follows: whom it says, and the registry, for the grants.
fn followed<S: Service>(service: &Arc<S>) -> Vec<ServiceName> {
    let mut owners = service.follows().to_vec();
    if S::NAME != ServiceName::Registry && !owners.contains(&ServiceName::Registry) {
        owners.push(ServiceName::Registry);
    }
    owners
}
