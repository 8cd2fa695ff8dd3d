//! The request that is measured: a hundred bytes of JSON in which something is new each time, since a
//! report without news writes nothing.

use contract::{Id, Kind, Principal, Root, ServiceName};

use crate::wire::mqtt::Template;

/// Bytes of a report.
pub(crate) const PAYLOAD_BYTES: usize = 100;
const HEAD: &str = "{\"attributes\":{\"sequence\":\"";

/// What stands before the number, in a report and in the event that tells of it.
const BEFORE: &[u8] = b"\"sequence\":\"";

/// The publish of a device's report.
pub(crate) fn template(device: &Id) -> Template {
    template_at(1, device)
}

/// The same at a QoS, 0 or 1.
pub(crate) fn template_at(qos: u8, device: &Id) -> Template {
    let who = Principal::new(Kind::Device, device.clone());
    let topic = Root::default().up(&who, ServiceName::Registry, "report");
    let make = match qos {
        0 => Template::unacknowledged,
        _ => Template::new,
    };
    make(&topic, payload().as_bytes(), HEAD.len())
}

/// The number of the report that somebody hears of. An event has a sequence of its own, which has fewer digits.
pub(crate) fn number(heard: &[u8]) -> Option<u64> {
    let places = heard.windows(BEFORE.len()).enumerate();
    let mut places = places.filter(|(_, bytes)| *bytes == BEFORE);
    places.find_map(|(at, _)| {
        let digits = heard.get(at + BEFORE.len()..)?.get(..Template::DIGITS)?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    })
}

fn payload() -> String {
    let (zeros, middle, tail) = ("0".repeat(Template::DIGITS), "\",\"note\":\"", "\"}}");
    let pad = PAYLOAD_BYTES - HEAD.len() - zeros.len() - middle.len() - tail.len();
    format!("{HEAD}{zeros}{middle}{}{tail}", "x".repeat(pad))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{v1::Report, wire};

    #[test]
    fn its_number_is_found_where_it_is_heard() {
        let report = payload().replace(&"0".repeat(Template::DIGITS), "0000000017");
        let event = format!("{{\"sequence\":\"123456\",\"data\":{{\"reported\":{report}}}}}");
        assert_eq!(number(report.as_bytes()), Some(17));
        assert_eq!(number(event.as_bytes()), Some(17));
        assert_eq!(number(b"{\"sequence\":\"1\"}"), None);
    }

    #[test]
    fn it_has_a_hundred_bytes_and_is_a_report() {
        assert_eq!(payload().len(), PAYLOAD_BYTES);
        let report: Report = wire::decode(payload().as_bytes(), "").unwrap();
        assert_eq!(report.attributes["sequence"], "0000000000");
    }
}
