//! Firmware: signed artifacts and campaigns in waves.
