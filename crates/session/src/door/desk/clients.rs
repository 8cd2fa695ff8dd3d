//! Who is here: a page of sessions, and one principal's.
//!
//! A page is found by the order of names, from where the page before ended: it costs what it returns, however
//! large the fleet.

use std::ops::Bound;

use contract::{
    Code, Refusal,
    id::{Id, Kind, Principal},
    v1::{ClientFilter, ClientSession, ClientShown, ClientsListed, ListClients, ShowClient},
};
use service::{Now, page};

use super::{KINDS, kind, principal, refusal};
use crate::{
    directory::Session,
    door::{Door, kept::KeptSession},
    peer::{Caller, Credential},
    subscriptions::Subscriptions,
};

/// The first of all ids.
const FIRST: &str = "0";

/// Where a session stands in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    who: Principal,
    session: u64,
}

/// Which sessions are wanted.
struct Wanted<'a> {
    kind: Option<Kind>,
    id_prefix: &'a str,
}

impl Door {
    pub(super) fn list_clients(&self, asked: &ListClients, now: Now) -> Result<ClientsListed, Refusal> {
        let wanted = Wanted {
            kind: kind(&asked.kind)?,
            id_prefix: &asked.id_prefix,
        };
        let first = match wanted.id_prefix {
            "" => FIRST,
            prefix => prefix,
        };
        let first = first
            .parse::<Id>()
            .map_err(|_| Refusal::invalid("id_prefix", "no id begins so"))?;
        let page = page::fill("", &asked.page, asked.page_size, |after, limit| {
            let after = after.map(Place::of_key).transpose()?;
            let places = self.places(&wanted, &first, after.as_ref(), limit);
            let row = |place: Place| (place.key(), self.session_at(&place, now));
            Ok(places.into_iter().map(row).collect())
        })
        .map_err(refusal)?;
        Ok(ClientsListed {
            sessions: page.rows,
            next_page: page.next,
            ..ClientsListed::default()
        })
    }

    pub(super) fn show_client(&self, asked: &ShowClient, now: Now) -> Result<ClientShown, Refusal> {
        let who = principal(&asked.kind, &asked.id)?;
        let mut sessions = Vec::new();
        for session in self.numbers(&who) {
            let place = Place {
                who: who.clone(),
                session,
            };
            let Some(mut shown) = self.session_at(&place, now) else {
                continue;
            };
            shown.filters = self.subscriptions_at(session).map(filters).unwrap_or_default();
            sessions.push(shown);
        }
        if sessions.is_empty() {
            let text = format!(
                "{who} is not connected, and nothing is kept of it; `muster why connect` says what it needs"
            );
            return Err(Refusal::new(Code::NotFound, text).at("id"));
        }
        Ok(ClientShown {
            sessions,
            ..ClientShown::default()
        })
    }

    /// The next so many sessions after a place.
    fn places(&self, wanted: &Wanted<'_>, first: &Id, after: Option<&Place>, limit: usize) -> Vec<Place> {
        let mut places = Vec::new();
        for kind in KINDS
            .into_iter()
            .filter(|kind| wanted.kind.is_none_or(|k| k == *kind))
        {
            let mut from = Bound::Included(Principal::new(kind, first.clone()));
            if let (Some(after), Bound::Included(start)) = (after, &from)
                && after.who >= *start
            {
                from = Bound::Included(after.who.clone());
            }
            while let Some(who) = self.next_principal(from.as_ref()) {
                if who.kind != kind || !who.id.as_str().starts_with(wanted.id_prefix) {
                    break;
                }
                for session in self.numbers(who) {
                    if after.is_some_and(|a| a.who == *who && session <= a.session) {
                        continue;
                    }
                    if places.len() == limit {
                        return places;
                    }
                    let who = who.clone();
                    places.push(Place { who, session });
                }
                from = Bound::Excluded(who.clone());
            }
        }
        places
    }

    fn next_principal(&self, from: Bound<&Principal>) -> Option<&Principal> {
        let (connected, kept) = (
            self.directory.next_principal(from),
            self.kept.next_principal(from),
        );
        connected.into_iter().chain(kept).min()
    }

