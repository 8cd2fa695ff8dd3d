//! Muster's program: configuration, wiring and the command line.
#![forbid(unsafe_code)]

mod authorities;
mod backup;
pub mod cli;
pub mod config;
pub mod exit;
pub mod folder;
pub mod init;
mod passphrase;
mod prompt;
pub mod recover;
pub mod up;
mod waiting;
