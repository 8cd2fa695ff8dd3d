//! Logins that failed lately, and how long the next one is not even looked at.
//!
//! A few are free: people mistype. Each further one doubles a pause, for one person from one address, and for an
//! address whomever it names. A token opens whatever others do elsewhere: a stranger cannot shut somebody out by
//! guessing in their name, as long as they do not share an address. Of passwords, which can be guessed from many
//! addresses at once, so many in one name are looked at, and then few.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
};

use contract::id::Principal;

use crate::{limits::Limits, lobby::Origin, meter::Limit};

/// Failures that are remembered: beyond, those that are longest ago are forgotten.
const REMEMBERED: usize = 8_192;
/// How long a failure counts, milliseconds.
const FORGOTTEN_MS: u64 = 10 * 60_000;
/// The first pause, milliseconds.
const FIRST_PAUSE_MS: u64 = 1_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(Origin),
    Person(Origin, Principal),
    /// Passwords alone, from anywhere.
    Name(Principal),
}

/// What somebody tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guess {
    /// Which nobody guesses.
    Token,
    /// Which can be guessed.
    Password,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    last_ms: u64,
    held_until_ms: u64,
    /// Its place by age.
    age: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    failures: HashMap<Key, Failures>,
    by_age: BTreeMap<u64, Key>,
    last_age: u64,
}

impl Attempts {
    /// Whether a login is looked at now, or what it has to wait for.
    pub(crate) fn may_try(
        &self,
        from: Origin,
        who: Option<&Principal>,
        guess: Guess,
        now_ms: u64,
    ) -> Result<(), Limit> {
        if self.is_held(&Key::Address(from), now_ms) {
            return Err(Limit::LoginTriesPerAddress);
        }
        let Some(who) = who else { return Ok(()) };
        if self.is_held(&Key::Person(from, who.clone()), now_ms) {
            return Err(Limit::LoginTries);
        }
        match guess == Guess::Password && self.is_held(&Key::Name(who.clone()), now_ms) {
            true => Err(Limit::LoginTriesPerPerson),
            false => Ok(()),
        }
    }

    /// A login was looked at, and is none.
    pub(crate) fn failed(
        &mut self,
        from: Origin,
        who: Option<&Principal>,
        guess: Guess,
        limits: &Limits,
        now_ms: u64,
    ) {
        self.note(Key::Address(from), limits.login_tries_per_address, limits, now_ms);
        if let Some(who) = who {
            self.note(Key::Person(from, who.clone()), limits.login_tries, limits, now_ms);
            if guess == Guess::Password {
                let free = limits.login_tries_per_person;
                self.note(Key::Name(who.clone()), free, limits, now_ms);
            }
        }
    }

    /// Somebody logged in. What the address did in other names stands.
    pub(crate) fn succeeded(&mut self, from: Origin, who: &Principal) {
        self.forget(&Key::Person(from, who.clone()));
    }

    fn is_held(&self, key: &Key, now_ms: u64) -> bool {
        self.failures
            .get(key)
            .is_some_and(|failures| now_ms < failures.held_until_ms)
    }

    fn note(&mut self, key: Key, free: u32, limits: &Limits, now_ms: u64) {
        let before = self.forget(&key);
        let counts = before.filter(|before| now_ms < before.last_ms + FORGOTTEN_MS);
        let count = counts.map_or(0, |before| before.count).saturating_add(1);
        while self.failures.len() >= REMEMBERED
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.failures.remove(&oldest);
        }
        self.last_age += 1;
        let failures = Failures {
            count,
            last_ms: now_ms,
            held_until_ms: now_ms + pause_ms(count, free, limits.login_pause_ms),
            age: self.last_age,
        };
        self.by_age.insert(self.last_age, key.clone());
        self.failures.insert(key, failures);
    }

    fn forget(&mut self, key: &Key) -> Option<Failures> {
        let failures = self.failures.remove(key)?;
        self.by_age.remove(&failures.age);
        Some(failures)
    }
}

fn pause_ms(count: u32, free: u32, most_ms: u64) -> u64 {
    match count.checked_sub(free) {
        None => 0,
        Some(beyond) => (FIRST_PAUSE_MS << beyond.min(20)).min(most_ms),
    }
}

