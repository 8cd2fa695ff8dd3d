//! `muster policy export mosquitto`

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{
    super::{Global, print},
    mosquitto::{self, Listener},
    roll::Roll,
};
use crate::{
    exit::{Exit, Failure},
    folder::write_public,
};

#[derive(clap::Args)]
pub(in crate::cli) struct Mosquitto {
    /// Where the files are written
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// What Mosquitto listens on: PORT, or PORT and ADDRESS
    #[arg(long, default_value = "8883", value_name = "PORT [ADDRESS]")]
    listen: String,
    /// The certificate that Mosquitto shows [default: the installation's]
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key [default: the installation's]
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

impl Mosquitto {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let roll = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let roll = Roll::call(&client).await;
            client.disconnect().await;
            roll
        })?;
        let shared = roll.shared_names();
        if !shared.is_empty() {
            let message = format!(
                "two kinds of principals share these names, and Mosquitto would give one the other's rights: {}; \
                 rename or remove one of each",
                shared.join(", ")
            );
            return Err(Failure::new(Exit::Conflict, message).into());
        }
        if roll.authorities.crl.is_empty() {
            let message = "there is no revocation list yet, and without one Mosquitto lets revoked devices in; try \
                           again in a moment";
            return Err(Failure::new(Exit::Unavailable, message).into());
        }
        self.write(global, &roll)
    }

    fn write(&self, global: &Global, roll: &Roll) -> Result<()> {
        std::fs::create_dir_all(&self.out)?;
        let folder = self.out.canonicalize()?;
        let trusted = format!("{}{}", roll.authorities.roots, roll.authorities.issuing);
        let installed = |name: &str| global.folder().pki(name);
        let certificate = self
            .certificate
            .clone()
            .unwrap_or_else(|| installed("server.pem"));
        let key = self.key.clone().unwrap_or_else(|| installed("server.key"));
        let listener = Listener {
            address: &self.listen,
            folder: &folder.to_string_lossy(),
            certificate: &absolute(&certificate)?,
            key: &absolute(&key)?,
        };
        // Who exports from elsewhere does not know what was configured.
        let limits = global.config().map(|config| config.limits).unwrap_or_default();
        let files = [
            ("roots.pem", trusted),
            ("crl.pem", roll.authorities.crl.clone()),
            ("muster.acl", mosquitto::acl(&global.root(), roll)),
            ("muster.conf", mosquitto::configuration(&listener, &limits)),
        ];
        for (name, text) in &files {
            write_public(&folder.join(name), text.as_bytes())?;
        }
        let names: Vec<_> = files.iter().map(|(name, _)| folder.join(name)).collect();
        if global.json {
            return print::json(&serde_json::json!({ "files": names }));
        }
        for name in names {
            print::line(name.display().to_string())?;
        }
        Ok(())
    }
}

/// Mosquitto looks for files from where it was started.
fn absolute(path: &Path) -> Result<String> {
    let found = path
        .canonicalize()
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Ok(found.to_string_lossy().into_owned())
}
