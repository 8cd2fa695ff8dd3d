//! Threads that answer queries beside the writer.

use std::sync::Arc;

use contract::v1::Frame;
use crossbeam_channel::{Receiver, Sender, unbounded};
use service::{
    Query, QueryContext, Service, Settings,
    store::{Blobs, Store},
};

use crate::{Clock, inbox::Arrival};

/// A query and the connection its answer belongs to.
pub(crate) struct Job<R> {
    pub(crate) connection: u64,
    pub(crate) query: Query<R>,
}

/// What the threads share.
pub(crate) struct Desk<S: Service> {
    pub(crate) service: Arc<S>,
    pub(crate) settings: Settings,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) inbox: Sender<Arrival>,
}

/// Starts the threads; dropping the sender ends them.
pub(crate) fn start<S: Service>(
    desk: Desk<S>,
    threads: usize,
) -> (Sender<Job<S::Request>>, Vec<std::thread::JoinHandle<()>>) {
    let (jobs, queue) = unbounded::<Job<S::Request>>();
    let desk = Arc::new(desk);
    let mut handles = Vec::new();
    for n in 0..threads.max(1) {
        let (desk, queue) = (desk.clone(), queue.clone());
        let spawned = std::thread::Builder::new()
            .name(format!("{}-read-{n}", S::NAME))
            .spawn(move || answer_all(&desk, &queue));
        match spawned {
            Ok(handle) => handles.push(handle),
            Err(error) => tracing::error!(%error, "no thread for queries"),
        }
    }
    (jobs, handles)
}

fn answer_all<S: Service>(desk: &Desk<S>, queue: &Receiver<Job<S::Request>>) {
    for job in queue {
        let connection = job.connection;
        let arrival = match answer(desk, job.query) {
            Ok(frames) => Arrival::Answer { connection, frames },
            Err(why) => Arrival::ReadFailed(why),
        };
        if desk.inbox.send(arrival).is_err() {
            return;
        }
    }
}

fn answer<S: Service>(desk: &Desk<S>, query: Query<S::Request>) -> Result<Vec<Frame>, String> {
    let cx = QueryContext {
        now: desk.clock.now(),
        blobs: &*desk.blobs,
    };
    let done = query
        .run(&*desk.service, &desk.settings, &*desk.store, &cx)
        .map_err(|error| error.to_string())?;
    if let Some(warning) = done.warning {
        tracing::error!(service = %S::NAME, "{warning}");
    }
    Ok(done.frames)
}
