//! How surely a message arrives (MQTT 5, section 4.3).

use mqtt_protocol_core::mqtt::packet::Qos;

/// A quality of service; a greater one promises more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// QoS 0.
    #[default]
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce,
    /// QoS 2.
    ExactlyOnce,
}

impl Quality {
    /// Whether it has packet ids and acknowledgements.
    pub(crate) const fn is_acknowledged(self) -> bool {
        !matches!(self, Quality::AtMostOnce)
    }
}

impl From<Qos> for Quality {
    fn from(qos: Qos) -> Quality {
        match qos {
            Qos::AtMostOnce => Quality::AtMostOnce,
            Qos::AtLeastOnce => Quality::AtLeastOnce,
            Qos::ExactlyOnce => Quality::ExactlyOnce,
        }
    }
}

impl From<Quality> for Qos {
    fn from(quality: Quality) -> Qos {
        match quality {
            Quality::AtMostOnce => Qos::AtMostOnce,
            Quality::AtLeastOnce => Qos::AtLeastOnce,
            Quality::ExactlyOnce => Qos::ExactlyOnce,
        }
    }
}
