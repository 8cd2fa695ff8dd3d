//! `muster`: one binary for the broker, the services, the operator and the demo.

use std::process::ExitCode;

fn main() -> ExitCode {
    muster::cli::run()
}
