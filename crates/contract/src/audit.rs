//! The form of an audit log: how an entry is hashed, and what holds of a chain of them.
//!
//! An entry's hash is the SHA-256 over its canonical JSON without `hash`: the fields as in
//! `proto/muster/v1/audit.proto`, keys sorted, no blanks (what RFC 8785 makes of it). `previous` is one of the
//! fields, so whoever knows an entry's hash knows all entries before it.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::v1::AuditEntry;

/// What stands in the place of a verb where `muster ca` has changed the files of authorities: nobody asks for that on the bus.
pub const CA: &str = "provisioning/ca";

/// `previous` of the first entry.
pub const NOTHING_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hash of an entry, hex; what stands in its `hash` counts for nothing.
pub fn hash(entry: &AuditEntry) -> String {
    let bare = AuditEntry {
        hash: String::new(),
        ..entry.clone()
    };
    let value = serde_json::to_value(&bare).unwrap_or_default();
    hex::encode(Sha256::digest(canonical(&value)))
}

/// JSON with sorted keys and no blanks. Entries hold no fractions, whose form would need more rules.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(key, _)| key.as_str());
            let fields = sorted
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        plain => plain.to_string(),
    }
}

/// A newest entry as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Whose log.
    pub service: String,
    /// The history of its store.
    pub epoch: String,
    /// The entry.
    pub sequence: u64,
    /// Its hash.
    pub hash: String,
    /// The first entry that was kept then.
    pub first: u64,
}

/// Walks a service's entries in order and notes what does not hold.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    last: Option<(u64, String)>,
    first: Option<u64>,
    faults: Vec<String>,
}

impl Walk {
    /// A walk of a log whose entries before the first are known by their last one's number and hash.
    pub fn after(sequence: u64, hash: &str) -> Walk {
        Walk {
            last: Some((sequence, hash.to_owned())),
            ..Walk::default()
        }
    }

    /// Looks at the next entry; `heads` are those that were published of this log.
    pub fn take(&mut self, entry: &AuditEntry, heads: &[Head]) {
        let own = hash(entry);
        if own != entry.hash {
            self.fault(entry, "was changed: its hash does not fit what it says");
        }
        match &self.last {
            Some((last, _)) if entry.sequence != last + 1 => {
                let text = format!("follows {last}: entries were removed or put in between");
                self.fault(entry, &text);
            }
            Some((last, before)) if *before != entry.previous => {
                let text = format!("does not follow from {last}: one of them was changed");
                self.fault(entry, &text);
            }
            None if entry.sequence == 1 && entry.previous != NOTHING_BEFORE => {
                self.fault(entry, "claims to follow another, and is the first");
            }
            _ => {}
        }
        for head in heads.iter().filter(|head| head.sequence == entry.sequence) {
            if head.hash != own {
                let mut text = String::from("is not what was published as the head");
                if head.epoch != entry.epoch {
                    let _ = write!(text, " in another history of the store ({})", head.epoch);
                }
                self.fault(entry, &text);
            }
        }
        self.first.get_or_insert(entry.sequence);
        self.last = Some((entry.sequence, own));
    }

    /// What does not hold, now that there are no more entries.
    pub fn end(mut self, heads: &[Head]) -> Walked {
        let last = self.last.as_ref().map_or(0, |(last, _)| *last);
        let beyond = heads.iter().filter(|head| head.sequence > last);
        if let Some(head) = beyond.max_by_key(|head| head.sequence) {
            let text = format!(
                "the log ends at {last}, and {} was published as its head: entries were removed",
                head.sequence
            );
            self.faults.push(text);
        }
        let first = self.first.unwrap_or(last + 1);
        let newest = heads.iter().max_by_key(|head| (head.sequence, head.first));
        if let Some(head) = newest.filter(|head| head.sequence == last && head.first < first) {
            let text = format!(
                "the log begins at {first}, and with its last entry {} was published as the first: entries were removed",
                head.first
            );
            self.faults.push(text);
        }
        let compared = |head: &&Head| (first..=last).contains(&head.sequence);
        Walked {
            entries: self.first.map_or(0, |first| (last + 1).saturating_sub(first)),
            last,
            heads: heads.iter().filter(compared).count(),
            heads_before: heads.iter().filter(|head| head.sequence < first).count(),
            faults: self.faults,
        }
    }

    fn fault(&mut self, entry: &AuditEntry, text: &str) {
        self.faults.push(format!("{} {text}", entry.sequence));
    }
}

