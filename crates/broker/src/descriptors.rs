//! File descriptors: every connection needs one, and the databases of the same process need some too.

use rustix::process::{Resource, getrlimit, setrlimit};
use session::Limits;
use tracing::{info, warn};

/// The limits that the operating system lets this process keep; it is asked for all that it gives.
pub(crate) fn fit(limits: Limits) -> Limits {
    let allowed = raise();
    let (connections, handshakes) = (limits.connections, limits.handshakes);
    let fitting = limits.within(allowed);
    if fitting.connections < connections || fitting.handshakes < handshakes {
        warn!(
            allowed,
            configured = connections,
            connections = fitting.connections,
            "the operating system lets this process open fewer files than the configured connections need: \
             more than this number are refused; raise LimitNOFILE (ulimit -n), or lower limits.connections"
        );
    }
    fitting
}

/// Raises the soft limit to the hard one; how many descriptors that allows.
fn raise() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => limit.current.unwrap_or(u64::MAX),
        Err(error) => {
            info!(%error, "the limit of open files stays as it is");
            before.unwrap_or(u64::MAX)
        }
    }
}
