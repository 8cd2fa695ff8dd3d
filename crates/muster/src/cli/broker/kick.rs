//! `muster broker kick`

use anyhow::Result;
use contract::{
    Id,
    id::{Kind, ServiceName},
    v1::{ClientKicked, KickClient},
};

use super::super::{
    Global,
    confirm::{Confirm, Consent},
    print, words,
};

#[derive(clap::Args)]
pub(crate) struct Kick {
    /// The principal
    id: Id,
    /// What sort of principal it is
    #[arg(long, default_value = "device", value_parser = words::connecting())]
    kind: Kind,
    /// Only the session of this client id
    #[arg(long, default_value = "", hide_default_value = true, value_name = "CLIENT")]
    client: String,
    /// Why; the client is told, and it stands in the event
    #[arg(long)]
    reason: String,
    /// Keep nothing of its sessions: what waits for it is lost
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    confirm: Confirm,
}

impl Kick {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let Consent::Given = self.confirm.ask(global, &self.words())? else {
            return Ok(());
        };
        let request = KickClient {
            request_id: String::new(),
            kind: self.kind.word().into(),
            id: self.id.to_string(),
            client_id: self.client,
            reason: self.reason,
            forget: self.forget,
        };
        let kicked: ClientKicked = global.ask(ServiceName::FrontDoor, "kick", &request)?;
        if global.json {
            return print::json(&kicked);
        }
        print::line(said(&kicked, self.forget))
    }

    fn words(&self) -> String {
        let whose = match self.client.as_str() {
            "" => format!("the connections of {}/{}", self.kind, self.id),
            client => format!("the connection {client} of {}/{}", self.kind, self.id),
        };
        match self.forget {
            true => format!("close {whose}, and forget what is kept for it"),
            false => format!("close {whose}"),
        }
    }
}

fn said(kicked: &ClientKicked, forget: bool) -> String {
    let closed = match kicked.closed {
        0 => "no connection was open".to_owned(),
        1 => "1 connection is told to go".to_owned(),
        count => format!("{count} connections are told to go"),
    };
    match (forget, kicked.forgotten) {
        (false, _) => closed,
        (true, count) => format!("{closed}; {count} without one forgotten"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_is_not_said() {
        let kicked = |closed, forgotten| ClientKicked {
            request_id: String::new(),
            closed,
            forgotten,
        };
        assert_eq!(said(&kicked(0, 0), false), "no connection was open");
        assert_eq!(said(&kicked(1, 0), false), "1 connection is told to go");
        assert_eq!(
            said(&kicked(2, 1), true),
            "2 connections are told to go; 1 without one forgotten"
        );
    }
}
