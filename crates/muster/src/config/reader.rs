//! Takes settings one by one and collects what is wrong with them.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use figment::{
    Figment,
    providers::{Format, Toml},
    value::{Dict, Value},
};
use serde::de::DeserializeOwned;

use super::environment::Environment;
use crate::exit::Failure;

/// A century: longer than any device lives, and short enough to be added to a date.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The settings of one file and the environment.
pub(super) struct Reader {
    figment: Figment,
    environment: Environment,
    file: String,
    known: BTreeSet<&'static str>,
    mistakes: Vec<String>,
}

impl Reader {
    pub(super) fn open(path: &Path, environment: Environment) -> Result<Reader, Failure> {
        let file = path.display().to_string();
        let figment = environment.over(Figment::new().merge(Toml::file_exact(path)));
        // A file that is no TOML has no settings to name.
        if let Err(error) = figment.extract::<Dict>() {
            return Err(Failure::usage(format!("{file}: {error}")));
        }
        Ok(Reader {
            figment,
            environment,
            file,
            known: BTreeSet::new(),
            mistakes: Vec::new(),
        })
    }

    /// All mistakes, if there are any.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let mut named = BTreeSet::new();
        if let Ok(all) = self.figment.extract::<Dict>() {
            name_all(&all, "", &mut named);
        }
        named.retain(|name| !self.is_known(name));
        let variables = self.environment.names().filter(|name| !self.known.contains(name));
        named.extend(variables.map(str::to_owned));
        for name in named {
            self.mistakes.push(format!("{name}: there is no such setting"));
        }
        if self.mistakes.is_empty() {
            return Ok(());
        }
        let (mut told, mut in_environment) = (Vec::new(), 0);
        for mistake in &self.mistakes {
            let name = mistake.split(':').next().unwrap_or_default();
            let variable = self.environment.variable_of(name);
            in_environment += usize::from(variable.is_some());
            let from = variable.map(|variable| format!(" (from the environment: {variable})"));
            told.push(format!("{mistake}{}", from.unwrap_or_default()));
        }
        let place = match in_environment == told.len() {
            true => "the environment",
            false => &self.file,
        };
        let (count, list) = (told.len(), told.join("\n  "));
        Err(Failure::usage(format!(
            "{place} has {count} mistake(s):\n  {list}"
        )))
    }

    /// Something is wrong that the reader itself does not see.
    pub(super) fn mistake(&mut self, mistake: String) {
        self.mistakes.push(mistake);
    }

    /// The settings that were asked for.
    #[cfg(test)]
    pub(super) fn known(&self) -> &BTreeSet<&'static str> {
        &self.known
    }

    /// Whether this is a setting, or an empty section of settings.
    fn is_known(&self, name: &str) -> bool {
        let section = |known: &&str| {
            name.strip_suffix('.')
                .is_some_and(|section| is_below(known, section))
        };
        self.known.contains(name) || self.known.iter().any(section)
    }

    pub(super) fn value<T: DeserializeOwned>(&mut self, name: &'static str, default: T) -> T {
        self.optional(name).unwrap_or(default)
    }

    pub(super) fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        self.known.insert(name);
        if self.figment.find_value(name).is_err() {
            return None;
        }
        match self.figment.extract_inner(name) {
            Ok(value) => Some(value),
            Err(error) => {
                self.mistakes.push(format!("{name}: {}", for_people(&error.kind)));
                None
            }
        }
    }

    /// A setting that is a text. Figment takes the environment's `123` for a number; as a text it is what was
    /// written, with its leading zeros.
    pub(super) fn optional_text(&mut self, name: &'static str) -> Option<String> {
        self.known.insert(name);
        let is_text = matches!(self.figment.find_value(name), Ok(Value::String(..)));
        match self.environment.get(name) {
            Some(written) if !is_text => Some(written.trim().to_owned()),
            _ => self.optional(name),
        }
    }

    pub(super) fn text(&mut self, name: &'static str, default: &str) -> String {
        self.optional_text(name).unwrap_or_else(|| default.to_owned())
    }

    pub(super) fn optional_path(&mut self, name: &'static str) -> Option<PathBuf> {
        self.optional_text(name).map(PathBuf::from)
    }

    /// A setting that parses, with a default that does.
    pub(super) fn parsed<T>(
        &mut self,
        name: &'static str,
        default: &str,
        parse: impl Fn(String) -> Result<T, String>,
    ) -> T
    where
        T: ParsedDefault,
    {
        let text = self.text(name, default);
        parse(text).unwrap_or_else(|mistake| {
            self.mistakes.push(format!("{name}: {mistake}"));
            parse(default.to_owned()).unwrap_or_else(|_| T::blank())
        })
    }

    pub(super) fn address(&mut self, name: &'static str, default: &str) -> SocketAddr {
        self.parsed(name, default, |text| {
            text.parse()
                .map_err(|_| format!("`{text}` is no address; for example `0.0.0.0:8883`"))
        })
    }

    pub(super) fn loopback(&mut self, name: &'static str, default: &str) -> SocketAddr {
        let address = self.address(name, default);
        if !address.ip().is_loopback() {
            self.mistakes.push(format!(
                "{name}: {address} is not on the loopback interface (127.0.0.1 or [::1])"
            ));
        }
        address
    }

    pub(super) fn optional_loopback(&mut self, name: &'static str) -> Option<SocketAddr> {
        self.known.insert(name);
        self.figment
            .find_value(name)
            .is_ok()
            .then(|| self.loopback(name, "127.0.0.1:0"))
    }

    pub(super) fn optional_address(&mut self, name: &'static str, example: &str) -> Option<SocketAddr> {
        self.known.insert(name);
        let given = self.figment.find_value(name).is_ok();
        given.then(|| self.address(name, example))
    }

    pub(super) fn optional_id(&mut self, name: &'static str) -> Option<contract::Id> {
        let text = self.optional_text(name)?;
        let id = text.parse().map_err(|error| format!("{name}: {error}"));
        id.map_err(|mistake| self.mistakes.push(mistake)).ok()
    }

    /// Origins of web pages, as browsers send them: scheme, host and, if it is not the usual one, port
    /// (RFC 6454, section 6.2).
    pub(super) fn origins(&mut self, name: &'static str) -> Vec<String> {
        let origins: Vec<String> = self.value(name, Vec::new());
        for origin in origins.iter().filter(|origin| !is_origin(origin)) {
            self.mistakes.push(format!(
                "{name}: `{origin}` is no origin; for example `https://console.example.com`"
            ));
        }
        origins
    }

    pub(super) fn duration(&mut self, name: &'static str, default: &str) -> Duration {
        self.parsed(name, default, |text| duration_of(&text))
    }

    /// A duration within bounds, which are said as they stand.
    pub(super) fn duration_within(
        &mut self,
        name: &'static str,
        default: &str,
        bounds: RangeInclusive<Duration>,
    ) -> Duration {
        let duration = self.duration(name, default);
        if !bounds.contains(&duration) {
            let [least, most] = [bounds.start(), bounds.end()].map(|end| humantime::format_duration(*end));
            self.mistakes
                .push(format!("{name}: it is between {least} and {most}"));
        }
        duration
    }

    /// A duration that need not be given.
    pub(super) fn optional_duration(&mut self, name: &'static str) -> Option<Duration> {
        self.known.insert(name);
        let is_given = self.figment.find_value(name).is_ok();
        is_given.then(|| self.duration(name, "90d"))
    }

    /// A number within bounds.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        default: usize,
        bounds: RangeInclusive<usize>,
    ) -> usize {
        let number = self.value(name, default);
        if !bounds.contains(&number) {
            let (least, most) = (bounds.start(), bounds.end());
            self.mistakes.push(match *most {
                usize::MAX => format!("{name}: {number} is less than {least}"),
                most => format!("{name}: {number} is not between {least} and {most}"),
            });
        }
        number
    }

    pub(super) fn mebibytes(&mut self, name: &'static str, default: u64) -> u64 {
        self.value(name, default).saturating_mul(1024 * 1024)
    }
}

