//! The policy in Mosquitto's words (mosquitto.conf(5), `acl_file`).
//!
//! Mosquitto names a client by its certificate's common name (`use_identity_as_username`), which is the id. The
//! kind is in the certificate too, and Mosquitto does not look at it: so devices have patterns, everybody else a
//! block of their own, and whoever may do nothing a `deny`, which Mosquitto takes before anything else.

use std::fmt::Write;

use contract::{
    Root,
    filter::Filter,
    grant::{Extent, Rights},
    id::{Kind, ServiceName},
    v1::Person,
    verb::{Promise, VERBS, Verb},
};
use session::Limits;

use super::roll::{Reach, Roll, reach};

/// The file of access rules.
pub(super) fn acl(root: &Root, roll: &Roll) -> String {
    let mut acl =
        String::from("# Who may do what, written by `muster policy export mosquitto`. Do not edit.\n\n");
    acl.push_str("# Any device, by its certificate's common name\n");
    for verb in verbs(Kind::Device) {
        let _ = writeln!(
            acl,
            "pattern write {root}/{}/%u/up/{}/{}",
            Kind::Device,
            verb.service,
            verb.name
        );
    }
    let _ = writeln!(acl, "pattern read {root}/{}/%u/down/#", Kind::Device);
    for device in &roll.devices {
        restricted(&mut acl, root, &device.device_id, reach(device));
    }
    for claim in &roll.claims {
        let _ = writeln!(
            acl,
            "\n# A claim has no place on another broker\nuser {}\ntopic deny #",
            claim.batch
        );
    }
    for one in &roll.people {
        person(&mut acl, root, one);
    }
    acl
}

/// The verbs that a kind of principal could use at all. On another broker nobody answers for the front door, but
/// what devices say to whoever listens needs no answer.
fn verbs(kind: Kind) -> impl Iterator<Item = &'static Verb> {
    let answered = |verb: &&Verb| verb.service != ServiceName::FrontDoor || verb.promise == Promise::Delivery;
    VERBS
        .iter()
        .filter(answered)
        .filter(move |verb| verb.open_to(kind))
}

fn restricted(acl: &mut String, root: &Root, id: &str, reach: Reach) {
    match reach {
        Reach::All => {}
        Reach::None => {
            let _ = writeln!(acl, "\nuser {id}\ntopic deny #");
        }
        Reach::Repair => {
            let _ = writeln!(acl, "\n# In quarantine\nuser {id}");
            for verb in verbs(Kind::Device).filter(|verb| !verb.repair) {
                let topic = format!("{root}/{}/{id}/up/{}/{}", Kind::Device, verb.service, verb.name);
                let _ = writeln!(acl, "topic deny {topic}");
            }
        }
    }
}

fn person(acl: &mut String, root: &Root, person: &Person) {
    let id = &person.id;
    let Some(kind) = Kind::from_word(&person.kind).filter(|_| !person.disabled) else {
        let _ = writeln!(acl, "\n# Disabled\nuser {id}\ntopic deny #");
        return;
    };
    let _ = writeln!(acl, "\nuser {id}");
    // Nothing that the patterns give to a device of this name.
    let _ = writeln!(acl, "topic deny {root}/{}/#", Kind::Device);
    let rights = Rights::of(person.role(), &person.grants);
    for verb in verbs(kind).filter(|verb| may(kind, &rights, verb)) {
        let _ = writeln!(
            acl,
            "topic write {root}/{kind}/{id}/up/{}/{}",
            verb.service, verb.name
        );
    }
    let _ = writeln!(acl, "topic read {root}/{kind}/{id}/down/#");
    for grant in grants(kind, &rights, person, root) {
        let _ = writeln!(acl, "topic read {grant}");
    }
}

/// The services look at what a request is about.
fn may(kind: Kind, rights: &Rights, verb: &Verb) -> bool {
    kind != Kind::Operator || rights.demand(verb).is_ok()
}

/// Whole filters: an operator's by what he may follow, anybody else's by what is written down.
fn grants(kind: Kind, rights: &Rights, person: &Person, root: &Root) -> Vec<Filter> {
    let everything = [String::from("+")];
    let (events, devices) = match kind {
        Kind::Operator if followed(rights).iter().any(|all| all == "#") => {
            (followed(rights), &everything[..])
        }
        Kind::Operator => (followed(rights), &[][..]),
        _ => (person.event_filters.clone(), &person.data_devices[..]),
    };
    let events = events.iter().filter_map(|filter| root.event_grant(filter));
    let data = devices.iter().filter_map(|device| root.data_grant(device));
    events.chain(data).collect()
}

/// An operator's event filters. Another broker does not know the groups of devices, so whoever sees some groups
/// only follows nothing there; `replay` still brings what they may see.
fn followed(rights: &Rights) -> Vec<String> {
    let seen = |service: &ServiceName| rights.events_of(*service) == Extent::Everything;
    if ServiceName::KEEPERS.iter().all(seen) {
        return vec!["#".to_owned()];
    }
    let seen = ServiceName::KEEPERS.into_iter().filter(seen);
    seen.map(|service| format!("{service}/#")).collect()
}

/// Where the exported files lie, and what the broker shows and listens on.
pub(super) struct Listener<'a> {
    pub(super) address: &'a str,
    pub(super) folder: &'a str,
    pub(super) certificate: &'a str,
    pub(super) key: &'a str,
}

