//! The services' side of the bus: rumqttc, envelopes, reconnects.
