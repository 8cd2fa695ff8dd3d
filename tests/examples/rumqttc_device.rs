//! What `docs/mqtt-clients.md` shows for rumqttc.
#![allow(clippy::unwrap_used)]

// the page begins here
use std::{fs, time::Duration};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS, Transport};

const ME: &str = "muster/v1/devices/pump-7";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(8883), |port| port.parse())?;
    let mut options = MqttOptions::new("pump-7", "localhost", port);
    options.set_keep_alive(Duration::from_secs(60));
    options.set_transport(Transport::tls(
        fs::read("muster-data/pki/root.pem")?,
        Some((fs::read("pump-7.pem")?, fs::read("pump-7.key")?)),
        None,
    ));
    let (client, mut events) = AsyncClient::new(options, 16);
    loop {
        match events.poll().await? {
            Event::Incoming(Packet::ConnAck(_)) => {
                client.subscribe(format!("{ME}/down/#"), QoS::AtLeastOnce).await?
            }
            Event::Incoming(Packet::SubAck(_)) => {
                let (topic, ask) = (
                    format!("{ME}/up/registry/standing"),
                    r#"{"request_id":"standing-1"}"#,
                );
                client.publish(topic, QoS::AtLeastOnce, false, ask).await?;
            }
            Event::Incoming(Packet::Publish(message)) => {
                println!("{} {}", message.topic, String::from_utf8_lossy(&message.payload));
            }
            Event::Incoming(Packet::PubAck(_)) => println!("on disk, or finally refused"),
            _ => {}
        }
    }
}
