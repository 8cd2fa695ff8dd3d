//! `muster why connect`

use anyhow::Result;
use contract::{
    Id, IdPattern, Root,
    id::{Kind, Principal},
    v1::{Certificate, Claim, Connectivity, LoginToken, Manufacturer, Restriction, Stage},
};
use host::clock::wall_ms;
use session::{Caller, Credential, Moment, Reach, Standing, standing};

use super::{
    super::{Global, print, words},
    answers::Answers,
};
use crate::exit::{Exit, Failure};

/// Claims named in a sentence.
const CLAIMS_NAMED: usize = 5;

#[derive(clap::Args)]
pub(in crate::cli) struct Connect {
    /// Who
    id: Id,
    /// What they are; of a claim the id is its batch
    #[arg(long, default_value = "device", value_parser = words::connecting())]
    kind: Kind,
}

/// What the front door would say.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// In, by this.
    May(Way, Standing),
    /// Out: why, and what to do where there is something.
    MayNot(String, Option<String>),
}

/// By what somebody comes in.
#[derive(Debug, Clone, PartialEq)]
enum Way {
    /// A certificate.
    Certificate(Box<Certificate>),
    /// A token, over WebSocket, where the server lets people log in.
    Token(LoginToken),
    /// A password, in the same place.
    Password(u64),
}

impl Connect {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let who = Principal::new(self.kind, self.id);
        let answers = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let answers = Answers::about(&client, &who).await;
            client.disconnect().await;
            answers
        })?;
        let moment = Moment {
            now_ms: wall_ms(),
            renew_after_ms: answers.renew_after_ms(),
        };
        let verdict = judge(&who, &answers, &global.root(), moment);
        if global.json {
            print::json(&document(&who, &verdict, &answers))?;
        } else if let Some(sentence) = sentence(&who, &verdict, &answers) {
            print::line(sentence)?;
        }
        match verdict {
            Verdict::May(..) => Ok(()),
            Verdict::MayNot(why, next) => {
                let next = next.map(|next| format!("; {next}")).unwrap_or_default();
                Err(Failure::new(Exit::Denied, format!("{who} may not connect: {why}{next}")).into())
            }
        }
    }
}

/// What stands against the party itself, for that stands against whatever it shows; else by the newest certificate that
/// opens, else by a token or a password, else what stands against the newest certificate.
fn judge(who: &Principal, answers: &Answers, root: &Root, moment: Moment) -> Verdict {
    if let Err(denial) = standing(&caller(who, Credential::Nothing), answers, root, moment) {
        return Verdict::MayNot(denial.0, remedy(who, answers));
    }
    let certificates = answers.certificates.iter().cloned();
    let tokens = answers.tokens.iter().cloned().map(Way::Token);
    let password = Some(answers.password()).filter(|password| *password != 0);
    let ways = certificates
        .map(|certificate| Way::Certificate(Box::new(certificate)))
        .chain(tokens)
        .chain(password.map(Way::Password));
    let mut first = None;
    for way in ways {
        let outcome = by(who, way, answers, root, moment);
        if matches!(outcome, Verdict::May(..)) {
            return outcome;
        }
        first.get_or_insert(outcome);
    }
    first.unwrap_or_else(|| {
        let next = factory_ways(answers).unwrap_or_else(|| way_in(who, answers));
        Verdict::MayNot("it has no certificate yet".to_owned(), Some(next))
    })
}

fn by(who: &Principal, way: Way, answers: &Answers, root: &Root, moment: Moment) -> Verdict {
    if let Way::Certificate(certificate) = &way
        && answers.has_lost_its_ca(certificate)
    {
        let why = format!(
            "its newest certificate is of the issuing CA {}, which is trusted no more",
            certificate.issuer
        );
        return Verdict::MayNot(why, Some(way_in(who, answers)));
    }
    let judged = standing(&caller(who, way.credential()), answers, root, moment);
    match (judged, &way) {
        (Ok(standing), _) => Verdict::May(way, standing),
        (Err(denial), Way::Certificate(certificate)) if certificate.not_after_ms < moment.now_ms => {
            let end = print::time(certificate.not_after_ms);
            let why = format!("its newest certificate ended on {end}: {}", denial.0);
            Verdict::MayNot(why, Some(way_in(who, answers)))
        }
        (Err(denial), _) => Verdict::MayNot(denial.0, remedy(who, answers)),
    }
}

