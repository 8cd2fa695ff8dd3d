//! Shows what the invariants find: each mistake planted in turn, and how many seeds until it is found.

use std::time::Instant;

use simulator::{
    Plan, Violation,
    planted::{self, Mistake, of_devices},
};

/// Prints the table. True if a mistake was not found within so many seeds.
pub(crate) fn show(only: Option<&str>, seeds: u64) -> bool {
    if !cfg!(feature = "planted-bugs") {
        eprintln!("this program was built without mistakes; build it with --features planted-bugs");
        return true;
    }
    println!("| mistake | what goes wrong | found by | seeds | seconds |\n|---|---|---|---|---|");
    let mut missed = false;
    let wanted = |word: &str| only.is_none_or(|only| only == word);
    for mistake in Mistake::ALL.iter().copied().filter(|m| wanted(m.word())) {
        planted::plant(Some(mistake));
        missed |= search(mistake.word(), mistake.what(), seeds);
        planted::plant(None);
    }
    for mistake in of_devices::Mistake::ALL {
        let (word, what) = mistake.words();
        if wanted(word) {
            of_devices::plant(Some(*mistake));
            missed |= search(word, what, seeds);
            of_devices::plant(None);
        }
    }
    missed
}

/// Runs seeds until the mistake that is planted is found; true if it is not.
fn search(word: &str, what: &str, seeds: u64) -> bool {
    let begun = Instant::now();
    let found = (1..=seeds).find_map(find);
    let seconds = begun.elapsed().as_secs_f64();
    match &found {
        Some((seed, violation)) => {
            println!(
                "| {word} | {what} | I{} | {seed} | {seconds:.1} |",
                violation.invariant.number()
            );
            eprintln!("  {violation}");
        }
        None => println!("| {word} | {what} | not found | more than {seeds} | {seconds:.1} |"),
    }
    found.is_none()
}

fn find(seed: u64) -> Option<(u64, Violation)> {
    let outcome = simulator::run(&Plan::of(seed), false);
    outcome.violation.map(|violation| (seed, violation))
}
