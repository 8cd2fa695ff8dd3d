//! `register-many`: the good rows are applied, the others come back, each with its reason.

use contract::v1::{RegisterDevices, RegisterRefusal, RegisteredDevices, Rejection};
use contract::{Refusal, limits::ID_CHARS};
use service::{Fault, Outcome};

use super::{Situation, register};
use crate::{policy, roster::Roster};

/// The answer is kept in one record of the store (64 KiB): what its refusals may take as JSON.
const ANSWER_BYTES: usize = 62_000;
/// The JSON of a refusal with nothing but the longest id and the longest code.
const BARE_BYTES: usize = 118;

pub(super) fn decide(s: &Situation<'_>, m: RegisterDevices) -> Result<Outcome, Fault> {
    policy::rows("devices", m.devices.len())?;
    let (mut outcome, mut roster) = (Outcome::default(), Roster::default());
    let (mut registered, mut refused) = (0, Vec::new());
    for (n, row) in m.devices.into_iter().enumerate() {
        let named = printable(&row.device_id);
        let examined = register::examine(s, &s.view.over(&outcome.changes), &mut roster, row);
        let enlisted = examined.and_then(|recruit| Ok(register::enlist(&mut outcome, &mut roster, recruit)?));
        match enlisted {
            Ok(_) => registered += 1,
            Err(Fault::Refused(refusal)) => refused.push(refusal_of_row(n, named, refusal)),
            Err(fault) => return Err(fault),
        }
    }
    roster.settle(&mut outcome);
    shorten(&mut refused);
    outcome.answer(RegisteredDevices {
        registered,
        refused,
        ..RegisteredDevices::default()
    });
    Ok(outcome)
}

fn refusal_of_row(n: usize, device_id: String, refusal: Refusal) -> RegisterRefusal {
    let field = format!("devices[{n}].{}", refusal.field);
    RegisterRefusal {
        device_id,
        rejection: Some(refusal.at(field).to_message("")),
    }
}

/// The id as it was given, as far as it can be printed.
fn printable(id: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    id.chars()
        .take(ID_CHARS)
        .map(|c| if plain(c) { c } else { '?' })
        .collect()
}

/// Leaves the last refusals their codes only when all sentences together do not fit an answer.
fn shorten(refused: &mut [RegisterRefusal]) {
    let mut spare = ANSWER_BYTES.saturating_sub(refused.len() * BARE_BYTES);
    for refusal in refused {
        let bytes = serde_json::to_vec(refusal).map_or(usize::MAX, |json| json.len() + 1);
        match spare.checked_sub(bytes.saturating_sub(BARE_BYTES)) {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::Code;

    #[test]
    fn the_worst_answer_fits_a_record() {
        let worst = |n| {
            refusal_of_row(
                n,
                "x".repeat(64),
                Refusal::new(Code::Precondition, "y".repeat(500)),
            )
        };
        let mut refused: Vec<_> = (0..policy::ROWS_MAX).map(worst).collect();
        shorten(&mut refused);
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
        };
        assert!(serde_json::to_vec(&answer).unwrap().len() < 63_000);
    }

    #[test]
    fn ids_come_back_printable_and_short() {
        assert_eq!(printable("a\"b\u{1b}é"), "a?b??");
        assert_eq!(printable(&"x".repeat(1000)).len(), ID_CHARS);
    }
}
