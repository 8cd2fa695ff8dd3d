//! Why there is no connection, and why there is no result.

use std::{error::Error, io, time::Duration};

use contract::{Refusal, id::ServiceName};
use rumqttc::v5::{
    ConnectionError, StateError,
    mqttbytes::{self, v5::ConnectReturnCode},
};
use rustls::{AlertDescription, InvalidMessage};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody there, no agreement on TLS, or the server does not want this principal.
    #[error("no connection to {endpoint}: {why}")]
    Failed {
        /// Where.
        endpoint: String,
        /// What the network, TLS or MQTT says.
        why: String,
        /// Whether trying again may help.
        cause: Cause,
    },
}

/// Who is at fault that there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The network or the server: it may pass.
    Network,
    /// The server is there and refuses this identity.
    Refused,
    /// The server shows a certificate that is not trusted here, or not for the name by which it was called.
    Distrusted,
    /// What is there speaks another protocol than TLS.
    NoTls,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The service, or the front door, refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No answer in time. The request may still take effect; its name makes a repeat harmless.
    #[error("no answer from {service} within {waited:?}; it may be away")]
    Silence {
        /// Who was asked.
        service: ServiceName,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The reply is not what it should be.
    #[error("the reply does not parse: {0}")]
    BadReply(String),
    /// The connection has been given up.
    #[error("the connection is closed")]
    Closed,
}

impl Cause {
    /// TLS 1.3 tells a client that its certificate is refused only after the handshake, as an alert.
    pub(crate) fn of(error: &ConnectionError) -> Cause {
        if let ConnectionError::ConnectionRefused(code) = error {
            return Cause::of_connack(*code);
        }
        match tls(error) {
            Some(rustls::Error::AlertReceived(alert)) if is_refusing(*alert) => Cause::Refused,
            Some(rustls::Error::InvalidCertificate(_)) => Cause::Distrusted,
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Cause::NoTls,
            _ => Cause::Network,
        }
    }

    fn of_connack(code: ConnectReturnCode) -> Cause {
        match code {
            ConnectReturnCode::NotAuthorized
            | ConnectReturnCode::BadUserNamePassword
            | ConnectReturnCode::Banned
            | ConnectReturnCode::BadClientId
            | ConnectReturnCode::ClientIdentifierNotValid => Cause::Refused,
            _ => Cause::Network,
        }
    }
}

/// What happened, for people.
pub(crate) fn told(error: &ConnectionError) -> String {
    if let ConnectionError::ConnectionRefused(code) = error {
        return format!("the server is there and does not let you in ({code:?})");
    }
    match tls(error) {
        Some(rustls::Error::AlertReceived(alert)) if is_refusing(*alert) => {
            format!("the server is there and does not take this certificate ({alert:?})")
        }
        Some(error @ rustls::Error::InvalidCertificate(_)) => {
            format!("the server is there, and its certificate is not trusted here ({error})")
        }
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "something is there and does not speak TLS".to_owned()
        }
        _ => error.to_string(),
    }
}

/// What TLS says, however deep it lies. Some errors hold another and do not name it as their source.
fn tls(error: &ConnectionError) -> Option<&rustls::Error> {
    let io = match error {
        ConnectionError::MqttState(
            StateError::Io(io) | StateError::Deserialization(mqttbytes::Error::Io(io)),
        ) => Some(io),
        _ => None,
    };
    if let Some(found) = io.and_then(in_io) {
        return Some(found);
    }
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        let found = error
            .downcast_ref()
            .or_else(|| error.downcast_ref::<io::Error>().and_then(in_io));
        if found.is_some() {
            return found;
        }
        next = error.source();
    }
    None
}

fn in_io(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn is_refusing(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::AccessDenied
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_at_fault() {
        let alert = |alert| io::Error::other(rustls::Error::AlertReceived(alert));
        for (error, expected) in [
            (
                ConnectionError::Io(alert(AlertDescription::CertificateRevoked)),
                Cause::Refused,
            ),
            (
                ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::Io(alert(
                    AlertDescription::CertificateExpired,
                )))),
                Cause::Refused,
            ),
            (
                ConnectionError::MqttState(StateError::Io(alert(AlertDescription::UnknownCA))),
                Cause::Refused,
            ),
            (
                ConnectionError::Io(io::Error::other(rustls::Error::InvalidCertificate(
                    rustls::CertificateError::UnknownIssuer,
                ))),
                Cause::Distrusted,
            ),
            (
                ConnectionError::Io(alert(AlertDescription::InternalError)),
                Cause::Network,
            ),
            (
                ConnectionError::Io(io::Error::other(rustls::Error::InvalidMessage(
                    InvalidMessage::InvalidContentType,
                ))),
                Cause::NoTls,
            ),
            (
                ConnectionError::Io(io::ErrorKind::ConnectionRefused.into()),
                Cause::Network,
            ),
            (
                ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized),
                Cause::Refused,
            ),
            (
                ConnectionError::ConnectionRefused(ConnectReturnCode::ServerBusy),
                Cause::Network,
            ),
        ] {
            assert_eq!(Cause::of(&error), expected, "{error}");
            assert_eq!(
                told(&error).starts_with("the server is there"),
                matches!(expected, Cause::Refused | Cause::Distrusted)
                    || matches!(error, ConnectionError::ConnectionRefused(_)),
                "{error}"
            );
        }
    }
}
