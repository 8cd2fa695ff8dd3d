//! One device that sends reports: as fast as its window allows, or at a pace.

use std::{
    rc::Rc,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::Result;

use super::Meter;
use crate::wire::{Connection, mqtt, mqtt::Template};

/// Numbers reports, so that each has news for the registry.
static SEQUENCE: AtomicU64 = AtomicU64::new(1);

/// A connected device with its report.
pub(crate) struct Sender {
    connection: Connection,
    template: Template,
    out: Vec<u8>,
    meter: Rc<Meter>,
}

/// When a device sends: first after `offset`, then every `interval`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) offset: Duration,
    pub(crate) interval: Duration,
}

impl Sender {
    pub(crate) fn new(connection: Connection, template: Template, meter: Rc<Meter>) -> Sender {
        Sender {
            connection,
            template,
            out: Vec::new(),
            meter,
        }
    }

    /// Keeps `window` reports unacknowledged; each acknowledgement frees its packet id for the next one.
    pub(crate) async fn rush(mut self, window: u16) -> Result<Connection> {
        let mut sent = vec![Instant::now(); usize::from(window) + 1];
        (1..=window).for_each(|id| self.write(id));
        let mut open = window;
        while open > 0 {
            self.connection.send(&self.out).await?;
            self.out.clear();
            self.connection.fill().await?;
            open -= self.acknowledge(&mut sent)?;
        }
        Ok(self.connection)
    }

    /// Sends at a pace, one report at a time.
    pub(crate) async fn stroll(mut self, pace: Pace) -> Result<Connection> {
        let mut due = Instant::now() + pace.offset;
        loop {
            if self.meter.goes_on() {
                tokio::select! {
                    () = tokio::time::sleep_until(due.into()) => {}
                    () = self.meter.ended() => {}
                }
            }
            if !self.meter.goes_on() {
                return Ok(self.connection);
            }
            self.out.clear();
            self.write(1);
            let sent = Instant::now();
            self.connection.send(&self.out).await?;
            self.connection.await_kind(mqtt::PUBACK, |_| ()).await?;
            self.meter.acknowledged(sent.elapsed());
            due += pace.interval;
        }
    }

    fn write(&mut self, id: u16) {
        self.template
            .append(&mut self.out, id, SEQUENCE.fetch_add(1, Ordering::Relaxed));
    }

    /// Takes what has arrived and writes what may follow. How many places of the window closed for good.
    fn acknowledge(&mut self, sent: &mut [Instant]) -> Result<u16> {
        let now = Instant::now();
        let Sender {
            connection,
            template,
            out,
            meter,
        } = self;
        let mut closed = 0;
        connection.take(|packet| {
            if packet.kind() != mqtt::PUBACK {
                return;
            }
            let Some(sent) = sent.get_mut(usize::from(packet.id())) else {
                return;
            };
            meter.acknowledged(now - *sent);
            if meter.goes_on() {
                template.append(out, packet.id(), SEQUENCE.fetch_add(1, Ordering::Relaxed));
                *sent = now;
            } else {
                closed += 1;
            }
        })?;
        Ok(closed)
    }
}