/// What a walk came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// Entries from the first to the last.
    pub entries: u64,
    /// The last entry.
    pub last: u64,
    /// Published heads that were compared.
    pub heads: usize,
    /// Published heads of entries that are no longer kept.
    pub heads_before: usize,
    /// What does not hold; empty when all does.
    pub faults: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::AuditChange;

    fn log(entries: u64) -> Vec<AuditEntry> {
        let mut previous = NOTHING_BEFORE.to_owned();
        let entry = |sequence| {
            let mut entry = AuditEntry {
                sequence,
                who: "operators/ada".into(),
                verb: "registry/change".into(),
                subjects: vec![format!("devices/pump-{sequence}")],
                changes: vec![AuditChange {
                    record: "devices/pump".into(),
                    field: "owner".into(),
                    before: "\u{7f}\u{1}é\"\\\n".into(),
                    after: "b".into(),
                }],
                previous: std::mem::take(&mut previous),
                ..AuditEntry::default()
            };
            entry.hash = hash(&entry);
            previous.clone_from(&entry.hash);
            entry
        };
        (1..=entries).map(entry).collect()
    }

    fn head(entry: &AuditEntry) -> Head {
        Head {
            service: "registry".into(),
            epoch: String::new(),
            sequence: entry.sequence,
            hash: entry.hash.clone(),
            first: 1,
        }
    }

    fn walk(entries: &[AuditEntry], heads: &[Head]) -> Vec<String> {
        let mut walk = Walk::default();
        entries.iter().for_each(|entry| walk.take(entry, heads));
        walk.end(heads).faults
    }

    #[test]
    fn the_canonical_form_is_fixed() {
        let text = canonical(&serde_json::json!({"b": [1, {"z": "é\n", "a": true}], "a": "\u{1}"}));
        assert_eq!(text, "{\"a\":\"\\u0001\",\"b\":[1,{\"a\":true,\"z\":\"é\\n\"}]}");
        // Found once; a change here breaks every log that was ever exported.
        assert_eq!(
            hash(&log(1)[0]),
            "5d0516bf687cdcf5289e8585ca7d0e49e63125e0a83fe910d9b12e1016af38e9"
        );
        let told = serde_json::to_string(&log(1)[0]).unwrap();
        assert_eq!(
            hash(&serde_json::from_str(&told).unwrap()),
            hash(&log(1)[0]),
            "also of an export"
        );
    }

    #[test]
    fn a_whole_log_holds_and_so_does_one_whose_start_is_anchored() {
        let entries = log(9);
        assert_eq!(walk(&entries, &[head(&entries[8]), head(&entries[3])]), [""; 0]);
        let mut walk = Walk::after(4, &entries[3].hash);
        entries[4..].iter().for_each(|entry| walk.take(entry, &[]));
        let newest = Head {
            first: 5,
            ..head(&entries[8])
        };
        let walked = walk.end(&[head(&entries[2]), newest]);
        assert_eq!(
            (
                walked.entries,
                walked.heads,
                walked.heads_before,
                walked.faults.len()
            ),
            (5, 1, 1, 0)
        );
    }

    #[test]
    fn changed_removed_inserted_and_swapped_entries_are_found_wherever_they_stand() {
        let entries = log(9);
        let last = [head(&entries[8])];
        for n in 0..9 {
            let mut changed = entries.clone();
            changed[n].who = "operators/eve".into();
            assert!(!walk(&changed, &last).is_empty(), "changed {n}");
            // With a hash that fits, all that follows does not.
            changed[n].hash = hash(&changed[n]);
            assert!(!walk(&changed, &last).is_empty(), "forged {n}");
            let mut removed = entries.clone();
            removed.remove(n);
            assert!(!walk(&removed, &last).is_empty(), "removed {n}");
            let mut inserted = entries.clone();
            inserted.insert(n, entries[n].clone());
            assert!(!walk(&inserted, &last).is_empty(), "inserted {n}");
        }
        let mut swapped = entries.clone();
        swapped.swap(3, 4);
        assert!(!walk(&swapped, &[]).is_empty());
        // The last ones cut off, and a log that was forged from one entry on, fail against a head only.
        assert!(walk(&entries[..8], &[]).is_empty());
        assert!(walk(&entries[..8], &last)[0].contains("entries were removed"));
        let mut forged = entries.clone();
        for n in 5..9 {
            forged[n].who = "operators/eve".into();
            forged[n].previous = forged[n - 1].hash.clone();
            forged[n].hash = hash(&forged[n]);
        }
        assert!(walk(&forged, &[]).is_empty());
        assert!(walk(&forged, &last)[0].contains("published"));
    }
}
