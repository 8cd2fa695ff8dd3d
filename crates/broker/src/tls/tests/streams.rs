//! What goes over a connection, however it is cut up, and what an idle one holds.

use std::io::ErrorKind;

use rustls::{SupportedProtocolVersion, version::TLS12, version::TLS13};
use tokio::{
    io::{ReadHalf, WriteHalf, split},
    task::JoinHandle,
};
use tokio_rustls::client::TlsStream as ClientStream;

use super::*;

type Client = ClientStream<DuplexStream>;

/// Both ends of a connection; the pipe between them takes so many bytes at a time.
async fn connected(site: &Site, config: ClientConfig, pipe: usize) -> (Client, TlsStream<DuplexStream>) {
    let server = Handshakes::new(&site.material(), 0).unwrap();
    let (near, far) = tokio::io::duplex(pipe);
    let name = ServerName::try_from("localhost").unwrap();
    let connecting = tokio::spawn(
        TlsConnector::from(Arc::new(config))
            .connect(name, near)
            .into_future(),
    );
    let accepted = accept(server.next(Demand::Certificate).0, far).await;
    let accepted = accepted.map_err(|(error, _)| error).unwrap();
    (connecting.await.unwrap().unwrap(), accepted)
}

fn config(site: &Site, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let (chain, key) = site.client("devices", site.now + DAY);
    let mut roots = RootCertStore::empty();
    roots
        .add(certificates("roots", &site.roots_pem).unwrap().remove(0))
        .unwrap();
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            certificates("client", &chain).unwrap(),
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap()
}

fn sent(bytes: Vec<u8>, mut to: WriteHalf<Client>) -> JoinHandle<WriteHalf<Client>> {
    tokio::spawn(async move {
        to.write_all(&bytes).await.unwrap();
        to.flush().await.unwrap();
        to
    })
}

async fn echoed(client: Client, server: TlsStream<DuplexStream>, bytes: usize) -> TlsStream<DuplexStream> {
    let told: Vec<u8> = (0..bytes).map(|n| (n / 7 % 251) as u8).collect();
    let (mut from, to): (ReadHalf<Client>, _) = split(client);
    let writing = sent(told.clone(), to);
    let echoing = tokio::spawn(async move {
        let mut server = server;
        let (mut heard, mut left) = ([0; 3_000], bytes);
        while left > 0 {
            let read = server.read(&mut heard).await.unwrap();
            assert!(read > 0, "{left} bytes are missing");
            server.write_all(&heard[..read]).await.unwrap();
            left -= read;
        }
        server.flush().await.unwrap();
        server
    });
    let mut back = vec![0; bytes];
    from.read_exact(&mut back).await.unwrap();
    assert!(back == told, "{bytes} bytes came back otherwise");
    writing.await.unwrap();
    echoing.await.unwrap()
}

#[tokio::test]
async fn whatever_is_said_arrives_however_it_is_cut_up() {
    let site = Site::found(20);
    for version in [&TLS12, &TLS13] {
        for (pipe, fragment, bytes) in [
            (13, None, 3_000),
            (13, Some(64), 3_000),
            (700, None, 40_000),
            (100_000, None, 1),
            (100_000, Some(64), 40_000),
            (100_000, None, 300_000),
        ] {
            let mut config = config(&site, version);
            config.max_fragment_size = fragment;
            let (client, server) = connected(&site, config, pipe).await;
            assert!(server.state().peer_certificates().is_some());
            echoed(client, server, bytes).await;
        }
    }
}

#[tokio::test]
async fn an_idle_connection_holds_no_buffer() {
    let site = Site::found(21);
    for version in [&TLS12, &TLS13] {
        let (client, server) = connected(&site, config(&site, version), 1_000).await;
        assert_eq!(server.held(), 0, "after the handshake");
        let server = echoed(client, server, 100_000).await;
        assert_eq!(server.held(), 0, "after much was said");
    }
}

#[tokio::test]
async fn keys_that_change_on_the_way_change_nothing_else() {
    let site = Site::found(22);
    let (mut client, mut server) = connected(&site, config(&site, &TLS13), 100_000).await;
    for n in 0..5 {
        client.get_mut().1.refresh_traffic_keys().unwrap();
        client.write_all(&[n]).await.unwrap();
        client.flush().await.unwrap();
        let mut heard = [9];
        server.read_exact(&mut heard).await.unwrap();
        server.write_all(&heard).await.unwrap();
        server.flush().await.unwrap();
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, [n]);
    }
}

#[tokio::test]
async fn an_end_is_an_end_only_when_the_client_says_so() {
    let site = Site::found(23);
    for version in [&TLS12, &TLS13] {
        let (mut client, mut server) = connected(&site, config(&site, version), 1_000).await;
        client.write_all(b"x").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = Vec::new();
        server.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"x");
        // Who has said his last still hears ours (RFC 8446, section 6.1).
        server.write_all(b"y").await.unwrap();
        server.shutdown().await.unwrap();
        server.shutdown().await.unwrap();
        heard.clear();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"y");

        let (client, mut server) = connected(&site, config(&site, version), 1_000).await;
        drop(client.into_inner().0);
        let cut = server.read(&mut [0]).await.unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn who_does_not_hold_to_tls_is_told_and_not_read_any_more() {
    let site = Site::found(24);
    let (client, mut server) = connected(&site, config(&site, &TLS13), 1_000).await;
    let mut client = client.into_inner();
    client.0.write_all(&[23, 3, 3, 0, 20]).await.unwrap();
    client.0.write_all(&[7; 20]).await.unwrap();
    for _ in 0..2 {
        let error = server.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
    assert!(server.write(b"x").await.is_err());
    server.shutdown().await.unwrap();
    let mut alert = Vec::new();
    client.0.read_to_end(&mut alert).await.unwrap();
    client.1.read_tls(&mut alert.as_slice()).unwrap();
    let heard = client.1.process_new_packets().unwrap_err();
    assert_eq!(
        heard,
        rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac)
    );
}

#[tokio::test]
async fn a_handshakes_message_that_never_ends_is_not_collected() {
    let handshakes = Handshakes::new(&Site::found(25).material(), 0).unwrap();
    let (mut near, far) = tokio::io::duplex(1_000);
    // Its end is dropped with it.
    let accepting = accept(handshakes.next(Demand::Certificate).0, far);
    let refused = tokio::spawn(async move { accepting.await.is_err() });
    // Records of a handshake; the first says that its message, a ClientHello, has fifteen million bytes.
    let mut record = vec![22, 3, 1, 0x10, 0];
    record.extend([1, 0xf0, 0, 0]);
    record.resize(5 + 0x1000, 0);
    let mut taken = 0;
    while near.write_all(&record).await.is_ok() {
        taken += record.len();
        assert!(taken < 200_000, "it is read on and on");
    }
    assert!(refused.await.unwrap());
}

#[tokio::test]
async fn records_that_carry_little_or_nothing_count_for_what_they_cost() {
    let site = Site::found(24);
    let (mut client, mut server) = connected(&site, config(&site, &TLS13), 100_000).await;
    server.take_wired();
    for _ in 0..50 {
        client.write_all(b"x").await.unwrap();
        client.flush().await.unwrap();
    }
    let mut heard = [0; 50];
    server.read_exact(&mut heard).await.unwrap();
    let wired = server.take_wired();
    // A record's head, its type, its seal.
    assert!(wired >= 50 * (1 + 5 + 1 + 16 + 128), "{wired}");
    assert_eq!(server.take_wired(), 0);
}
