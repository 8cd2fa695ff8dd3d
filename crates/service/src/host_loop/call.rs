//! A request as it came from the bus, and the frames that answer it.

use bytes::Bytes;
use contract::{
    Leaf, Refusal, Root, Topic,
    id::{Id, Kind, Principal, ServiceName},
    v1::{Frame, Purpose, RequestNumber},
    verb::Verb,
    wire::{self, Encoding},
};

use sha2::{Digest, Sha256};

use crate::{service::Caller, sight::Sight};

/// A request and where its answer goes.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) caller: Caller,
    pub(crate) verb: &'static Verb,
    pub(crate) payload: Bytes,
    pub(crate) content_type: String,
    pub(crate) encoding: Encoding,
    pub(crate) suspect: bool,
    pub(crate) traceparent: String,
    pub(crate) correlation: Bytes,
    pub(crate) response_topic: String,
    pub(crate) connection: u64,
    pub(crate) address: String,
    /// What its sender logged in with, where there is no certificate.
    pub(crate) login: String,
    /// When what its sender is known by ends, milliseconds since 1970; 0: never.
    pub(crate) until_ms: i64,
    /// What it is about; set once the payload has been read.
    pub(crate) subjects: Vec<String>,
    /// Its entry in the audit log; 0 while it has none.
    pub(crate) audit: u64,
    number: Option<RequestNumber>,
    /// Set once the payload has been read.
    pub(crate) request_id: String,
    /// The digest of the payload as it came, where it was kept in another form.
    pub(crate) body: Option<Vec<u8>>,
    /// Who approved it, where another person had to.
    pub(crate) approved_by: String,
}

impl Call {
    /// Reads a frame; the topic comes back when it is not a request to this service.
    pub(crate) fn read(service: ServiceName, root: &Root, frame: Frame) -> Result<Call, String> {
        let (who, verb) = match root.parse_topic(&frame.topic) {
            Some(Topic::Up { who, verb }) if verb.service == service => (who, verb),
            _ => return Err(frame.topic),
        };
        Ok(Call::of(who, verb, frame))
    }

    /// What somebody asks with this frame.
    pub(crate) fn of(who: Principal, verb: &'static Verb, frame: Frame) -> Call {
        let batch = (!frame.batch.is_empty())
            .then(|| frame.batch.parse().ok())
            .flatten();
        Call {
            caller: Caller {
                principal: who,
                batch,
                factory: frame.factory.map(|factory| *factory),
                serial: frame.serial,
                sight: Sight::default(),
            },
            verb,
            encoding: Encoding::of(&frame.payload),
            payload: frame.payload,
            content_type: frame.content_type,
            suspect: frame.suspect,
            traceparent: frame.traceparent,
            correlation: frame.correlation,
            response_topic: frame.response_topic,
            connection: frame.connection,
            address: frame.address,
            login: frame.login,
            until_ms: frame.until_ms,
            subjects: Vec::new(),
            audit: 0,
            number: frame.request,
            request_id: String::new(),
            body: None,
            approved_by: String::new(),
        }
    }

    /// A request that the installation's set-up left behind.
    pub(crate) fn bootstrap(
        service: ServiceName,
        root: &Root,
        verb: &str,
        n: usize,
        payload: Vec<u8>,
    ) -> Option<Call> {
        let who = Principal::new(Kind::Service, "bootstrap".parse::<Id>().ok()?);
        let topic = root.up(&who, service, verb);
        let correlation = format!("bootstrap-{n}").into_bytes().into();
        let frame = Frame {
            topic,
            payload: payload.into(),
            correlation,
            ..Frame::default()
        };
        Call::read(service, root, frame).ok()
    }

    /// The name that makes this request itself: from the payload, else the correlation data.
    pub(crate) fn name_request(&mut self, in_payload: String) {
        self.request_id = if in_payload.is_empty() {
            String::from_utf8(self.correlation.to_vec())
                .unwrap_or_else(|_| self.correlation.escape_ascii().to_string())
        } else {
            in_payload
        };
    }

