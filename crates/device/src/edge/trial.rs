//! A new image: started, judged by the platform, and confirmed once the server has been reached with it.

use std::time::Duration;

use client::{Backoff, Client};
use contract::{
    id::ServiceName,
    v1::{GetStanding, Standing},
};
use tokio::time::{Instant, timeout_at};

use super::body::{Body, Trial, told_whole};
use crate::{
    error::Error,
    planted::{self, Mistake},
    platform::{Boot, Image, Platform},
    update::{Input, Job, Stage, Task, task},
};

/// Pauses before a disk that took nothing is tried again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
const UNREACHED: &str = "the server could not be reached with it in time";

/// Whether the process may go on.
pub(crate) enum Settled {
    GoOn,
    Restart,
}

/// What an image makes of itself.
pub(crate) enum Verdict {
    Well,
    Bad(String),
    Restart,
}

/// Counts the start of a new image, once in each process.
pub(crate) async fn begin<P: Platform>(body: &mut Body<P>) -> Result<(), Error> {
    if body.trial.is_some() || !matches!(body.journal.stage, Stage::Trying { .. }) {
        return Ok(());
    }
    note(body, Input::Started).await?;
    if matches!(body.journal.stage, Stage::Trying { .. }) {
        body.trial = Some(Trial {
            deadline: Instant::now() + body.settings.confirm_within,
            is_well: false,
            is_reached: false,
        });
    }
    Ok(())
}

/// Something happened that the device does not go on from before it is on disk, and the marker with it: a full
/// disk is waited for, for as long as it takes.
pub(crate) async fn note<P: Platform>(body: &mut Body<P>, input: Input) -> Result<(), Error> {
    let (mut pauses, mut open) = (Backoff::new(PAUSES.0, PAUSES.1), Some(input));
    loop {
        // The journal may take it where the marker fails: then it has happened, and not again.
        let mut noted = Ok(());
        if let Some(input) = open.clone() {
            let before = body.journal.clone();
            noted = body.apply(input).await;
            open = open.filter(|_| noted.is_err() && body.journal == before);
        }
        if open.is_none() {
            noted = body.mark().await;
        }
        match noted {
            Err(error @ Error::Files { .. }) => body.problem(told_whole(&error)),
            noted => return noted,
        }
        tokio::time::sleep(pauses.pause(body.chance())).await;
    }
}

/// The time of a trial is over before the server was reached.
pub(crate) async fn fail<P: Platform>(body: &mut Body<P>) -> Result<(), Error> {
    note(body, Input::Unhealthy(UNREACHED.into())).await
}

/// What needs no connection is done before there is one: an image without a network must not stay.
pub(crate) async fn settle<P: Platform>(body: &mut Body<P>) -> Result<Settled, Error> {
    begin(body).await?;
    loop {
        match task(&body.journal) {
            Some(Task::Try(job)) if body.trial.is_some_and(|trial| !trial.is_well) => {
                let image = body.slots.image(body.journal.active.other(), &job.image);
                match judge(body, &job, &image).await {
                    Verdict::Restart => return Ok(Settled::Restart),
                    Verdict::Bad(why) => note(body, Input::Unhealthy(why)).await?,
                    Verdict::Well => {
                        if let Some(trial) = &mut body.trial {
                            trial.is_well = true;
                        }
                    }
                }
            }
            Some(Task::Undo) => {
                let old = body.image();
                match body.platform.roll_back(old.as_ref()).await {
                    Boot::Restart => return Ok(Settled::Restart),
                    Boot::Running => note(body, Input::Undone).await?,
                }
            }
            _ => return Ok(Settled::GoOn),
        }
    }
}

/// Waits until the time of a trial is over; for ever, if there is none.
pub(crate) async fn over(trial: Option<Trial>) {
    match trial {
        Some(trial) => tokio::time::sleep_until(trial.deadline).await,
        None => std::future::pending().await,
    }
}

/// The last proof: the server answers a device that runs the new image.
pub(crate) async fn reach(client: &Client, deadline: Instant) -> Input {
    let asked = async {
        loop {
            let standing = client
                .ask::<Standing>(ServiceName::Registry, "standing", &GetStanding::default())
                .await;
            // A refusal, too, shows that the server has been reached.
            if matches!(standing, Ok(_) | Err(client::AskError::Refused(_))) {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    match timeout_at(deadline, asked).await {
        Ok(()) => Input::Healthy,
        Err(_) => Input::Unhealthy(UNREACHED.into()),
    }
}

/// Starts an image and has it judged. Its bytes are looked at again: they have lain on a disk.
async fn judge<P: Platform>(body: &Body<P>, job: &Job, image: &Image) -> Verdict {
    let (slots, slot, held) = (body.slots.clone(), body.journal.active.other(), job.image.clone());
    let looked = slots
        .blocking(move |slots| Ok(slots.check_slot(slot, &held)))
        .await;
    if let Err(why) = looked.unwrap_or_else(|e| Err(e.to_string())) {
        return Verdict::Bad(why);
    }
    let Some(trial) = body.trial else {
        return Verdict::Bad("it was not started".into());
    };
    let judged = async {
        match body.platform.boot(image).await {
            Boot::Restart => Verdict::Restart,
            Boot::Running => match body.platform.check(image).await {
                Ok(()) => Verdict::Well,
                Err(_) if planted::is(Mistake::UnwellConfirmed) => Verdict::Well,
                Err(why) => Verdict::Bad(why),
            },
        }
    };
    timeout_at(trial.deadline, judged)
        .await
        .unwrap_or_else(|_| Verdict::Bad("it did not prove itself in time".into()))
}
