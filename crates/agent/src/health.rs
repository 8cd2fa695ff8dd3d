//! What judges a new image.

use std::{fmt, process::Stdio, sync::Arc, time::Duration};

use device::Image;
use tokio::process::Command;

/// A closure that judges an image; an error is the reason for going back.
pub type Judge = Arc<dyn Fn(&Image) -> Result<(), String> + Send + Sync>;

/// What judges a new image.
#[derive(Clone, Default)]
pub enum HealthCheck {
    /// Every image is well.
    #[default]
    Always,
    /// A program, which is given the image's path as its last argument and must end well in time.
    Command {
        /// The program.
        program: String,
        /// Its arguments before the path.
        arguments: Vec<String>,
        /// How long it may take.
        within: Duration,
    },
    /// A closure.
    Closure(Judge),
}

impl HealthCheck {
    /// A closure that judges an image; an error is the reason for going back.
    pub fn closure(judge: impl Fn(&Image) -> Result<(), String> + Send + Sync + 'static) -> HealthCheck {
        HealthCheck::Closure(Arc::new(judge))
    }

    pub(crate) async fn judge(&self, image: &Image) -> Result<(), String> {
        match self {
            HealthCheck::Always => Ok(()),
            HealthCheck::Closure(judge) => judge(image),
            HealthCheck::Command {
                program,
                arguments,
                within,
            } => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&image.path);
                run(command, *within).await
            }
        }
    }
}

async fn run(mut command: Command, within: Duration) -> Result<(), String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let ended = tokio::time::timeout(within, command.kill_on_drop(true).status()).await;
    match ended {
        Err(_) => Err(format!("the health check did not end within {within:?}")),
        Ok(Err(error)) => Err(format!("the health check could not be run: {error}")),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("the health check ended with {status}")),
    }
}

impl fmt::Debug for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HealthCheck::Always => "Always",
            HealthCheck::Command { .. } => "Command",
            HealthCheck::Closure(_) => "Closure",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        Image {
            path: "/dev/null".into(),
            name: "pump-fw".into(),
            version: "1.1.0".into(),
            sequence: 2,
            size: 0,
            sha256: String::new(),
        }
    }

    fn command(program: &str, arguments: &[&str], ms: u64) -> HealthCheck {
        HealthCheck::Command {
            program: program.into(),
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
            within: Duration::from_millis(ms),
        }
    }

    #[tokio::test]
    async fn judgements() {
        for (check, expected) in [
            (HealthCheck::Always, None),
            (
                HealthCheck::closure(|i| Err(format!("{} is bad", i.version))),
                Some("1.1.0 is bad"),
            ),
            (command("test", &["-e"], 5_000), None),
            (command("test", &["-d"], 5_000), Some("ended with")),
            (command("/nonexistent", &[], 5_000), Some("could not be run")),
            (command("sh", &["-c", "sleep 9"], 20), Some("did not end within")),
        ] {
            let judged = check.judge(&image()).await.err();
            assert_eq!(judged.is_some(), expected.is_some(), "{check:?}: {judged:?}");
            assert!(judged.unwrap_or_default().contains(expected.unwrap_or_default()));
        }
    }
}
