//! MQTT 5 over WebSocket by hand (RFC 6455), with or without a client certificate.

use std::{sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::wire::{self, Packet};

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection. What is sent is masked with zeros.
pub(crate) struct WebSocket {
    stream: TlsStream<TcpStream>,
    arrived: Vec<u8>,
}

impl WebSocket {
    /// Shakes hands, TLS and WebSocket.
    pub(crate) async fn open(port: u16, tls: Arc<ClientConfig>) -> Result<WebSocket, String> {
        let opening = async {
            let socket = TcpStream::connect(("127.0.0.1", port)).await?;
            let mut stream = TlsConnector::from(tls).connect(wire::host(), socket).await?;
            let request = "GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                           Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                           Sec-WebSocket-Protocol: mqtt\r\n\r\n";
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                answer.push(stream.read_u8().await?);
            }
            std::io::Result::Ok((stream, String::from_utf8_lossy(&answer).into_owned()))
        };
        let (stream, answer) = tokio::time::timeout(PATIENCE, opening)
            .await
            .map_err(|_| "no handshake in time".to_owned())?
            .map_err(|error| error.to_string())?;
        let arrived = Vec::new();
        match answer.starts_with("HTTP/1.1 101") {
            true => Ok(WebSocket { stream, arrived }),
            false => Err(answer),
        }
    }

    /// Sends what is said to be an upgrade; what was answered until the end of its head, or of the connection.
    pub(crate) async fn answered(
        port: u16,
        tls: Arc<ClientConfig>,
        request: &[u8],
    ) -> Result<String, std::io::Error> {
        let socket = TcpStream::connect(("127.0.0.1", port)).await?;
        let mut stream = TlsConnector::from(tls).connect(wire::host(), socket).await?;
        let _ = stream.write_all(request).await;
        let _ = stream.flush().await;
        let mut answer = Vec::new();
        let reading = async {
            while !answer.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => answer.push(byte),
                    Err(_) => break,
                }
            }
        };
        let patience = PATIENCE + Duration::from_secs(5);
        if tokio::time::timeout(patience, reading).await.is_err() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Sends bytes as one binary frame.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let mut frame = vec![0x82];
        match bytes.len() {
            len @ 0..126 => frame.push(0x80 | len as u8),
            len @ 126..0x1_0000 => {
                frame.push(0x80 | 126);
                frame.extend((len as u16).to_be_bytes());
            }
            len => {
                frame.push(0x80 | 127);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(bytes);
        // The server may have left already; what it said is read.
        let _ = self.stream.write_all(&frame).await;
        let _ = self.stream.flush().await;
    }

    /// Says who somebody is; the CONNACK's reason code.
    pub(crate) async fn log_in(&mut self, user_name: &str, password: &str) -> Result<u8, String> {
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 5, 0xC2, 0, 60, 0];
        for text in ["", user_name, password] {
            wire::text(&mut body, text);
        }
        self.send(&wire::packet(0x10, &body)).await;
        let connack = self.next().await?;
        assert_eq!(connack.first, 0x20, "{connack:?}");
        Ok(connack.body[1])
    }

    /// The next MQTT packet; why there is none.
    pub(crate) async fn next(&mut self) -> Result<Packet, String> {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some((packet, length)) = first_packet(&self.arrived) {
                self.arrived.drain(..length);
                return Ok(packet);
            }
            let (opcode, payload) = tokio::time::timeout_at(end, self.frame())
                .await
                .map_err(|_| "nothing in time".to_owned())?
                .map_err(|error| error.to_string())?;
            if opcode == 0x8 {
                return Err("closed".into());
            }
            self.arrived.extend(payload);
        }
    }

    async fn frame(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let first = self.stream.read_u8().await?;
        let length = match self.stream.read_u8().await? {
            126 => usize::from(self.stream.read_u16().await?),
            127 => self.stream.read_u64().await? as usize,
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await?;
        Ok((first & 0x0F, payload))
    }
}

/// The packet at the beginning, if it is whole, and its length.
fn first_packet(bytes: &[u8]) -> Option<(Packet, usize)> {
    let (mut length, mut at) = (0usize, 1);
    loop {
        let byte = *bytes.get(at)?;
        length |= usize::from(byte & 0x7F) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let body = bytes.get(at..at + length)?.to_vec();
    let first = bytes[0];
    Some((Packet { first, body }, at + length))
}
