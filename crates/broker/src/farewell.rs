//! Last words that arrive.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How long a client is listened to after the last word.
const FAREWELL: Duration = Duration::from_millis(500);

/// Ends a connection whose last word, such as a refusal, is on its way.
///
/// A socket that is closed on bytes that nobody has read is reset, and a reset may overtake what was said last
/// (RFC 9112, section 9.6). So what the client still sends is read, until it hangs up, for a moment, and for `bytes`
/// at the most.
pub async fn see_out(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: u64) {
    let _ = stream.shutdown().await;
    let mut rest = (&mut stream).take(bytes);
    let _ = tokio::time::timeout(FAREWELL, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}
