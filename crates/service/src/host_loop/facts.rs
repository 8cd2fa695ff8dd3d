//! Following others' facts, and speaking of one's own.

use std::collections::HashSet;

use contract::{
    Topic,
    id::{Principal, ServiceName},
    v1::{Beacon, Fact, FactsPage, Frame, Purpose},
    wire::{self, Encoding},
};
use prost::Message;

use super::{Group, HostLoop};
use crate::{
    follower::{Cursor, Follower, Step},
    keys,
    record::CursorRecord,
    service::{Context, FactChange, Service},
    store::{Read, StoreError},
    view::View,
};

/// How often the head of one's own facts is told, milliseconds.
const BEACON_EVERY_MS: u64 = 1_000;

/// One owner that is followed.
pub(super) struct Following {
    follower: Follower,
    /// What a whole copy under way has named so far.
    named: HashSet<Vec<u8>>,
}

impl Following {
    pub(super) fn resume(owner: ServiceName, cursor: Cursor) -> Following {
        Following {
            follower: Follower::resume(owner, cursor),
            named: HashSet::new(),
        }
    }

    pub(super) fn disconnected(&mut self) {
        self.follower.disconnected();
    }

    pub(super) fn is_whole(&self) -> bool {
        self.follower.is_whole()
    }

    /// Whether it lacks anything by which requests are judged: monitoring says nothing of who may do what.
    pub(super) fn leaves_rights_open(&self) -> bool {
        self.follower.owner() != ServiceName::Monitoring && !self.is_whole()
    }
}

impl<S: Service> HostLoop<S> {
    pub(super) fn on_fact_frame(
        &mut self,
        frame: &Frame,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        let Some(n) = self.following_of(&frame.topic) else {
            return Ok(());
        };
        let Ok(fact) = Fact::decode(frame.payload.as_ref()) else {
            return Ok(());
        };
        let step = self.following[n].follower.on_fact(&fact, cx.now.mono_ms);
        self.take_step(n, step, group, base, cx)
    }

    pub(super) fn on_beacon_frame(&mut self, frame: &Frame, now: u64) {
        if let (Some(n), Ok(beacon)) = (
            self.following_of(&frame.topic),
            Beacon::decode(frame.payload.as_ref()),
        ) {
            self.following[n].follower.on_beacon(&beacon, now);
        }
    }

    pub(super) fn on_facts_page(
        &mut self,
        owner: ServiceName,
        page: FactsPage,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        let Some(n) = self.following.iter().position(|f| f.follower.owner() == owner) else {
            return Ok(());
        };
        let step = self.following[n].follower.on_page(page, cx.now.mono_ms);
        self.take_step(n, step, group, base, cx)
    }

    fn following_of(&self, topic: &str) -> Option<usize> {
        let Some(Topic::Fact { service, .. }) = self.settings.root.parse_topic(topic) else {
            return None;
        };
        self.following.iter().position(|f| f.follower.owner() == service)
    }

    fn take_step(
        &mut self,
        n: usize,
        step: Step,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        if step == Step::default() {
            return Ok(());
        }
        let owner = self.following[n].follower.owner();
        for fact in &step.apply {
            if step.whole {
                self.following[n]
                    .named
                    .insert(keys::copy(owner, &fact.entity, &fact.id));
            }
            let value = (!fact.deleted).then_some(fact.value.as_slice());
            self.change_copy(
                FactChange {
                    owner,
                    entity: &fact.entity,
                    id: &fact.id,
                    value,
                },
                group,
                base,
                cx,
            )?;
        }
        if step.swap {
            self.drop_unnamed(n, group, base, cx)?;
        }
        let Cursor { epoch, sequence } = self.following[n].follower.cursor();
        // Within a whole copy the cursor must not be trusted after a crash: it would look complete.
        let stored = if step.whole && !step.swap {
            CursorRecord::default()
        } else {
            CursorRecord { epoch, sequence }
        };
        group.batch.put(keys::cursor(owner), stored.encode_to_vec());
        Ok(())
    }

    /// What a complete copy did not name is gone.
    fn drop_unnamed(
        &mut self,
        n: usize,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        let owner = self.following[n].follower.owner();
        let named = std::mem::take(&mut self.following[n].named);
        let held = View::new(base, &group.batch).scan_raw(&keys::copies(owner), None, usize::MAX)?;
        for (key, _) in held {
            if let (false, Some((entity, id))) = (named.contains(&key), keys::split_copy(owner, &key)) {
                let gone = FactChange {
                    owner,
                    entity: &entity,
                    id: &id,
                    value: None,
                };
                self.change_copy(gone, group, base, cx)?;
            }
        }
        Ok(())
    }

    fn change_copy(
        &mut self,
        change: FactChange<'_>,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        let service = self.service.clone();
        let decided = service.on_fact(&View::new(base, &group.batch), change, cx);
        let key = keys::copy(change.owner, change.entity, change.id);
        match change.value {
            Some(value) => group.batch.put(key, value),
            None => group.batch.delete(key),
        }
        self.settle_own("fact", change.id, decided, group, base, cx)
    }

    /// Tells the own head and asks those followed for what is missing.
    pub(super) fn speak_up(&mut self, group: &mut Group<S::Request>, now: u64) {
        if !self.connected {
            return;
        }
        if self
            .beacon_at
            .is_none_or(|at| now.saturating_sub(at) >= BEACON_EVERY_MS)
        {
            self.beacon_at = Some(now);
            let beacon = Beacon {
                epoch: self.settings.epoch,
                head: self.heads.fact,
            };
            let topic = Topic::Fact {
                service: S::NAME,
                entity: "beacon".into(),
                id: "head".into(),
            };
            let topic = self.settings.root.print(&topic);
            let mut frame = Frame {
                topic,
                payload: beacon.encode_to_vec().into(),
                ..Frame::default()
            };
            frame.set_purpose(Purpose::Beacon);
            group.facts.push(frame);
        }
        let me = Principal::from(S::NAME);
        for following in &mut self.following {
            let Some(question) = following.follower.poll(now) else {
                continue;
            };
            if question.after == 0 {
                following.named.clear();
            }
            let owner = following.follower.owner();
            let mut frame = Frame {
                topic: self.settings.root.up(&me, owner, "facts"),
                payload: wire::encode(&question, Encoding::Protobuf),
                ..Frame::default()
            };
            frame.set_purpose(Purpose::Request);
            group.requests.push(frame);
        }
    }
}
