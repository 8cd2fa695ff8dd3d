//! `muster-world`: runs the deterministic world, seed after seed.
#![forbid(unsafe_code)]

mod teeth;

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use clap::Parser;
use parking_lot::Mutex;
use simulator::{Figures, Outcome, Plan, Violation};

/// Runs the deterministic world: front door, services and clients under faults, all of it decided by a seed.
/// Exits with 1 if an invariant of docs/invariants.md was broken.
#[derive(Parser)]
#[command(name = "muster-world", version, after_help = EXAMPLES)]
struct Arguments {
    /// Runs this one seed and tells its story.
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Goes on until it is stopped or a seed fails.
    #[arg(long)]
    until_stopped: bool,
    /// Plants each mistake in turn and says how many seeds it took to find it (needs the feature
    /// `planted-bugs`).
    #[arg(long)]
    teeth: bool,
    /// With --teeth: only this mistake.
    #[arg(long)]
    mistake: Option<String>,
    /// Does not cut a failing plan down.
    #[arg(long)]
    whole: bool,
    /// Threads.
    #[arg(long)]
    threads: Option<usize>,
}

const EXAMPLES: &str = "Examples:
  muster-world --seeds 500
  muster-world --seed 17
  muster-world --until-stopped --from 100000";

fn main() {
    let arguments = Arguments::parse();
    let failed = match (arguments.teeth, arguments.seed) {
        (true, _) => teeth::show(arguments.mistake.as_deref(), arguments.seeds),
        (false, Some(seed)) => tell_one(seed, arguments.whole),
        (false, None) => run_many(&arguments),
    };
    std::process::exit(i32::from(failed));
}

/// Runs one seed, twice: the second run must be the first again.
fn tell_one(seed: u64, whole: bool) -> bool {
    let plan = Plan::of(seed);
    let first = simulator::run(&plan, true);
    let second = simulator::run(&plan, false);
    if first.story.digest() != second.story.digest() || first.violation != second.violation {
        println!("seed {seed} does not replay: two runs of it differ");
        return true;
    }
    let Some(violation) = first.violation else {
        print_story(&first);
        println!("seed {seed}: every invariant held. {}", figures(&first.figures));
        return false;
    };
    tell_failure(&plan, &violation, whole);
    true
}

/// Prints the shortest story found of a plan that fails.
fn tell_failure(plan: &Plan, violation: &Violation, whole: bool) {
    let plan = if whole {
        plan.clone()
    } else {
        simulator::shrink(plan, violation).0
    };
    let told = simulator::run(&plan, true);
    print_story(&told);
    println!("\nseed {}: {violation}", plan.seed);
    println!(
        "{} devices, {} acts and {} faults are left of it",
        plan.devices,
        plan.acts.len(),
        plan.faults.len()
    );
}

fn print_story(outcome: &Outcome) {
    for (at_ms, line) in outcome.story.lines() {
        println!("{:>9.3} s  {line}", *at_ms as f64 / 1000.0);
    }
}

fn figures(figures: &Figures) -> String {
    format!(
        "{} steps, {:.1} s of simulated time, {} connections, {} requests, {} commits, {} turns of logs, {} faults, {} updates",
        figures.steps,
        figures.time_ms as f64 / 1000.0,
        figures.connections,
        figures.decided,
        figures.commits,
        figures.turns,
        figures.faults,
        figures.updates
    )
}

#[derive(Default)]
struct Tally {
    seeds: u64,
    figures: Figures,
}

impl Tally {
    fn add(&mut self, one: &Figures) {
        self.seeds += 1;
        let sum = &mut self.figures;
        sum.steps += one.steps;
        sum.time_ms += one.time_ms;
        sum.decided += one.decided;
        sum.commits += one.commits;
        sum.connections += one.connections;
        sum.faults += one.faults;
        sum.updates += one.updates;
        sum.turns += one.turns;
    }
}

/// Runs seed after seed on all cores; the lowest that fails is told.
fn run_many(arguments: &Arguments) -> bool {
    let begun = Instant::now();
    let end = if arguments.until_stopped {
        u64::MAX
    } else {
        arguments.from.saturating_add(arguments.seeds)
    };
    let (next, stop) = (AtomicU64::new(arguments.from), AtomicBool::new(false));
    let tally = Mutex::new(Tally::default());
    let failures = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.unwrap_or(cores) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let plan = Plan::of(seed);
                    let outcome = simulator::run(&plan, false);
                    tally.lock().add(&outcome.figures);
                    if let Some(violation) = outcome.violation {
                        stop.store(true, Ordering::Relaxed);
                        failures.lock().push((plan, violation));
                    }
                }
            });
        }
        scope.spawn(|| progress(&tally, &stop, begun, end - arguments.from));
    });
    let tally = tally.into_inner();
    let rate = tally.seeds as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{} seeds, {rate:.1} a second. {}",
        tally.seeds,
        figures(&tally.figures)
    );
    let mut failures = failures.into_inner();
    failures.sort_by_key(|(plan, _)| plan.seed);
    for (plan, violation) in failures.iter().take(1) {
        tell_failure(plan, violation, arguments.whole);
    }
    !failures.is_empty()
}

fn progress(tally: &Mutex<Tally>, stop: &AtomicBool, begun: Instant, all: u64) {
    let mut told = Instant::now();
    while !stop.load(Ordering::Relaxed) && tally.lock().seeds < all {
        std::thread::sleep(Duration::from_millis(50));
        if told.elapsed() >= Duration::from_secs(10) {
            told = Instant::now();
            let seeds = tally.lock().seeds;
            eprintln!(
                "{seeds} seeds, {:.1} a second",
                seeds as f64 / begun.elapsed().as_secs_f64()
            );
        }
    }
}
