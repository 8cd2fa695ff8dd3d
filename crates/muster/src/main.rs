//! `muster`: one binary for the broker, the services, the operator and the demo.

use std::process::ExitCode;

/// sled allocates much and small.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    muster::cli::run()
}
