//! `muster broker clients` and `client`

use anyhow::Result;
use contract::{
    Id,
    id::{Kind, ServiceName},
    v1::{ClientSession, ClientShown, ClientsListed, ListClients, ShowClient},
};

use super::super::{Global, list::Limit, print, words};

#[derive(clap::Args)]
pub(crate) struct Clients {
    /// Of this kind
    #[arg(long, value_parser = words::connecting())]
    kind: Option<Kind>,
    /// Whose id begins so
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    prefix: String,
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(crate) struct Client {
    /// The principal
    id: Id,
    /// What sort of principal it is
    #[arg(long, default_value = "device", value_parser = words::connecting())]
    kind: Kind,
}

impl Clients {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let kind = self.kind.map(Kind::word).unwrap_or_default();
        let listed = self.limit.collect(
            global,
            (ServiceName::FrontDoor, "clients"),
            |page| ListClients {
                kind: kind.into(),
                id_prefix: self.prefix.clone(),
                page_size: page.size,
                page: page.token,
                ..ListClients::default()
            },
            |reply: ClientsListed| (reply.sessions, reply.next_page),
        )?;
        let headings = [
            "kind",
            "client",
            "state",
            "since",
            "address",
            "queued",
            "in flight",
            "filters",
            "listener",
            "protocol",
            "tls",
        ];
        listed.print(global, &headings, row)
    }
}

impl Client {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = ShowClient {
            kind: self.kind.word().into(),
            id: self.id.to_string(),
            ..ShowClient::default()
        };
        let shown: ClientShown = global.ask(ServiceName::FrontDoor, "client", &request)?;
        if global.json {
            return print::json(&shown);
        }
        for (n, session) in shown.sessions.iter().enumerate() {
            if n > 0 {
                print::line("")?;
            }
            print_session(session)?;
        }
        Ok(())
    }
}

/// A manufacturer's certificate, in a word.
fn factory(session: &ClientSession) -> String {
    let Some(shown) = &session.factory else {
        return String::new();
    };
    let names = [&shown.serial_number, &shown.common_name];
    let name = names.into_iter().find(|name| !name.is_empty());
    let name = name.map(String::as_str).unwrap_or_default();
    format!("{name} of {}, SHA-256 {}", shown.manufacturer, shown.fingerprint)
}

fn row(session: &ClientSession) -> Vec<String> {
    vec![
        session.kind.clone(),
        session.client_id.clone(),
        session.state.clone(),
        print::time(session.since_ms),
        session.address.clone(),
        session.queued.to_string(),
        session.in_flight.to_string(),
        session.subscriptions.to_string(),
        session.listener.clone(),
        session.protocol.clone(),
        session.tls.clone(),
    ]
}

fn print_session(session: &ClientSession) -> Result<()> {
    let keep_alive = match session.keep_alive_s {
        0 => String::new(),
        seconds => format!("{seconds} s"),
    };
    print::fields(&[
        ("client", session.client_id.clone()),
        ("principal", format!("{}/{}", session.kind, session.id)),
        ("state", session.state.clone()),
        ("since", print::time(session.since_ms)),
        ("kept until", print::time(session.until_ms)),
        ("address", session.address.clone()),
        ("listener", session.listener.clone()),
        ("protocol", session.protocol.clone()),
        ("keep-alive", keep_alive),
        ("tls", session.tls.clone()),
        ("certificate", session.serial.clone()),
        ("factory certificate", factory(session)),
        ("token", session.token.clone()),
        ("queued", session.queued.to_string()),
        ("in flight", session.in_flight.to_string()),
        ("held", session.held.to_string()),
    ])?;
    let filters = session
        .filters
        .iter()
        .map(|filter| vec![filter.filter.clone(), filter.qos.to_string()]);
    print::table(&["filter", "qos"], filters.collect())
}
