//! Devices' reports: what was sent, acknowledged, and took effect.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
struct OfDevice {
    /// When each was sent, and over which certificate.
    sends: BTreeMap<u64, Vec<(u64, String)>>,
    /// Which have taken effect.
    applied: BTreeSet<u64>,
    /// Which were refused: nobody waits for them.
    refused: BTreeSet<u64>,
    /// How often it was registered, and the last name that it got.
    registered: u32,
    renamed: u64,
}

/// All devices' reports.
#[derive(Default)]
pub(crate) struct Reports(BTreeMap<String, OfDevice>);

impl Reports {
    fn of(&mut self, device: &str) -> &mut OfDevice {
        self.0.entry(device.to_owned()).or_default()
    }

    pub(crate) fn sent(&mut self, device: &str, number: u64, serial: &str, at_ms: u64) {
        let sends = self.of(device).sends.entry(number).or_default();
        sends.push((at_ms, serial.to_owned()));
    }

    /// Its acknowledgement, should one come too, says nothing more.
    pub(crate) fn refused(&mut self, device: &str, number: u64) {
        self.of(device).refused.insert(number);
    }

    pub(crate) fn acknowledged(&mut self, device: &str, number: u64) -> Result<(), String> {
        let of = self.of(device);
        if of.applied.contains(&number) || of.refused.contains(&number) {
            return Ok(());
        }
        Err(format!(
            "report {number} of {device} was acknowledged, and the disk does not have it"
        ))
    }

    /// It took effect. For the first time only in its turn. When it was sent comes back.
    pub(crate) fn applied(&mut self, device: &str, number: u64) -> Result<Vec<(u64, String)>, String> {
        let of = self.of(device);
        let newest = of.applied.last().copied().unwrap_or_default();
        let first = of.applied.insert(number);
        if first && number < newest {
            return Err(format!("report {number} of {device} took effect after {newest}"));
        }
        Ok(of.sends.get(&number).cloned().unwrap_or_default())
    }

    /// The registry was brought back: what came after the backup may be done anew.
    pub(crate) fn restored(&mut self) {
        for of in self.0.values_mut() {
            (of.registered, of.renamed) = (0, 0);
        }
    }

    pub(crate) fn registered(&mut self, device: &str) -> Result<(), String> {
        let of = self.of(device);
        of.registered += 1;
        if of.registered == 1 {
            return Ok(());
        }
        Err(format!("{device} was registered {} times", of.registered))
    }

    pub(crate) fn renamed(&mut self, device: &str, number: u64) -> Result<(), String> {
        let of = self.of(device);
        if number <= of.renamed {
            return Err(format!(
                "{device} was renamed by order {number} after order {}",
                of.renamed
            ));
        }
        of.renamed = number;
        Ok(())
    }
}
