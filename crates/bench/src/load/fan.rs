//! What some say and others hear. A message is timed until each listener has it; the next takes its place when all
//! have it, and, at QoS 1, the server has acknowledged it. So nothing is lost unseen, and no queue grows without end.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use tokio::{
    sync::Notify,
    task::{AbortHandle, spawn_local},
    time::timeout,
};

use super::{Load, Meter, Span, crowd};
use crate::{
    servers::Process,
    wire::{
        Connection, Login,
        mqtt::{self, Template},
    },
};

/// Bytes of a message.
pub(crate) const PAYLOAD_BYTES: usize = 100;
/// Messages of one speaker under way, at most: a number names speaker and place.
const PLACES: usize = 1_000;
const BUFFER_BYTES: usize = 64 * 1024;
/// How long what is under way at the end is waited for.
const DRAIN: Duration = Duration::from_secs(60);

/// Who speaks, who hears, and how.
pub(crate) struct Fan {
    /// Each with the topic it speaks on.
    pub(crate) speakers: Vec<(Login, String)>,
    pub(crate) listeners: Vec<Login>,
    /// What the listeners subscribe to.
    pub(crate) filter: &'static str,
    pub(crate) quality: u8,
    /// Messages of one speaker that are under way.
    pub(crate) window: u16,
}

/// Where each message is.
struct Board {
    meter: Meter,
    window: usize,
    /// Listeners, and the server's acknowledgement.
    marks: usize,
    /// By speaker and place.
    messages: RefCell<Vec<Message>>,
    /// By speaker: places that have become free.
    freed: Vec<(RefCell<Vec<u16>>, Notify)>,
}

#[derive(Clone)]
struct Message {
    sent: Instant,
    left: usize,
}

impl Board {
    fn new(fan: &Fan) -> Result<Board> {
        let window = usize::from(fan.window).min(PLACES - 1);
        let message = Message {
            sent: Instant::now(),
            left: 0,
        };
        Ok(Board {
            meter: Meter::new()?,
            window,
            marks: fan.listeners.len() + usize::from(fan.quality > 0),
            messages: RefCell::new(vec![message; fan.speakers.len() * window]),
            freed: fan.speakers.iter().map(|_| Default::default()).collect(),
        })
    }

    /// A message begins in a free place, from 1 on; the number that names it.
    fn begin(&self, speaker: usize, place: u16) -> u64 {
        let at = speaker * self.window + usize::from(place) - 1;
        self.messages.borrow_mut()[at] = Message {
            sent: Instant::now(),
            left: self.marks,
        };
        (speaker * PLACES + usize::from(place)) as u64
    }

    fn hear(&self, number: usize) {
        let (speaker, place) = (number / PLACES, number % PLACES);
        let at = speaker * self.window + place - 1;
        let sent = self.messages.borrow()[at].sent;
        self.meter.acknowledged(sent.elapsed());
        self.mark(speaker, place as u16);
    }

    fn mark(&self, speaker: usize, place: u16) {
        let at = speaker * self.window + usize::from(place) - 1;
        let message = &mut self.messages.borrow_mut()[at];
        message.left = message.left.saturating_sub(1);
        if message.left == 0 {
            let (places, notify) = &self.freed[speaker];
            places.borrow_mut().push(place);
            notify.notify_one();
        }
    }
}

impl Fan {
    /// Everybody connects, and all speakers speak as fast as their windows allow.
    pub(crate) async fn blow(self, span: Span, server: &Process) -> Result<Load> {
        let board = Rc::new(Board::new(&self)?);
        let mut listening = Listening(Vec::new());
        for login in &self.listeners {
            let mut connection = Connection::open(login).await?.with_buffer(BUFFER_BYTES);
            connection.subscribe(self.filter, self.quality).await?;
            let task = spawn_local(listen(connection, board.clone()));
            listening.0.push(task.abort_handle());
        }
        let mut speaking = Vec::new();
        for (number, (login, topic)) in self.speakers.iter().enumerate() {
            let connection = Connection::open(login).await?;
            let template = template(topic, self.quality);
            speaking.push((connection, template, number));
        }
        let speak =
            |(connection, template, number)| spawn_local(speak(connection, template, number, board.clone()));
        let speaking: Vec<_> = speaking.into_iter().map(speak).collect();
        let cpu = span.pass(&board.meter, server).await?;
        let late = || anyhow!("{DRAIN:?} after the end some messages have not come");
        for connection in timeout(DRAIN, crowd::all(speaking)).await.map_err(|_| late())?? {
            connection.leave().await;
        }
        Ok(Load {
            figures: board.meter.figures()?,
            cpu,
        })
    }
}

/// Listeners, until they are dropped.
struct Listening(Vec<AbortHandle>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

fn template(topic: &str, quality: u8) -> Template {
    let payload = format!(
        "{}{}",
        "0".repeat(Template::DIGITS),
        "x".repeat(PAYLOAD_BYTES - Template::DIGITS)
    );
    match quality {
        0 => Template::unacknowledged(topic, payload.as_bytes(), 0),
        _ => Template::new(topic, payload.as_bytes(), 0),
    }
}

async fn speak(
    mut connection: Connection,
    template: Template,
    number: usize,
    board: Rc<Board>,
) -> Result<Connection> {
    let (mut free, mut out): (Vec<u16>, Vec<u8>) = ((1..=board.window as u16).collect(), Vec::new());
    let (places, notify) = &board.freed[number];
    loop {
        if board.meter.goes_on() {
            for place in free.drain(..) {
                template.append(&mut out, place, board.begin(number, place));
            }
        } else if free.len() == board.window {
            return Ok(connection);
        }
        if !out.is_empty() {
            connection.send(&out).await?;
            out.clear();
        }
        tokio::select! {
            filled = connection.fill() => {
                filled?;
                connection.take(|packet| {
                    if packet.kind() == mqtt::PUBACK {
                        board.mark(number, packet.id());
                    }
                })?;
            }
            () = notify.notified() => {}
        }
        free.append(&mut places.borrow_mut());
    }
}

async fn listen(mut connection: Connection, board: Rc<Board>) -> Result<()> {
    let mut out = Vec::new();
    loop {
        connection.fill().await?;
        connection.take(|packet| {
            let published = packet.published().filter(|_| packet.kind() == mqtt::PUBLISH);
            let Some((_, id, payload)) = published else {
                return;
            };
            out.extend(id.into_iter().flat_map(mqtt::puback));
            let digits = payload
                .get(..Template::DIGITS)
                .and_then(|digits| std::str::from_utf8(digits).ok());
            if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
                board.hear(number);
            }
        })?;
        if !out.is_empty() {
            connection.send(&out).await?;
            out.clear();
        }
    }
}
