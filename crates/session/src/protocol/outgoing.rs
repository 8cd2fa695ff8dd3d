//! Acknowledgements and last words, in the client's version's form. A packet that cannot be built is one
//! that we made wrong: it is not sent.

use mqtt_protocol_core::mqtt::{
    connection::Sendable,
    packet::{Property, ReasonString, v3_1_1, v5_0},
    result_code::{
        DisconnectReasonCode, MqttError, PubackReasonCode, PubcompReasonCode, PubrecReasonCode,
        SubackReasonCode, SubackReturnCode, UnsubackReasonCode,
    },
    role,
};

use super::{Protocol, Quality, Reason};

/// Whether a packet id was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Yes,
    No,
}

impl Protocol {
    /// DISCONNECT with a reason; MQTT 3.1.1 knows none from a server. False: it was not sent.
    pub(crate) fn dismiss(&mut self, reason: Reason, text: &str) -> bool {
        if !self.is_v5() {
            return false;
        }
        let code =
            DisconnectReasonCode::try_from(reason as u8).unwrap_or(DisconnectReasonCode::UnspecifiedError);
        let packet = |text: &str| {
            v5_0::Disconnect::builder()
                .reason_code(code)
                .props(reason_string(text))
                .build()
        };
        // A sentence that the client has no room for is left out (MQTT-3.14.2-3).
        self.put(packet(text)) || self.put(packet(""))
    }

    /// PUBACK. A reason of 0 says that all is well.
    pub(crate) fn acknowledge(&mut self, packet_id: u16, reason: u8, text: &str) {
        if !self.is_v5() {
            self.put(v3_1_1::Puback::builder().packet_id(packet_id).build());
        } else if reason == 0 {
            self.put(v5_0::Puback::builder().packet_id(packet_id).build());
        } else {
            let code = PubackReasonCode::try_from(reason).unwrap_or(PubackReasonCode::UnspecifiedError);
            let builder = || v5_0::Puback::builder().packet_id(packet_id).reason_code(code);
            self.explain(text, |text| builder().props(reason_string(text)).build());
        }
    }

    /// PUBREC. A reason of 0 says that all is well.
    pub(crate) fn received(&mut self, packet_id: u16, reason: u8, text: &str) {
        if !self.is_v5() {
            self.put(v3_1_1::Pubrec::builder().packet_id(packet_id).build());
        } else if reason == 0 {
            self.put(v5_0::Pubrec::builder().packet_id(packet_id).build());
        } else {
            let code = PubrecReasonCode::try_from(reason).unwrap_or(PubrecReasonCode::UnspecifiedError);
            let builder = || v5_0::Pubrec::builder().packet_id(packet_id).reason_code(code);
            self.explain(text, |text| builder().props(reason_string(text)).build());
        }
    }

    /// PUBREL.
    pub(crate) fn released(&mut self, packet_id: u16) {
        if self.is_v5() {
            self.put(v5_0::Pubrel::builder().packet_id(packet_id).build());
        } else {
            self.put(v3_1_1::Pubrel::builder().packet_id(packet_id).build());
        }
    }

    /// PUBCOMP.
    pub(crate) fn completed(&mut self, packet_id: u16, known: Known) {
        if !self.is_v5() {
            self.put(v3_1_1::Pubcomp::builder().packet_id(packet_id).build());
            return;
        }
        let builder = v5_0::Pubcomp::builder().packet_id(packet_id);
        self.put(match known {
            Known::Yes => builder.build(),
            Known::No => builder
                .reason_code(PubcompReasonCode::PacketIdentifierNotFound)
                .build(),
        });
    }

    /// What arrived over an earlier connection, and whose PUBREC was sent, is not delivered again.
    pub(crate) fn remember_received(&mut self, packet_ids: impl IntoIterator<Item = u16>) {
        let mut known = self.core.get_qos2_publish_handled();
        known.extend(packet_ids);
        self.core.restore_qos2_publish_handled(known);
    }

    /// SUBACK: for each filter what it is granted, or why not.
    pub(crate) fn subscribed(&mut self, packet_id: u16, granted: &[Result<Quality, u8>]) {
        if self.is_v5() {
            let code = |g: &Result<Quality, u8>| match g {
                Ok(Quality::AtMostOnce) => SubackReasonCode::GrantedQos0,
                Ok(Quality::AtLeastOnce) => SubackReasonCode::GrantedQos1,
                Ok(Quality::ExactlyOnce) => SubackReasonCode::GrantedQos2,
                Err(reason) => {
                    SubackReasonCode::try_from(*reason).unwrap_or(SubackReasonCode::UnspecifiedError)
                }
            };
            let codes = granted.iter().map(code).collect();
            let packet = v5_0::Suback::builder().packet_id(packet_id).reason_codes(codes);
            self.put(packet.build());
        } else {
            let code = |g: &Result<Quality, u8>| match g {
                Ok(Quality::AtMostOnce) => SubackReturnCode::SuccessMaximumQos0,
                Ok(Quality::AtLeastOnce) => SubackReturnCode::SuccessMaximumQos1,
                Ok(Quality::ExactlyOnce) => SubackReturnCode::SuccessMaximumQos2,
                Err(_) => SubackReturnCode::Failure,
            };
            let codes = granted.iter().map(code).collect();
            let packet = v3_1_1::Suback::builder().packet_id(packet_id).return_codes(codes);
            self.put(packet.build());
        }
    }

    /// UNSUBACK: for each filter whether it was there.
    pub(crate) fn unsubscribed(&mut self, packet_id: u16, existed: &[bool]) {
        if self.is_v5() {
            let code = |there: &bool| match there {
                true => UnsubackReasonCode::Success,
                false => UnsubackReasonCode::NoSubscriptionExisted,
            };
            let codes = existed.iter().map(code).collect();
            let packet = v5_0::Unsuback::builder().packet_id(packet_id).reason_codes(codes);
            self.put(packet.build());
        } else {
            self.put(v3_1_1::Unsuback::builder().packet_id(packet_id).build());
        }
    }

    /// PINGRESP.
    pub(crate) fn pong(&mut self) {
        if self.is_v5() {
            self.put(Ok(v5_0::Pingresp::new()));
        } else {
            self.put(Ok(v3_1_1::Pingresp::new()));
        }
    }

    /// Sends a packet with a sentence, or without one to a client that takes none (MQTT-3.1.2-29) or has no
    /// room for it (MQTT-3.4.2-2, 3.5.2-2): the acknowledgement itself is never lost.
    fn explain<T>(&mut self, text: &str, packet: impl Fn(&str) -> Result<T, MqttError>)
    where
        T: Sendable<role::Server, u16>,
    {
        let text = if self.takes_reasons { text } else { "" };
        let _ = self.put(packet(text)) || self.put(packet(""));
    }
}

pub(super) fn reason_string(text: &str) -> Vec<Property> {
    if text.is_empty() {
        return Vec::new();
    }
    ReasonString::new(text).map(Into::into).into_iter().collect()
}
