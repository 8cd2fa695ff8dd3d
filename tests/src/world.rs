//! An installation, its people and its devices.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use client::{Client, Endpoint, Identity, Inbox, Options};
use contract::{
    Root, ServiceName,
    v1::{self, Stage},
};

use crate::{
    files::{muster, write_identity},
    ports::free_port,
    server::Server,
};

/// How long a connection may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody connected: the client, and what it is sent unasked.
pub struct Person {
    /// Asks and subscribes.
    pub client: Client,
    /// What arrives.
    pub inbox: Inbox,
}

/// The world.
pub struct World {
    folder: tempfile::TempDir,
    server: Option<Server>,
    port: u16,
    settings: Vec<(String, String)>,
    admins: AtomicUsize,
}

impl World {
    /// A fresh installation, running.
    pub async fn new() -> World {
        World::with(&[]).await
    }

    /// The same with settings in the environment.
    pub async fn with(settings: &[(&str, &str)]) -> World {
        let folder = tempfile::tempdir().unwrap();
        World::on(folder, settings).await
    }

    /// A fresh installation in a folder of one's own choosing.
    pub async fn on(folder: tempfile::TempDir, settings: &[(&str, &str)]) -> World {
        muster(folder.path(), &["init", "--unencrypted", "--site", "test"]);
        let settings = settings
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let mut world = World {
            folder,
            server: None,
            port: free_port(),
            settings,
            admins: AtomicUsize::new(0),
        };
        world.start().await;
        world
    }

    /// An installation that is there already, started on a port of one's choosing, 0 for any.
    pub async fn found(folder: tempfile::TempDir, port: u16) -> World {
        let mut world = World {
            folder,
            server: None,
            port: if port == 0 { free_port() } else { port },
            settings: Vec::new(),
            admins: AtomicUsize::new(0),
        };
        world.start().await;
        world
    }

    /// The installation's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the server; the same port as before, so that clients find it again.
    pub async fn start(&mut self) {
        self.try_start()
            .unwrap_or_else(|log| panic!("muster does not start:\n{log}"));
    }

    /// Starts the server, or says why not.
    pub fn try_start(&mut self) -> Result<(), String> {
        let settings: Vec<_> = self
            .settings
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        self.server = Some(Server::start(self.folder.path(), self.port, &settings)?);
        Ok(())
    }

    /// The running server.
    pub fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// Kills the server (SIGKILL).
    pub fn kill(&mut self) {
        self.server.take().unwrap().kill();
    }

