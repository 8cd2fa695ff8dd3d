//! Turning an outcome into writes and frames.

use contract::{
    Leaf,
    topic::Topic,
    v1::{Event, Fact, Frame, Purpose},
    verb::EventKind,
    wire::Encoding,
};
use prost::Message;

use super::{Effect, Group, HostLoop};
use crate::{
    keys,
    outcome::{Answer, EventDraft, FactDraft, Outcome, PushDraft},
    record::{EffectRecord, FactRecord, Number},
    service::{Now, Service},
    store::{Read, StoreError},
    view::View,
};

impl<S: Service> HostLoop<S> {
    /// Adds an outcome to the group; what is left is its answer.
    pub(super) fn apply(
        &mut self,
        outcome: Outcome,
        actor: &str,
        traceparent: &str,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        now: Now,
    ) -> Result<Answer, StoreError> {
        for (key, value) in outcome.changes.iter() {
            match value {
                Some(value) => group.batch.put(keys::state(key), value),
                None => group.batch.delete(keys::state(key)),
            }
        }
        for fact in outcome.facts {
            self.set_fact(fact, group, base)?;
        }
        for event in outcome.events {
            self.log_event(event, actor, traceparent, group, base, now)?;
        }
        for wake in outcome.wakes {
            self.set_wake(&wake.key, wake.at_ms, group, base)?;
        }
        for id in outcome.lifted {
            group.batch.delete(keys::effect(&id));
        }
        for effect in outcome.effects {
            let record = EffectRecord {
                kind: effect.kind.into(),
                payload: effect.payload.clone(),
            };
            group.batch.put(keys::effect(&effect.id), record.encode_to_vec());
            group.effects.push(Effect {
                id: effect.id,
                kind: record.kind,
                payload: effect.payload,
            });
        }
        for request in outcome.requests {
            let topic = self.own_topic(request.service, request.verb);
            self.store_request(&request.tag, topic, request.payload, group);
        }
        for push in outcome.pushes {
            group.replies.push(self.push_frame(&push));
        }
        for (ticket, reply) in outcome.completes {
            self.complete(&ticket, reply, group, base, now)?;
        }
        group.measures.extend(outcome.measures);
        for draft in outcome.audits {
            self.record_draft(draft, group, now);
        }
        Ok(outcome.answer)
    }

    /// Numbers and writes a fact, unless it is what it was.
    fn set_fact(
        &mut self,
        draft: FactDraft,
        group: &mut Group<S::Request>,
        base: &dyn Read,
    ) -> Result<(), StoreError> {
        let key = keys::fact(draft.entity, &draft.id);
        let former = View::new(base, &group.batch).raw_record::<FactRecord>(&key)?;
        let deleted = draft.value.is_none();
        let value = draft.value.unwrap_or_default();
        if let Some(former) = former {
            if former.value == value && former.deleted == deleted {
                return Ok(());
            }
            group.batch.delete(keys::fact_index(former.sequence));
        } else if deleted {
            return Ok(());
        }
        self.heads.fact += 1;
        let sequence = self.heads.fact;
        let (entity, id) = (draft.entity.to_owned(), draft.id);
        let record = FactRecord {
            sequence,
            value: value.clone(),
            deleted,
            entity,
            id,
        };
        group.batch.put(key.clone(), record.encode_to_vec());
        group.batch.put(keys::fact_index(sequence), key);
        let topic = Topic::Fact {
            service: S::NAME,
            entity: record.entity.clone(),
            id: record.id.clone(),
        };
        let fact = Fact {
            epoch: self.settings.epoch,
            sequence,
            entity: record.entity,
            id: record.id,
            value,
            deleted,
        };
        let topic = self.settings.root.print(&topic);
        let mut frame = Frame {
            topic,
            payload: fact.encode_to_vec().into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Fact);
        group.facts.push(frame);
        Ok(())
    }

    /// Numbers and writes an event.
    pub(super) fn log_event(
        &mut self,
        draft: EventDraft,
        actor: &str,
        traceparent: &str,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        now: Now,
    ) -> Result<(), StoreError> {
        let kind = draft.subject.split('/').next().unwrap_or_default();
        if EventKind::find(S::NAME, kind, draft.name).is_none() {
            group.warnings.push(format!(
                "`{}/{}` is not in the event table",
                draft.subject, draft.name
            ));
        }
        let subject_key = keys::subject(&draft.subject);
        let former = View::new(base, &group.batch)
            .raw_record::<Number>(&subject_key)?
            .unwrap_or_default();
        self.heads.event += 1;
        let event = Event {
            sequence: self.heads.event,
            subject_sequence: former.value + 1,
            time_ms: now.wall_ms,
            subject: draft.subject,
            name: draft.name.into(),
            data: serde_json::to_vec(&draft.data).unwrap_or_default(),
            traceparent: traceparent.into(),
            epoch: self.settings.epoch,
            actor: actor.into(),
        };
        group.batch.put(
            subject_key,
            Number {
                value: event.subject_sequence,
            }
            .encode_to_vec(),
        );
        let bytes = event.encode_to_vec();
        group.events.push(self.frame_of_event(&event, bytes.clone()));
        group.batch.put(keys::event(event.sequence), bytes);
        Ok(())
    }

    /// The frame of a stored event.
    pub(super) fn event_frame(&self, bytes: &[u8]) -> Result<Frame, StoreError> {
        let event = Event::decode(bytes).map_err(|_| StoreError::Damaged {
            key: "an event".into(),
            reason: "the record does not decode",
        })?;
        Ok(self.frame_of_event(&event, bytes.to_vec()))
    }

    fn frame_of_event(&self, event: &Event, bytes: Vec<u8>) -> Frame {
        let topic = self.settings.root.event(S::NAME, &event.subject, &event.name);
        let mut frame = Frame {
            topic,
            payload: bytes.into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Event);
        frame
    }

    fn push_frame(&self, push: &PushDraft) -> Frame {
        let mut frame = Frame {
            topic: self.settings.root.down(&push.to, S::NAME, push.name, Leaf::Push),
            payload: push
                .message
                .as_ref()
                .map(|message| message.encode(Encoding::Json))
                .unwrap_or_default(),
            content_type: Encoding::Json.content_type().into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Message);
        frame
    }
}
