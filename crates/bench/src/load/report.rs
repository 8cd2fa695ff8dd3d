//! The request that is measured: a hundred bytes of JSON in which something is new each time, since a
//! report without news writes nothing.

use contract::{Id, Kind, Principal, Root, ServiceName};

use crate::wire::mqtt::Template;

/// Bytes of a report.
pub(crate) const PAYLOAD_BYTES: usize = 100;
const HEAD: &str = "{\"attributes\":{\"sequence\":\"";

/// The publish of a device's report.
pub(crate) fn template(device: &Id) -> Template {
    let who = Principal::new(Kind::Device, device.clone());
    let topic = Root::default().up(&who, ServiceName::Registry, "report");
    Template::new(&topic, payload().as_bytes(), HEAD.len())
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
    fn it_has_a_hundred_bytes_and_is_a_report() {
        assert_eq!(payload().len(), PAYLOAD_BYTES);
        let report: Report = wire::decode(payload().as_bytes(), "").unwrap();
        assert_eq!(report.attributes["sequence"], "0000000000");
    }
}
