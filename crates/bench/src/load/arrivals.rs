//! Devices that connect and leave again: a full handshake each time.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use tokio::{
    task::{JoinHandle, spawn_local},
    time::timeout,
};

use super::{Load, Meter, Span, crowd};
use crate::{
    servers::Process,
    wire::{Connection, Login},
};

/// How long those that are under way at the end are waited for.
const DRAIN: Duration = Duration::from_secs(30);

/// Connects as fast as `parallel` devices at a time can, each in its turn; the time of each is from its first
/// packet to its CONNACK.
pub(crate) async fn rush(logins: Vec<Login>, parallel: usize, span: Span, server: &Process) -> Result<Load> {
    let (meter, logins) = (Rc::new(Meter::new()?), Rc::new(logins));
    let next = Rc::new(Cell::new(0));
    let arriving = (0..parallel).map(|_| {
        let (meter, logins, next) = (meter.clone(), logins.clone(), next.clone());
        spawn_local(async move {
            while meter.goes_on() {
                let login = &logins[next.replace((next.get() + 1) % logins.len())];
                meter.acknowledged(arrive(login).await?);
            }
            anyhow::Ok(())
        })
    });
    let arriving: Vec<_> = arriving.collect();
    let cpu = span.pass(&meter, server).await?;
    let late = || anyhow!("{DRAIN:?} after the end some still connect");
    timeout(DRAIN, crowd::all(arriving)).await.map_err(|_| late())??;
    Ok(Load {
        figures: meter.figures()?,
        cpu,
    })
}

/// Devices that connect at a pace until they are called off, whatever becomes of those before.
pub(crate) struct Storm {
    task: JoinHandle<()>,
    arrived: Rc<Cell<u64>>,
    failed: Rc<Cell<u64>>,
}

impl Storm {
    /// `rate` connections a second.
    pub(crate) fn begin(logins: Vec<Login>, rate: f64) -> Storm {
        let (arrived, failed) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let counts = (arrived.clone(), failed.clone());
        let task = spawn_local(async move {
            let mut due = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
            for login in logins.iter().cycle() {
                due.tick().await;
                let (login, (arrived, failed)) = (login.clone(), counts.clone());
                spawn_local(async move {
                    let count = if arrive(&login).await.is_ok() {
                        arrived
                    } else {
                        failed
                    };
                    count.set(count.get() + 1);
                });
            }
        });
        Storm {
            task,
            arrived,
            failed,
        }
    }

    /// Ends it: how many arrived, and how many could not.
    pub(crate) fn end(self) -> (u64, u64) {
        self.task.abort();
        (self.arrived.get(), self.failed.get())
    }
}

async fn arrive(login: &Login) -> Result<Duration> {
    let begun = Instant::now();
    let connection = Connection::open(login)
        .await
        .with_context(|| login.client_id.clone())?;
    let took = begun.elapsed();
    connection.leave().await;
    Ok(took)
}
