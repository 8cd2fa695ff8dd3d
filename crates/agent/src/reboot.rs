//! How the machine is restarted.

use std::{process::Stdio, time::Duration};

use tokio::process::Command;

/// How long the program may take.
const WITHIN: Duration = Duration::from_secs(60);
/// How long a machine may take to go down once the program has ended well.
const DOWN_WITHIN: Duration = Duration::from_secs(120);

/// A program that restarts the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reboot {
    /// The program, for example `systemctl`.
    pub program: String,
    /// Its arguments, for example `reboot`.
    pub arguments: Vec<String>,
}

impl Reboot {
    /// Restarts the machine; why it is still up, if it is.
    pub(crate) async fn run(&self) -> String {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match tokio::time::timeout(WITHIN, command.status()).await {
            Err(_) => format!("`{}` did not end within {WITHIN:?}", self.program),
            Ok(Err(error)) => format!("`{}` could not be run: {error}", self.program),
            Ok(Ok(status)) if !status.success() => format!("`{}` ended with {status}", self.program),
            Ok(Ok(_)) => {
                tokio::time::sleep(DOWN_WITHIN).await;
                format!(
                    "the machine is still up {DOWN_WITHIN:?} after `{}` ended well",
                    self.program
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_stays_up_says_why() {
        for (program, arguments, expected) in [
            ("/nonexistent", &[][..], "could not be run"),
            ("test", &["-d", "/nonexistent"], "ended with"),
        ] {
            let reboot = Reboot {
                program: program.into(),
                arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            };
            let why = reboot.run().await;
            assert!(why.contains(expected), "{why}");
        }
    }
}