fn caller(who: &Principal, credential: Credential) -> Caller {
    Caller {
        batch: (who.kind == Kind::Claim).then(|| who.id.clone()),
        ..Caller::new(who.clone(), credential)
    }
}

impl Way {
    fn credential(&self) -> Credential {
        match self {
            Way::Certificate(certificate) => Credential::Certificate {
                serial: certificate.serial.clone(),
                not_after_ms: certificate.not_after_ms,
            },
            Way::Token(token) => Credential::Token {
                id: token.token_id.clone(),
                not_after_ms: token.expires_ms,
            },
            Way::Password(password) => Credential::Password { password: *password },
        }
    }

    fn words(&self) -> String {
        match self {
            Way::Certificate(certificate) => format!("over {}", certificate.serial),
            Way::Token(token) => format!(
                "over WebSocket, where that is open to logins, with token {}",
                token.token_id
            ),
            Way::Password(_) => "over WebSocket, where that is open to logins, with a password".to_owned(),
        }
    }

    /// `None`: as long as it is not changed.
    fn until_ms(&self) -> Option<i64> {
        match self {
            Way::Certificate(certificate) => Some(certificate.not_after_ms),
            Way::Token(token) => Some(token.expires_ms),
            Way::Password(_) => None,
        }
    }
}

/// What the manufacturers' certificates are to a device without one of its own; `None`: nothing.
fn factory_ways(answers: &Answers) -> Option<String> {
    let device = answers.device.as_ref()?;
    let serial = &device.serial_number;
    let may = |one: &&Manufacturer| one.types.is_empty() || one.types.contains(&device.device_type);
    let way = |one: &Manufacturer| {
        let name = &one.name;
        if one.refuses(serial) {
            return format!(
                "{name}'s factory certificate of {serial} is refused: muster manufacturer refuse {name} {serial} --lift"
            );
        }
        let since = print::time(one.added_at_ms);
        let revoked = match one.revoked {
            0 => String::new(),
            revoked => format!(", unless it is one of the {revoked} that their lists revoke"),
        };
        format!("{name}'s factory certificate of {serial} opens it (trusted since {since}){revoked}")
    };
    let ways: Vec<_> = answers.manufacturers.iter().filter(may).map(way).collect();
    (!ways.is_empty()).then(|| ways.join("; "))
}

fn way_in(who: &Principal, answers: &Answers) -> String {
    match who.kind {
        Kind::Device => match &answers.claims {
            Some(claims) => by_claim(who, claims),
            None => "let it ask for one with a claim (`muster cert claims`, docs/provisioning.md)".to_owned(),
        },
        Kind::Claim => format!(
            "make another claim: muster cert claim NAME (this one was `{}`)",
            who.id
        ),
        kind => format!(
            "muster cert issue {} {}",
            kind.word().trim_end_matches('s'),
            who.id
        ),
    }
}

/// Which claims open a device's id; where none does, what the others open.
fn by_claim(who: &Principal, claims: &[Claim]) -> String {
    let opens = |claim: &&Claim| {
        let pattern = claim.id_pattern.parse::<IdPattern>();
        pattern.is_ok_and(|pattern| pattern.fits(who.id.as_str()))
    };
    let names =
        |claims: &mut dyn Iterator<Item = String>| claims.take(CLAIMS_NAMED).collect::<Vec<_>>().join(", ");
    let opening = names(
        &mut claims
            .iter()
            .filter(opens)
            .map(|claim| format!("`{}`", claim.batch)),
    );
    if !opening.is_empty() {
        return format!(
            "let it ask for one with a claim that opens its id: {opening} (docs/provisioning.md)"
        );
    }
    let others = names(
        &mut claims
            .iter()
            .map(|claim| format!("`{}` opens `{}`", claim.batch, claim.id_pattern)),
    );
    let others = match others.as_str() {
        "" => String::new(),
        others => format!(" ({others})"),
    };
    format!("no claim opens its id{others}: make one, muster cert claim NAME, and let it ask with that")
}