/// The broker's configuration. A client's id is its name, as its user name is: whoever could choose it would end the
/// sessions of others.
pub(super) fn configuration(listener: &Listener<'_>, limits: &Limits) -> String {
    let Listener {
        address,
        folder,
        certificate,
        key,
    } = listener;
    let Limits {
        connections,
        packet_bytes,
        receive_maximum,
        queue,
        queue_bytes,
        session_expiry_s,
        keep_alive_s,
        ..
    } = limits;
    format!(
        "# Written by `muster policy export mosquitto`. Do not edit.\n\
         per_listener_settings false\n\
         allow_anonymous false\n\
         acl_file {folder}/muster.acl\n\
         # Nothing of Muster's is retained on another broker\n\
         retain_available false\n\
         max_packet_size {packet_bytes}\n\
         max_inflight_messages {receive_maximum}\n\
         max_queued_messages {queue}\n\
         max_queued_bytes {queue_bytes}\n\
         max_keepalive {keep_alive_s}\n\
         persistent_client_expiration {hours}h\n\
         set_tcp_nodelay true\n\
         \n\
         listener {address}\n\
         max_connections {connections}\n\
         cafile {folder}/roots.pem\n\
         crlfile {folder}/crl.pem\n\
         certfile {certificate}\n\
         keyfile {key}\n\
         require_certificate true\n\
         use_identity_as_username true\n\
         # Whoever could choose a client id would end the sessions of others\n\
         use_username_as_clientid true\n",
        hours = session_expiry_s.div_ceil(3_600).max(1)
    )
}

#[cfg(test)]
mod tests {
    use contract::v1::{Claim, Device, Restriction, Role, Stage};

    use super::*;

    fn roll() -> Roll {
        let device = |id: &str, restriction: Restriction| Device {
            device_id: id.into(),
            stage: Stage::Active.into(),
            restriction: restriction.into(),
            ..Device::default()
        };
        let person = |kind: Kind, id: &str, role: Role, disabled| Person {
            kind: kind.word().into(),
            id: id.into(),
            role: role.into(),
            event_filters: vec!["registry/#".into()],
            disabled,
            ..Person::default()
        };
        Roll {
            people: vec![
                person(Kind::Operator, "ada", Role::Viewer, false),
                person(Kind::Integrator, "erp", Role::Unspecified, false),
                person(Kind::Operator, "bob", Role::Admin, true),
            ],
            claims: vec![Claim {
                batch: "lot".into(),
                ..Claim::default()
            }],
            devices: vec![
                device("pump-1", Restriction::None),
                device("pump-2", Restriction::Quarantined),
                device("pump-3", Restriction::Suspended),
            ],
            authorities: Default::default(),
        }
    }

    /// The lines of one user.
    fn block<'a>(acl: &'a str, user: &str) -> Vec<&'a str> {
        let lines = acl.lines().skip_while(|line| *line != format!("user {user}"));
        lines.skip(1).take_while(|line| !line.is_empty()).collect()
    }

    #[test]
    fn each_has_what_the_verb_table_gives_and_no_more() {
        let acl = acl(&Root::default(), &roll());
        assert!(acl.contains("pattern write muster/v1/devices/%u/up/registry/report\n"));
        assert!(!acl.contains("pattern write muster/v1/devices/%u/up/registry/register\n"));
        assert_eq!(block(&acl, "pump-1"), Vec::<&str>::new());
        assert_eq!(block(&acl, "pump-3"), ["topic deny #"]);
        assert_eq!(block(&acl, "bob"), ["topic deny #"]);
        assert_eq!(block(&acl, "lot"), ["topic deny #"]);
        let viewer = block(&acl, "ada");
        assert!(viewer.contains(&"topic write muster/v1/operators/ada/up/registry/show"));
        assert!(!viewer.contains(&"topic write muster/v1/operators/ada/up/registry/register"));
        assert!(viewer.contains(&"topic read muster/v1/events/#"));
        for role in Role::ALL {
            let mut roll = self::roll();
            roll.people[0].set_role(role);
            let acl = super::acl(&Root::default(), &roll);
            let ada = block(&acl, "ada");
            for verb in verbs(Kind::Operator) {
                let line = format!(
                    "topic write muster/v1/operators/ada/up/{}/{}",
                    verb.service, verb.name
                );
                assert_eq!(ada.contains(&line.as_str()), verb.allows(role), "{line} {role:?}");
            }
        }
        let mut roll = self::roll();
        roll.people[0].role = 0;
        roll.people[0].grants = vec![contract::v1::Grant {
            role: Role::Operator.into(),
            groups: vec!["berlin".into()],
            ..Default::default()
        }];
        let scoped = super::acl(&Root::default(), &roll);
        let scoped = block(&scoped, "ada");
        assert!(scoped.contains(&"topic write muster/v1/operators/ada/up/registry/suspend"));
        assert!(!scoped.contains(&"topic write muster/v1/operators/ada/up/registry/put-group"));
        assert!(!scoped.iter().any(|line| line.contains("/events/")), "{scoped:?}");
        let integrator = block(&acl, "erp");
        assert!(integrator.contains(&"topic read muster/v1/events/registry/#"));
        assert!(!integrator.iter().any(|line| line.contains("events/#")));
    }

    #[test]
    fn quarantine_leaves_what_repairs() {
        let acl = acl(&Root::default(), &roll());
        let denied = block(&acl, "pump-2");
        for verb in verbs(Kind::Device) {
            let line = format!(
                "topic deny muster/v1/devices/pump-2/up/{}/{}",
                verb.service, verb.name
            );
            assert_eq!(denied.contains(&line.as_str()), !verb.repair, "{}", verb.name);
        }
    }

    #[test]
    fn a_name_that_two_share_is_found() {
        let mut roll = roll();
        assert_eq!(roll.shared_names(), Vec::<String>::new());
        roll.claims[0].batch = "Pump-1".into();
        assert_eq!(roll.shared_names(), ["pump-1"]);
    }
}
