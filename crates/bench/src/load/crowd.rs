//! Many connections at once, on one thread.

use std::{rc::Rc, time::Duration};

use anyhow::{Context, Result, anyhow};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, spawn_local},
    time::{sleep, timeout},
};

use super::{Figures, Meter, Pace, Sender};
use crate::{
    servers::{Process, own_cpu},
    wire::{Connection, Login, mqtt::Template},
};

/// Handshakes at the same time.
const CONNECTING: usize = 64;
/// How long what is unacknowledged at the end is waited for.
const DRAIN: Duration = Duration::from_secs(60);

/// How long a load lasts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

impl Span {
    /// Lets it pass while a load runs; what its measured part took.
    pub(super) async fn pass(self, meter: &Meter, server: &Process) -> Result<Spent> {
        sleep(self.warm_up).await;
        let before = Spent::so_far(server)?;
        meter.begin();
        sleep(self.measured).await;
        meter.end();
        let after = Spent::so_far(server)?;
        Ok(Spent {
            server: after.server - before.server,
            clients: after.clients - before.clients,
        })
    }
}

/// User and system time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) server: Duration,
    pub(crate) clients: Duration,
}

impl Spent {
    fn so_far(server: &Process) -> Result<Spent> {
        Ok(Spent {
            server: server.cpu()?,
            clients: own_cpu()?,
        })
    }
}

/// What a load came to, and what was spent on it in the measured time.
pub(crate) struct Load {
    pub(crate) figures: Figures,
    pub(crate) cpu: Spent,
}

/// Connected devices, each with the report it sends.
pub(crate) struct Crowd(Vec<(Connection, Template)>);

impl Crowd {
    pub(crate) async fn connect(devices: Vec<(Login, Template)>) -> Result<Crowd> {
        let (logins, templates): (Vec<_>, Vec<_>) = devices.into_iter().unzip();
        let connections = open(logins).await?;
        Ok(Crowd(connections.into_iter().zip(templates).collect()))
    }

    /// Every device sends as fast as its window allows.
    pub(crate) async fn rush(self, window: u16, span: Span, server: &Process) -> Result<Load> {
        self.run(span, server, |_, sender| sender.rush(window)).await
    }

    /// All devices together send `rate` reports a second, in turns.
    pub(crate) async fn stroll(self, rate: f64, span: Span, server: &Process) -> Result<Load> {
        let interval = Duration::from_secs_f64(self.0.len() as f64 / rate);
        let load = |number: usize, sender: Sender| {
            let offset = Duration::from_secs_f64(number as f64 / rate);
            sender.stroll(Pace { offset, interval })
        };
        self.run(span, server, load).await
    }

    async fn run<F>(self, span: Span, server: &Process, load: impl Fn(usize, Sender) -> F) -> Result<Load>
    where
        F: Future<Output = Result<Connection>> + 'static,
    {
        let meter = Rc::new(Meter::new()?);
        let mut running = Vec::with_capacity(self.0.len());
        for (number, (connection, template)) in self.0.into_iter().enumerate() {
            let sender = Sender::new(connection, template, meter.clone());
            running.push(spawn_local(load(number, sender)));
        }
        let cpu = span.pass(&meter, server).await?;
        let late = || anyhow!("{DRAIN:?} after the end some reports are still unacknowledged");
        for connection in timeout(DRAIN, all(running)).await.map_err(|_| late())?? {
            connection.leave().await;
        }
        Ok(Load {
            figures: meter.figures()?,
            cpu,
        })
    }
}

impl Load {
    /// The server's CPU time for a request, microseconds, when it spends `idle` of a core on nothing.
    pub(crate) fn cpu_us_per_request(&self, idle: f64) -> f64 {
        let seconds = self.figures.measured as f64 / self.figures.acks_per_second;
        (self.cpu.server.as_secs_f64() - idle * seconds) * 1e6 / self.figures.measured as f64
    }

    /// The clients' CPU time for a request, microseconds: what the two share their cores with.
    pub(crate) fn clients_us_per_request(&self) -> f64 {
        self.cpu.clients.as_secs_f64() * 1e6 / self.figures.measured as f64
    }
}

/// Connections, some of them made at the same time.
pub(crate) async fn open(logins: Vec<Login>) -> Result<Vec<Connection>> {
    let gate = Rc::new(Semaphore::new(CONNECTING));
    let opening = logins.into_iter().map(|login| {
        let gate = gate.clone();
        spawn_local(async move {
            let _turn = gate.acquire().await?;
            let opened = Connection::open(&login).await;
            opened.with_context(|| login.client_id.clone())
        })
    });
    all(opening.collect()).await
}

/// The results in order, or the first error.
pub(crate) async fn all<T>(tasks: Vec<JoinHandle<Result<T>>>) -> Result<Vec<T>> {
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await??);
    }
    Ok(results)
}
