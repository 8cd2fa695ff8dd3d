//! Presence, heartbeats, rules and alerts.
