//! Messages from some to others, each timed from its publish to each of those who hear it.
//!
//! Closed by hearing: a publisher has so many messages under way that not all have heard yet. So neither server is
//! given more than it delivers, and QoS 0 can be measured like QoS 1.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, spawn_local},
    time::sleep,
};

use super::{Figures, Meter, Span, crowd::all, report};
use crate::{
    servers::Process,
    wire::{
        Connection, Login,
        mqtt::{self, Template},
    },
};

/// A message that somebody has not heard after so long is lost.
const LOST_AFTER: Duration = Duration::from_secs(10);
const BUFFER_BYTES: usize = 16 * 1024;
/// Connections that are made at the same time.
const CONNECTING: usize = 64;
/// Packet ids in use, well beyond any window.
const IDS: u16 = 50_000;

/// A QoS, 0 or 1.
pub(crate) type Qos = u8;

/// What a fan came to.
pub(crate) struct Fanned {
    pub(crate) figures: Figures,
    pub(crate) cpu: Duration,
    /// Messages that not all have heard.
    pub(crate) lost: u64,
}

/// Who publishes, who hears, and how.
pub(crate) struct Fan {
    pub(crate) publishers: Vec<(Login, Template)>,
    pub(crate) consumers: Vec<Login>,
    pub(crate) filter: &'static str,
    pub(crate) qos: Qos,
    /// Messages of each publisher that are under way.
    pub(crate) window: usize,
}

/// A message under way.
struct Sent {
    at: Instant,
    /// How many have not heard it.
    missing: usize,
    /// Whose it is.
    credit: Rc<Semaphore>,
}

struct Air {
    meter: Meter,
    consumers: usize,
    last: Cell<u64>,
    sent: RefCell<HashMap<u64, Sent>>,
    lost: Cell<u64>,
}

impl Fan {
    pub(crate) async fn run(self, span: Span, server: &Process) -> Result<Fanned> {
        let air = Rc::new(Air {
            meter: Meter::new()?,
            consumers: self.consumers.len(),
            last: Cell::new(0),
            sent: RefCell::default(),
            lost: Cell::new(0),
        });
        let consumers = connect(self.consumers).await?;
        let mut running: Vec<JoinHandle<Result<()>>> = Vec::new();
        for mut connection in consumers {
            connection = connection.with_buffer(BUFFER_BYTES);
            connection.subscribe(self.filter, self.qos).await?;
            running.push(spawn_local(hear(connection, air.clone())));
        }
        let (logins, templates): (Vec<_>, Vec<_>) = self.publishers.into_iter().unzip();
        for (connection, template) in connect(logins).await?.into_iter().zip(templates) {
            running.push(spawn_local(publish(
                connection,
                template,
                self.window,
                air.clone(),
            )));
        }
        running.push(spawn_local(give_up(air.clone())));
        let cpu = span.pass(&air.meter, server).await;
        let broken = running.iter().position(JoinHandle::is_finished);
        if let Some(broken) = broken {
            running.swap_remove(broken).await??;
        }
        running.iter().for_each(JoinHandle::abort);
        Ok(Fanned {
            figures: air.meter.figures()?,
            cpu: cpu?,
            lost: air.lost.get(),
        })
    }
}

async fn connect(logins: Vec<Login>) -> Result<Vec<Connection>> {
    let gate = Rc::new(Semaphore::new(CONNECTING));
    let opening = logins.into_iter().map(|login| {
        let gate = gate.clone();
        spawn_local(async move {
            let _turn = gate.acquire().await?;
            Connection::open(&login).await
        })
    });
    all(opening.collect()).await
}

/// Publishes whenever fewer than a window's messages are under way.
async fn publish(mut connection: Connection, template: Template, window: usize, air: Rc<Air>) -> Result<()> {
    let credit = Rc::new(Semaphore::new(window));
    let (mut out, mut id) = (Vec::new(), 0);
    loop {
        tokio::select! {
            turn = credit.acquire() => {
                turn?.forget();
                out.clear();
                id = id % IDS + 1;
                template.append(&mut out, id, air.send(&credit));
                connection.send(&out).await?;
            }
            filled = connection.fill() => {
                // Acknowledgements: what counts is who hears it.
                filled?;
                connection.take(|_| ())?;
            }
        }
    }
}

async fn hear(mut connection: Connection, air: Rc<Air>) -> Result<()> {
    let mut acknowledgements = Vec::new();
    loop {
        connection.fill().await?;
        connection.take(|packet| {
            let Some((_, id, payload)) = packet.published().filter(|_| packet.kind() == mqtt::PUBLISH) else {
                return;
            };
            acknowledgements.extend(id.into_iter().flat_map(mqtt::puback));
            if let Some(number) = report::number(payload) {
                air.heard(number);
            }
        })?;
        if !acknowledgements.is_empty() {
            connection.send(&acknowledgements).await?;
            acknowledgements.clear();
        }
    }
}

/// Counts what is lost, so that its publisher goes on.
async fn give_up(air: Rc<Air>) -> Result<()> {
    loop {
        sleep(LOST_AFTER / 10).await;
        air.sent.borrow_mut().retain(|_, sent| {
            let waits = sent.at.elapsed() < LOST_AFTER;
            if !waits {
                air.lost.set(air.lost.get() + 1);
                sent.credit.add_permits(1);
            }
            waits
        });
    }
}

impl Air {
    /// The number of a message that leaves now.
    fn send(&self, credit: &Rc<Semaphore>) -> u64 {
        let number = self.last.get() + 1;
        self.last.set(number);
        let sent = Sent {
            at: Instant::now(),
            missing: self.consumers,
            credit: credit.clone(),
        };
        self.sent.borrow_mut().insert(number, sent);
        number
    }

    fn heard(&self, number: u64) {
        let mut all = self.sent.borrow_mut();
        let Some(sent) = all.get_mut(&number) else {
            return;
        };
        self.meter.acknowledged(sent.at.elapsed());
        sent.missing -= 1;
        if sent.missing == 0 {
            sent.credit.add_permits(1);
            all.remove(&number);
        }
    }
}