fn remedy(who: &Principal, answers: &Answers) -> Option<String> {
    let id = &who.id;
    if who.kind != Kind::Device {
        return answers.is_known_person_or_claim().then(|| way_in(who, answers));
    }
    let Some(device) = &answers.device else {
        return Some(format!(
            "muster device register {id}; or is it no device: --kind operator, integrator or claim"
        ));
    };
    match (device.stage(), device.restriction()) {
        (Stage::Planned, _) => Some(format!("muster device move {id} registered")),
        (Stage::Retired, _) => Some(format!(
            "if it is to come back: muster device readmit {id}, and then a claim for its next certificate"
        )),
        (_, Restriction::Suspended) => Some(format!(
            "{} suspended it ({}): muster device release {id}",
            device.changed_by, device.restriction_reason
        )),
        _ => Some(way_in(who, answers)),
    }
}

/// `None` where there is nothing to say beside why it may not.
fn sentence(who: &Principal, verdict: &Verdict, answers: &Answers) -> Option<String> {
    let seen = [presence(answers), refused(answers)].into_iter().flatten();
    let seen = seen.collect::<Vec<_>>().join("; ");
    let Verdict::May(way, standing) = verdict else {
        return (!seen.is_empty()).then(|| print::clean(&seen));
    };
    let within = match standing.reach {
        Reach::Everything => "",
        Reach::Repair => ", for what repairs it only: it is quarantined",
        Reach::Renewal => ", which has ended: to ask for its next certificate, and for nothing else",
    };
    let opens = match answers.ids.as_str() {
        "" => String::new(),
        pattern => format!(", for devices whose id is like `{pattern}`"),
    };
    let seen = match seen.as_str() {
        "" => String::new(),
        seen => format!("; {seen}"),
    };
    let until = way.until_ms().map(|end| format!(" until {}", print::time(end)));
    let until = until.unwrap_or_default();
    Some(print::clean(&format!(
        "{who} may connect {}{until}{within}{opens}{seen}",
        way.words()
    )))
}

/// The last time since it was let in that it was not.
fn refused(answers: &Answers) -> Option<String> {
    answers.refused.as_ref().map(words::refused)
}

/// Whether it is there, for a device that was ever seen.
fn presence(answers: &Answers) -> Option<String> {
    let status = answers.status.as_ref()?;
    let since = print::time(match status.connectivity() {
        // The end of its last session; that of the grace is later.
        Connectivity::Grace | Connectivity::Offline if status.last_seen_ms > 0 => status.last_seen_ms,
        _ => status.since_ms,
    });
    match status.connectivity() {
        Connectivity::Online => Some(format!("it is online since {since} from {}", status.address)),
        Connectivity::Grace | Connectivity::Offline => {
            Some(format!("it has been away since {since} ({})", status.cause))
        }
        Connectivity::Never => Some("it was never seen".into()),
        _ => None,
    }
}

fn document(who: &Principal, verdict: &Verdict, answers: &Answers) -> serde_json::Value {
    let (seen, refused) = (presence(answers), refused(answers));
    match verdict {
        Verdict::May(way, standing) => serde_json::json!({
            "who": who.to_string(), "may": true,
            "serial": match way { Way::Certificate(certificate) => &certificate.serial, _ => "" },
            "token": match way { Way::Token(token) => &token.token_id, _ => "" },
            "password": matches!(way, Way::Password(_)),
            "until_ms": way.until_ms().unwrap_or_default().to_string(), "repair_only": standing.reach == Reach::Repair,
            "renewal_only": standing.reach == Reach::Renewal, "seen": seen, "refused": refused,
        }),
        Verdict::MayNot(why, next) => serde_json::json!({
            "who": who.to_string(), "may": false, "why": why, "next": next, "seen": seen, "refused": refused,
        }),
    }
}

#[cfg(test)]
mod tests {
    use contract::v1::{self, CertificateStatus, Device};

    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const GRACE: u64 = 3_600_000;

    fn certificate(status: CertificateStatus, not_after_ms: i64) -> Certificate {
        Certificate {
            serial: "4f".into(),
            kind: "devices".into(),
            id: "pump-7".into(),
            status: status.into(),
            not_after_ms,
            ..Certificate::default()
        }
    }

    fn device(stage: Stage, restriction: Restriction) -> Device {
        Device {
            stage: stage.into(),
            restriction: restriction.into(),
            changed_by: "operators/ada".into(),
            restriction_reason: "odd traffic".into(),
            ..Device::default()
        }
    }

