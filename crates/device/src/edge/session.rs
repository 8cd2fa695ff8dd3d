//! While the device is connected: it says what it is, asks what is expected of it, and does it.

use std::time::Duration;

use client::{AskError, Client, Delivery, Identity, Inbox, Trouble};
use contract::{
    Code, Leaf, Topic,
    id::ServiceName,
    v1::{ConfigChange, RenewOrder, Standing},
    wire,
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    body::{Body, told_whole},
    commanding::{After, Commander},
    configuring::Configurer,
    connecting::has_ended,
    errand::{self, Errand, Errands, Failed, Heard},
    renewing::{self, Renewal, Renewer},
    retiring,
    retries::Retries,
    work::{Tools, Worked},
};
use crate::{
    error::Error,
    event::Event,
    platform::Platform,
    update::{progress, task},
};

/// Shortest pause between two looks at the clock, and before what the server takes back is asked for again.
pub(super) const AGAIN: Duration = Duration::from_secs(5);
/// How long a heartbeat may wait for room among what is to be sent.
const TELL: Duration = Duration::from_secs(1);

/// The longest time that a server may have renewals spread over.
const LONGEST_SPREAD: Duration = Duration::from_secs(3_600);

/// Why a session is over.
pub(crate) enum Leave {
    Shutdown,
    Retired,
    /// A command asks for another process.
    Restart,
    /// A command wipes the device.
    Wiped,
    /// There is another certificate or another image to connect with.
    Again,
}

/// A connected device.
pub(crate) struct Session<'a, P> {
    pub(super) body: &'a mut Body<P>,
    client: Client,
    pub(super) identity: Identity,
    pub(super) errands: Errands,
    retries: Retries,
    /// Assignments in a row that the server took back before an image had come.
    pub(super) taken_back: u32,
    connections: watch::Receiver<u64>,
    trouble: watch::Receiver<Option<Trouble>>,
    pub(super) is_retiring: bool,
    /// The change of the configuration that is to be taken next.
    change: Option<ConfigChange>,
    /// It came while another one was worked on.
    change_waits: bool,
    /// The server told of a command while one was worked on.
    command_waits: bool,
    /// The server wants this certificate renewed before its time.
    is_to_renew: bool,
    /// It is to begin at a moment of its own choice within this time.
    renew_within: Duration,
}