    /// The numbers of a principal's sessions, in order.
    pub(super) fn numbers(&self, who: &Principal) -> Vec<u64> {
        let mut numbers = [self.directory.of(who), self.kept.of(who)].concat();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// A session that has parted from its connection counts as kept, though the connection may not be closed.
    fn session_at(&self, place: &Place, now: Now) -> Option<ClientSession> {
        let shown = match self.kept.get(place.session) {
            Some(kept) => show_kept(kept, now),
            None => show(self.directory.get(place.session)?),
        };
        Some(ClientSession {
            kind: place.who.kind.word().into(),
            id: place.who.id.to_string(),
            session: place.session,
            ..shown
        })
    }

    fn subscriptions_at(&self, session: u64) -> Option<&Subscriptions> {
        match self.kept.get(session) {
            Some(kept) => Some(&kept.subscriptions),
            None => Some(&self.directory.get(session)?.subscriptions),
        }
    }
}

impl Place {
    fn key(&self) -> Vec<u8> {
        let name = format!("{}\0", self.who);
        [name.as_bytes(), &self.session.to_be_bytes()].concat()
    }

    /// Of a page's token, whoever made it.
    fn of_key(key: &[u8]) -> Result<Place, Refusal> {
        let read = || {
            let at = key.iter().position(|byte| *byte == 0)?;
            let who = std::str::from_utf8(key.get(..at)?).ok()?.parse().ok()?;
            let session = u64::from_be_bytes(key.get(at + 1..)?.try_into().ok()?);
            Some(Place { who, session })
        };
        let message = "`page` is the `next_page` of the page before, or empty";
        read().ok_or_else(|| Refusal::invalid("page", message))
    }
}

fn protocol(v5: bool) -> String {
    if v5 { "mqtt-5" } else { "mqtt-3.1.1" }.into()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn show(session: &Session) -> ClientSession {
    let (queued, in_flight, held) = session.backlog.get();
    let state = match (session.leaving, session.waits) {
        (true, _) => "leaving",
        (false, true) => "waiting",
        (false, false) => "connected",
    };
    ClientSession {
        client_id: session.client_id.clone(),
        state: state.into(),
        since_ms: session.since_ms,
        address: session.address.clone(),
        listener: session.transport.listener.word().into(),
        protocol: protocol(session.v5),
        keep_alive_s: u32::from(session.keep_alive_s),
        tls: session.transport.tls.unwrap_or_default().into(),
        serial: session.caller.serial().to_owned(),
        token: token(&session.caller),
        factory: session.caller.factory().cloned(),
        subscriptions: count(session.subscriptions.len()),
        queued,
        in_flight,
        held,
        ..ClientSession::default()
    }
}

fn show_kept(kept: &KeptSession, now: Now) -> ClientSession {
    let left = kept.until_ms.saturating_sub(now.mono_ms);
    ClientSession {
        client_id: kept.client_id.clone(),
        state: "kept".into(),
        since_ms: kept.since_ms,
        protocol: protocol(kept.v5),
        serial: kept.caller.serial().to_owned(),
        token: token(&kept.caller),
        subscriptions: count(kept.subscriptions.len()),
        queued: count(kept.remains.queue.len()),
        in_flight: count(kept.remains.flight.len()),
        held: count(kept.remains.acks.waiting()),
        until_ms: now.wall_ms.saturating_add_unsigned(left),
        ..ClientSession::default()
    }
}

fn token(caller: &Caller) -> String {
    match &caller.credential {
        Credential::Token { id, .. } => id.clone(),
        Credential::Password { .. } => "password".into(),
        _ => String::new(),
    }
}

fn filters(subscriptions: &Subscriptions) -> Vec<ClientFilter> {
    let filter = |(filter, qos)| ClientFilter { filter, qos };
    subscriptions.list().map(filter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_from_its_key_and_nonsense_is_refused() {
        let place = Place {
            who: "operators/ada".parse().unwrap(),
            session: u64::MAX - 7,
        };
        assert_eq!(Place::of_key(&place.key()), Ok(place));
        for bad in [
            &b""[..],
            b"\0",
            b"devices/a",
            b"devices/a\0",
            b"devices/a\x0012345678x",
            b"devices/a b\x0012345678",
            b"\xff/a\x0012345678",
        ] {
            assert_eq!(Place::of_key(bad).unwrap_err().field, "page", "{bad:?}");
        }
    }
}
