//! Sending an image in blocks, several at once.

use std::{fs::File, os::unix::fs::FileExt, time::Duration};

use anyhow::{Context, Result};
use client::{AskError, Client};
use contract::{
    Code,
    id::ServiceName,
    limits::BLOCK_BYTES,
    v1::{Artifact, ArtifactSealed, Done, PutBlock, SealArtifact},
    wire::Wire,
};
use tokio::{task::JoinSet, time::Instant};

use super::super::{global::explain, progress};

/// Blocks under way at once: enough to hide the network's delay, little enough for its buffers.
const IN_FLIGHT: usize = 8;
/// Pause before a busy service is asked again, if it names none.
const PAUSE: Duration = Duration::from_millis(500);

/// An image on its way to the server.
pub(super) struct Upload<'a> {
    pub(super) client: &'a Client,
    pub(super) artifact_id: &'a str,
    pub(super) patience: Duration,
}

/// What became of a block.
enum Sent {
    Taken(u64),
    /// The image is complete, or being checked: an earlier attempt has sent it whole.
    Superfluous,
}

impl Upload<'_> {
    /// Sends all blocks; ends early when the server needs none.
    pub(super) async fn send(&self, file: File, size: u64) -> Result<()> {
        let bar = progress::bytes(size);
        let mut blocks = blocks(size);
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < IN_FLIGHT {
                let Some((offset, length)) = blocks.next() else {
                    break;
                };
                under_way.spawn(self.put(read(&file, offset, length)?, offset));
            }
            let Some(sent) = under_way.join_next().await else {
                break;
            };
            match sent?.context("the image is not whole on the server yet; the command may be repeated")? {
                Sent::Taken(bytes) => bar.inc(bytes),
                Sent::Superfluous => break,
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn put(&self, data: Vec<u8>, offset: u64) -> impl Future<Output = Result<Sent>> + Send + 'static {
        let (client, patience) = (self.client.clone(), self.patience);
        let bytes = data.len() as u64;
        let artifact_id = self.artifact_id.to_owned();
        let request = PutBlock {
            request_id: String::new(),
            artifact_id,
            offset,
            data,
        };
        async move {
            match ask_while_busy::<Done>(&client, "put-block", &request, patience).await {
                Ok(_) => Ok(Sent::Taken(bytes)),
                Err(AskError::Refused(refusal)) if refusal.code == Code::NotAllowed => Ok(Sent::Superfluous),
                Err(error) => Err(explain(error)),
            }
        }
    }
}

/// Has an image checked and made available.
pub(super) async fn seal(client: &Client, artifact_id: &str, patience: Duration) -> Result<Artifact> {
    let request = SealArtifact {
        request_id: String::new(),
        artifact_id: artifact_id.to_owned(),
    };
    let sealed: ArtifactSealed = ask_while_busy(client, "seal-artifact", &request, patience)
        .await
        .map_err(explain)?;
    Ok(sealed.artifact.unwrap_or_default())
}

/// Asks again, as long as patience lasts, while the service says that it is busy.
async fn ask_while_busy<Reply: Wire>(
    client: &Client,
    verb: &str,
    request: &(impl Wire + Sync),
    patience: Duration,
) -> Result<Reply, AskError> {
    let deadline = Instant::now() + patience;
    loop {
        let refusal = match client.ask(ServiceName::Rollout, verb, request).await {
            Err(AskError::Refused(refusal)) if refusal.code == Code::Busy => refusal,
            answer => return answer,
        };
        let pause = match refusal.retry_after_ms {
            0 => PAUSE,
            ms => Duration::from_millis(ms),
        };
        if Instant::now() + pause > deadline {
            return Err(AskError::Refused(refusal));
        }
        tokio::time::sleep(pause).await;
    }
}

fn read(file: &File, offset: u64, length: usize) -> Result<Vec<u8>> {
    let mut data = vec![0; length];
    file.read_exact_at(&mut data, offset)
        .context("the image has changed while it was sent")?;
    Ok(data)
}

/// Offsets and lengths that cover an image.
fn blocks(size: u64) -> impl Iterator<Item = (u64, usize)> {
    (0..size).step_by(BLOCK_BYTES).map(move |offset| {
        let left = usize::try_from(size - offset).unwrap_or(usize::MAX);
        (offset, left.min(BLOCK_BYTES))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_an_image_without_gaps() {
        let block = BLOCK_BYTES as u64;
        for size in [1, block - 1, block, block + 1, 3 * block] {
            let mut end = 0;
            for (offset, length) in blocks(size) {
                assert_eq!(offset, end);
                assert!((1..=BLOCK_BYTES).contains(&length));
                end += length as u64;
            }
            assert_eq!(end, size);
        }
    }
}
