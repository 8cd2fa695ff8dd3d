//! A thread that carries out effects, one after the other.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crossbeam_channel::{Receiver, Sender, unbounded};
use service::Effect;

use crate::{Executor, inbox::Arrival};

/// Starts it; dropping the sender ends it.
pub(crate) fn start(name: &str, executor: Arc<dyn Executor>, inbox: Sender<Arrival>) -> Sender<Effect> {
    let (orders, queue) = unbounded();
    let spawned = std::thread::Builder::new()
        .name(format!("{name}-effects"))
        .spawn(move || carry_out(&*executor, &queue, &inbox));
    if let Err(error) = spawned {
        tracing::error!(%error, "no thread for effects; they wait for the next start");
    }
    orders
}

fn carry_out(executor: &dyn Executor, queue: &Receiver<Effect>, inbox: &Sender<Arrival>) {
    for effect in queue {
        match catch_unwind(AssertUnwindSafe(|| executor.run(&effect))) {
            Ok(result) => {
                if inbox
                    .send(Arrival::Effect {
                        id: effect.id,
                        result,
                    })
                    .is_err()
                {
                    return;
                }
            }
            // It stays on disk and is tried again at the next start.
            Err(_) => tracing::error!(effect = %effect.id, kind = %effect.kind, "an effect panicked"),
        }
    }
}
