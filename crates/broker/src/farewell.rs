//! Last words that arrive.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// How long a client is listened to after the last word, in all.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long while it says nothing.
const SILENCE: Duration = Duration::from_secs(1);
/// Read at a time.
const READ_BYTES: usize = 4 * 1024;

/// Ends a connection whose last word, such as a refusal, is on its way.
///
/// A socket that is closed on bytes that nobody has read is reset, and a reset may overtake what was said last
/// (RFC 9112, section 9.6). So what the client still sends is read, until it hangs up or falls silent, for a few
/// seconds, and for `bytes` at the most.
pub async fn see_out(stream: impl AsyncRead + AsyncWrite + Unpin, bytes: u64) {
    let _ = timeout(FAREWELL, listened_to(stream, bytes)).await;
}

async fn listened_to(mut stream: impl AsyncRead + AsyncWrite + Unpin, mut bytes: u64) {
    let _ = stream.shutdown().await;
    let mut said = vec![0; READ_BYTES];
    while bytes > 0
        && let Ok(Ok(read @ 1..)) = timeout(SILENCE, stream.read(&mut said)).await
    {
        bytes = bytes.saturating_sub(read as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether all of it was read before the connection was gone.
    async fn is_heard(said: usize, bytes: u64) -> bool {
        let (mut client, server) = tokio::io::duplex(1_024);
        let saying = async move { client.write_all(&vec![0; said]).await.is_ok() };
        tokio::join!(saying, see_out(server, bytes)).0
    }

    #[tokio::test]
    async fn what_a_client_still_says_is_read_to_its_end_or_to_the_bound() {
        assert!(is_heard(100_000, 1 << 20).await);
        assert!(!is_heard(100_000, 50_000).await);
    }
}
