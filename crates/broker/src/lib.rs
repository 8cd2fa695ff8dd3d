//! The tokio edge of the front door and the embedded rumqttd router.
