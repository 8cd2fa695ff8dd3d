//! What other services know of devices: connectivity and open alerts (monitoring), certificates (provisioning); and how
//! their configuration drifts, which changes as often. It is kept in a record beside the device's, with the groups that the device is in because of it, so that a fleet that
//! comes and goes leaves the devices' own records alone. Whoever reads a device reads both as one.

use contract::v1::{CertificateFact, Device, DeviceLive, LiveCertificate, StatusFact};

use crate::state::{self, fold};

/// Certificates that are kept of a device; those that end last.
const CERTIFICATES_MAX: usize = 16;

/// The key of what is known of a device.
pub(crate) fn key(device: &str) -> String {
    format!("{}{}", state::LIVE, fold(device))
}

/// A device with what others know of it.
pub(crate) fn whole(mut device: Device, live: Option<DeviceLive>) -> Device {
    for group in live.iter().flat_map(|live| &live.groups) {
        if let Err(place) = device.groups.binary_search(group) {
            device.groups.insert(place, group.clone());
        }
    }
    device.live = live;
    device
}

/// The two records of a device. A group stays where it stood; one that is new stands where `is_live` says.
pub(crate) fn parts(
    before: Option<&Device>,
    device: &Device,
    is_live: impl Fn(&str) -> bool,
) -> (Device, Option<DeviceLive>) {
    let beside = |group: &String| {
        let former = before.filter(|before| before.groups.contains(group));
        former.map_or_else(|| is_live(group), |before| groups(before).contains(group))
    };
    let mut record = device.clone();
    let mut live = record.live.take().unwrap_or_default();
    (live.groups, record.groups) = record.groups.into_iter().partition(beside);
    (record, (live != DeviceLive::default()).then_some(live))
}

/// The groups that a device is in by what others know of it.
pub(crate) fn groups(device: &Device) -> &[String] {
    device.live.as_ref().map_or(&[], |live| &live.groups)
}

/// Monitoring tells something new; the default is that it watches the device no longer.
pub(crate) fn hear_status(live: &mut DeviceLive, told: StatusFact) {
    live.connectivity = told.connectivity;
    live.last_seen_ms = told.last_seen_ms;
    live.alerts = told.alerts;
    live.refused = told.refused;
}

/// A certificate can be used, or no longer.
pub(crate) fn hear_certificate(live: &mut DeviceLive, serial: &str, usable: Option<&CertificateFact>) {
    live.certificates.retain(|known| known.serial != serial);
    if let Some(certificate) = usable {
        live.certificates.push(LiveCertificate {
            serial: serial.to_owned(),
            not_after_ms: certificate.not_after_ms,
        });
    }
    if live.certificates.len() > CERTIFICATES_MAX {
        live.certificates.sort_by_key(|known| -known.not_after_ms);
        live.certificates.truncate(CERTIFICATES_MAX);
    }
    live.certificates.sort_by(|a, b| a.serial.cmp(&b.serial));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(groups: &[&str], beside: &[&str]) -> Device {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let live = DeviceLive {
            groups: texts(beside),
            ..DeviceLive::default()
        };
        Device {
            groups: texts(groups),
            live: (!beside.is_empty()).then_some(live),
            ..Device::default()
        }
    }

    #[test]
    fn a_device_falls_into_its_two_records_and_is_whole_again() {
        let before = device(&["a", "away", "moved"], &["away"]);
        let after = device(&["a", "alarmed", "away", "b", "moved"], &["away"]);
        // `moved` got a query about others' knowledge since, and stays where it is.
        let is_live = |group: &str| ["alarmed", "away", "moved"].contains(&group);
        let (record, live) = parts(Some(&before), &after, is_live);
        assert_eq!(record.groups, ["a", "b", "moved"]);
        assert_eq!(live.as_ref().unwrap().groups, ["alarmed", "away"]);
        assert_eq!(whole(record, live).groups, after.groups);
        let (record, live) = parts(Some(&before), &device(&["a"], &["away"]), is_live);
        assert_eq!((record.groups.len(), live), (1, None));
    }

    #[test]
    fn the_certificates_that_end_last_are_kept() {
        let mut live = DeviceLive::default();
        for n in 0..20 {
            let certificate = CertificateFact {
                not_after_ms: n,
                ..CertificateFact::default()
            };
            hear_certificate(&mut live, &format!("{n:02}"), Some(&certificate));
        }
        assert_eq!(live.certificates.len(), CERTIFICATES_MAX);
        assert_eq!(live.certificates[0].serial, "04");
        hear_certificate(&mut live, "04", None);
        assert_eq!(live.certificates[0].serial, "05");
    }
}
