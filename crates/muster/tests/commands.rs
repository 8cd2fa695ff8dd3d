//! The tree of commands: it is consistent, and whatever does something shows how.

use clap::{Command, CommandFactory};
use muster::cli::Cli;

/// Each command that people see and that does something, with its words: `muster group list`.
fn leaves(command: &Command, words: &str, found: &mut Vec<(String, Command)>) {
    for child in command
        .get_subcommands()
        .filter(|child| child.get_name() != "help" && !child.is_hide_set())
    {
        let words = format!("{words} {}", child.get_name());
        if child.has_subcommands() {
            leaves(child, &words, found);
        } else {
            found.push((words, child.clone()));
        }
    }
}

fn all() -> Vec<(String, Command)> {
    let mut command = Cli::command();
    command.build();
    let mut found = Vec::new();
    leaves(&command, "muster", &mut found);
    found
}

fn examples(command: &Command) -> String {
    command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[test]
fn the_tree_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn whatever_does_something_has_an_example_of_itself() {
    let without: Vec<_> = all()
        .into_iter()
        .filter(|(words, command)| !shows(&examples(command), words))
        .map(|(words, _)| words)
        .collect();
    assert!(without.is_empty(), "no example of {without:?}");
}

/// `muster --json group list` shows `muster group list`.
fn shows(examples: &str, words: &str) -> bool {
    let path = words.strip_prefix("muster").unwrap_or(words);
    let lines = examples.lines().skip_while(|line| !line.starts_with("Example"));
    lines
        .map(str::trim)
        .any(|line| line.starts_with("muster") && format!("{line} ").contains(&format!("{path} ")))
}

#[test]
fn whatever_does_something_says_what() {
    for (words, command) in all() {
        assert!(command.get_about().is_some(), "{words}");
        for argument in command.get_arguments().filter(|a| !a.is_hide_set()) {
            let said = argument.get_help().or(argument.get_long_help());
            assert!(said.is_some(), "{words}: {}", argument.get_id());
        }
    }
}

/// What is listed can be shown, one by one.
#[test]
fn whatever_is_listed_is_shown_too() {
    // What was done to one device: a list is all that there is to show.
    let alone = ["muster device maintenance list"];
    let all: Vec<_> = all().into_iter().map(|(words, _)| words).collect();
    let lists = all.iter().filter(|words| !alone.contains(&words.as_str()));
    let without: Vec<_> = lists
        .filter_map(|words| words.strip_suffix(" list"))
        .filter(|noun| !all.contains(&format!("{noun} show")))
        .collect();
    assert!(without.is_empty(), "no `show` of {without:?}");
}

#[test]
fn bad_ids_are_the_command_lines_fault() {
    for line in [
        "rollout show a/b",
        "rollout abort -x --yes",
        "rollout create r --artifact a --group a/b",
        "monitor show a/b",
        "monitor alerts --device a/b",
        "monitor rule remove a/b --yes",
        "agent a/b",
    ] {
        let words = ["muster"].into_iter().chain(line.split(' '));
        let error = Cli::command().try_get_matches_from(words).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn every_example_can_be_typed() {
    let mut command = Cli::command();
    command.build();
    let mut all = all();
    all.push(("muster".into(), command));
    for (words, command) in all {
        for line in examples(&command).lines().skip(1) {
            // Longer ones would be broken by the help.
            assert!(line.len() <= 100, "{words}: {line}");
            for typed in commands(line) {
                let parsed = Cli::command().try_get_matches_from(&typed);
                assert!(parsed.is_ok(), "{words}: {typed:?}: {}", parsed.unwrap_err());
            }
        }
    }
}

/// The calls of `muster` in a line as a shell would make them.
fn commands(line: &str) -> Vec<Vec<String>> {
    let words = split(line);
    let ends = |word: &String| ["|", "&&", ">", ";"].contains(&word.as_str());
    let calls = words.split(ends).map(|call| {
        let assigns = |word: &&String| word.starts_with("MUSTER_");
        call.iter().skip_while(assigns).cloned().collect::<Vec<_>>()
    });
    calls
        .filter(|call| call.first().is_some_and(|first| first == "muster"))
        .collect()
}

/// Words, with quotes taken off.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.trim().chars() {
        match (quote, c) {
            (None, ' ') => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

#[test]
fn lines_are_split_as_a_shell_does() {
    let line = "  MUSTER_DIR=x muster device move p 'new bearing' && muster --json device list | jq -r .id";
    let calls = commands(line);
    assert_eq!(calls[0], ["muster", "device", "move", "p", "new bearing"]);
    assert_eq!(calls[1], ["muster", "--json", "device", "list"]);
    assert_eq!(calls.len(), 2);
}
