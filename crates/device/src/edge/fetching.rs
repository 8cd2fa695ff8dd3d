//! Fetches an image, window by window: stored, then noted, then the next.

use client::AskError;
use contract::{
    Code,
    id::ServiceName,
    v1::{Block, GetBlock, UpdateState},
};
use tokio::task::JoinSet;

use super::{
    body::told_whole,
    errand::Heard,
    work::{Told, Tools},
};
use crate::update::{Arrived, Download, Input, Job};

/// Bad blocks in one go before there is a pause.
const BAD_MAX: u32 = 16;

/// Fetches what is missing and checks the whole. An error may pass.
pub(crate) async fn fetch(tools: &Tools, job: &Job) -> Result<Input, String> {
    let told = tools.tell(&job.rollout_id, UpdateState::Downloading, "", 0);
    if let Told::NoPart = told.await? {
        return Ok(Input::Unassigned);
    }
    let (slots, looked_for) = (tools.slots.clone(), job.clone());
    let kept = slots
        .blocking(move |slots| {
            slots.tidy(Some(&looked_for))?;
            slots.map(&looked_for)
        })
        .await
        .map_err(|e| e.to_string())?;
    let mut download = match Download::resume(job, kept.as_deref()) {
        Ok(download) => download,
        Err(error) => return Ok(Input::Failed(error.to_string())),
    };
    let (mut bad, mut told) = (0, download.percent());
    loop {
        let window = download.window();
        if window.is_empty() {
            break;
        }
        let (blocks, wrong) = match ask_for(tools, job, &download, &window).await? {
            Window::Blocks { good, bad } => (good, bad),
            Window::Failed(why) => return Ok(Input::Failed(why)),
            Window::Unassigned => return Ok(Input::Unassigned),
        };
        bad += wrong;
        if bad > BAD_MAX {
            return Err("blocks arrive damaged".into());
        }
        if let Err(failed) = keep(tools, job, &mut download, blocks).await {
            return Ok(Input::Failed(failed));
        }
        // A watcher need not hear of every window.
        if download.percent() >= told + 10 {
            told = download.percent();
            let _ = tools.teller.try_send(Heard::Fetching(job.clone(), told));
        }
    }
    check(tools, job).await
}

enum Window {
    Blocks { good: Vec<(u64, Vec<u8>)>, bad: u32 },
    Failed(String),
    Unassigned,
}

/// Asks for a window's blocks at once.
async fn ask_for(
    tools: &Tools,
    job: &Job,
    download: &Download,
    window: &[(u64, u32)],
) -> Result<Window, String> {
    let mut asked = JoinSet::new();
    for place in window.iter().copied() {
        let (client, artifact_id) = (tools.client.clone(), job.artifact_id.clone());
        asked.spawn(async move {
            let request = GetBlock {
                artifact_id,
                offset: place.0,
                length: place.1,
                ..GetBlock::default()
            };
            let block = client.ask::<Block>(ServiceName::Rollout, "block", &request);
            (place, block.await)
        });
    }
    let (mut good, mut bad) = (Vec::new(), 0);
    while let Some(answered) = asked.join_next().await {
        let (place, block) = answered.map_err(|e| e.to_string())?;
        match block {
            Ok(block) => match download.look(place, block) {
                Arrived::Good { offset, data } => good.push((offset, data)),
                Arrived::Bad(why) => {
                    tracing::warn!(offset = place.0, why, "a block is not taken");
                    bad += 1;
                }
            },
            Err(AskError::Refused(refusal)) => match refusal.code {
                Code::Denied => return Ok(Window::Unassigned),
                Code::NotFound | Code::Invalid | Code::TooLarge => {
                    return Ok(Window::Failed(refusal.message));
                }
                _ => return Err(refusal.to_string()),
            },
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(Window::Blocks { good, bad })
}

/// Stores blocks, then the map that says that they are there.
async fn keep(
    tools: &Tools,
    job: &Job,
    download: &mut Download,
    blocks: Vec<(u64, Vec<u8>)>,
) -> Result<(), String> {
    if blocks.is_empty() {
        return Ok(());
    }
    for (offset, data) in &blocks {
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        download.stored(*offset, length).map_err(|e| e.to_string())?;
    }
    let (slots, job, map) = (tools.slots.clone(), job.clone(), download.map());
    let stored = slots
        .blocking(move |slots| {
            let stored = slots.store(&job, &blocks, &map);
            if stored.is_err() {
                // A full disk must have room for the journal that says so.
                slots.tidy(None)?;
            }
            stored
        })
        .await;
    stored.map_err(|error| told_whole(&error))
}

async fn check(tools: &Tools, job: &Job) -> Result<Input, String> {
    let (slots, looked_at) = (tools.slots.clone(), job.clone());
    let checked = slots
        .blocking(move |slots| {
            let checked = slots.check_incoming(&looked_at);
            if checked.is_err() {
                // It begins anew, or ends: either way these bytes are of no use.
                slots.tidy(None)?;
            }
            Ok(checked)
        })
        .await
        .map_err(|e| e.to_string())?;
    Ok(match checked {
        Ok(()) => Input::Fetched,
        Err(why) => Input::Damaged(why),
    })
}