/// What is wrong with a value, without the names of the program's own types.
fn for_people(kind: &figment::error::Kind) -> String {
    let mut text = kind.to_string();
    for number in ["usize", "u16", "u32", "u64"] {
        text = text.replace(&format!("expected {number}"), "expected a whole number");
    }
    text
}

/// A duration as people write it.
pub(super) fn duration_of(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) => Err(format!("`{text}` is longer than a century")),
        Err(_) => Err(format!("`{text}` is no duration; for example `30s`, `7d`")),
    }
}

/// Lower case throughout, as browsers write it; a path or a wildcard would fit nobody.
fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-:[]".contains(c);
    host.is_some_and(|host| !host.is_empty() && host.chars().all(fits))
}

/// What stands in for a value that could not be read, until the mistakes are reported.
pub(super) trait ParsedDefault {
    fn blank() -> Self;
}

impl ParsedDefault for String {
    fn blank() -> Self {
        String::new()
    }
}

impl ParsedDefault for contract::Root {
    fn blank() -> Self {
        contract::Root::default()
    }
}

impl ParsedDefault for store::Engine {
    fn blank() -> Self {
        store::Engine::default()
    }
}

impl ParsedDefault for store::StartCheck {
    fn blank() -> Self {
        store::StartCheck::default()
    }
}

impl ParsedDefault for SocketAddr {
    fn blank() -> Self {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }
}

impl ParsedDefault for Duration {
    fn blank() -> Self {
        Duration::ZERO
    }
}

/// Whether a name lies in a section.
fn is_below(name: &str, section: &str) -> bool {
    let rest = name.strip_prefix(section);
    rest.is_some_and(|rest| rest.starts_with('.'))
}

/// The names of all values. A section without any ends in a dot; a dot that a file writes within a name is
/// quoted, for no setting has one.
fn name_all(dict: &Dict, prefix: &str, names: &mut BTreeSet<String>) {
    for (key, value) in dict {
        let key = if key.contains('.') {
            format!("\"{key}\"")
        } else {
            key.clone()
        };
        let name = if prefix.is_empty() {
            key
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Dict(_, inner) if inner.is_empty() => drop(names.insert(name + ".")),
            Value::Dict(_, inner) => name_all(inner, &name, names),
            _ => drop(names.insert(name)),
        }
    }
}
