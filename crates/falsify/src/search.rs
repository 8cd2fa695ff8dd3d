//! Looks for a value that breaks a property.

use std::fmt::Debug;

use proptest::{
    prelude::*,
    test_runner::{TestError, TestRunner},
};

/// Gives `check` as many values as `PROPTEST_CASES` asks for, or else `cases`; the smallest that panics comes
/// back.
///
/// # Panics
///
/// If the strategy makes no values.
#[allow(clippy::panic, reason = "for tests, which fail here")]
pub fn falsify<S: Strategy>(cases: u32, values: &S, check: impl Fn(&S::Value)) -> Option<S::Value>
where
    S::Value: Debug,
{
    let mut config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    // Tests ask, and configure nothing.
    #[allow(clippy::disallowed_methods)]
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    let outcome = TestRunner::new(config).run(values, |value| {
        check(&value);
        Ok(())
    });
    match outcome {
        Ok(()) => None,
        Err(TestError::Fail(_, value)) => Some(value),
        Err(TestError::Abort(reason)) => panic!("no values could be made: {reason}"),
    }
}
