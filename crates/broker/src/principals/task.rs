//! One principal's connection: bytes, posts and time, moved between its socket, its protocol and the door.

use std::{
    cell::RefCell,
    future::poll_fn,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use session::{Caller, Cause, Connection, Parting};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};
use tracing::{debug, info};

use crate::{entrance::Guest, farewell::see_out, mailbox::Mailbox, shared::Shared, tls::TlsStream};

/// How long the last words may take to be written.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// For how many bytes whoever had a session is listened to, so that it hears why it has none: what it may send in half
/// a second.
const FAREWELL_BYTES: u64 = 4 * 1024 * 1024;
/// Posts taken in one go.
const POSTS: usize = 256;

/// What carries a client's bytes.
pub(super) trait Way: AsyncRead + AsyncWrite + Unpin {
    /// Its client was let in.
    fn admitted(&mut self) {}

    /// Bytes that have come over the wire since this was asked last, where they are more than what is read.
    fn wired(&mut self) -> usize {
        0
    }
}

impl Way for TcpStream {}
impl Way for DuplexStream {}
impl Way for TlsStream<TcpStream> {
    fn wired(&mut self) -> usize {
        self.take_wired()
    }
}

thread_local! {
    /// Where bytes are read to: idle connections hold no buffer of their own.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; 64 * 1024].into_boxed_slice());
}

/// A connection that runs to its end.
pub(super) type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs a connection to its end.
///
/// The future is a pointer and little more: what an async function is given or destructures it keeps room for
/// several times, in every connection.
pub(super) fn run<S: Way + Send + 'static>(
    stream: S,
    connection: Connection,
    shared: Arc<Shared>,
    guest: Guest,
) -> Running {
    let mailbox = shared.open_mailbox(connection.id());
    let mut task = Box::new(Task {
        stream,
        connection,
        shared,
        guest,
        mailbox,
        out: Bytes::new(),
        unflushed: false,
        alarm: Box::pin(tokio::time::sleep_until(Instant::now())),
        lost: false,
    });
    Box::pin(async move {
        poll_fn(|cx| task.poll(cx)).await;
        Box::pin(task.part()).await;
    })
}

struct Task<S> {
    stream: S,
    connection: Connection,
    shared: Arc<Shared>,
    guest: Guest,
    mailbox: Mailbox,
    out: Bytes,
    unflushed: bool,
    alarm: Pin<Box<Sleep>>,
    /// Nothing more can be said to it, or needs to be.
    lost: bool,
}

