//! mosquitto's command-line clients, with somebody's certificate.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use serde_json::Value;
use world::World;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The versions of MQTT that are spoken, as `-V` names them.
pub(crate) const VERSIONS: [&str; 2] = ["mqttv311", "mqttv5"];

/// Somebody who has nothing but mosquitto's programs.
pub(crate) struct Mosquitto {
    /// `devices/pump-7`.
    who: String,
    identity: PathBuf,
    port: u16,
    version: &'static str,
}

/// What `mosquitto_pub` did.
#[derive(Debug)]
pub(crate) struct Published {
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// What it wrote, debug lines included.
    pub(crate) said: String,
}

impl Published {
    /// Whether a PUBACK came, and without a failure in it.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.code == Some(0) && self.said.contains("received PUBACK") && !self.said.contains("failed")
    }
}

impl Mosquitto {
    /// Somebody, with the certificate, key and roots in a folder.
    pub(crate) fn new(world: &World, who: &str, identity: &Path, version: &'static str) -> Mosquitto {
        Mosquitto {
            who: who.to_owned(),
            identity: identity.to_owned(),
            port: world.endpoint().port,
            version,
        }
    }

    /// The same at another broker.
    pub(crate) fn at(self, port: u16) -> Mosquitto {
        Mosquitto { port, ..self }
    }

    /// A topic below its own `up/`.
    pub(crate) fn up(&self, verb: &str) -> String {
        format!("muster/v1/{}/up/{verb}", self.who)
    }

    /// A topic or a filter below its own `down/`.
    pub(crate) fn down(&self, rest: &str) -> String {
        format!("muster/v1/{}/down/{rest}", self.who)
    }

    fn id(&self) -> &str {
        self.who.split('/').nth(1).unwrap()
    }