    #[test]
    fn it_says_what_the_front_door_would_and_what_to_do() {
        let active = || vec![certificate(CertificateStatus::Active, NOW + 1)];
        let moment = Moment {
            now_ms: NOW,
            renew_after_ms: GRACE,
        };
        let good = || Some(device(Stage::Active, Restriction::None));
        for (device, certificates, why, next) in [
            (good(), active(), "", ""),
            (None, active(), "no such device", "muster device register pump-7"),
            (None, vec![], "no such device", "muster device register pump-7"),
            (good(), vec![], "no certificate yet", "claim"),
            (
                good(),
                vec![certificate(CertificateStatus::Active, NOW - GRACE as i64)],
                "",
                "",
            ),
            (
                good(),
                vec![certificate(CertificateStatus::Active, NOW - GRACE as i64 - 1)],
                "ended on",
                "claim",
            ),
            (
                good(),
                vec![certificate(CertificateStatus::Revoked, NOW + 1)],
                "is revoked",
                "claim",
            ),
            (
                Some(device(Stage::Planned, Restriction::None)),
                active(),
                "planned only",
                "muster device move pump-7 registered",
            ),
            (
                Some(device(Stage::Active, Restriction::Suspended)),
                active(),
                "is suspended",
                "operators/ada suspended it (odd traffic): muster device release pump-7",
            ),
            (
                Some(device(Stage::Retired, Restriction::None)),
                vec![certificate(CertificateStatus::Revoked, NOW + 1)],
                "is retired",
                "muster device readmit pump-7",
            ),
        ] {
            let who = "devices/pump-7".parse().unwrap();
            let answers = Answers::of_device(device, certificates);
            match judge(&who, &answers, &Root::default(), moment) {
                Verdict::May(..) => assert_eq!(why, ""),
                Verdict::MayNot(said, advice) => {
                    assert!(!why.is_empty() && said.contains(why), "{said}");
                    let advice = advice.unwrap_or_default();
                    assert!(
                        advice.contains(next) && advice.is_empty() == next.is_empty(),
                        "{advice}"
                    );
                }
            }
        }
    }

    fn judged(who: &str, answers: &Answers) -> (bool, String) {
        let who = who.parse().unwrap();
        let moment = Moment {
            now_ms: NOW,
            renew_after_ms: answers.renew_after_ms(),
        };
        match judge(&who, answers, &Root::default(), moment) {
            verdict @ Verdict::May(..) => (true, sentence(&who, &verdict, answers).unwrap()),
            Verdict::MayNot(why, next) => (false, format!("{why}; {}", next.unwrap_or_default())),
        }
    }

    #[test]
    fn what_the_server_says_of_its_cas_and_of_late_renewals_counts_and_nothing_else() {
        let ended = Certificate {
            issuer: "4a000001".into(),
            ..certificate(CertificateStatus::Active, NOW - 1)
        };
        let good = || Some(device(Stage::Active, Restriction::None));
        for (trusted, renew_after_ms, may, part) in [
            ("4a000001", GRACE, true, "to ask for its next certificate"),
            ("4a000001", 0, false, "has expired"),
            (
                "4a000002",
                GRACE,
                false,
                "the issuing CA 4a000001, which is trusted no more",
            ),
        ] {
            let mut answers = Answers::of_device(good(), vec![ended.clone()]);
            answers.authorities = Some(v1::Authorities {
                authorities: vec![v1::IssuingAuthority {
                    id: trusted.into(),
                    ..v1::IssuingAuthority::default()
                }],
                renew_after_ms,
                ..v1::Authorities::default()
            });
            let (found, said) = judged("devices/pump-7", &answers);
            assert!(
                found == may && said.contains(part),
                "{trusted} {renew_after_ms}: {said}"
            );
        }
    }

    #[test]
    fn claims_that_open_a_device_are_named_and_where_none_does_what_they_open() {
        let claim = |batch: &str, id_pattern: &str| Claim {
            batch: batch.into(),
            id_pattern: id_pattern.into(),
            ..Claim::default()
        };
        let mut answers = Answers::of_device(Some(device(Stage::Active, Restriction::None)), vec![]);
        for (claims, part) in [
            (
                vec![claim("spring", "pump-*"), claim("autumn", "valve-*")],
                "opens its id: `spring` (",
            ),
            (
                vec![claim("autumn", "valve-*")],
                "no claim opens its id (`autumn` opens `valve-*`)",
            ),
            (vec![], "no claim opens its id: make one"),
        ] {
            answers.claims = Some(claims);
            let (may, said) = judged("devices/pump-7", &answers);
            assert!(!may && said.contains(part), "{said}");
        }
    }