impl<S: Way> Task<S> {
    /// Moves whatever can be moved; ready when the connection is over and nothing more can be written.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.guest.is_dismissed(cx) {
            self.connection.closed();
            self.lost = true;
            return Poll::Ready(());
        }
        loop {
            let mut moved = self.take_posts(cx);
            moved |= self.take_bytes(cx);
            if self.connection.has_wishes() {
                self.shared.serve(&mut self.connection);
            }
            if let Some(caller) = self.connection.caller() {
                if self.guest.admitted() {
                    tell_arrival(&self.connection, caller);
                }
                self.stream.admitted();
            }
            moved |= self.watch_time(cx);
            moved |= self.give_bytes(cx);
            if self.lost || self.connection.over().is_some() {
                return Poll::Ready(());
            }
            if !moved {
                return Poll::Pending;
            }
        }
    }

    fn take_posts(&mut self, cx: &mut Context<'_>) -> bool {
        let posts = self.mailbox.take(POSTS, cx);
        if posts.is_empty() {
            return false;
        }
        let now = self.shared.now();
        posts.into_iter().for_each(|post| self.connection.post(post, now));
        true
    }

    fn take_bytes(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.connection.wants_bytes() || self.connection.has_wishes() {
            return false;
        }
        let (stream, connection, shared) = (&mut self.stream, &mut self.connection, &self.shared);
        READ.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            let polled = Pin::new(&mut *stream).poll_read(cx, &mut read);
            match stream.wired() {
                0 => {}
                wired => connection.wired(wired, shared.now()),
            }
            match polled {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    connection.receive(read.filled(), shared.now());
                    true
                }
                Poll::Ready(_) => {
                    connection.closed();
                    true
                }
                Poll::Pending => false,
            }
        })
    }

    /// Looks at the clock when the earliest deadline has come; later ones need no new alarm.
    fn watch_time(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.shared.now();
        let Some(next) = self.connection.next_time(now) else {
            return false;
        };
        let next = Instant::from_std(self.shared.instant(next));
        if next < self.alarm.deadline() {
            self.alarm.as_mut().reset(next);
        }
        let (mut moved, wanted) = (false, self.connection.wants_bytes());
        while self.alarm.as_mut().poll(cx).is_ready() {
            self.connection.on_time(self.shared.now());
            let Some(next) = self.connection.next_time(self.shared.now()) else {
                return true;
            };
            let next =
                Instant::from_std(self.shared.instant(next)).max(Instant::now() + Duration::from_millis(1));
            self.alarm.as_mut().reset(next);
            moved = true;
        }
        // Nobody waits for the socket of a client that was not read.
        let read_again = !wanted && self.connection.wants_bytes();
        moved && (read_again || self.connection.over().is_some())
    }

    fn give_bytes(&mut self, cx: &mut Context<'_>) -> bool {
        match self.poll_write(cx) {
            Poll::Ready(Ok(some)) => some,
            Poll::Ready(Err(_)) => {
                self.connection.closed();
                self.lost = true;
                true
            }
            Poll::Pending => false,
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<bool>> {
        let mut some = false;
        loop {
            if self.out.is_empty() {
                self.out = self.connection.take_output();
            }
            if self.out.is_empty() {
                break;
            }
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out))?;
            self.out.advance(written);
            self.unflushed = true;
            some = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(some))
    }

    /// Its last words, and its leave of the door.
    async fn part(self: Box<Self>) {
        let Task {
            mut stream,
            mut connection,
            shared,
            mut guest,
            mailbox,
            mut out,
            lost,
            ..
        } = *self;
        let id = connection.id();
        let cause = connection.over().unwrap_or(Cause::Network);
        let last = connection.take_output();
        // Whoever waits for its session does not wait for its last words. What is in the mailbox belongs to the
        // session, and nothing comes in while the door is held.
        shared.with_door(|door, now| {
            for post in mailbox.empty() {
                connection.post(post, now);
            }
            door.part(&mut connection, now);
        });
        shared.close_mailbox(id);
        let farewell = async {
            stream.write_all_buf(&mut out).await?;
            stream.write_all(&last).await?;
            stream.shutdown().await
        };
        let said = !lost && matches!(tokio::time::timeout(LAST_WORDS, farewell).await, Ok(Ok(())));
        let was_in = guest.is_in();
        // Nobody reads what it still sends; it is only kept from being reset before it has heard why.
        let stays = said && !cause.is_the_clients() && guest.parts();
        let listened = stays.then_some((stream, guest));
        shared.with_door(|door, now| door.gone(id, cause, now));
        metrics::counter!("muster_connections_ended_total", "cause" => cause.word()).increment(1);
        tell_parting(&shared, &connection, cause, was_in);
        drop((connection, mailbox));
        if let Some((stream, mut guest)) = listened {
            let bytes = if was_in {
                FAREWELL_BYTES
            } else {
                super::FAREWELL_BYTES
            };
            tokio::select! {
                () = guest.dismissed() => {}
                () = see_out(stream, bytes) => {}
            }
        }
    }
}

/// At debug: a fleet that comes back after a restart would fill the log.
fn tell_arrival(connection: &Connection, caller: &Caller) {
    let (id, address) = (connection.id(), connection.address());
    let (who, serial) = (&caller.principal, caller.serial());
    match &caller.batch {
        Some(batch) => debug!(id, %who, %batch, serial, address, "let in"),
        None => debug!(id, %who, serial, address, "let in"),
    }
}

/// Whoever is refused or sent away leaves a line that says who it is and why; whoever comes again and again, one a
/// minute.
fn tell_parting(shared: &Shared, connection: &Connection, cause: Cause, was_in: bool) {
    let (id, address, cause_word) = (connection.id(), connection.address(), cause.word());
    let unknown = Parting::default();
    let Parting {
        who,
        batch,
        serial,
        why,
    } = connection.parted().unwrap_or(&unknown);
    if let Cause::Clean | Cause::Network | Cause::ServerShutdown = cause {
        debug!(id, who, serial, cause = cause_word, address, "gone");
        return;
    }
    let alike = match cause {
        Cause::NotAuthorized => why,
        _ => cause_word,
    };
    // Any holder of a batch may hope for any device.
    let alike_who = if batch.is_empty() { who } else { batch };
    let from = address
        .parse()
        .map_or(Ipv4Addr::LOCALHOST.into(), |address: SocketAddr| address.ip());
    if !shared.tells(alike, alike_who, from) {
        return;
    }
    match cause {
        Cause::NotAuthorized | Cause::ProtocolError if connection.is_nobodys() && !was_in => {
            info!(id, who, cause = cause_word, why, address, "not let in");
        }
        Cause::NotAuthorized if was_in => info!(id, who, serial, cause = cause_word, why, address, "let go"),
        Cause::NotAuthorized if batch.is_empty() => info!(id, who, serial, why, address, "not let in"),
        Cause::NotAuthorized => info!(id, who, batch, serial, why, address, "not let in"),
        _ => info!(id, who, serial, cause = cause_word, why, address, "let go"),
    }
}
