//! Who makes traffic: devices with certificates, an operator, a rollout to steer.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use client::{Backoff, Client, Endpoint, Identity, Options};
use contract::{Root, ServiceName, v1};
use rustls::ClientConfig;

use crate::{
    files::{muster, repository},
    wire,
    world::{Person, World},
};

/// Devices that ask through the client library, and wait for replies.
const ASKING: usize = 4;
/// Devices that publish by hand, and wait for the acknowledgement itself.
const PUBLISHING: usize = 4;
/// The rollout that is paused and resumed.
pub(crate) const ROLLOUT: &str = "steady";

/// Identities and what they work on. It outlives the server.
pub struct Crew {
    /// Devices that ask: their names and identities.
    pub(crate) asking: Vec<(String, Identity)>,
    /// Devices that publish: their names and TLS configurations.
    pub(crate) publishing: Vec<(String, Arc<ClientConfig>)>,
    /// The first operator.
    pub admin: Identity,
    /// A device that makes no traffic.
    pub probe: Identity,
}

impl Crew {
    /// Registers and provisions everybody, and begins the rollout.
    pub async fn enlist(world: &World) -> Crew {
        let admin = world.admin().await;
        let names: Vec<_> = (0..ASKING + PUBLISHING).map(|n| format!("pump-{n}")).collect();
        let mut all: Vec<_> = names.iter().map(String::as_str).collect();
        all.push("probe");
        world.register(&admin, &all).await;
        let claim = world.claim(&admin, "crew", all.len() as u32).await;
        let mut identities = Vec::new();
        for name in all {
            identities.push(world.provision(&claim, name).await);
        }
        let probe = identities.pop().unwrap();
        let publishing = names[ASKING..].iter().map(|name| {
            let folder = world.folder().join("identities").join(name);
            (name.clone(), wire::tls(&world.roots(), Some(&folder)))
        });
        let publishing = publishing.collect();
        let asking = names.into_iter().zip(identities).take(ASKING).collect();
        begin_rollout(world, &admin).await;
        Crew {
            asking,
            publishing,
            admin: world.identity(&world.folder().join("people/admin")),
            probe,
        }
    }

    /// Connects somebody who comes back quickly: how fast the server is there again is what counts.
    pub async fn connect(&self, endpoint: &Endpoint, identity: &Identity, suffix: &str) -> Person {
        let options = Options {
            suffix: suffix.to_owned(),
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_millis(500)),
            ..Options::default()
        };
        let connected = Client::connect_with(endpoint, identity, Root::default(), options).await;
        let (client, inbox) = connected.unwrap();
        Person { client, inbox }
    }
}

async fn begin_rollout(world: &World, admin: &Person) {
    let image = sign_image(world.folder());
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let image = image.to_str().unwrap();
    muster(world.folder(), &["--server", &server, "firmware", "add", image]);
    let request = v1::ListArtifacts::default();
    let listed: v1::ArtifactsListed = admin.ask(ServiceName::Rollout, "artifacts", &request).await;
    let request = v1::CreateRollout {
        rollout_id: ROLLOUT.into(),
        artifact_id: listed.artifacts[0].artifact_id.clone(),
        device_ids: vec!["pump-0".into()],
        timeout_ms: 24 * 3_600_000,
        ..v1::CreateRollout::default()
    };
    let _: v1::Changed = admin.ask(ServiceName::Rollout, "create", &request).await;
}

fn sign_image(folder: &Path) -> PathBuf {
    let image = folder.join("pump.bin");
    // Any bytes will do.
    std::fs::copy(repository().join("Cargo.lock"), &image).unwrap();
    let key = folder.join("release/release.key");
    let (image_name, key) = (image.to_str().unwrap(), key.to_str().unwrap());
    muster(
        folder,
        &[
            "firmware",
            "sign",
            image_name,
            "--key",
            key,
            "--name",
            "pump-fw",
            "--version",
            "2.0.0",
            "--sequence",
            "2",
            "--model",
            "pump",
        ],
    );
    image
}