    #[test]
    fn tries_that_were_refused_are_told_and_when_the_last_session_ended() {
        let active = vec![certificate(CertificateStatus::Active, NOW + 1)];
        let mut answers = Answers::of_device(Some(device(Stage::Active, Restriction::None)), active);
        answers.status = Some(v1::DeviceStatus {
            connectivity: Connectivity::Offline.into(),
            since_ms: NOW,
            last_seen_ms: NOW - 60_000,
            cause: "network".into(),
            ..v1::DeviceStatus::default()
        });
        answers.refused = Some(v1::RefusedTry {
            time_ms: NOW - 1_000,
            why: "your client id is `pump-7`".into(),
            address: "192.0.2.7:5".into(),
            count: 3,
            ..v1::RefusedTry::default()
        });
        let (may, said) = judged("devices/pump-7", &answers);
        let (left, tried) = (print::time(NOW - 60_000), print::time(NOW - 1_000));
        assert!(
            may && said.contains(&format!("away since {left} (network)")),
            "{said}"
        );
        let refused =
            format!("last refused on {tried} from 192.0.2.7:5: your client id is `pump-7` (3 times)");
        assert!(said.contains(&refused), "{said}");
    }

    #[test]
    fn a_device_without_a_certificate_is_told_whose_opens_it() {
        let who = "devices/pump-7".parse().unwrap();
        let moment = Moment {
            now_ms: NOW,
            renew_after_ms: GRACE,
        };
        let of_type = Device {
            serial_number: "SN-7".into(),
            device_type: "pump".into(),
            ..device(Stage::Registered, Restriction::None)
        };
        let maker = |name: &str, types: &[&str], refused: &[&str], revoked| Manufacturer {
            name: name.into(),
            types: types.iter().map(|one| (*one).into()).collect(),
            refused: refused.iter().map(|one| (*one).into()).collect(),
            revoked,
            added_at_ms: NOW,
            ..Manufacturer::default()
        };
        for (makers, said) in [
            (vec![], "with a claim"),
            (vec![maker("acme", &["valve"], &[], 0)], "with a claim"),
            (
                vec![maker("acme", &["pump"], &[], 0)],
                "acme's factory certificate of SN-7 opens it (trusted since 2027",
            ),
            (vec![maker("acme", &[], &[], 3)], "one of the 3"),
            (vec![maker("acme", &[], &["sn-7"], 0)], "refuse acme SN-7 --lift"),
        ] {
            let mut answers = Answers::of_device(Some(of_type.clone()), vec![]);
            answers.manufacturers = makers;
            match judge(&who, &answers, &Root::default(), moment) {
                Verdict::MayNot(_, next) => assert!(next.as_deref().unwrap().contains(said), "{next:?}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_person_without_a_certificate_comes_in_by_the_token_that_lasts_longest() {
        let who = "operators/ada".parse().unwrap();
        let moment = Moment {
            now_ms: NOW,
            renew_after_ms: GRACE,
        };
        let token = |id: &str, expires_ms| LoginToken {
            token_id: id.into(),
            expires_ms,
            ..LoginToken::default()
        };
        let tokens = vec![token("a", NOW + 1), token("b", NOW + 2), token("c", NOW - 1)];
        let answers = Answers::of_person(contract::v1::Role::Viewer, tokens);
        match judge(&who, &answers, &Root::default(), moment) {
            Verdict::May(Way::Token(token), _) => assert_eq!(token.token_id, "b"),
            other => panic!("{other:?}"),
        }
        let answers = Answers::of_person(contract::v1::Role::Viewer, vec![token("c", NOW - 1)]);
        match judge(&who, &answers, &Root::default(), moment) {
            Verdict::MayNot(why, _) => assert!(why.contains("the token has ended"), "{why}"),
            other => panic!("{other:?}"),
        }
        let answers = answers.with_password(7);
        match judge(&who, &answers, &Root::default(), moment) {
            Verdict::May(way, _) => assert_eq!(way, Way::Password(7)),
            other => panic!("{other:?}"),
        }
    }
}
