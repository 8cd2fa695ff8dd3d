//! The names of a backup's parts. A name that is none of these is never followed to a path.

use std::path::{Component, Path, PathBuf};

use contract::id::ServiceName;

/// Folders of an installation that are taken whole.
pub(super) const FOLDERS: [&str; 4] = ["pki", "people", "release", "bootstrap"];
/// The configuration.
pub(super) const CONFIG: &str = "muster.toml";

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// The configuration.
    Config,
    /// A file of one of [`FOLDERS`], by its path.
    File(PathBuf),
    /// What a service's database says of itself; before its rows.
    Identity(ServiceName),
    /// Rows of a service's database.
    Rows(ServiceName),
    /// What was written while they were copied.
    Writes(ServiceName),
    /// A file of a service.
    Blob(ServiceName, String),
}

impl Part {
    /// Reads a name.
    pub(super) fn parse(name: &str) -> Option<Part> {
        if name == CONFIG {
            return Some(Part::Config);
        }
        let path = Path::new(name);
        let words: Option<Vec<&str>> = path.components().map(plain).collect();
        match words?.as_slice() {
            ["state", service, "identity.json"] => Some(Part::Identity(keeper(service)?)),
            ["state", service, "rows", _] => Some(Part::Rows(keeper(service)?)),
            ["state", service, "writes", _] => Some(Part::Writes(keeper(service)?)),
            ["state", service, "files", blob] => Some(Part::Blob(keeper(service)?, (*blob).to_owned())),
            [folder, _, ..] if FOLDERS.contains(folder) => Some(Part::File(path.to_owned())),
            _ => None,
        }
    }
}

fn plain(component: Component<'_>) -> Option<&str> {
    match component {
        Component::Normal(word) => word.to_str(),
        _ => None,
    }
}

fn keeper(word: &str) -> Option<ServiceName> {
    ServiceName::from_word(word).filter(|name| ServiceName::KEEPERS.contains(name))
}

pub(super) fn identity(service: ServiceName) -> String {
    format!("state/{service}/identity.json")
}

pub(super) fn rows(service: ServiceName, number: usize) -> String {
    format!("state/{service}/rows/{number:06}")
}

pub(super) fn writes(service: ServiceName, number: usize) -> String {
    format!("state/{service}/writes/{number:06}")
}

pub(super) fn blob(service: ServiceName, name: &str) -> String {
    format!("state/{service}/files/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_but_where_they_should() {
        let registry = ServiceName::Registry;
        for (name, part) in [
            ("muster.toml".to_owned(), Part::Config),
            ("pki/root.pem".to_owned(), Part::File("pki/root.pem".into())),
            (identity(registry), Part::Identity(registry)),
            (rows(registry, 3), Part::Rows(registry)),
            (writes(registry, 3), Part::Writes(registry)),
            (blob(registry, "x"), Part::Blob(registry, "x".into())),
        ] {
            assert_eq!(Part::parse(&name), Some(part), "{name}");
        }
        for name in [
            "",
            "/etc/passwd",
            "pki",
            "pki/../muster.toml",
            "../pki/x",
            "pki//../../x",
            "state/registry/db/lock",
            "state/front-door/rows/000000",
            "state/registry/files/a/b",
            "state/registry/files/..",
            "other/x",
        ] {
            assert_eq!(Part::parse(name), None, "{name}");
        }
    }
}
