//! Packets to a client, in its version's form. A packet that cannot be built is one that we made wrong: it
//! is not sent.

use bytes::Bytes;
use mqtt_protocol_core::mqtt::{
    connection::Event,
    packet::{
        AssignedClientIdentifier, ContentType, CorrelationData, MaximumQos, Property, Qos, ReasonString,
        ReceiveMaximum, RetainAvailable, ServerKeepAlive, SessionExpiryInterval, SharedSubscriptionAvailable,
        SubscriptionIdentifierAvailable, v3_1_1, v5_0,
    },
    result_code::{
        ConnectReasonCode, ConnectReturnCode, DisconnectReasonCode, MqttError, PubackReasonCode,
        SubackReasonCode, SubackReturnCode, UnsubackReasonCode,
    },
};

use super::{IN_FLIGHT, Protocol, Reason};

/// What an admitted client is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Welcome {
    /// A client id that it did not choose.
    pub(crate) assigned_client_id: Option<String>,
    /// MQTT 5 clients are told how many publishes may be unacknowledged.
    pub(crate) receive_maximum: u16,
    /// A keep-alive that it did not choose, seconds.
    pub(crate) keep_alive_s: Option<u16>,
}

/// A message for a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Where it is published.
    pub topic: String,
    /// Its payload.
    pub payload: Bytes,
    /// MQTT 5: what it answers.
    pub correlation: Bytes,
    /// MQTT 5: the payload's type.
    pub content_type: String,
    /// At QoS 1, if the subscription allows it.
    pub at_least_once: bool,
}

impl Delivery {
    /// About how much memory it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len() + self.correlation.len() + 64
    }
}

impl Protocol {
    /// CONNACK: welcome.
    pub(crate) fn welcome(&mut self, welcome: &Welcome) {
        let events = if self.is_v5() {
            let props = welcome_properties(welcome);
            let packet = v5_0::Connack::builder()
                .session_present(false)
                .reason_code(ConnectReasonCode::Success)
                .props(props)
                .build();
            packet.map(|p| self.core.checked_send(p)).unwrap_or_default()
        } else {
            let packet = v3_1_1::Connack::builder()
                .session_present(false)
                .return_code(ConnectReturnCode::Accepted)
                .build();
            packet.map(|p| self.core.checked_send(p)).unwrap_or_default()
        };
        self.settle(events);
    }

    /// CONNACK: no. (MQTT 3.1.1 has five reasons, MQTT 5 has more and a sentence.)
    pub(crate) fn refuse(&mut self, reason: Reason, text: &str) {
        let events = if self.is_v5() {
            // A CONNACK knows no 0x8B (MQTT 5, table 3-1).
            let code = match reason {
                Reason::ShuttingDown => ConnectReasonCode::ServerUnavailable,
                other => {
                    ConnectReasonCode::try_from(other as u8).unwrap_or(ConnectReasonCode::UnspecifiedError)
                }
            };
            let packet = v5_0::Connack::builder()
                .session_present(false)
                .reason_code(code)
                .props(reason_string(text))
                .build();
            packet.map(|p| self.core.checked_send(p)).unwrap_or_default()
        } else {
            let code = match reason {
                Reason::BadClientId => ConnectReturnCode::IdentifierRejected,
                Reason::BadVersion => ConnectReturnCode::UnacceptableProtocolVersion,
                Reason::ServerBusy | Reason::QuotaExceeded | Reason::ShuttingDown => {
                    ConnectReturnCode::ServerUnavailable
                }
                _ => ConnectReturnCode::NotAuthorized,
            };
            let packet = v3_1_1::Connack::builder()
                .session_present(false)
                .return_code(code)
                .build();
            packet.map(|p| self.core.checked_send(p)).unwrap_or_default()
        };
        self.settle(events);
    }

    /// DISCONNECT with a reason; MQTT 3.1.1 knows none from a server.
    pub(crate) fn dismiss(&mut self, reason: Reason, text: &str) {
        if !self.is_v5() {
            return;
        }
        let code =
            DisconnectReasonCode::try_from(reason as u8).unwrap_or(DisconnectReasonCode::UnspecifiedError);
        let packet = v5_0::Disconnect::builder()
            .reason_code(code)
            .props(reason_string(text))
            .build();
        let events = packet.map(|p| self.core.checked_send(p)).unwrap_or_default();
        self.settle(events);
    }

    /// PUBACK. A reason of 0 says that all is well.
    pub(crate) fn acknowledge(&mut self, packet_id: u16, reason: u8, text: &str) {
        let events = if self.is_v5() {
            let builder = v5_0::Puback::builder().packet_id(packet_id);
            let packet = if reason == 0 {
                builder.build()
            } else {
                let code = PubackReasonCode::try_from(reason).unwrap_or(PubackReasonCode::UnspecifiedError);
                builder.reason_code(code).props(reason_string(text)).build()
            };
            packet.map(|p| self.core.checked_send(p)).unwrap_or_default()
        } else {
            let packet = v3_1_1::Puback::builder().packet_id(packet_id).build();
            packet.map(|p| self.core.checked_send(p)).unwrap_or_default()
        };
        self.settle(events);
    }

