//! What a running Muster says of its registry, over HTTP.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(10);

/// Counters of the registry since its start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub(crate) events: f64,
    pub(crate) decided: f64,
    pub(crate) commits: f64,
    pub(crate) keys: f64,
    pub(crate) commit_seconds: f64,
}

/// The registry's work between two moments.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work(Counters);

impl Counters {
    pub(crate) fn read(http: SocketAddr) -> Result<Counters> {
        let health: Value = serde_json::from_str(&get(http, "/healthz")?).context("/healthz is no JSON")?;
        let registry = &health["services"]["registry"];
        let number = |name: &str| {
            registry[name]
                .as_f64()
                .with_context(|| format!("/healthz names no {name}"))
        };
        let metrics = get(http, "/metrics")?;
        Ok(Counters {
            events: number("events")?,
            decided: number("decided")?,
            commits: number("commits")?,
            keys: sample(&metrics, "muster_commit_keys_sum"),
            commit_seconds: sample(&metrics, "muster_commit_seconds_sum"),
        })
    }

    pub(crate) fn since(self, earlier: Counters) -> Work {
        Work(Counters {
            events: self.events - earlier.events,
            decided: self.decided - earlier.decided,
            commits: self.commits - earlier.commits,
            keys: self.keys - earlier.keys,
            commit_seconds: self.commit_seconds - earlier.commit_seconds,
        })
    }
}

impl Work {
    pub(crate) fn events(&self) -> f64 {
        self.0.events
    }

    /// Requests decided in one commit.
    pub(crate) fn group(&self) -> f64 {
        self.0.decided / self.0.commits.max(1.0)
    }

    /// Keys written.
    pub(crate) fn keys(&self) -> f64 {
        self.0.keys
    }

    /// Keys written for one request.
    pub(crate) fn keys_per_request(&self) -> f64 {
        self.0.keys / self.0.decided.max(1.0)
    }

    /// How long one commit took.
    pub(crate) fn commit_ms(&self) -> f64 {
        self.0.commit_seconds * 1000.0 / self.0.commits.max(1.0)
    }
}

/// A metric of the registry; 0 where it was never recorded.
fn sample(metrics: &str, name: &str) -> f64 {
    let labelled = format!("{name}{{service=\"registry\"}}");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&labelled));
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or_default()
}

fn get(http: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(http)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {http}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("no answer to {path}"))?;
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_name_and_service() {
        let metrics = "# TYPE k summary\nk_sum{service=\"rollout\"} 1\nk_sum{service=\"registry\"} 2.5\n";
        assert_eq!(sample(metrics, "k_sum"), 2.5);
        assert_eq!(sample(metrics, "k_count"), 0.0);
    }
}
