//! The front door's MQTT session, window and policy, sans-I/O.
