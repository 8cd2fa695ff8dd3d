//! `register-many`: the good rows are applied, the others come back, each with its reason.

use contract::v1::{RegisterDevice, RegisterDevices, RegisterRefusal, RegisteredDevices, Rejection};
use contract::{Refusal, limits::ID_CHARS};
use service::{Fault, Outcome};

use super::{
    Situation,
    act::Act,
    register::{self, Examined},
};
use crate::policy;

/// The answer is kept in one record of the store (64 KiB): what its refusals may take as JSON.
const ANSWER_BYTES: usize = 62_000;
/// What is told of one row beside its first fault.
const FURTHER_MAX: usize = 7;
/// The JSON of a refusal with nothing but the longest id and the longest code.
const BARE_BYTES: usize = 118;

pub(super) fn decide(s: &Situation<'_>, m: RegisterDevices) -> Result<Outcome, Fault> {
    policy::rows("devices", m.devices.len())?;
    let mut act = Act::new(s);
    let report = enlist_all(&mut act, m.devices)?;
    if m.dry_run {
        return Ok(Outcome::reply(report));
    }
    Ok(act.answer(report))
}

/// Registers the good rows.
pub(super) fn enlist_all(act: &mut Act<'_>, rows: Vec<RegisterDevice>) -> Result<RegisteredDevices, Fault> {
    let mut report = RegisteredDevices::default();
    let mut further = Vec::new();
    for (n, row) in rows.into_iter().enumerate() {
        let named = printable(&row.device_id);
        let refused = |refusal| refusal_of_row("devices", n, named.clone(), refusal);
        match enlist(act, row.clone()) {
            Ok(Enlisted::New) => report.registered += 1,
            Ok(Enlisted::Known) => report.unchanged += 1,
            Err(Fault::Refused(first)) => {
                let mut rest = register::faults(act, row)?;
                rest.retain(|fault| *fault != first);
                report.refused.push(refused(first));
                further.extend(rest.into_iter().take(FURTHER_MAX).map(refused));
            }
            Err(fault) => return Err(fault),
        }
    }
    let spare = shorten(&mut report.refused);
    report.refused.extend(fitting(further, spare));
    Ok(report)
}

enum Enlisted {
    New,
    Known,
}

fn enlist(act: &mut Act<'_>, row: RegisterDevice) -> Result<Enlisted, Fault> {
    match register::examine(act, row)? {
        Examined::New(recruit) => register::enlist(act, *recruit).map(|_| Enlisted::New),
        Examined::Known(_) => Ok(Enlisted::Known),
        Examined::Another(refusal) => Err(refusal.into()),
    }
}

/// The refusal of one row of a request.
pub(super) fn refusal_of_row(list: &str, n: usize, device_id: String, refusal: Refusal) -> RegisterRefusal {
    let field = format!("{list}[{n}].{}", refusal.field);
    RegisterRefusal {
        device_id,
        rejection: Some(refusal.at(field).to_message("")),
    }
}

/// The id as it was given, as far as it can be printed.
pub(super) fn printable(id: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    id.chars()
        .take(ID_CHARS)
        .map(|c| if plain(c) { c } else { '?' })
        .collect()
}

/// Leaves the last refusals their codes only when all sentences together do not fit an answer. What is to spare.
pub(super) fn shorten(refused: &mut [RegisterRefusal]) -> usize {
    let mut spare = ANSWER_BYTES.saturating_sub(refused.len() * BARE_BYTES);
    for refusal in refused.iter_mut() {
        match spare.checked_sub(bytes(refusal).saturating_sub(BARE_BYTES)) {
            Some(rest) => spare = rest,
            None => {
                let code = refusal.rejection.take().unwrap_or_default().code;
                refusal.rejection = Some(Rejection {
                    code,
                    ..Rejection::default()
                });
            }
        }
    }
    spare
}

/// As many as there is room for.
fn fitting(further: Vec<RegisterRefusal>, mut spare: usize) -> impl Iterator<Item = RegisterRefusal> {
    further.into_iter().map_while(move |refusal| {
        spare = spare.checked_sub(bytes(&refusal))?;
        Some(refusal)
    })
}

/// As JSON, with the comma.
fn bytes(refusal: &RegisterRefusal) -> usize {
    serde_json::to_vec(refusal).map_or(usize::MAX, |json| json.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::Code;

    #[test]
    fn the_worst_answer_fits_a_record() {
        let worst = |n| {
            refusal_of_row(
                "devices",
                n,
                "x".repeat(64),
                Refusal::new(Code::Precondition, "y".repeat(500)),
            )
        };
        let mut refused: Vec<_> = (0..policy::ROWS_MAX).map(worst).collect();
        let spare = shorten(&mut refused);
        refused.extend(fitting((0..policy::ROWS_MAX).map(worst).collect(), spare));
        let full = refused
            .iter()
            .filter(|r| !r.rejection.as_ref().unwrap().message.is_empty())
            .count();
        assert!(
            full > 0
                && refused
                    .iter()
                    .all(|r| r.rejection.as_ref().unwrap().code == "precondition")
        );
        let answer = RegisteredDevices {
            refused,
            request_id: "r".repeat(128),
            registered: 0,
            unchanged: 0,
        };
        assert!(serde_json::to_vec(&answer).unwrap().len() < 63_000);
    }

    #[test]
    fn ids_come_back_printable_and_short() {
        assert_eq!(printable("a\"b\u{1b}é"), "a?b??");
        assert_eq!(printable(&"x".repeat(1000)).len(), ID_CHARS);
    }
}