    /// A program with everything that it needs to connect. Line by line, so that it can be followed.
    fn command(&self, program: &str, client_id: &str) -> Command {
        let mut command = Command::new("stdbuf");
        command.args(["-oL", program, "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command.args(["-V", self.version, "-q", "1", "-d", "-i", client_id]);
        for (option, file) in [
            ("--cafile", "roots.pem"),
            ("--cert", "certificate.pem"),
            ("--key", "key.pem"),
        ] {
            command.arg(option).arg(self.identity.join(file));
        }
        command
    }

    /// Publishes at QoS 1 and waits for the acknowledgement.
    pub(crate) fn publish(&self, topic: &str, payload: &str) -> Published {
        self.publish_with(topic, payload, &[])
    }

    /// The same with further options, MQTT 5 properties for example.
    pub(crate) fn publish_with(&self, topic: &str, payload: &str, options: &[&str]) -> Published {
        let mut command = self.command("mosquitto_pub", &format!("{}:pub", self.id()));
        self.publish_by(command.args(["-t", topic, "-m", payload]).args(options))
    }

    /// Publishes at QoS 2; whether the flow came to its end.
    pub(crate) fn publishes_once(&self, topic: &str, payload: &str) -> bool {
        let published = self.publish_with(topic, payload, &["-q", "2"]);
        let all = ["received PUBREC", "sending PUBREL", "received PUBCOMP"];
        published.code == Some(0) && all.iter().all(|step| published.said.contains(step))
    }

    /// Subscribes at QoS 2 and leaves; the session is kept.
    pub(crate) fn leaves_a_session(&self, client_id: &str, filter: &str) -> bool {
        let mut command = self.command("mosquitto_sub", client_id);
        command.args(["-c", "-q", "2", "-E", "-t", filter]);
        within(self.expiring(&mut command), PATIENCE).0 == Some(0)
    }

    /// Comes back to it; the payloads of so many messages, and whether each was complete.
    pub(crate) fn comes_back(&self, client_id: &str, filter: &str, messages: usize) -> (Vec<Value>, bool) {
        let mut command = self.command("mosquitto_sub", client_id);
        command.args(["-c", "-q", "2", "-t", filter, "-W", "30", "-F", "> %t %p"]);
        command.args(["-C", &messages.to_string()]);
        let (_, said) = within(self.expiring(&mut command), PATIENCE);
        let payloads = said.lines().filter_map(message).map(|(_, payload)| payload);
        (payloads.collect(), said.contains("sending PUBCOMP"))
    }

    /// In MQTT 5 a session has to be asked for.
    fn expiring<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        match self.version {
            "mqttv5" => command.args(["-x", "60"]),
            _ => command,
        }
    }

    /// Publishes under its id alone, as a claim must.
    pub(crate) fn publish_as_itself(&self, topic: &str, payload: &str) -> Published {
        let mut command = self.command("mosquitto_pub", self.id());
        self.publish_by(command.args(["-t", topic, "-m", payload]))
    }

    fn publish_by(&self, command: &mut Command) -> Published {
        command.stdin(Stdio::null());
        let output = within(command, PATIENCE);
        Published {
            code: output.0,
            said: output.1,
        }
    }

    /// Tries what it may not; whether it is told so: by the PUBACK's reason, or in MQTT 3.1.1 by a message.
    pub(crate) fn is_denied(&self, topic: &str, payload: &str) -> bool {
        if self.version == "mqttv5" {
            return self.publish(topic, payload).said.contains("Not authorized");
        }
        let reply = self.down("front-door/publish/rejected");
        let told = self.request(&format!("{}:ask", self.id()), topic, &reply, payload);
        told.is_some_and(|told| told["code"] == "denied" && told["topic"] == topic)
    }

    /// Asks by `mosquitto_rr`; the reply, when one comes.
    pub(crate) fn request(&self, client_id: &str, topic: &str, reply: &str, payload: &str) -> Option<Value> {
        let mut command = self.command("mosquitto_rr", client_id);
        command.args(["-W", "30", "-F", "> %t %p"]);
        let (_, said) = within(command.args(["-t", topic, "-e", reply, "-m", payload]), PATIENCE);
        said.lines().find_map(message).map(|(_, payload)| payload)
    }

    /// Subscribes, and returns when the SUBACK has come.
    pub(crate) fn listen(&self, filters: &[&str]) -> Listener {
        let client_id = format!("{}:sub", self.id());
        let listener = Listener::start(self, &client_id, filters);
        listener.until("Subscribed (mid", |line| line.contains("Subscribed (mid"));
        listener
    }

    /// Subscribes to what it may not; what the program says when it gives up.
    pub(crate) fn is_refused(&self, client_id: &str, filter: &str) -> bool {
        let mut command = self.command("mosquitto_sub", client_id);
        let (_, said) = within(command.args(["-t", filter, "-W", "50"]), PATIENCE);
        said.contains("All subscription requests were denied") || said.contains("Subscribed (mid: 1): 135")
    }
}

/// A running `mosquitto_sub`.
pub(crate) struct Listener {
    child: Child,
    lines: Receiver<String>,
}

impl Listener {
    fn start(who: &Mosquitto, client_id: &str, filters: &[&str]) -> Listener {
        let mut command = who.command("mosquitto_sub", client_id);
        command.args(["-F", "> %t %p"]);
        for filter in filters {
            command.args(["-t", filter]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, lines) = channel();
        let pipes: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for pipe in pipes {
            let tell = tell.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    let _ = tell.send(line);
                }
            });
        }
        Listener { child, lines }
    }

    /// The first line from now on that fits.
    fn until(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        let mut heard = String::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if fits(&line) => return line,
                Ok(line) => heard = heard + &line + "\n",
                Err(RecvTimeoutError::Timeout) => panic!("no {what} in time, but:\n{heard}"),
                Err(RecvTimeoutError::Disconnected) => panic!("no {what}, it ended:\n{heard}"),
            }
        }
    }

    /// The topics of all messages up to the one whose topic ends like this.
    pub(crate) fn topics_until(&self, topic_end: &str) -> Vec<String> {
        let mut topics = Vec::new();
        while !topics
            .last()
            .is_some_and(|topic: &String| topic.ends_with(topic_end))
        {
            let line = self.until(topic_end, |line| message(line).is_some());
            topics.extend(message(&line).map(|(topic, _)| topic));
        }
        topics
    }

    /// The next message whose topic ends like this.
    pub(crate) fn next(&self, topic_end: &str) -> Value {
        let fits = |line: &str| message(line).is_some_and(|(topic, _)| topic.ends_with(topic_end));
        message(&self.until(topic_end, fits)).unwrap().1
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A message in a line, between debug lines.
fn message(line: &str) -> Option<(String, Value)> {
    let (topic, payload) = line.strip_prefix("> ")?.split_once(' ')?;
    Some((topic.to_owned(), serde_json::from_str(payload).ok()?))
}

/// Runs a program to its end, or to the end of patience; its exit code and all that it wrote.
fn within(command: &mut Command, patience: Duration) -> (Option<i32>, String) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        let _ = out.read_to_string(&mut said);
        let _ = err.read_to_string(&mut said);
        said
    });
    let end = Instant::now() + patience;
    let code = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status.code(),
            None if Instant::now() > end => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    (code, reader.join().unwrap())
}
