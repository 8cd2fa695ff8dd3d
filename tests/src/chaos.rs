//! A bad network: a TCP proxy in this process that cuts, delays, drips and falls silent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Bytes forwarded in one go.
const CHUNK: usize = 4096;

/// What the network does to every connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Forwards what comes.
    Fair,
    /// Holds everything back for this long, each way.
    Slow(Duration),
    /// Forwards one byte at a time, with this pause between two.
    Drip(Duration),
    /// Forwards nothing, closes nothing, and takes what is sent until the buffers are full.
    Silent,
    /// Cuts each connection at a place of its own within this many bytes; wherever that is in a packet or a TLS
    /// record.
    CutWithin(u64),
}

/// The proxy.
pub struct Chaos {
    port: u16,
    weather: watch::Sender<Weather>,
    cuts: Arc<AtomicU64>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Chaos {
    /// In front of a port on this machine.
    pub async fn before(port: u16) -> Chaos {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (weather, forecast) = watch::channel(Weather::Fair);
        let cuts = Arc::new(AtomicU64::new(0));
        let accepting = tokio::spawn(accept(listener, port, forecast, cuts.clone()));
        Chaos {
            port: own,
            weather,
            cuts,
            accepting,
        }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the weather, for connections that are open too.
    pub fn turns(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How many connections it has cut.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Chaos {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, forecast: watch::Receiver<Weather>, cuts: Arc<AtomicU64>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let (forecast, cuts) = (forecast.clone(), cuts.clone());
        tokio::spawn(async move {
            // Nobody there: the client sees a connection that closes at once.
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
                return;
            };
            connect(client, server, forecast, &cuts).await;
        });
    }
}

/// Forwards both ways until one end closes, or the weather cuts.
async fn connect(client: TcpStream, server: TcpStream, forecast: watch::Receiver<Weather>, cuts: &AtomicU64) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let forwarded = AtomicU64::new(0);
    let lot = rand::random();
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let up = Way {
        forecast: forecast.clone(),
        forwarded: &forwarded,
        lot,
    };
    let down = Way {
        forecast,
        forwarded: &forwarded,
        lot,
    };
    let end = tokio::select! {
        end = up.forward(client_reads, server_writes) => end,
        end = down.forward(server_reads, client_writes) => end,
    };
    if end == End::Cut {
        cuts.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(PartialEq, Eq)]
enum End {
    Closed,
    Cut,
}

/// One direction of a connection.
struct Way<'a> {
    forecast: watch::Receiver<Weather>,
    /// Bytes of both directions.
    forwarded: &'a AtomicU64,
    /// Where in the given range the connection is cut, 0 to 1.
    lot: f64,
}

impl Way<'_> {
    async fn forward(
        mut self,
        mut from: impl AsyncReadExt + Unpin,
        mut to: impl AsyncWriteExt + Unpin,
    ) -> End {
        let mut buffer = vec![0; CHUNK];
        loop {
            let weather = *self.forecast.borrow_and_update();
            if weather == Weather::Silent {
                if self.forecast.changed().await.is_err() {
                    return End::Closed;
                }
                continue;
            }
            let read = tokio::select! {
                read = from.read(&mut buffer) => read,
                _ = self.forecast.changed() => continue,
            };
            let Ok(n @ 1..) = read else { return End::Closed };
            let Some(end) = self.put(&buffer[..n], &mut to).await else {
                continue;
            };
            return end;
        }
    }

    /// Passes bytes on as the weather is now; how the connection ends, if it does.
    async fn put(&mut self, bytes: &[u8], to: &mut (impl AsyncWriteExt + Unpin)) -> Option<End> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let weather = *self.forecast.borrow();
            let mut most = rest.len();
            match weather {
                Weather::Fair => {}
                Weather::Slow(pause) => tokio::time::sleep(pause).await,
                Weather::Drip(pause) => {
                    tokio::time::sleep(pause).await;
                    most = 1;
                }
                // What was read before it fell silent is not lost: TCP would send it again.
                Weather::Silent => {
                    let _ = self.forecast.changed().await;
                    continue;
                }
                Weather::CutWithin(limit) => most = most.min(self.left(limit)),
            }
            if to.write_all(&rest[..most]).await.is_err() {
                return Some(End::Closed);
            }
            self.forwarded.fetch_add(most as u64, Ordering::Relaxed);
            rest = &rest[most..];
            if let Weather::CutWithin(limit) = weather
                && self.left(limit) == 0
            {
                return Some(End::Cut);
            }
        }
        None
    }

    /// Bytes until the cut.
    fn left(&self, limit: u64) -> usize {
        let place = (limit as f64 * self.lot) as u64;
        place.saturating_sub(self.forwarded.load(Ordering::Relaxed)) as usize
    }
}
