//! When the server's certificate and the issuing CAs end: a gauge for each, and a warning in time.

use std::time::Duration;

use anyhow::{Context, Result};
use host::clock::wall_ms;
use pki::ServerCertificate;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::keys;
use crate::{
    authorities::{self, Register},
    config::Config,
};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);
/// How often a warning is repeated.
const LOOKS_A_WARNING: u32 = 24;
/// A certificate needs its successor when less than one part in so many of its time is left.
const LAST_PART: i64 = 6;

/// A certificate's name and its time, milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    of: String,
    not_before_ms: i64,
    not_after_ms: i64,
}

impl End {
    fn is_near(&self, now_ms: i64) -> bool {
        let last_ms = self.not_after_ms.saturating_sub(self.not_before_ms) / LAST_PART;
        now_ms >= self.not_after_ms.saturating_sub(last_ms)
    }
}

/// Looks at the files until the end.
pub(super) fn watch(config: Config, end: CancellationToken) {
    tokio::spawn(async move {
        let mut looks = 0_u32;
        loop {
            let tells = looks.is_multiple_of(LOOKS_A_WARNING);
            match ends(&config) {
                Ok(ends) => ends.iter().for_each(|end| show(end, tells)),
                Err(error) => warn!("cannot see when certificates end: {error:#}"),
            }
            looks = looks.wrapping_add(1);
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    });
}

fn ends(config: &Config) -> Result<Vec<End>> {
    let server = ServerCertificate::parse_pem(&keys::server_chain(config)?).context("server.pem")?;
    let mut ends = vec![End {
        of: "server".into(),
        not_before_ms: server.not_before_ms,
        not_after_ms: server.not_after_ms,
    }];
    for listed in Register::read(&config.folder)?.all() {
        let validity = authorities::certificate(&config.folder, &listed.id)?.validity;
        ends.push(End {
            of: format!("issuing-{}", listed.id),
            not_before_ms: validity.not_before_ms,
            not_after_ms: validity.not_after_ms,
        });
    }
    Ok(ends)
}

fn show(end: &End, tells: bool) {
    let seconds = (end.not_after_ms / 1000) as f64;
    metrics::gauge!("muster_certificate_end_seconds", "of" => end.of.clone()).set(seconds);
    let now_ms = wall_ms();
    if tells && end.is_near(now_ms) {
        let days = end.not_after_ms.saturating_sub(now_ms) / 86_400_000;
        warn!(of = end.of, days, "this certificate ends soon");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sixth_of_its_time_is_the_last_part() {
        let end = End {
            of: "server".into(),
            not_before_ms: 1_000,
            not_after_ms: 7_000,
        };
        for (now_ms, expected) in [(1_000, false), (5_999, false), (6_000, true), (7_001, true)] {
            assert_eq!(end.is_near(now_ms), expected, "{now_ms}");
        }
    }
}
