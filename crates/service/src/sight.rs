//! How far an operator's request may reach.

use std::collections::BTreeSet;

use contract::{ServiceName, v1::DeviceFact};

use crate::{store::StoreError, view::View};

/// The devices that a request may touch or tell of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Sight {
    /// All.
    #[default]
    Everything,
    /// Those in one of these groups.
    Groups(BTreeSet<String>),
}

impl Sight {
    /// Whether a device of these groups is in sight.
    pub fn covers(&self, groups: &[String]) -> bool {
        match self {
            Sight::Everything => true,
            Sight::Groups(held) => groups.iter().any(|group| held.contains(group)),
        }
    }

    /// Whether a group is in sight.
    pub fn has_group(&self, group: &str) -> bool {
        match self {
            Sight::Everything => true,
            Sight::Groups(held) => held.contains(group),
        }
    }

    /// Whether a device is in sight, by what the registry has told this service of its groups.
    pub fn device(&self, view: &View<'_>, id: &str) -> Result<bool, StoreError> {
        if *self == Sight::Everything {
            return Ok(true);
        }
        let fact = view.fact::<DeviceFact>(ServiceName::Registry, "device", id)?;
        Ok(fact.is_some_and(|fact| self.covers(&fact.groups)))
    }
}