    /// SUBACK: for each filter whether it is granted at QoS 1 (`Ok(true)`), QoS 0, or refused.
    pub(crate) fn subscribed(&mut self, packet_id: u16, granted: &[Result<bool, u8>]) {
        let events = if self.is_v5() {
            let code = |g: &Result<bool, u8>| match g {
                Ok(false) => SubackReasonCode::GrantedQos0,
                Ok(true) => SubackReasonCode::GrantedQos1,
                Err(reason) => {
                    SubackReasonCode::try_from(*reason).unwrap_or(SubackReasonCode::UnspecifiedError)
                }
            };
            let codes = granted.iter().map(code).collect();
            let packet = v5_0::Suback::builder()
                .packet_id(packet_id)
                .reason_codes(codes)
                .build();
            packet.map(|p| self.core.checked_send(p)).unwrap_or_default()
        } else {
            let code = |g: &Result<bool, u8>| match g {
                Ok(false) => SubackReturnCode::SuccessMaximumQos0,
                Ok(true) => SubackReturnCode::SuccessMaximumQos1,
                Err(_) => SubackReturnCode::Failure,
            };
            let codes = granted.iter().map(code).collect();
            let packet = v3_1_1::Suback::builder()
                .packet_id(packet_id)
                .return_codes(codes)
                .build();
            packet.map(|p| self.core.checked_send(p)).unwrap_or_default()
        };
        self.settle(events);
    }

    /// UNSUBACK: for each filter whether it was there.
    pub(crate) fn unsubscribed(&mut self, packet_id: u16, existed: &[bool]) {
        let events = if self.is_v5() {
            let code = |there: &bool| match there {
                true => UnsubackReasonCode::Success,
                false => UnsubackReasonCode::NoSubscriptionExisted,
            };
            let codes = existed.iter().map(code).collect();
            let packet = v5_0::Unsuback::builder()
                .packet_id(packet_id)
                .reason_codes(codes)
                .build();
            packet.map(|p| self.core.checked_send(p)).unwrap_or_default()
        } else {
            let packet = v3_1_1::Unsuback::builder().packet_id(packet_id).build();
            packet.map(|p| self.core.checked_send(p)).unwrap_or_default()
        };
        self.settle(events);
    }

    /// PINGRESP.
    pub(crate) fn pong(&mut self) {
        let events = if self.is_v5() {
            self.core.checked_send(v5_0::Pingresp::new())
        } else {
            self.core.checked_send(v3_1_1::Pingresp::new())
        };
        self.settle(events);
    }

    /// Whether another message at QoS 1 may be sent now.
    pub(crate) fn has_room(&self) -> bool {
        let theirs = self.core.get_receive_maximum_vacancy_for_send();
        self.in_flight < IN_FLIGHT && theirs.is_none_or(|room| room > 0)
    }

    /// PUBLISH. False: it could not be sent (no packet id, or larger than the client takes).
    pub(crate) fn publish(&mut self, delivery: &Delivery) -> bool {
        let packet_id = match delivery.at_least_once {
            true => match self.core.acquire_packet_id() {
                Ok(id) => Some(id),
                Err(_) => return false,
            },
            false => None,
        };
        self.in_flight += usize::from(packet_id.is_some());
        let before = self.out.len();
        let built = if self.is_v5() {
            self.publish_v5(delivery, packet_id)
        } else {
            self.publish_v3(delivery, packet_id)
        };
        let events = built.unwrap_or_default();
        self.settle(events);
        let sent = self.out.len() > before;
        if let (false, Some(id)) = (sent, packet_id) {
            let events = self.core.release_packet_id(id);
            self.settle(events);
        }
        sent
    }

    fn publish_v5(&mut self, delivery: &Delivery, packet_id: Option<u16>) -> Result<Vec<Event>, MqttError> {
        let mut props: Vec<Property> = Vec::new();
        if !delivery.correlation.is_empty() {
            props.push(CorrelationData::new(delivery.correlation.to_vec())?.into());
        }
        if !delivery.content_type.is_empty() {
            props.push(ContentType::new(delivery.content_type.as_str())?.into());
        }
        let builder = v5_0::Publish::builder()
            .topic_name(delivery.topic.as_str())?
            .qos(qos(packet_id))
            .props(props)
            .payload(delivery.payload.as_ref());
        let packet = match packet_id {
            Some(id) => builder.packet_id(id).build()?,
            None => builder.build()?,
        };
        Ok(self.core.checked_send(packet))
    }

    fn publish_v3(&mut self, delivery: &Delivery, packet_id: Option<u16>) -> Result<Vec<Event>, MqttError> {
        let builder = v3_1_1::Publish::builder()
            .topic_name(delivery.topic.as_str())?
            .qos(qos(packet_id))
            .payload(delivery.payload.as_ref());
        let packet = match packet_id {
            Some(id) => builder.packet_id(id).build()?,
            None => builder.build()?,
        };
        Ok(self.core.checked_send(packet))
    }
}

fn qos(packet_id: Option<u16>) -> Qos {
    if packet_id.is_some() {
        Qos::AtLeastOnce
    } else {
        Qos::AtMostOnce
    }
}

fn welcome_properties(welcome: &Welcome) -> Vec<Property> {
    let mut props: Vec<Property> = Vec::new();
    let mut add = |property: Result<Property, MqttError>| props.extend(property);
    add(MaximumQos::new(1).map(Into::into));
    add(RetainAvailable::new(0).map(Into::into));
    add(SessionExpiryInterval::new(0).map(Into::into));
    add(SharedSubscriptionAvailable::new(0).map(Into::into));
    add(SubscriptionIdentifierAvailable::new(0).map(Into::into));
    add(ReceiveMaximum::new(welcome.receive_maximum).map(Into::into));
    if let Some(id) = &welcome.assigned_client_id {
        add(AssignedClientIdentifier::new(id.as_str()).map(Into::into));
    }
    if let Some(seconds) = welcome.keep_alive_s {
        add(ServerKeepAlive::new(seconds).map(Into::into));
    }
    props
}

fn reason_string(text: &str) -> Vec<Property> {
    if text.is_empty() {
        return Vec::new();
    }
    ReasonString::new(text).map(Into::into).into_iter().collect()
}
