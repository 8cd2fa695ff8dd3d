//! The front door: mTLS, and as much MQTT 5 as a device speaks.

use std::{net::SocketAddr, sync::Arc};

use bytes::BytesMut;
use contract::id::{Kind, Principal};
use parking_lot::Mutex;
use pki::ClientCertificate;
use rumqttc::v5::mqttbytes::{
    Error, QoS,
    v5::{
        ConnAck, ConnectReturnCode, Packet, PingResp, PubAck, Publish, PublishProperties, SubAck,
        SubscribeReasonCode,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::AbortHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Site, State, services};

pub(crate) async fn open(
    site: Arc<Site>,
    state: Arc<Mutex<State>>,
    at: Option<SocketAddr>,
) -> (SocketAddr, AbortHandle) {
    let at = at.unwrap_or_else(|| "127.0.0.1:0".parse().unwrap());
    let listener = loop {
        match TcpListener::bind(at).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    };
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(site.tls());
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, site, state) = (acceptor.clone(), site.clone(), state.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    admit(stream, site, state).await;
                }
            });
        }
    });
    (address, task.abort_handle())
}

async fn admit(mut stream: TlsStream<TcpStream>, site: Arc<Site>, state: Arc<Mutex<State>>) {
    let der = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    let certificate = ClientCertificate::parse(&der).unwrap();
    let mut buffer = BytesMut::new();
    let Some(Packet::Connect(connect, ..)) = read(&mut stream, &mut buffer).await else {
        return;
    };
    let kind = Kind::from_word(certificate.subject.kind().word()).unwrap();
    let name = match kind {
        Kind::Claim => connect.client_id.as_str(),
        _ => certificate.subject.id(),
    };
    assert!(connect.client_id.starts_with(name));
    let who = Principal::new(kind, name.parse().unwrap());
    let refused = {
        let state = state.lock();
        kind == Kind::Device && (state.revoked || state.refused.contains(&certificate.serial_hex))
    };
    let code = if refused {
        ConnectReturnCode::NotAuthorized
    } else {
        ConnectReturnCode::Success
    };
    let ack = ConnAck {
        session_present: false,
        code,
        properties: None,
    };
    write(&mut stream, &Packet::ConnAck(ack)).await;
    if refused {
        return;
    }
    let (outbox, mut out) = mpsc::unbounded_channel();
    let number = {
        let mut state = state.lock();
        state.connected += 1;
        state.connected
    };
    let (door, mine) = (state.clone(), outbox.clone());
    let principal = who.clone();
    let task = tokio::spawn(async move {
        loop {
            tokio::select! {
                packet = read(&mut stream, &mut buffer) => match packet {
                    None => break,
                    Some(packet) => for reply in take(packet, &principal, &site, &door, &mine) {
                        write(&mut stream, &reply).await;
                    },
                },
                Some((topic, correlation_data, payload)) = out.recv() => {
                    let properties = PublishProperties { correlation_data, ..Default::default() };
                    let publish = Publish::new(topic, QoS::AtMostOnce, payload, Some(properties));
                    write(&mut stream, &Packet::Publish(publish)).await;
                }
            }
        }
        door.lock().connections.remove(&number);
    });
    state
        .lock()
        .connections
        .insert(number, (who, outbox, task.abort_handle()));
}

fn take(
    packet: Packet,
    who: &Principal,
    site: &Arc<Site>,
    state: &Arc<Mutex<State>>,
    outbox: &super::Outbox,
) -> Vec<Packet> {
    match packet {
        Packet::Subscribe(subscribe) => {
            for filter in &subscribe.filters {
                assert_eq!(filter.path, format!("muster/v1/{who}/down/#"));
            }
            vec![Packet::SubAck(SubAck {
                pkid: subscribe.pkid,
                return_codes: vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)],
                properties: None,
            })]
        }
        Packet::PingReq(_) => vec![Packet::PingResp(PingResp)],
        Packet::Publish(publish) => {
            assert_eq!(publish.qos, QoS::AtLeastOnce);
            let pkid = publish.pkid;
            let promised = services::take(publish, who, site, state, outbox);
            if promised {
                vec![Packet::PubAck(PubAck::new(pkid, None))]
            } else {
                Vec::new()
            }
        }
        _ => Vec::new(),
    }
}

async fn read(stream: &mut TlsStream<TcpStream>, buffer: &mut BytesMut) -> Option<Packet> {
    loop {
        match Packet::read(buffer, None) {
            // An empty packet is a DISCONNECT, which rumqttc's own reader does not know.
            Err(Error::PayloadRequired) => return None,
            Err(Error::InsufficientBytes(_)) => {}
            read => return Some(read.unwrap()),
        }
        match stream.read_buf(buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

async fn write(stream: &mut TlsStream<TcpStream>, packet: &Packet) {
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes, None).unwrap();
    let _ = stream.write_all(&bytes).await;
    let _ = stream.flush().await;
}
