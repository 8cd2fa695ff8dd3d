//! `muster store migrate`

use anyhow::Result;
use store::Engine;

use super::{
    super::{Global, print},
    compact,
    place::{Services, told},
};

#[derive(clap::Args)]
pub(in crate::cli) struct Migrate {
    /// The engine to bring the databases to: sled or redb
    #[arg(long, value_name = "ENGINE", value_parser = str::parse::<Engine>)]
    to: Engine,
    #[command(flatten)]
    services: Services,
}

impl Migrate {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        for place in self.services.find(global)? {
            if place.store.engine() == self.to {
                print::note(format!("{}: {} keeps it already", place.name, self.to));
                continue;
            }
            let done = place
                .store
                .migrate(self.to)
                .map_err(|error| told(place.name, error))?;
            compact::say(global, &place, done, &format!("brought to {}", self.to))?;
        }
        if global.config()?.engine != self.to {
            print::note(format!(
                "next: put `engine = \"{}\"` under `[store]` in muster.toml",
                self.to
            ));
        }
        Ok(())
    }
}
