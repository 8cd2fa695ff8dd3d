//! How fast commits are, and what they cost: rows of two keys of 100 bytes in groups, and commits as
//! a busy service makes them.
//!
//! `commit_rate <empty folder> [rows]`, or `commit_rate <empty folder> busy [commits]`, or what safety costs beside bare
//! sled, whose flush reaches neither the file's metadata nor the drive's cache: `commit_rate <empty folder> engines [seconds]`;
//! `commit_rate_mimalloc` is the same with that allocator.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measure stops where it fails"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use service::store::{Batch, Store};
use store::{Engine, OpenOptions, SledStore};

pub(crate) fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("a folder to write to");
    let folder = Path::new(&folder);
    let first = arguments.next();
    if first.as_deref() == Some("busy") {
        let commits = arguments.next().map_or(5000, |commits| commits.parse().unwrap());
        return measure_busy(&folder.join("busy"), commits);
    }
    if first.as_deref() == Some("engines") {
        let seconds = arguments.next().map_or(3, |seconds| seconds.parse().unwrap());
        return measure_engines(folder, Duration::from_secs(seconds));
    }
    let rows: u64 = first.map_or(2_000_000, |rows| rows.parse().unwrap());
    println!(
        "{:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8}",
        "group", "rows", "rows/s", "p50 µs", "p99 µs", "max µs", "RSS MB"
    );
    for (group, rows) in [(1, rows / 40), (100, rows / 4), (1000, rows)] {
        measure(&folder.join(format!("groups-of-{group}")), group, rows);
    }
}

fn measure(folder: &Path, group: u64, rows: u64) {
    let store = open(folder);
    let mut took = Vec::new();
    let begun = Instant::now();
    for first in (0..rows).step_by(group as usize) {
        let batch = rows_from(first, group);
        let commit = Instant::now();
        store.commit(&batch).unwrap();
        took.push(commit.elapsed());
    }
    let rate = rows as f64 / begun.elapsed().as_secs_f64();
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_micros();
    println!(
        "{group:>6} {rows:>9} {rate:>9.0} {:>9} {:>9} {:>9} {:>8}",
        at(50),
        at(99),
        at(100),
        resident_mb()
    );
    let copy = folder.with_extension("copy");
    let size = store.size_on_disk().unwrap();
    // Also waits until nothing is on its way into the database: the copy is of one moment.
    store.verify().unwrap();
    copy_folder(folder, &copy);
    let closing = timed(|| drop(store));
    let clean = timed(|| drop(open(folder)));
    let mut crashed = None;
    let replay = timed(|| crashed = Some(open(&copy)));
    drop(crashed);
    println!(
        "       {} MB on disk; close {closing:?}, open {clean:?}, open after a crash {replay:?}",
        size >> 20
    );
}

/// Rows a second with a commit for each group, by four ways in turn: bare sled with a flush for each group, bare sled
/// that is never flushed, the store with its redo log before sled, and redb. The ratios are to the first.
fn measure_engines(folder: &Path, span: Duration) {
    println!(
        "{:>6} {:>12} {:>14} {:>14} {:>12} {:>9} {:>7} {:>7}",
        "group", "bare sled/s", "no flush/s", "redo + sled/s", "redb/s", "no flush", "redo", "redb"
    );
    for group in [1, 10, 100, 1000] {
        let place = |word: &str| folder.join(format!("{word}-{group}"));
        let bare = |word: &str, flushes: bool| {
            let config = sled::Config::new().path(place(word)).flush_every_ms(None);
            let db = config.open().unwrap();
            rate(group, span, |batch| {
                for (key, value) in batch.iter() {
                    db.insert(key, value.unwrap()).unwrap();
                }
                if flushes {
                    db.flush().unwrap();
                }
            })
        };
        let (bare, unflushed) = (bare("bare", true), bare("unflushed", false));
        let through = |engine: Engine, word: &str| {
            let store = engine.open(OpenOptions::new(place(word), 7, 1)).unwrap();
            rate(group, span, |batch| {
                store.commit(batch).unwrap();
            })
        };
        let (redo, redb) = (through(Engine::Sled, "redo"), through(Engine::Redb, "redb"));
        let [none, one, other] = [unflushed, redo, redb].map(|rate| rate / bare);
        println!(
            "{group:>6} {bare:>12.0} {unflushed:>14.0} {redo:>14.0} {redb:>12.0} {none:>9.2} {one:>7.2} {other:>7.2}"
        );
    }
}

/// Rows a second; what makes the rows does not count.
fn rate(group: u64, span: Duration, mut commit: impl FnMut(&Batch)) -> f64 {
    let (mut rows, mut took) = (0, Duration::ZERO);
    while took < span {
        let batch = rows_from(rows, group);
        let begun = Instant::now();
        commit(&batch);
        took += begun.elapsed();
        rows += group;
    }
    rows as f64 / took.as_secs_f64()
}

/// Two hundred requests a commit: each overwrites the record of one device of four hundred, and adds
/// an entry to the event log.
fn measure_busy(folder: &Path, commits: u64) {
    let store = open(folder);
    let mut took = Vec::new();
    let (begun, spent) = (Instant::now(), cpu());
    for number in 0..commits {
        let batch = busy(number);
        let commit = Instant::now();
        store.commit(&batch).unwrap();
        took.push(commit.elapsed());
    }
    let wall = begun.elapsed();
    drop(store);
    let (all, cpu) = (begun.elapsed(), cpu() - spent);
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_micros();
    println!(
        "busy: {:.0} commits/s, p50 {} µs, p99 {} µs, max {} µs; {:.0} commits/s with the close, {:.2} µs CPU a key, {} MB resident",
        commits as f64 / wall.as_secs_f64(),
        at(50),
        at(99),
        at(100),
        commits as f64 / all.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / (commits * 400) as f64,
        resident_mb()
    );
}

fn busy(number: u64) -> Batch {
    let mut batch = Batch::default();
    for request in 0..200 {
        let device = (request * 2 + number % 2).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        batch.put(format!("r/device/{device:016x}"), [number as u8; 200]);
        batch.put(format!("o/{:016x}", number * 200 + request), [number as u8; 250]);
    }
    batch
}

/// What the process has computed so far, in ticks of ten milliseconds.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn open(folder: &Path) -> SledStore {
    SledStore::open(OpenOptions::new(folder, 7, 1)).unwrap()
}

/// A record under a scattered key, and an entry that counts up, as a service's rows are.
fn rows_from(first: u64, count: u64) -> Batch {
    let mut batch = Batch::default();
    for row in first..first + count {
        let scattered = row.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        batch.put(format!("r/device/{scattered:016x}"), [row as u8; 100]);
        batch.put(format!("o/{row:016x}"), [row as u8; 100]);
    }
    batch
}

fn timed(action: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    action();
    begun.elapsed()
}

fn resident_mb() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    (pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096) >> 20
}

/// What a crash of the process would leave.
fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
