//! Settings that the environment gives: `MUSTER_SITE`, `MUSTER_LISTEN__PRINCIPALS`.

use std::{collections::BTreeMap, convert::Infallible};

use figment::{Figment, providers::Serialized, value::Value};

const PREFIX: &str = "MUSTER_";
/// Options of the command line that the environment may give too: no settings.
const OPTIONS: [&str; 3] = ["dir", "as", "server"];

/// Brackets that a text may open and still be read as more than a text.
const NESTED: usize = 16;

/// What the environment says, letter by letter, by the names that settings have.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment(BTreeMap<String, String>);

/// What a variable that is no setting says: one that a setting names.
pub(crate) fn variable(name: &str) -> Option<std::ffi::OsString> {
    let mut all = std::env::vars_os();
    all.find(|(known, _)| known == name).map(|(_, text)| text)
}

impl Environment {
    /// The environment of this process.
    pub(super) fn of_this_process() -> Environment {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Environment::of(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    /// The variables that are ours among these.
    pub(super) fn of(variables: impl IntoIterator<Item = (String, String)>) -> Environment {
        let ours = variables.into_iter().filter_map(|(variable, text)| {
            let prefix = variable.get(..PREFIX.len())?;
            let name = variable
                .get(PREFIX.len()..)?
                .to_ascii_lowercase()
                .replace("__", ".");
            let is_ours = prefix.eq_ignore_ascii_case(PREFIX) && !OPTIONS.contains(&name.as_str());
            is_ours.then_some((name, text))
        });
        Environment(ours.collect())
    }

    /// What a variable says.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The variable that gives a setting, if one does.
    pub(super) fn variable_of(&self, name: &str) -> Option<String> {
        let given = self.0.contains_key(name);
        given.then(|| format!("{PREFIX}{}", name.to_ascii_uppercase().replace('.', "__")))
    }

    /// The names that the variables stand for, whether there is such a setting or not.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Settings with these laid over them.
    pub(super) fn over(&self, mut figment: Figment) -> Figment {
        for (name, text) in &self.0 {
            // An empty level would end the name before its end.
            if name.split('.').all(|level| !level.is_empty()) {
                figment = figment.merge(Serialized::default(name, value(text)));
            }
        }
        figment
    }
}

/// What a text means. One that nests deeper than any setting is no more than a text: figment's parser would follow
/// it to the end of the stack.
fn value(text: &str) -> Value {
    if text.matches(['[', '{']).count() > NESTED {
        return Value::from(text);
    }
    let parsed: Result<Value, Infallible> = text.parse();
    parsed.unwrap_or_else(|never| match never {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_variables_count_and_options_do_not() {
        let variables = [
            ("MUSTER_SITE", "0042"),
            ("MUSTER_LISTEN__HTTP", "a"),
            ("MUSTER_DIR", "b"),
            ("MUSTER_", "c"),
            ("MUSTER", "d"),
            ("MUSTÄR_X", "e"),
            ("PATH", "f"),
        ];
        let environment = Environment::of(variables.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(
            environment.names().collect::<Vec<_>>(),
            ["", "listen.http", "site"]
        );
        assert_eq!(environment.get("site"), Some("0042"));
    }
}
