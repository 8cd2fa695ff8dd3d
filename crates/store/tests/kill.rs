//! SIGKILL in the middle of commits: what was acknowledged is there, and every batch is there whole or not at all.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use service::store::Batch;
use store::{Database, Engine, OpenOptions};

const ROWS: u32 = 700;

/// Says to the victim that its working folder is meant for it, and which engine it is to use.
const MARKER: &str = "for-the-victim";

fn open(folder: &Path) -> Arc<dyn Database> {
    let engine: Engine = fs::read_to_string(folder.join(MARKER)).unwrap().parse().unwrap();
    engine.open(OpenOptions::new(folder.join("db"), 7, 1)).unwrap()
}

/// Overwrites the same rows again and again, so that a torn batch shows as two numbers side by side.
fn group(number: u32) -> Batch {
    let mut batch = Batch::default();
    for row in 0..ROWS {
        let mut value = number.to_be_bytes().to_vec();
        value.resize(4 + (row % 300) as usize, number as u8);
        batch.put(row.to_be_bytes(), value);
    }
    batch
}

/// The number in every row; `None` before the first batch.
fn recovered(store: &dyn Database) -> Option<u32> {
    let rows = store.scan(b"", None, usize::MAX).unwrap();
    let numbers: Vec<_> = rows
        .iter()
        .map(|(_, value)| value.first_chunk::<4>().copied().unwrap())
        .collect();
    assert!(
        numbers.is_empty() || numbers.len() == ROWS as usize,
        "{} rows",
        numbers.len()
    );
    assert!(numbers.windows(2).all(|pair| pair[0] == pair[1]), "a torn batch");
    numbers.first().map(|number| u32::from_be_bytes(*number))
}

#[test]
#[ignore = "the process that the next test kills"]
fn victim() {
    let folder = std::env::current_dir().unwrap();
    if !folder.join(MARKER).exists() {
        return;
    }
    let store = open(&folder);
    let first = recovered(&*store).map_or(0, |number| number + 1);
    for number in first..u32::MAX {
        store.commit(&group(number)).unwrap();
        println!("\nacknowledged {number}");
        std::io::stdout().flush().unwrap();
    }
}

/// Runs a victim for a while and kills it; the last number it acknowledged.
fn run_and_kill(folder: &Path, life: Duration) -> Option<u32> {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "victim", "--nocapture"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(life);
    victim.kill().unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let acknowledged = lines
        .filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok())
        .last();
    victim.wait().unwrap();
    acknowledged
}

#[test]
fn acknowledged_batches_survive_a_kill_and_none_is_torn() {
    survive(Engine::Sled);
}

#[test]
fn acknowledged_batches_survive_a_kill_and_none_is_torn_under_redb() {
    survive(Engine::Redb);
}

fn survive(engine: Engine) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(MARKER), engine.word()).unwrap();
    let mut acknowledged = None;
    for round in 0..12u64 {
        let life = Duration::from_millis(150 + round * 37 % 200);
        acknowledged = run_and_kill(folder.path(), life).or(acknowledged);
        let store = open(folder.path());
        let found = recovered(&*store);
        assert!(
            found >= acknowledged,
            "acknowledged {acknowledged:?}, found {found:?}"
        );
        store.verify().unwrap();
        // What was found has been read by others now.
        acknowledged = found;
    }
    println!("{acknowledged:?} batches over 12 kills");
    assert!(acknowledged.is_some());
}