/// Where a connection comes from, by its address and port; what is neither is the machine itself.
pub(crate) fn origin(address: &str) -> Origin {
    let parsed = address.parse::<SocketAddr>();
    Origin::of(parsed.map_or(IpAddr::from([127, 0, 0, 1]), |address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            login_tries: 3,
            login_tries_per_address: 6,
            login_pause_ms: 10_000,
            ..Limits::default()
        }
    }

    fn who(name: &str) -> Principal {
        format!("operators/{name}").parse().unwrap()
    }

    #[test]
    fn a_few_are_free_and_then_each_doubles_the_pause() {
        let (mut attempts, here, ada) = (Attempts::default(), origin("10.0.0.1:5"), who("ada"));
        let mut now = 0;
        for pause in [0, 0, 1_000] {
            assert_eq!(attempts.may_try(here, Some(&ada), Guess::Token, now), Ok(()));
            attempts.failed(here, Some(&ada), Guess::Token, &limits(), now);
            let held = attempts.may_try(here, Some(&ada), Guess::Token, now).is_err();
            assert_eq!(held, pause > 0);
            now += pause;
        }
        attempts.failed(here, Some(&ada), Guess::Token, &limits(), now);
        assert_eq!(
            attempts.may_try(here, Some(&ada), Guess::Token, now + 1_999),
            Err(Limit::LoginTries)
        );
        assert_eq!(
            attempts.may_try(here, Some(&ada), Guess::Token, now + 2_000),
            Ok(())
        );
        assert_eq!(pause_ms(9_999, 3, 10_000), 10_000, "and no longer than this");
    }

    #[test]
    fn nobody_is_held_for_what_is_tried_elsewhere_or_in_another_name() {
        let (mut attempts, here, ada) = (Attempts::default(), origin("10.0.0.1:5"), who("ada"));
        for _ in 0..3 {
            attempts.failed(here, Some(&ada), Guess::Token, &limits(), 0);
        }
        assert_eq!(
            attempts.may_try(here, Some(&ada), Guess::Token, 0),
            Err(Limit::LoginTries)
        );
        assert_eq!(attempts.may_try(here, Some(&who("bob")), Guess::Token, 0), Ok(()));
        assert_eq!(
            attempts.may_try(origin("10.0.0.2:5"), Some(&ada), Guess::Token, 0),
            Ok(())
        );
        attempts.succeeded(here, &ada);
        assert_eq!(attempts.may_try(here, Some(&ada), Guess::Token, 0), Ok(()));
    }

    #[test]
    fn who_tries_many_names_is_held_as_an_address_whatever_the_port() {
        let mut attempts = Attempts::default();
        for n in 0..6 {
            let from = origin(&format!("[2001:db8::{n}]:{n}"));
            attempts.failed(from, Some(&who(&format!("n{n}"))), Guess::Token, &limits(), 0);
        }
        let (here, ada) = (origin("[2001:db8::9]:7"), who("ada"));
        assert_eq!(
            attempts.may_try(here, Some(&ada), Guess::Token, 0),
            Err(Limit::LoginTriesPerAddress)
        );
        assert_eq!(
            attempts.may_try(here, None, Guess::Token, 0),
            Err(Limit::LoginTriesPerAddress)
        );
        attempts.succeeded(here, &ada);
        assert!(attempts.may_try(here, Some(&ada), Guess::Token, 0).is_err());
        assert_eq!(attempts.may_try(here, Some(&ada), Guess::Token, 1_000), Ok(()));
    }

    #[test]
    fn passwords_of_one_person_are_held_from_everywhere_and_tokens_are_not() {
        let (mut attempts, ada) = (Attempts::default(), who("ada"));
        let many = Limits {
            login_tries_per_person: 4,
            ..limits()
        };
        for n in 0..4 {
            let from = origin(&format!("10.0.0.{n}:1"));
            attempts.failed(from, Some(&ada), Guess::Password, &many, 0);
        }
        let elsewhere = origin("10.0.9.9:1");
        assert_eq!(
            attempts.may_try(elsewhere, Some(&ada), Guess::Password, 0),
            Err(Limit::LoginTriesPerPerson)
        );
        assert_eq!(attempts.may_try(elsewhere, Some(&ada), Guess::Token, 0), Ok(()));
        assert_eq!(
            attempts.may_try(elsewhere, Some(&who("bob")), Guess::Password, 0),
            Ok(())
        );
        assert_eq!(
            attempts.may_try(elsewhere, Some(&ada), Guess::Password, 1_000),
            Ok(())
        );
    }

    #[test]
    fn failures_are_forgotten_after_a_while_and_never_more_than_so_many_are_remembered() {
        let (mut attempts, here, ada) = (Attempts::default(), origin("10.0.0.1:5"), who("ada"));
        for _ in 0..2 {
            attempts.failed(here, Some(&ada), Guess::Token, &limits(), 0);
        }
        attempts.failed(here, Some(&ada), Guess::Token, &limits(), FORGOTTEN_MS);
        assert_eq!(
            attempts.may_try(here, Some(&ada), Guess::Token, FORGOTTEN_MS),
            Ok(())
        );
        for n in 0..3 * REMEMBERED as u32 {
            let [a, b, c, d] = n.to_be_bytes();
            let from = origin(&format!("{}.{b}.{c}.{d}:1", a + 1));
            attempts.failed(from, Some(&ada), Guess::Token, &limits(), FORGOTTEN_MS);
        }
        assert_eq!(attempts.failures.len(), REMEMBERED);
        assert_eq!(attempts.by_age.len(), REMEMBERED);
    }
}
