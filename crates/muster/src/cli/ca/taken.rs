//! Whether the running server has taken what `muster ca` has changed. It looks at the files every few seconds, and
//! what is typed next must not be decided by the former ones.

use std::time::Duration;

use anyhow::Result;
use contract::{
    id::ServiceName,
    v1::{Authorities, GetAuthorities},
};

use super::super::{Global, global::ask};
use crate::exit::{Exit, Failure, code_of};

/// Between two looks, and how many there are: half a minute, where the server takes six seconds.
const PAUSE: Duration = Duration::from_millis(500);
const LOOKS: u32 = 60;

/// What is known of the server.
pub(super) enum Taken {
    /// It goes by what was changed.
    Yes,
    /// None could be asked, for this reason.
    NotAsked(String),
}

impl Taken {
    /// For the end of the sentence that says what was changed.
    pub(super) fn words(&self) -> String {
        match self {
            Taken::Yes => "the running server has taken it".into(),
            Taken::NotAsked(why) => format!(
                "no server could be asked whether it has taken it ({why}). One that runs does within seconds: go on when \
                 `muster cert authorities` says so; one that starts does at once"
            ),
        }
    }

    pub(super) fn is_known(&self) -> bool {
        matches!(self, Taken::Yes)
    }
}

/// Waits until the running server holds what was changed.
///
/// # Errors
/// [`Exit::Denied`] where it is there and does not let the caller ask, [`Exit::Unavailable`] where it does not follow.
pub(super) fn wait(global: &Global, holds: impl Fn(&Authorities) -> bool) -> Result<Taken> {
    let waited = global.block_on(async {
        let (client, _inbox) = global.connect().await?;
        let mut is_taken = false;
        for _ in 0..LOOKS {
            let asked = GetAuthorities::default();
            let told: Authorities = ask(&client, ServiceName::Provisioning, "authorities", &asked).await?;
            is_taken = holds(&told);
            if is_taken {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        client.disconnect().await;
        Ok(is_taken)
    });
    match waited {
        Ok(true) => Ok(Taken::Yes),
        Ok(false) => {
            let message = "it is written, and the running server has not taken it within half a minute: its log says why. \
                           Do not go on before it has";
            Err(Failure::new(Exit::Unavailable, message).into())
        }
        Err(error) if is_denied(&error) => Err(error.context(
            "it is written, and the running server, which takes it within seconds, did not let you ask whether it has",
        )),
        Err(error) => Ok(Taken::NotAsked(format!("{error:#}"))),
    }
}

fn is_denied(error: &anyhow::Error) -> bool {
    code_of(error) == Exit::Denied as u8
}
