//! The listener for services, on loopback, and a task for each of their connections.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use contract::id::ServiceName;
use parking_lot::Mutex;
use session::{Leaving, LinkEvent, ServiceLink};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    FrontDoorConfig, FrontDoorError, Shared,
    router::{Parcel, Router, ServiceRouterLink},
};

/// How often a silent connection is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Pause after the operating system refused to accept.
const PAUSE: Duration = Duration::from_millis(100);
/// Envelopes written in one go.
const PARCELS: usize = 8;
/// Bytes read in one go.
const READ_BYTES: usize = 256 * 1024;

/// Opens the listener. It needs no facts: it trusts whoever knows the secret.
pub(crate) async fn listen(
    config: &FrontDoorConfig,
    shared: Arc<Shared>,
    router: Arc<Router>,
) -> Result<SocketAddr, FrontDoorError> {
    let address = config.services;
    let refuse = |e: std::io::Error| FrontDoorError::Listen {
        address,
        why: e.to_string(),
    };
    let listener = TcpListener::bind(address).await.map_err(refuse)?;
    let bound = listener.local_addr().map_err(refuse)?;
    let desk = Arc::new(Desk {
        secret: config.service_secret.clone(),
        shared,
        router,
        present: Mutex::new(HashMap::new()),
        generation: AtomicU64::new(0),
    });
    tokio::spawn(desk.accept_all(listener));
    Ok(bound)
}

struct Desk {
    secret: String,
    shared: Arc<Shared>,
    router: Arc<Router>,
    /// The connection of each service; a newer one ends the older.
    present: Mutex<HashMap<ServiceName, (u64, CancellationToken)>>,
    generation: AtomicU64,
}

impl Desk {
    async fn accept_all(self: Arc<Desk>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(self.clone().attend(stream));
                }
                Err(error) => {
                    warn!(%error, "cannot accept a service's connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn attend(self: Arc<Desk>, stream: TcpStream) {
        let link = ServiceLink::new(self.shared.root.clone(), self.secret.clone(), self.shared.now());
        let (up, inbox) = mpsc::unbounded_channel();
        let mut attendance = Attendance {
            desk: self,
            link,
            up,
            joined: None,
            replaced: CancellationToken::new(),
        };
        let (why, leaving) = attendance.run(stream, inbox).await;
        attendance.leave(&why, leaving);
    }
}

struct Joined {
    service: ServiceName,
    generation: u64,
    _router_link: ServiceRouterLink,
}

/// One service's connection.
struct Attendance {
    desk: Arc<Desk>,
    link: ServiceLink,
    up: mpsc::UnboundedSender<Parcel>,
    joined: Option<Joined>,
    replaced: CancellationToken,
}

impl Attendance {
    async fn run(
        &mut self,
        stream: TcpStream,
        mut inbox: mpsc::UnboundedReceiver<Parcel>,
    ) -> (String, Leaving) {
        let lost = |why: &str| (why.to_owned(), Leaving::Lost);
        let (mut reader, mut writer) = stream.into_split();
        let mut buffer = vec![0; READ_BYTES];
        let desk = self.desk.clone();
        loop {
            let replaced = self.replaced.clone();
            let mut over = None;
            let mut parcels = Vec::new();
            tokio::select! {
                () = replaced.cancelled() => return lost("a newer connection took its place"),
                () = tokio::time::sleep(LOOK) => {
                    if !self.link.is_alive(desk.shared.now()) {
                        return lost("silent for too long");
                    }
                }
                read = async { desk.router.out.wait().await; reader.read(&mut buffer).await } => match read {
                    Ok(0) => return lost("it closed the connection"),
                    Ok(n) => over = self.receive(buffer.get(..n).unwrap_or_default()).await,
                    Err(error) => return lost(&error.to_string()),
                },
                _ = inbox.recv_many(&mut parcels, PARCELS) => {}
            }
            for parcel in &parcels {
                self.link.send(parcel.envelope.clone());
            }
            let output = self.link.take_output();
            if let Err(error) = writer.write_all(&output).await {
                return lost(&error.to_string());
            }
            if let Some(over) = over {
                return over;
            }
        }
    }

    /// Reads; says why it is over, if it is.
    async fn receive(&mut self, bytes: &[u8]) -> Option<(String, Leaving)> {
        for event in self.link.receive(bytes, self.desk.shared.now()) {
            match event {
                LinkEvent::Joined(service) => {
                    if let Err(why) = self.join(service).await {
                        return Some((why, Leaving::Lost));
                    }
                }
                LinkEvent::Out(envelope) => {
                    if let Some(joined) = &self.joined {
                        self.desk.router.publish_out(joined.service, envelope);
                    }
                }
                LinkEvent::Over { why, leaving } => return Some((why, leaving)),
            }
        }
        None
    }

    async fn join(&mut self, service: ServiceName) -> Result<(), String> {
        let desk = self.desk.clone();
        let generation = desk.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let former = desk
            .present
            .lock()
            .insert(service, (generation, self.replaced.clone()));
        if let Some((_, former)) = former {
            former.cancel();
            desk.shared
                .with_door(|door, _| door.link_down(service, Leaving::Lost));
        }
        let (router, shared, up) = (desk.router.clone(), desk.shared.clone(), self.up.clone());
        let linked = tokio::task::spawn_blocking(move || router.link(service, generation, up, &shared)).await;
        let router_link = linked.map_err(|e| e.to_string())??;
        self.joined = Some(Joined {
            service,
            generation,
            _router_link: router_link,
        });
        self.link.listening();
        info!(%service, "the service is there");
        desk.shared.with_door(|door, now| door.link_up(service, now));
        Ok(())
    }

    fn leave(self, why: &str, leaving: Leaving) {
        let Some(Joined {
            service, generation, ..
        }) = &self.joined
        else {
            warn!(why, "a connection to the services' listener came to nothing");
            return;
        };
        let mut present = self.desk.present.lock();
        if present
            .get(service)
            .is_some_and(|(newest, _)| newest == generation)
        {
            present.remove(service);
            drop(present);
            match leaving {
                Leaving::Goodbye => info!(%service, "the service has left"),
                Leaving::Lost => warn!(%service, why, "the service is gone"),
            }
            self.desk
                .shared
                .with_door(|door, _| door.link_down(*service, leaving));
        }
    }
}
