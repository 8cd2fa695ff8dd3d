//! Why there is no connection, and why there is no result.

use std::{error::Error, io};

use contract::{Refusal, id::ServiceName};
use rumqttc::v5::{ConnectionError, mqttbytes::v5::ConnectReturnCode};
use rustls::AlertDescription;

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
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The service, or the front door, refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No answer in time. The request may still take effect; its name makes a repeat harmless.
    #[error("no answer from {service} within {seconds} s; it may be away")]
    Silence {
        /// Who was asked.
        service: ServiceName,
        /// How long it was waited for.
        seconds: u64,
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
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            if is_refusing(error) {
                return Cause::Refused;
            }
            next = error.source();
        }
        Cause::Network
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

fn is_refusing(error: &(dyn Error + 'static)) -> bool {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let tls = inner
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .or_else(|| error.downcast_ref());
    matches!(
        tls,
        Some(rustls::Error::AlertReceived(
            AlertDescription::AccessDenied
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
        ))
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
                ConnectionError::Io(alert(AlertDescription::InternalError)),
                Cause::Network,
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
        }
    }
}