impl<'a, P: Platform> Session<'a, P> {
    pub(crate) fn new(
        body: &'a mut Body<P>,
        client: Client,
        identity: &Identity,
    ) -> Result<Session<'a, P>, Error> {
        let is_retiring = retiring::is_ordered(&body.folder)?;
        let (mut connections, trouble) = (client.connections(), client.trouble());
        connections.mark_unchanged();
        Ok(Session {
            body,
            client,
            identity: identity.clone(),
            errands: Errands::default(),
            retries: Retries::default(),
            taken_back: 0,
            connections,
            trouble,
            is_retiring,
            change: None,
            change_waits: false,
            command_waits: false,
            is_to_renew: false,
            renew_within: Duration::ZERO,
        })
    }

    /// Runs until there is a reason to leave.
    pub(crate) async fn run(
        mut self,
        mut inbox: Inbox,
        shutdown: &CancellationToken,
    ) -> Result<Leave, Error> {
        self.greet();
        let mut beat = Instant::now();
        let mut look = Instant::now() + renewing::pause(&self.identity, self.body.now_ms());
        let left = loop {
            let left = tokio::select! {
            biased;
                () = shutdown.cancelled() => Some(Leave::Shutdown),
                heard = self.errands.next() => {
                    let left = self.hear(heard).await?;
                    // A configuration may have made it more frequent.
                    beat = beat.min(Instant::now() + self.body.heartbeat_every().mul_f64(1.1));
                    left
                }
                Some(delivery) = inbox.recv() => self.receive(&delivery).await?,
                Ok(()) = self.connections.changed() => {
                    self.body.tell(Event::Connected { serial: self.identity.serial.clone() });
                    self.greet();
                    None
                }
                Ok(()) = self.trouble.changed() => self.lose()?,
                () = tokio::time::sleep_until(beat) => {
                    beat = Instant::now() + self.body.about(self.body.heartbeat_every());
                    let heartbeat = self.body.heartbeat();
                    // The next one says the same; whoever cannot take it must not hold up the rest.
                    let told = self.client.tell(ServiceName::Monitoring, "heartbeat", &heartbeat);
                    let _ = tokio::time::timeout(TELL, told).await;
                    None
                }
                said = self.body.platform.data(), if !self.is_retiring => {
                    // Whoever cannot take it must not hold up the rest.
                    let _ = tokio::time::timeout(TELL, self.client.say(said.into())).await;
                    None
                }
                () = tokio::time::sleep_until(look) => {
                    look = Instant::now() + renewing::pause(&self.identity, self.body.now_ms()).max(AGAIN);
                    self.renew_if_due(Duration::ZERO);
                    None
                }
            };
            if let Some(left) = left {
                break left;
            }
        };
        self.client.disconnect().await;
        Ok(left)
    }

    /// What a device says and asks after each connect.
    fn greet(&mut self) {
        if self.is_retiring {
            return self.send(Errand::Erased, Duration::ZERO);
        }
        // What was begun over the former connection does not know what has changed since.
        self.change_waits |= self.errands.is_under_way(Errand::Config);
        self.command_waits |= self.errands.is_under_way(Errand::Command);
        for errand in [
            Errand::Report,
            Errand::Standing,
            Errand::Assignment,
            Errand::Config,
            Errand::Command,
            Errand::Work,
        ] {
            self.send(errand, Duration::ZERO);
        }
    }

    pub(super) fn send(&mut self, errand: Errand, pause: Duration) {
        let client = self.client.clone();
        match errand {
            Errand::Report => {
                let report = self.body.report();
                self.errands.send(errand, pause, errand::report(client, report));
            }
            Errand::Standing => self.errands.send(errand, pause, errand::standing(client)),
            Errand::Assignment => self.errands.send(errand, pause, errand::assignment(client)),
            Errand::Config => {
                let configurer = Configurer::of(self.body, &client);
                let change = self.change.take();
                let done = async move { Heard::Configured(configurer.configure(change).await) };
                self.errands.send(errand, pause, done);
            }
            Errand::Command => {
                let commander = Commander::of(self.body, &client);
                let done = async move { Heard::Commanded(commander.obey().await) };
                self.errands.send(errand, pause, done);
            }
            Errand::Work => {
                if let Some(task) = task(&self.body.journal) {
                    let teller = self.errands.teller();
                    let tools = Tools::of(self.body, &client, self.identity.not_before_ms, teller);
                    self.errands.send(errand, pause, tools.work(task));
                }
            }
            Errand::Renew => {
                let renewer = Renewer::of(self.body, &client);
                let renewed = async move { Heard::Renewed(renewer.renew().await) };
                self.errands.send(errand, pause, renewed);
            }
            Errand::Erased => {
                let names = self.body.keys.names().unwrap_or_default();
                self.errands.send(errand, pause, errand::erased(client, names));
            }
        }
    }

    /// What was asked or said before may be out of date by now.
    pub(super) fn send_afresh(&mut self, errand: Errand) {
        self.errands.call_back(errand);
        self.send(errand, Duration::ZERO);
    }

    async fn hear(&mut self, heard: Heard) -> Result<Option<Leave>, Error> {
        if let Some(errand) = heard.good_of() {
            self.retries.went_well(errand);
        }
        match heard {
            Heard::Reported(Ok(())) => self.body.tell(Event::Reported),
            Heard::Reported(Err(error)) => self.again(Errand::Report, &error),
            Heard::Standing(Ok(standing)) => self.stand(&standing),
            Heard::Standing(Err(error)) => self.again(Errand::Standing, &error),
            Heard::Assignment(Ok(assignment)) => return self.assigned(&assignment).await,
            Heard::Assignment(Err(error)) => self.again(Errand::Assignment, &error),
            Heard::Configured(done) => self.configured(done),
            Heard::Commanded(done) => return Ok(self.commanded(done)),
            Heard::Worked(Worked::Input(input)) => return self.apply(input).await,
            Heard::Worked(Worked::Later(why)) => self.later(Errand::Work, why),
            Heard::Renewed(renewal) => return self.renewed(renewal),
            Heard::Erased(Ok(())) => return Ok(Some(Leave::Retired)),
            Heard::Erased(Err(AskError::Refused(refusal))) if refusal.code == Code::NotAllowed => {
                self.body.problem(format!("the receipt is refused: {refusal}"));
                retiring::withdraw(&self.body.folder)?;
                self.is_retiring = false;
                self.send(Errand::Standing, self.body.about(AGAIN));
                self.send(Errand::Work, self.body.about(AGAIN));
            }
            Heard::Erased(Err(error)) => self.again(Errand::Erased, &error),
            Heard::Broken(errand) => self.later(errand, format!("{errand:?} panicked")),
            Heard::Fetching(job, percent) => {
                if let Some(event) = progress(&self.body.journal, &job, percent) {
                    self.body.tell(event);
                }
            }
        }
        Ok(None)
    }

    fn again(&mut self, errand: Errand, error: &AskError) {
        self.body.problem(error.to_string());
        let pause = self.retries.pause_after(errand, error, self.body.chance());
        self.send(errand, pause);
    }

    pub(super) fn later(&mut self, errand: Errand, why: String) {
        self.body.problem(why);
        let pause = self.retries.pause(errand, self.body.chance());
        self.send(errand, pause);
    }

    async fn receive(&mut self, delivery: &Delivery) -> Result<Option<Leave>, Error> {
        let Some(Topic::Down {
            service,
            name,
            leaf: Leaf::Push,
            ..
        }) = self.client.root().parse_topic(&delivery.topic)
        else {
            return Ok(None);
        };
        match (service, name.as_str()) {
            (ServiceName::Registry, "retire") => self.retire(),
            (ServiceName::Registry, "config") => match wire::decode(&delivery.payload, "") {
                Ok(change) => self.reconfigure(change),
                Err(refusal) => self.body.problem(refusal.to_string()),
            },
            (ServiceName::Registry, "command") => self.look_for_command(),
            (ServiceName::Provisioning, "renew") => match wire::decode(&delivery.payload, "") {
                Ok(order) => self.renew_as_ordered(&order),
                Err(refusal) => self.body.problem(refusal.to_string()),
            },
            (ServiceName::Rollout, "assignment") => match wire::decode(&delivery.payload, "") {
                Ok(assignment) => return self.pushed(&assignment).await,
                Err(refusal) => self.body.problem(refusal.to_string()),
            },
            _ => {}
        }
        Ok(None)
    }

    /// A change that comes while another one is worked on waits; of several the last one does, and what it then does not
    /// fit is asked for.
    fn reconfigure(&mut self, change: ConfigChange) {
        if self.is_retiring {
            return;
        }
        self.change = Some(change);
        if self.errands.is_under_way(Errand::Config) {
            self.change_waits = true;
        } else {
            self.send(Errand::Config, Duration::ZERO);
        }
    }

    fn configured(&mut self, done: Result<(), Failed>) {
        match done {
            Ok(()) => {}
            Err(Failed::Ask(error)) => return self.again(Errand::Config, &error),
            Err(Failed::Other(why)) => return self.later(Errand::Config, why),
        }
        if std::mem::take(&mut self.change_waits) {
            self.send(Errand::Config, Duration::ZERO);
        }
    }

    /// A command that comes while another one is worked on waits.
    fn look_for_command(&mut self) {
        if self.is_retiring {
            return;
        }
        if self.errands.is_under_way(Errand::Command) {
            self.command_waits = true;
        } else {
            self.send(Errand::Command, Duration::ZERO);
        }
    }

    fn commanded(&mut self, done: Result<After, Failed>) -> Option<Leave> {
        match done {
            Ok(After::Restart) => return Some(Leave::Restart),
            Ok(After::Wipe) => return Some(Leave::Wiped),
            Ok(After::Rest) if std::mem::take(&mut self.command_waits) => {
                self.send(Errand::Command, Duration::ZERO);
            }
            Ok(After::Rest) => {}
            Err(Failed::Ask(error)) => self.again(Errand::Command, &error),
            Err(Failed::Other(why)) => self.later(Errand::Command, why),
        }
        // What waited for it.
        self.renew_if_due(self.spread());
        None
    }

    fn stand(&mut self, standing: &Standing) {
        if standing.retire {
            self.retire();
        }
    }

    /// A full disk may not take the order; it is carried out all the same, and the server tells it again.
    fn retire(&mut self) {
        if self.is_retiring {
            return;
        }
        if let Err(error) = retiring::order(&self.body.folder) {
            self.body.problem(told_whole(&error));
        }
        self.is_retiring = true;
        self.body.tell(Event::RetireOrdered);
        self.errands.call_back(Errand::Work);
        self.errands.call_back(Errand::Renew);
        self.errands.call_back(Errand::Config);
        self.errands.call_back(Errand::Command);
        self.send(Errand::Erased, Duration::ZERO);
    }

    /// An order about another certificate is an old one, or was taken back. Many get theirs at once: each begins at a
    /// moment of its own.
    fn renew_as_ordered(&mut self, order: &RenewOrder) {
        self.is_to_renew = order.serial == self.identity.serial;
        self.renew_within = Duration::from_millis(order.within_ms).min(LONGEST_SPREAD);
        self.renew_if_due(self.spread());
    }

    fn spread(&self) -> Duration {
        self.renew_within.mul_f64(self.body.chance())
    }

    /// The next certificate needs another session, and a command must not be cut off for it: it is waited for.
    fn renew_if_due(&mut self, pause: Duration) {
        if self.errands.is_under_way(Errand::Command) {
            return;
        }
        let is_left_over = matches!(self.body.keys.next(), Ok(Some(_)));
        if !self.is_retiring
            && (is_left_over || self.is_to_renew || renewing::is_due(&self.identity, self.body.now_ms()))
        {
            self.send(Errand::Renew, pause);
        }
    }

    fn renewed(&mut self, renewal: Renewal) -> Result<Option<Leave>, Error> {
        match renewal {
            Renewal::Done(identity) => {
                self.body.tell(Event::Renewed {
                    serial: identity.serial,
                    not_after_ms: identity.not_after_ms,
                });
                Ok(Some(Leave::Again))
            }
            Renewal::Later(why, pause) | Renewal::Useless(why, pause) | Renewal::Unfit(why, pause) => {
                self.body.problem(why);
                self.renew_if_due(self.body.about(pause));
                Ok(None)
            }
            Renewal::Files(error) => {
                self.body.problem(told_whole(&error));
                let pause = self.retries.pause(Errand::Renew, self.body.chance());
                self.renew_if_due(pause);
                Ok(None)
            }
        }
    }

    fn lose(&mut self) -> Result<Option<Leave>, Error> {
        let Some(Trouble { why, cause }) = self.trouble.borrow_and_update().clone() else {
            return Ok(None);
        };
        if cause == client::Cause::Refused && self.is_retiring {
            return Ok(Some(Leave::Retired));
        }
        self.body.tell(Event::Disconnected { why });
        // Another certificate may be let in: the next, or a first one.
        let is_over = cause == client::Cause::Refused && matches!(self.body.keys.next(), Ok(Some(_)));
        Ok((is_over || has_ended(&self.identity, self.body.now_ms())).then_some(Leave::Again))
    }
}