    /// Stops the server (SIGTERM); its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.server.take().unwrap().stop()
    }

    /// The same, and what it has logged in its life.
    pub fn stop_and_tell(&mut self) -> (Option<i32>, String) {
        self.server.take().unwrap().stop_and_tell()
    }

    /// Where principals connect.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            host: "127.0.0.1".into(),
            port: self.port,
        }
    }

    /// The roots that everybody trusts.
    pub fn roots(&self) -> String {
        std::fs::read_to_string(self.folder().join("pki/root.pem")).unwrap()
    }

    /// An identity in a folder of certificate, key and roots.
    pub fn identity(&self, folder: &Path) -> Identity {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        Identity::from_pem(&read("certificate.pem"), &read("key.pem"), &read("roots.pem")).unwrap()
    }

    /// The first operator, connected. Each time under another client id: one who was connected before a restart
    /// comes back after it, and would put the new one out.
    pub async fn admin(&self) -> Person {
        let suffix = match self.admins.fetch_add(1, Ordering::Relaxed) {
            0 => String::new(),
            before => format!("after-{before}"),
        };
        let admin = self.identity(&self.folder().join("people/admin"));
        self.connect(&admin, &suffix).await
    }

    /// Connects with an identity.
    pub async fn connect(&self, identity: &Identity, suffix: &str) -> Person {
        let options = Options {
            suffix: suffix.to_owned(),
            first: PATIENCE,
            ..Options::default()
        };
        let connected = Client::connect_with(&self.endpoint(), identity, Root::default(), options).await;
        let (client, inbox) = connected.unwrap();
        Person { client, inbox }
    }

    /// Makes an integrator who sees events by these filters, with a certificate; its folder.
    pub async fn integrator(&self, admin: &Person, id: &str, filters: &[&str]) -> std::path::PathBuf {
        let person = v1::PutPerson {
            id: id.into(),
            kind: "integrators".into(),
            event_filters: filters.iter().map(|f| (*f).to_owned()).collect(),
            ..v1::PutPerson::default()
        };
        admin
            .ask::<v1::Changed>(ServiceName::Registry, "put-person", &person)
            .await;
        self.issue(admin, "integrators", id).await
    }

    /// Has a certificate issued for a person that is known; its folder.
    pub async fn issue(&self, admin: &Person, kind: &str, id: &str) -> std::path::PathBuf {
        let key = pki::generate_key(pki::KeyKind::P256).unwrap();
        let request = v1::Issue {
            kind: kind.into(),
            id: id.into(),
            csr: pki::csr_for(&key, id).unwrap(),
            ..v1::Issue::default()
        };
        let signed: v1::Signed = admin.ask(ServiceName::Provisioning, "issue", &request).await;
        let folder = self.folder().join("identities").join(id);
        write_identity(&folder, &signed.certificate, &key, &signed.roots);
        folder
    }

    /// Registers devices.
    pub async fn register(&self, admin: &Person, ids: &[&str]) {
        for chunk in ids.chunks(500) {
            let device = |id: &&str| v1::RegisterDevice {
                device_id: (*id).into(),
                model: "pump".into(),
                ..Default::default()
            };
            let many = v1::RegisterDevices {
                devices: chunk.iter().map(device).collect(),
                ..Default::default()
            };
            let done: v1::RegisteredDevices = admin.ask(ServiceName::Registry, "register-many", &many).await;
            assert_eq!(done.registered as usize, chunk.len(), "{:?}", done.refused);
        }
    }

    /// Makes a batch that any registered device may use; its folder.
    pub async fn claim(&self, admin: &Person, batch: &str, uses: u32) -> std::path::PathBuf {
        let key = pki::generate_key(pki::KeyKind::P256).unwrap();
        let far = 30 * 24 * 3_600_000;
        let request = v1::PutClaim {
            batch: batch.into(),
            csr: pki::csr_for(&key, batch).unwrap(),
            uses,
            expires_ms: now_ms() + far,
            ..v1::PutClaim::default()
        };
        let made: v1::ClaimMade = admin.ask(ServiceName::Provisioning, "put-claim", &request).await;
        let folder = self.folder().join("claims").join(batch);
        write_identity(&folder, &made.certificate, &key, &self.roots());
        folder
    }

    /// A registered device's first certificate, over a batch: its folder, and its identity.
    pub async fn provision(&self, claim: &Path, id: &str) -> Identity {
        let hopeful = self.identity(claim).hoping_for(id.parse().unwrap());
        let connected = self.connect(&hopeful, "").await;
        let key = pki::generate_key(pki::KeyKind::P256).unwrap();
        let request = v1::Sign {
            csr: pki::csr_for(&key, id).unwrap(),
            ..v1::Sign::default()
        };
        let signed: v1::Signed = connected.ask(ServiceName::Provisioning, "sign", &request).await;
        connected.client.disconnect().await;
        let folder = self.folder().join("identities").join(id);
        write_identity(&folder, &signed.certificate, &key, &signed.roots);
        self.identity(&folder)
    }

    /// A registered device, provisioned and connected.
    pub async fn device(&self, admin: &Person, id: &str) -> Person {
        let claim = self.claim(admin, &format!("for-{id}"), 1).await;
        let identity = self.provision(&claim, id).await;
        self.connect(&identity, "").await
    }

    /// A device's record. What other services know of it, which changes by itself, is left out.
    pub async fn shown(&self, admin: &Person, id: &str) -> v1::Device {
        let request = v1::ShowDevice {
            device_id: id.into(),
            ..v1::ShowDevice::default()
        };
        let shown: v1::DeviceShown = admin.ask(ServiceName::Registry, "show", &request).await;
        v1::Device {
            live: None,
            ..shown.device.unwrap()
        }
    }

    /// Waits until a device is in a stage.
    pub async fn until_stage(&self, admin: &Person, id: &str, stage: Stage) {
        for _ in 0..600 {
            if self.shown(admin, id).await.stage() == stage {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!(
            "{id} does not become {stage:?}: {:?}",
            self.shown(admin, id).await
        );
    }
}

impl Person {
    /// Asks, and expects to be accepted.
    pub async fn ask<R: contract::wire::Wire>(
        &self,
        service: ServiceName,
        verb: &str,
        request: &impl contract::wire::Wire,
    ) -> R {
        let answer = self.client.ask(service, verb, request).await;
        answer.unwrap_or_else(|e| panic!("{service}/{verb}: {e}"))
    }

    /// Asks, and expects to be refused; the code.
    pub async fn refused(
        &self,
        service: ServiceName,
        verb: &str,
        request: &impl contract::wire::Wire,
    ) -> contract::Refusal {
        match self.client.ask::<v1::Done>(service, verb, request).await {
            Err(client::AskError::Refused(refusal)) => refusal,
            other => panic!("{service}/{verb} should be refused: {other:?}"),
        }
    }
}

/// Milliseconds since 1970.
#[allow(clippy::disallowed_methods)] // a test's clock
pub(crate) fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64
}
