//! `muster audit export`

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use anyhow::{Context, Result};
use contract::{id::ServiceName, v1::ReadAudit};

use super::{read, service, services};
use crate::cli::{Global, print};

#[derive(clap::Args)]
pub(in crate::cli) struct Export {
    /// Only of this service; may be given several times
    #[arg(long = "service", value_name = "SERVICE", value_parser = service())]
    services: Vec<ServiceName>,
    /// Begin after this entry of one service
    #[arg(long, value_name = "N", requires = "services")]
    after: Option<u64>,
    /// Where to write them; must not exist yet [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Export {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        if self.after.is_some() && self.services.len() > 1 {
            let message = "each service has its own numbers: give --after with one --service";
            return Err(crate::exit::Failure::usage(message).into());
        }
        let mut out: Box<dyn Write> = match &self.output {
            None => Box::new(io::stdout().lock()),
            Some(path) => {
                let file = File::create_new(path).with_context(|| path.display().to_string())?;
                Box::new(BufWriter::new(file))
            }
        };
        let ask = ReadAudit {
            page: read::after(self.after.unwrap_or_default()),
            ..ReadAudit::default()
        };
        let services = services(self.services);
        let count = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let mut count = 0usize;
            for service in services {
                let take = |page: Vec<_>| {
                    for entry in page {
                        writeln!(out, "{}", serde_json::to_string(&entry)?)?;
                        count += 1;
                    }
                    Ok(())
                };
                read::pages(&client, service, &ask, usize::MAX, take).await?;
            }
            client.disconnect().await;
            Ok(count)
        })?;
        out.flush()?;
        if let Some(path) = self.output {
            print::note(format!("{count} entries in {}", path.display()));
        }
        Ok(())
    }
}
