//! The listener for services, on loopback, and a task for each of their connections.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use contract::id::ServiceName;
use parking_lot::Mutex;
use session::{Leaving, Limits, LinkEvent, ServiceLink};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    FrontDoorConfig, FrontDoorError, Shared,
    entrance::{Entrance, Guest, Refusals},
    router::{Parcel, Router, ServiceRouterLink},
};

/// How often a silent connection is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Connections that have joined, and such as have not: a service has one, and one that it replaces.
const PLACES: (usize, usize) = (16, 64);
/// How long one may be silent when others wait for its place, milliseconds: all are on this machine.
const SILENT_MS: u64 = 500;
/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Envelopes written in one go.
const PARCELS: usize = 8;
/// Bytes read in one go: what goes beyond the router's budget.
pub(crate) const READ_BYTES: usize = 32 * 1024;

/// Opens the listener. It needs no facts: it trusts whoever knows the secret.
pub(crate) async fn listen(
    config: &FrontDoorConfig,
    shared: Arc<Shared>,
    router: Arc<Router>,
) -> Result<SocketAddr, FrontDoorError> {
    let address = config.services;
    let refuse = |e: std::io::Error| FrontDoorError::Listen {
        setting: "services",
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
        let entrance = Entrance::new(&Limits {
            connections: PLACES.0,
            handshakes: PLACES.1,
            silent_ms: SILENT_MS,
            // There are four, and nothing works without them.
            accepts_per_second: 0,
            ..Limits::default()
        });
        let mut refusals = Refusals::of("services");
        loop {
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    refusals.sit_out(&error, &entrance).await;
                    continue;
                }
            };
            refusals.over();
            if let Some(guest) = entrance.enter(address.ip()).await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(self.clone().attend(stream, guest));
            }
        }
    }

    /// A service's newest connection; the one before it ends, and the lane is down until this one listens.
    /// Who is present and whether the lane is up change together, in this order of locks.
    fn enter(&self, service: ServiceName, generation: u64, replaced: CancellationToken) {
        let mut present = self.present.lock();
        if let Some((_, former)) = present.insert(service, (generation, replaced)) {
            former.cancel();
            self.shared
                .with_door(|door, _| door.link_down(service, Leaving::Lost));
        }
    }

    /// The lane is up, if this is still the newest connection.
    fn link_up(&self, service: ServiceName, generation: u64, router_link: &ServiceRouterLink) -> bool {
        let present = self.present.lock();
        let newest = present
            .get(&service)
            .is_some_and(|(newest, _)| *newest == generation);
        if newest {
            self.shared
                .with_door(|door, now| router_link.begin(door.link_up(service, now)));
        }
        newest
    }

    /// The lane is down, if this was the newest connection.
    fn link_down(&self, service: ServiceName, generation: u64, leaving: Leaving) -> bool {
        let mut present = self.present.lock();
        let newest = present
            .get(&service)
            .is_some_and(|(newest, _)| *newest == generation);
        if newest {
            present.remove(&service);
            self.shared.with_door(|door, _| door.link_down(service, leaving));
        }
        newest
    }

    async fn attend(self: Arc<Desk>, stream: TcpStream, guest: Guest) {
        let link = ServiceLink::new(self.shared.root.clone(), self.secret.clone(), self.shared.now());
        let (up, inbox) = mpsc::unbounded_channel();
        let mut attendance = Attendance {
            desk: self,
            link,
            up,
            joined: None,
            replaced: CancellationToken::new(),
            guest,
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
    guest: Guest,
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
        let (mut out, mut carried, mut parcels) = (BytesMut::new(), Vec::new(), Vec::new());
        let mut look = tokio::time::interval(LOOK);
        let desk = self.desk.clone();
        loop {
            let mut over = None;
            // Writing is one of several: a service that does not read is still noticed, and still heard.
            tokio::select! {
                () = self.replaced.cancelled() => return lost("a newer connection took its place"),
                () = self.guest.dismissed() => return lost("others wait, and it did not say who it is"),
                _ = look.tick() => {
                    if !self.link.is_alive(desk.shared.now()) {
                        return lost("silent for too long");
                    }
                }
                written = writer.write_buf(&mut out), if !out.is_empty() => match written {
                    // The router's budget is free again when the bytes have left.
                    Ok(_) if out.is_empty() => carried.clear(),
                    Ok(_) => {}
                    Err(error) => return lost(&error.to_string()),
                },
                read = async { desk.router.out.wait().await; reader.read(&mut buffer).await } => match read {
                    Ok(0) => return lost("it closed the connection"),
                    Ok(n) => over = self.receive(buffer.get(..n).unwrap_or_default()).await,
                    Err(error) => return lost(&error.to_string()),
                },
                _ = inbox.recv_many(&mut parcels, PARCELS), if out.is_empty() => {
                    for parcel in &parcels {
                        self.link.send(parcel.envelope.clone());
                    }
                    carried.append(&mut parcels);
                }
            }
            out.extend_from_slice(&self.link.take_output());
            if let Some(over) = over {
                let _ = tokio::time::timeout(LAST_WORDS, writer.write_all_buf(&mut out)).await;
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
        self.guest.admitted();
        let desk = self.desk.clone();
        let generation = desk.generation.fetch_add(1, Ordering::Relaxed) + 1;
        desk.enter(service, generation, self.replaced.clone());
        let (router, shared, up) = (desk.router.clone(), desk.shared.clone(), self.up.clone());
        let linked = tokio::task::spawn_blocking(move || router.link(service, generation, up, &shared)).await;
        let router_link = linked.map_err(|e| e.to_string())??;
        self.link.listening();
        if !desk.link_up(service, generation, &router_link) {
            return Err("a newer connection took its place".into());
        }
        self.joined = Some(Joined {
            service,
            generation,
            _router_link: router_link,
        });
        info!(%service, "the service is there");
        Ok(())
    }

    fn leave(self, why: &str, leaving: Leaving) {
        let Some(Joined {
            service, generation, ..
        }) = &self.joined
        else {
            // Anybody on this machine may bring it about.
            if self
                .desk
                .shared
                .tells(why, "services", Ipv4Addr::LOCALHOST.into())
            {
                warn!(why, "a connection to the services' listener came to nothing");
            }
            return;
        };
        if self.desk.link_down(*service, *generation, leaving) {
            match leaving {
                Leaving::Goodbye => info!(%service, "the service has left"),
                Leaving::Lost => warn!(%service, why, "the service is gone"),
            }
        }
    }
}
