//! What a server that cannot sign would send, and what a disk would make of the journal.

use falsify::{changed, falsify, mutated};

use super::*;

const CASES: u32 = 3_000;

/// Assignments: honest ones of one device's firmware, of another's, and signed by a stranger.
fn corpus() -> Vec<Vec<u8>> {
    let honest = [1, 2, 9].map(|sequence| assignment("r1", &manifest(sequence)));
    let mut borrowed = honest[0].clone();
    borrowed.signed = Some(signed(TYPE, manifest(5).encode_to_vec(), &key(3)));
    let all = honest.into_iter().chain([borrowed]);
    all.map(|assignment| assignment.encode_to_vec()).collect()
}

#[test]
fn nothing_is_installed_but_what_was_signed_whatever_is_assigned() {
    let signed: Vec<Vec<u8>> = [1, 2, 9]
        .map(|sequence| manifest(sequence).encode_to_vec())
        .to_vec();
    let words: &[&[u8]] = &[
        b"\x0A\x00",
        b"\x1A\x00",
        b"\x12\xFF\xFF\xFF\xFF\x0F",
        b"\x28\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
        b"pump",
    ];
    let found = falsify(CASES, &mutated(corpus(), words), |bytes| {
        let Ok(assignment) = Assignment::decode(bytes.as_slice()) else {
            return;
        };
        let journal = Journal {
            floor: 1,
            ..Journal::default()
        };
        if let Offer::Fit(job) = judge(&bounds(), &journal, &assignment, Some(1)) {
            let payload = assignment.signed.unwrap().payload;
            assert!(signed.contains(&payload), "nobody signed this");
            assert!(job.image.sequence > 1 && job.image.size > 0);
            assert_eq!(
                job.artifact_id,
                hex::encode(job.image.sha256),
                "the name of a file"
            );
        }
    });
    assert!(found.is_none(), "fails for {found:?}");
}

fn journals() -> Vec<Vec<u8>> {
    let trying = Journal {
        b: Some(job("r1", 3).image),
        floor: 2,
        stage: Stage::Trying {
            job: job("r1", 3),
            boots: 1,
        },
        ..Journal::default()
    };
    let fetching = Journal {
        stage: Stage::Downloading {
            job: job("r1", 3),
            attempt: 1,
        },
        ..Journal::default()
    };
    [Journal::default(), trying, fetching]
        .map(|journal| journal.to_bytes())
        .to_vec()
}

#[test]
fn a_journal_is_what_was_kept_or_damaged() {
    let words: &[&[u8]] = &[
        b"null",
        b"\"Idle\"",
        b"18446744073709551616",
        b"-1",
        b"[[[[",
        b"\xFF",
    ];
    let found = falsify(CASES, &changed(journals(), words), |bytes| {
        let journal = Journal::from_bytes(bytes);
        assert_eq!(journal.is_ok(), journals().contains(bytes), "{journal:?}");
        // Under a checksum that fits, whoever wrote it: read, or refused.
        let json = bytes.get(..bytes.len().saturating_sub(10)).unwrap_or_default();
        let sealed = [json, format!("\n{:08x}\n", crc32fast::hash(json)).as_bytes()].concat();
        if let Ok(journal) = Journal::from_bytes(&sealed) {
            assert_eq!(Journal::from_bytes(&journal.to_bytes()), Ok(journal.clone()));
            task(&journal);
        }
    });
    assert!(found.is_none(), "fails for {found:?}");
}

#[test]
fn deep_journals_are_damaged() {
    let json = format!("{{\"active\":{}", "[".repeat(200_000));
    let sealed = format!("{json}\n{:08x}\n", crc32fast::hash(json.as_bytes()));
    assert!(Journal::from_bytes(sealed.as_bytes()).is_err());
}
