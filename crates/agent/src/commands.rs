//! What the agent does when it is told to.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, PoisonError},
};

use device::{Document, Ended, Event};
use serde_json::json;
use tokio::time::Instant;

use crate::metrics::Metrics;

/// What it can do.
pub(crate) const CAN: [&str; 4] = ["diagnose", "logs", "restart", "wipe"];
/// What it can do if it was told how.
pub(crate) const REBOOT: &str = "reboot";
/// The newest events that it remembers.
const REMEMBERED: usize = 500;
/// Lines of the log where nobody says how many.
const LINES: u64 = 50;

/// What happened to the agent since it was started, a line each.
pub(crate) struct Log {
    begun: Instant,
    lines: Mutex<VecDeque<String>>,
}

impl Log {
    pub(crate) fn new() -> Log {
        Log {
            begun: Instant::now(),
            lines: Mutex::default(),
        }
    }

    pub(crate) fn note(&self, event: &Event) {
        let line = format!("{:.3}s {event:?}", self.begun.elapsed().as_secs_f64());
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == REMEMBERED {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn last(&self, count: usize) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let from = lines.len().saturating_sub(count);
        lines.range(from..).map(|line| format!("{line}\n")).collect()
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

/// Does what it is told to.
pub(crate) fn obey(name: &str, arguments: &Document, log: &Log, metrics: &Metrics) -> Ended {
    match name {
        "diagnose" => Ended::Succeeded {
            output: diagnosis(log, metrics),
        },
        "logs" => match lines(arguments) {
            Ok(count) => Ended::Succeeded {
                output: log.last(count),
            },
            Err(why) => Ended::Rejected { why },
        },
        "restart" => Ended::Restart {
            output: String::new(),
        },
        "wipe" => Ended::Wipe,
        _ => Ended::Rejected {
            why: format!("this agent knows no `{name}`, only {}", CAN.join(", ")),
        },
    }
}

fn lines(arguments: &Document) -> Result<usize, String> {
    let asked = arguments.get("lines").map_or(Some(LINES), |lines| lines.as_u64());
    asked
        .filter(|count| (1..=REMEMBERED as u64).contains(count))
        .and_then(|count| usize::try_from(count).ok())
        .ok_or_else(|| format!("lines is a number from 1 to {REMEMBERED}"))
}

fn diagnosis(log: &Log, metrics: &Metrics) -> String {
    let facts = json!({
        "agent": env!("CARGO_PKG_VERSION"),
        "process": std::process::id(),
        "up_ms": u64::try_from(log.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        "system": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "metrics": metrics.read(),
    });
    facts.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_does_what_it_knows_and_nothing_else() {
        let log = Log::new();
        for n in 0..REMEMBERED + 7 {
            log.note(&Event::Problem { what: n.to_string() });
        }
        let obey = |name: &str, arguments: serde_json::Value| {
            obey(name, arguments.as_object().unwrap(), &log, &Metrics::None)
        };
        let Ended::Succeeded { output } = obey("logs", json!({"lines": 2})) else {
            panic!("no log");
        };
        assert_eq!(output.lines().count(), 2);
        assert!(output.lines().last().unwrap().contains("\"506\""), "{output}");
        for bad in [
            json!({"lines": 0}),
            json!({"lines": 501}),
            json!({"lines": "all"}),
        ] {
            assert!(matches!(obey("logs", bad), Ended::Rejected { .. }));
        }
        let Ended::Succeeded { output } = obey("diagnose", json!({})) else {
            panic!("no diagnosis");
        };
        assert!(output.contains(&format!("\"process\":{}", std::process::id())));
        assert!(matches!(obey("restart", json!({})), Ended::Restart { .. }));
        assert_eq!(obey("wipe", json!({})), Ended::Wipe);
        assert!(matches!(obey("dance", json!({})), Ended::Rejected { why } if why.contains("diagnose")));
    }
}
