//! One MQTT connection over TCP or TLS, with a buffer for what has arrived.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::TlsConnector;

use super::{
    mqtt::{self, Packet},
    tls::{self, Credentials},
};

/// Holds the acknowledgements of a large window; small enough to have ten thousand of them.
const BUFFER_BYTES: usize = 1024;
/// Connections from one address of the loopback network, well below the ports it has.
const PER_SOURCE: usize = 8_000;

/// Whom to connect to, and as whom.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) address: SocketAddr,
    pub(crate) client_id: String,
    pub(crate) proof: Proof,
    /// Counts connections, so that they spread over source addresses.
    pub(crate) number: usize,
}

/// How a client says who it is.
#[derive(Clone)]
pub(crate) enum Proof {
    /// A user name that is believed.
    UserName(String),
    /// A client certificate.
    Certificate(Credentials),
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// A connection whose CONNECT was accepted.
pub(crate) struct Connection {
    stream: Box<dyn Duplex>,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    /// Connects, and waits for the CONNACK.
    pub(crate) async fn open(login: &Login) -> Result<Connection> {
        let mut connection = Connection::reach(login).await?;
        let user = match &login.proof {
            Proof::UserName(name) => Some(name.as_str()),
            Proof::Certificate(_) => None,
        };
        connection.send(&mqtt::connect(&login.client_id, user)).await?;
        let code = connection
            .await_kind(mqtt::CONNACK, |packet| packet.code())
            .await?;
        if code != 0 {
            bail!("the server refuses {} with return code {code}", login.client_id);
        }
        Ok(connection)
    }

    async fn reach(login: &Login) -> Result<Connection> {
        let tcp = open_tcp(login)
            .await
            .with_context(|| format!("no connection to {}", login.address))?;
        let stream: Box<dyn Duplex> = match &login.proof {
            Proof::UserName(_) => Box::new(tcp),
            Proof::Certificate(credentials) => {
                let connector = TlsConnector::from(credentials.config()?);
                let name = tls::server_name(login.address);
                Box::new(
                    connector
                        .connect(name, tcp)
                        .await
                        .context("no agreement on TLS")?,
                )
            }
        };
        Ok(Connection {
            stream,
            buffer: vec![0; BUFFER_BYTES],
            filled: 0,
        })
    }

    /// The same with a larger buffer, for a subscriber.
    pub(crate) fn with_buffer(mut self, bytes: usize) -> Connection {
        self.buffer.resize(bytes, 0);
        self
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// Waits for more bytes.
    pub(crate) async fn fill(&mut self) -> Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.filled..]).await?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        self.filled += read;
        Ok(())
    }

    /// When the server has closed it.
    pub(crate) async fn closed(mut self) -> Instant {
        while self.fill().await.is_ok() && self.take(|_| ()).is_ok() {}
        Instant::now()
    }

    /// Hands over every packet that has arrived whole.
    pub(crate) fn take(&mut self, mut each: impl FnMut(Packet<'_>)) -> Result<()> {
        let mut at = 0;
        while let Some((packet, length)) = mqtt::first_packet(&self.buffer[at..self.filled])? {
            each(packet);
            at += length;
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(())
    }

    /// Waits for the first packet of a kind; others are passed over.
    pub(crate) async fn await_kind<T>(&mut self, kind: u8, read: impl Fn(Packet<'_>) -> T) -> Result<T> {
        loop {
            self.fill().await?;
            let mut found = None;
            self.take(|packet| {
                if packet.kind() == kind && found.is_none() {
                    found = Some(read(packet));
                }
            })?;
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, qos: u8) -> Result<()> {
        self.send(&mqtt::subscribe(1, filter, qos)).await?;
        match self.await_kind(mqtt::SUBACK, |packet| packet.code()).await? {
            0x80.. => bail!("the server refuses a subscription to {filter}"),
            _ => Ok(()),
        }
    }

    /// Leaves politely; whether the server hears it no longer matters.
    pub(crate) async fn leave(mut self) {
        let _ = self.send(&mqtt::DISCONNECT).await;
        let _ = self.stream.shutdown().await;
    }
}

async fn open_tcp(login: &Login) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let place = login.number / PER_SOURCE;
    if login.address.ip().is_loopback() && place > 0 {
        let source = Ipv4Addr::new(127, 0, 0, 1 + place as u8);
        socket.bind(SocketAddr::from((source, 0)))?;
    }
    let tcp = socket.connect(login.address).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}
