//! What a client says of itself in its CONNECT.

use std::fmt;

use bytes::Bytes;
use contract::login::{PRESENTED_BYTES, TOKEN_PREFIX, TokenDigest, token_digest};
use mqtt_protocol_core::mqtt::packet::{Property, v3_1_1, v5_0};

use zeroize::Zeroizing;

use super::{Publish, Quality, Reason};
use crate::peer::Credential;

/// What a client says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hello {
    pub(crate) client_id: String,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    /// What of the password is looked at, once it is taken.
    pub(crate) presented: Presented,
    /// What it was found to have logged in with.
    pub(crate) verified: Option<Credential>,
    pub(crate) keep_alive_s: u16,
    pub(crate) v5: bool,
    /// It wants nothing of a session that it had before.
    pub(crate) clean: bool,
    /// How long its session is to be kept, seconds; `u32::MAX` for as long as may be.
    pub(crate) expiry_s: u32,
    /// It wants to know where replies may be sent to.
    pub(crate) asks_response_information: bool,
    /// Topic aliases that it takes.
    pub(crate) topic_aliases: u16,
    /// It takes reason strings.
    pub(crate) takes_reasons: bool,
    pub(crate) will: Option<Box<Will>>,
}

/// What somebody logs in with.
#[derive(Clone, Default)]
pub(crate) enum Presented {
    /// Nothing, or what is too long to be anything.
    #[default]
    Nothing,
    /// The digest of a token: what opens is not kept.
    Token(TokenDigest),
    /// A password.
    Password(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Presented::Nothing => "nothing",
            Presented::Token(_) => "a token",
            Presented::Password(_) => "a password",
        })
    }
}

impl Hello {
    /// Takes what was given as password for what it is, for the door to look at; nothing of it stays here.
    pub(crate) fn take_password(&mut self) -> Presented {
        let given = Zeroizing::new(self.password.take().unwrap_or_default());
        if given.is_empty() || given.len() > PRESENTED_BYTES {
            Presented::Nothing
        } else if given.starts_with(TOKEN_PREFIX.as_bytes()) {
            Presented::Token(token_digest(&given))
        } else {
            Presented::Password(given)
        }
    }
}

/// What a client wants to be said when it is lost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Will {
    /// The message.
    pub(crate) publish: Publish,
    /// How long to wait for the client's return, seconds.
    pub(crate) delay_s: u32,
}

type Fault = (Reason, &'static str);

pub(super) fn v3(p: &v3_1_1::Connect) -> Result<Hello, Fault> {
    check_flags(&p.to_continuous_buffer())?;
    let will = p.will_topic().map(|topic| {
        Box::new(Will {
            publish: will(topic, p.will_payload(), p.will_qos().into(), p.will_retain()),
            delay_s: 0,
        })
    });
    Ok(Hello {
        client_id: p.client_id().to_owned(),
        user_name: p.user_name().map(str::to_owned),
        password: p.password().map(<[u8]>::to_vec),
        keep_alive_s: p.keep_alive(),
        v5: false,
        clean: p.clean_session(),
        // A session of MQTT 3.1.1 has no end of its own.
        expiry_s: if p.clean_session() { 0 } else { u32::MAX },
        will,
        ..Hello::default()
    })
}

pub(super) fn v5(p: &v5_0::Connect) -> Result<Hello, Fault> {
    check_flags(&p.to_continuous_buffer())?;
    let mut hello = Hello {
        client_id: p.client_id().to_owned(),
        user_name: p.user_name().map(str::to_owned),
        password: p.password().map(<[u8]>::to_vec),
        keep_alive_s: p.keep_alive(),
        v5: true,
        clean: p.clean_start(),
        takes_reasons: true,
        ..Hello::default()
    };
    for property in p.props() {
        match property {
            Property::SessionExpiryInterval(p) => hello.expiry_s = p.val(),
            Property::RequestResponseInformation(p) => hello.asks_response_information = p.val() == 1,
            Property::RequestProblemInformation(p) => hello.takes_reasons = p.val() == 1,
            Property::TopicAliasMaximum(p) => hello.topic_aliases = p.val(),
            Property::AuthenticationMethod(_) | Property::AuthenticationData(_) => {
                return Err((
                    Reason::BadAuthentication,
                    "enhanced authentication is not supported",
                ));
            }
            _ => {}
        }
    }
    if let Some(topic) = p.will_topic() {
        let mut publish = will(topic, p.will_payload(), p.will_qos().into(), p.will_retain());
        let mut delay_s = 0;
        for property in p.will_props() {
            match property {
                Property::WillDelayInterval(p) => delay_s = p.val(),
                property => publish.take_property(property),
            }
        }
        hello.will = Some(Box::new(Will { publish, delay_s }));
    }
    Ok(hello)
}

fn will(topic: &str, payload: Option<&[u8]>, quality: Quality, retain: bool) -> Publish {
    Publish {
        topic: topic.to_owned(),
        payload: Bytes::copy_from_slice(payload.unwrap_or_default()),
        quality,
        retain,
        ..Publish::default()
    }
}

/// What the library lets pass: the reserved flag (MQTT-3.1.2-3), and a will's flags without a will or with a
/// QoS of 3 (MQTT-3.1.2-11 and those that follow it).
fn check_flags(packet: &[u8]) -> Result<(), Fault> {
    let length = packet
        .iter()
        .skip(1)
        .take_while(|byte| **byte & 0x80 != 0)
        .count()
        + 1;
    // Behind the first byte and the length come the protocol's name (six bytes) and its version.
    let flags = packet.get(1 + length + 7).copied().unwrap_or_default();
    if flags & 0x01 != 0 {
        return Err((Reason::Malformed, "the reserved flag of a CONNECT is 0"));
    }
    let will = flags & 0x04 != 0;
    if flags & 0x18 == 0x18 || (!will && flags & 0x38 != 0) {
        return Err((Reason::Malformed, "the flags of the will do not fit"));
    }
    Ok(())
}
