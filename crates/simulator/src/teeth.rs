//! Shows what the invariants find: each mistake planted in turn, and how many seeds until it is found.

use std::time::Instant;

use simulator::{
    Plan, Violation,
    planted::{self, Mistake},
};

/// Prints the table. True if a mistake was not found within so many seeds.
pub(crate) fn show(only: Option<&str>, seeds: u64) -> bool {
    if !cfg!(feature = "planted-bugs") {
        eprintln!("this program was built without mistakes; build it with --features planted-bugs");
        return true;
    }
    println!("| mistake | what goes wrong | found by | seeds | seconds |\n|---|---|---|---|---|");
    let mut missed = false;
    for mistake in Mistake::ALL
        .iter()
        .copied()
        .filter(|m| only.is_none_or(|word| m.word() == word))
    {
        let begun = Instant::now();
        planted::plant(Some(mistake));
        let found = (1..=seeds).find_map(find);
        planted::plant(None);
        let seconds = begun.elapsed().as_secs_f64();
        let (word, what) = (mistake.word(), mistake.what());
        match found {
            Some((seed, violation)) => {
                println!(
                    "| {word} | {what} | I{} | {seed} | {seconds:.1} |",
                    violation.invariant.number()
                );
                eprintln!("  {violation}");
            }
            None => {
                missed = true;
                println!("| {word} | {what} | not found | more than {seeds} | {seconds:.1} |");
            }
        }
    }
    missed
}

fn find(seed: u64) -> Option<(u64, Violation)> {
    let outcome = simulator::run(&Plan::of(seed), false);
    outcome.violation.map(|violation| (seed, violation))
}
