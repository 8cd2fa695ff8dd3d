//! Compares passwords: each takes tens of milliseconds and 19 MiB, so only a few at once, on threads that serve no
//! connection.

use std::sync::Arc;

use session::Check;
use tokio::sync::{Semaphore, mpsc::UnboundedReceiver};
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;

/// At once: what two cores can spare, in 38 MiB. Others wait; the door bounds how many.
const AT_ONCE: usize = 2;

/// Compares what comes, until `end`.
pub(crate) async fn compare(
    shared: Arc<Shared>,
    mut checks: UnboundedReceiver<Check>,
    end: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let check = tokio::select! {
            () = end.cancelled() => return,
            check = checks.recv() => check,
        };
        let (Some(check), Ok(permit)) = (check, permits.clone().acquire_owned().await) else {
            return;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let connection = check.connection;
            let compared =
                tokio::task::spawn_blocking(move || pki::password_fits(&check.verifier, &check.password));
            let fits = compared.await.unwrap_or(false);
            drop(permit);
            shared.with_door(|door, now| door.checked(connection, fits, now));
        });
    }
}
