//! MQTT 5 by hand: what a well-made client library would not send.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// TLS with the certificate and key in a folder, or with none.
pub(crate) fn tls(roots: &str, identity: Option<&Path>) -> Arc<ClientConfig> {
    tls_of(rustls::DEFAULT_VERSIONS, roots, identity)
}

/// The same, of these versions alone.
pub(crate) fn tls_of(
    versions: &[&'static SupportedProtocolVersion],
    roots: &str,
    identity: Option<&Path>,
) -> Arc<ClientConfig> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(root.unwrap()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(store);
    let Some(folder) = identity else {
        return Arc::new(builder.with_no_client_auth());
    };
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let chain = read("certificate.pem");
    let chain = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<_, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(&read("key.pem")).unwrap();
    Arc::new(builder.with_client_auth_cert(chain, key).unwrap())
}

/// The host that everybody connects to.
pub(crate) fn host() -> ServerName<'static> {
    ServerName::try_from("127.0.0.1").unwrap()
}

/// A packet as it came: its first byte, and what follows the length.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) first: u8,
    pub(crate) body: Vec<u8>,
}

/// An acknowledgement, or the server's good-bye.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) code: u8,
    pub(crate) text: String,
}

/// A connection that sends what it is told.
pub(crate) struct Wire {
    stream: TlsStream<TcpStream>,
}

impl Wire {
    /// Makes the TLS connection. In TLS 1.3 a refusal of the client's certificate comes later.
    pub(crate) async fn open(port: u16, tls: Arc<ClientConfig>) -> std::io::Result<Wire> {
        Wire::open_from(Ipv4Addr::LOCALHOST, port, tls).await
    }

    /// The same from another address of this machine.
    pub(crate) async fn open_from(
        from: Ipv4Addr,
        port: u16,
        tls: Arc<ClientConfig>,
    ) -> std::io::Result<Wire> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        let socket = socket
            .connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            .await?;
        let stream = TlsConnector::from(tls).connect(host(), socket).await?;
        Ok(Wire { stream })
    }

    /// Makes the MQTT connection and subscribes to a filter.
    pub(crate) async fn enter(port: u16, tls: Arc<ClientConfig>, client_id: &str, filter: &str) -> Wire {
        let mut wire = Wire::open(port, tls).await.unwrap();
        wire.send(&connect(client_id)).await;
        let connack = wire.next().await.unwrap();
        assert_eq!((connack.first, connack.body[1]), (0x20, 0), "{connack:?}");
        assert_eq!(wire.subscribe(&[filter]).await, [0]);
        wire
    }

    /// Subscribes; the reason codes of the SUBACK.
    pub(crate) async fn subscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        self.send(&subscribe(filters)).await;
        let suback = self.next().await.unwrap();
        assert_eq!(suback.first, 0x90, "{suback:?}");
        suback.body[suback.body.len() - filters.len()..].to_vec()
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        // The server may have left already; what it said is read.
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// The next packet; why there is none.
    pub(crate) async fn next(&mut self) -> Result<Packet, String> {
        tokio::time::timeout(PATIENCE, self.read())
            .await
            .map_err(|_| "nothing in time".to_owned())?
            .map_err(|e| e.to_string())
    }

    async fn read(&mut self) -> std::io::Result<Packet> {
        let first = self.stream.read_u8().await?;
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = self.stream.read_u8().await?;
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(Packet { first, body })
    }

    /// The acknowledgement of a publish, and the reply if one comes before it.
    pub(crate) async fn acknowledgement(&mut self) -> (Reason, Option<Vec<u8>>) {
        let mut reply = None;
        loop {
            let packet = self.next().await.unwrap();
            match packet.first {
                0x40 => return (reason(&packet.body[2..]), reply),
                0x30 => reply = Some(payload(&packet.body)),
                _ => panic!("unexpected: {packet:?}"),
            }
        }
    }

    /// The next message's payload.
    pub(crate) async fn message(&mut self) -> Vec<u8> {
        let packet = self.next().await.unwrap();
        assert_eq!(packet.first, 0x30, "{packet:?}");
        payload(&packet.body)
    }

    /// The server's good-bye, after which nothing comes any more.
    pub(crate) async fn farewell(&mut self) -> Reason {
        let packet = self.next().await.unwrap();
        assert_eq!(packet.first, 0xE0, "{packet:?}");
        let end = self.next().await.unwrap_err();
        assert_ne!(end, "nothing in time");
        reason(&packet.body)
    }
}

/// CONNECT.
pub(crate) fn connect(client_id: &str) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 60, 0];
    text(&mut body, client_id);
    packet(0x10, &body)
}

/// SUBSCRIBE at QoS 0, packet id 1.
pub(crate) fn subscribe(filters: &[&str]) -> Vec<u8> {
    let mut body = vec![0, 1, 0];
    for filter in filters {
        text(&mut body, filter);
        body.push(0);
    }
    packet(0x82, &body)
}

/// PUBLISH with a first byte of its own (QoS 1: 0x32), packet id 7 and a content type.
pub(crate) fn publish(first: u8, topic: &str, content_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, topic);
    if first & 0x06 != 0 {
        body.extend([0, 7]);
    }
    let mut properties = Vec::new();
    if !content_type.is_empty() {
        properties.push(0x03);
        text(&mut properties, content_type);
    }
    body.push(properties.len() as u8);
    body.extend(properties);
    body.extend(payload);
    packet(first, &body)
}

pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let byte = (length & 0x7F) as u8;
        length >>= 7;
        bytes.push(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

pub(crate) fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u16).to_be_bytes());
    bytes.extend(text.as_bytes());
}

/// A reason code, and a reason string if it is the only property.
fn reason(bytes: &[u8]) -> Reason {
    // The properties' length takes two bytes when they are long.
    let start = if bytes.get(1).is_some_and(|length| length & 0x80 != 0) {
        3
    } else {
        2
    };
    let text = bytes.get(start + 3..).filter(|_| bytes[start] == 0x1F);
    Reason {
        code: bytes.first().copied().unwrap_or(0),
        text: String::from_utf8_lossy(text.unwrap_or_default()).into_owned(),
    }
}

/// The payload of a message at QoS 0, whose properties take fewer than 128 bytes.
pub(crate) fn payload(body: &[u8]) -> Vec<u8> {
    let properties = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
    let start = properties + 1 + usize::from(body[properties]);
    body[start..].to_vec()
}
