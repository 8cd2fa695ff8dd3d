//! CONNACK.

use mqtt_protocol_core::mqtt::{
    packet::{
        AssignedClientIdentifier, Property, ReceiveMaximum, ResponseInformation, RetainAvailable,
        ServerKeepAlive, SessionExpiryInterval, SharedSubscriptionAvailable, TopicAliasMaximum, v3_1_1, v5_0,
    },
    result_code::{ConnectReasonCode, ConnectReturnCode, MqttError},
};

use super::{Aliases, Hello, Protocol, Reason, outgoing::reason_string};

/// What an admitted client is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Welcome {
    /// Its session of before goes on.
    pub(crate) session_present: bool,
    /// A client id that it did not choose.
    pub(crate) assigned_client_id: Option<String>,
    /// MQTT 5 clients are told how many publishes may be unacknowledged.
    pub(crate) receive_maximum: u16,
    /// A keep-alive that it did not choose, seconds.
    pub(crate) keep_alive_s: Option<u16>,
    /// How long its session is kept, where that is not what it asked for, seconds.
    pub(crate) expiry_s: Option<u32>,
    /// Topic aliases that it may use.
    pub(crate) topic_aliases: u16,
    /// What its response topics begin with, if it asked.
    pub(crate) response_information: Option<String>,
    /// Whether it may share subscriptions.
    pub(crate) may_share: bool,
}

impl Protocol {
    /// What the client said of what it takes.
    pub(crate) fn take_wishes(&mut self, hello: &Hello) {
        self.place.is_no_stranger();
        self.takes_reasons = hello.takes_reasons;
        self.aliases = Aliases::new(hello.topic_aliases);
    }

    /// CONNACK: welcome.
    pub(crate) fn welcome(&mut self, welcome: &Welcome) {
        if self.is_v5() {
            let packet = v5_0::Connack::builder()
                .session_present(welcome.session_present)
                .reason_code(ConnectReasonCode::Success)
                .props(properties(welcome));
            self.put(packet.build());
        } else {
            let packet = v3_1_1::Connack::builder()
                .session_present(welcome.session_present)
                .return_code(ConnectReturnCode::Accepted);
            self.put(packet.build());
        }
    }

    /// CONNACK: no. (MQTT 3.1.1 has five reasons, MQTT 5 has more and a sentence.)
    pub(crate) fn refuse(&mut self, reason: Reason, text: &str) {
        if !self.is_v5() {
            let packet = v3_1_1::Connack::builder()
                .session_present(false)
                .return_code(return_code(reason));
            self.put(packet.build());
            return;
        }
        let packet = |text: &str| {
            v5_0::Connack::builder()
                .session_present(false)
                .reason_code(reason_code(reason))
                .props(reason_string(text))
                .build()
        };
        // A sentence that the client has no room for is left out (MQTT-3.2.2-19).
        let _ = self.put(packet(text)) || self.put(packet(""));
    }
}

fn reason_code(reason: Reason) -> ConnectReasonCode {
    match reason {
        // A CONNACK knows no 0x8B (MQTT 5, table 3-1).
        Reason::ShuttingDown => ConnectReasonCode::ServerUnavailable,
        other => ConnectReasonCode::try_from(other as u8).unwrap_or(ConnectReasonCode::UnspecifiedError),
    }
}

fn return_code(reason: Reason) -> ConnectReturnCode {
    match reason {
        Reason::BadClientId => ConnectReturnCode::IdentifierRejected,
        Reason::BadLogin => ConnectReturnCode::BadUserNameOrPassword,
        Reason::BadVersion => ConnectReturnCode::UnacceptableProtocolVersion,
        Reason::ServerBusy | Reason::QuotaExceeded | Reason::ConnectionRate | Reason::ShuttingDown => {
            ConnectReturnCode::ServerUnavailable
        }
        _ => ConnectReturnCode::NotAuthorized,
    }
}

fn properties(welcome: &Welcome) -> Vec<Property> {
    let mut props: Vec<Property> = Vec::new();
    let mut add = |property: Result<Property, MqttError>| props.extend(property);
    // Only a service has something retained.
    add(RetainAvailable::new(0).map(Into::into));
    if !welcome.may_share {
        add(SharedSubscriptionAvailable::new(0).map(Into::into));
    }
    add(ReceiveMaximum::new(welcome.receive_maximum).map(Into::into));
    if welcome.topic_aliases > 0 {
        add(TopicAliasMaximum::new(welcome.topic_aliases).map(Into::into));
    }
    if let Some(seconds) = welcome.expiry_s {
        add(SessionExpiryInterval::new(seconds).map(Into::into));
    }
    if let Some(id) = &welcome.assigned_client_id {
        add(AssignedClientIdentifier::new(id.as_str()).map(Into::into));
    }
    if let Some(seconds) = welcome.keep_alive_s {
        add(ServerKeepAlive::new(seconds).map(Into::into));
    }
    if let Some(prefix) = &welcome.response_information {
        add(ResponseInformation::new(prefix.as_str()).map(Into::into));
    }
    props
}