    /// SHA-256 of the payload as it came.
    pub(crate) fn digest(&self) -> Vec<u8> {
        let of_payload = || Sha256::digest(&self.payload).to_vec();
        self.body.clone().unwrap_or_else(of_payload)
    }

    /// Whether anybody waits for an answer.
    fn is_answered(&self) -> bool {
        self.caller.principal.id.as_str() != "bootstrap"
    }

    /// The answer with this result, encoded as the caller's request was.
    pub(crate) fn accepted(&self, root: &Root, payload: Bytes) -> Frame {
        self.answer(root, Leaf::Accepted, with_request_id(payload, &self.request_id))
    }

    /// The refusal.
    pub(crate) fn rejected(&self, root: &Root, refusal: &Refusal) -> Frame {
        let payload = wire::encode(&refusal.to_message(&self.request_id), self.encoding);
        let frame = self.answer(root, Leaf::Rejected, payload);
        Frame {
            rejected: refusal.code.word().into(),
            reason: refusal.message.clone(),
            ..frame
        }
    }

    /// An answer that was kept, or made elsewhere.
    pub(crate) fn kept(&self, root: &Root, payload: Bytes, rejected: String, reason: String) -> Frame {
        let leaf = if rejected.is_empty() {
            Leaf::Accepted
        } else {
            Leaf::Rejected
        };
        Frame {
            rejected,
            reason,
            ..self.answer(root, leaf, payload)
        }
    }

    /// The bare word that the request is on disk.
    pub(crate) fn taken(&self) -> Frame {
        let mut frame = Frame {
            request: self.number,
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Taken);
        frame
    }

    /// One message of a stream of answers; it settles nothing.
    pub(crate) fn stream_item(&self, root: &Root, name: &str, payload: Bytes, content_type: &str) -> Frame {
        let topic = root.down(&self.caller.principal, self.verb.service, name, Leaf::Push);
        let content_type = content_type.to_owned();
        let connection = self.connection;
        let mut frame = Frame {
            topic,
            payload,
            content_type,
            connection,
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Message);
        frame
    }

    fn answer(&self, root: &Root, leaf: Leaf, payload: Bytes) -> Frame {
        let mut frame = Frame {
            topic: root.down(&self.caller.principal, self.verb.service, self.verb.name, leaf),
            payload,
            request: self.number,
            correlation: self.correlation.clone(),
            response_topic: self.response_topic.clone(),
            content_type: self.encoding.content_type().into(),
            connection: self.connection,
            ..Frame::default()
        };
        frame.set_purpose(if self.is_answered() {
            Purpose::Reply
        } else {
            Purpose::Unspecified
        });
        frame
    }
}

/// Puts the caller's name for the request into an encoded reply, where `request_id` is field 1 of
/// every message.
pub(crate) fn with_request_id(payload: Bytes, request_id: &str) -> Bytes {
    if request_id.is_empty() {
        return payload;
    }
    let mut bytes = Vec::with_capacity(payload.len() + request_id.len() + 20);
    if payload.first() == Some(&b'{') {
        bytes.extend_from_slice(b"{\"request_id\":");
        bytes.extend(serde_json::to_vec(request_id).unwrap_or_default());
        if payload.get(1) != Some(&b'}') {
            bytes.push(b',');
        }
        bytes.extend_from_slice(&payload[1..]);
    } else {
        prost::encoding::string::encode(1, &request_id.to_owned(), &mut bytes);
        bytes.extend_from_slice(&payload);
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::v1::Changed;

    #[test]
    fn the_request_id_is_put_in_either_form() {
        let reply = Changed {
            id: "a".into(),
            version: 2,
            ..Changed::default()
        };
        for encoding in [Encoding::Json, Encoding::Protobuf] {
            let bytes = with_request_id(wire::encode(&reply, encoding), "r-\"1");
            let back: Changed = wire::decode(&bytes, "").unwrap();
            assert_eq!(
                back,
                Changed {
                    request_id: "r-\"1".into(),
                    ..reply.clone()
                }
            );
        }
        assert_eq!(with_request_id("{}".into(), "a"), "{\"request_id\":\"a\"}");
    }
}
