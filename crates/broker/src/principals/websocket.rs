//! MQTT over WebSocket (RFC 6455; MQTT 5, section 6): a stream of bytes in binary frames.
//!
//! A packet may span frames and a frame may hold several packets (MQTT-6.0.0-2): what frames carry is one
//! stream, as TCP's is.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        error::CapacityError,
        handshake::server::{ErrorResponse, Request, Response},
        http::{HeaderMap, HeaderValue, StatusCode, header, uri::Authority},
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::task::Way;

/// MQTT's subprotocol (MQTT-6.0.0-3).
const SUBPROTOCOL: &str = "mqtt";
/// Read at a time: most packets are small.
const READ_BYTES: usize = 4 * 1024;
/// Written and not taken by the client, beyond which the connection breaks; what waits is bounded before.
const WRITE_BYTES: usize = 1024 * 1024;

/// Bytes of the upgrade's head, the most; and of all that somebody who showed no certificate sends until they are let in,
/// their CONNECT with it.
const HEAD_BYTES: usize = 16 * 1024;

/// Who may come in by an upgrade, and with how much.
pub(super) struct Terms<'a, Ours> {
    /// Origins of pages that are listed.
    pub(super) origins: &'a [String],
    /// Whether a host is this server.
    pub(super) is_ours: Ours,
    /// The largest frame, and the largest message.
    pub(super) most_bytes: usize,
    /// Nobody vouches for whoever comes.
    pub(super) is_stranger: bool,
}

/// Shakes hands over a stream, and refuses who does not speak MQTT, comes from a page that is not listed, or means another
/// server.
#[allow(clippy::result_large_err)] // the library's own type of a refusal
pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    terms: Terms<'_, impl Fn(&str) -> bool + Unpin>,
) -> Result<Frames<S>, String> {
    let stream = Metered {
        inner: stream,
        left: Some(HEAD_BYTES),
        read: 0,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BYTES)
        .max_message_size(Some(terms.most_bytes))
        .max_frame_size(Some(terms.most_bytes));
    let answer = |request: &Request, response: Response| answer(request.headers(), response, &terms);
    let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, answer, Some(config)).await;
    let mut stream = accepted.map_err(|error| match error {
        tungstenite::Error::Http(refused) => {
            let body = refused.body().as_deref().unwrap_or_default();
            String::from_utf8_lossy(body).into_owned()
        }
        other => format!("the WebSocket handshake: {other}"),
    })?;
    if !terms.is_stranger {
        stream.get_mut().left = None;
    }
    Ok(Frames {
        stream,
        arrived: Bytes::new(),
    })
}

#[allow(clippy::result_large_err)] // the library's own type of a refusal
fn answer(
    headers: &HeaderMap,
    mut response: Response,
    terms: &Terms<'_, impl Fn(&str) -> bool>,
) -> Result<Response, ErrorResponse> {
    // Where its end is a matter of opinion, a proxy may have taken it for two requests (RFC 9112, section 11.2).
    if headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(refusal(StatusCode::BAD_REQUEST, "an upgrade has no body"));
    }
    let Some(host) = host(headers) else {
        return Err(refusal(StatusCode::BAD_REQUEST, "a request names one host"));
    };
    if !(terms.is_ours)(&host) {
        let text = "this server is not that host: it goes by the names in its certificate, and by addresses";
        return Err(refusal(StatusCode::MISDIRECTED_REQUEST, text));
    }
    for origin in headers.get_all(header::ORIGIN) {
        if !terms
            .origins
            .iter()
            .any(|listed| listed.as_bytes() == origin.as_bytes())
        {
            let text = "pages of this origin may not connect: list it in listen.websocket_origins";
            return Err(refusal(StatusCode::FORBIDDEN, text));
        }
    }
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let mut offered = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    if !offered.any(|word| word.trim() == SUBPROTOCOL) {
        let text = "the subprotocol is `mqtt`";
        return Err(refusal(StatusCode::BAD_REQUEST, text));
    }
    let chosen = HeaderValue::from_static(SUBPROTOCOL);
    response
        .headers_mut()
        .insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    Ok(response)
}

/// The host that a request names, without its port, if it names one and no more (RFC 9112, section 3.2).
fn host(headers: &HeaderMap) -> Option<String> {
    let mut named = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else {
        return None;
    };
    let authority: Authority = host.to_str().ok()?.parse().ok()?;
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    Some(bare.unwrap_or(host).to_ascii_lowercase())
}

fn refusal(status: StatusCode, text: &str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(text.to_owned()));
    *response.status_mut() = status;
    response
}

/// The bytes in a WebSocket's frames.
pub(super) struct Frames<S> {
    stream: WebSocketStream<Metered<S>>,
    /// What of the last message has not been read.
    arrived: Bytes,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// The connection is over; the client is told why when it is shut down.
    fn broken(&mut self, code: CloseCode, text: &'static str) -> io::Error {
        let close = CloseFrame {
            code,
            reason: text.into(),
        };
        let _ = Pin::new(&mut self.stream).start_send(Message::Close(Some(close)));
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.arrived.is_empty() {
            let message = match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Ok(message)) => message,
                Some(Err(tungstenite::Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
                    return Poll::Ready(Err(
                        self.broken(CloseCode::Size, "a frame or message is too large")
                    ));
                }
                Some(Err(tungstenite::Error::Protocol(_))) => {
                    return Poll::Ready(Err(self.broken(CloseCode::Protocol, "a frame breaks the rules")));
                }
                Some(Err(error)) => return Poll::Ready(Err(broken_pipe(error))),
            };
            match message {
                Message::Binary(bytes) => self.arrived = bytes,
                // MQTT-6.0.0-1
                Message::Text(_) => {
                    return Poll::Ready(Err(
                        self.broken(CloseCode::Unsupported, "MQTT comes in binary frames")
                    ));
                }
                Message::Close(_) => return Poll::Ready(Ok(())),
                // The library has answered a ping.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        let taken = self.arrived.len().min(buffer.remaining());
        buffer.put_slice(&self.arrived[..taken]);
        self.arrived.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.stream).poll_ready(cx)).map_err(broken_pipe)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        Pin::new(&mut self.stream)
            .start_send(message)
            .map_err(broken_pipe)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx).map_err(broken_pipe)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx).map_err(broken_pipe)
    }
}

impl<S: Way> Way for Frames<S> {
    fn admitted(&mut self) {
        self.stream.get_mut().left = None;
    }

    fn wired(&mut self) -> usize {
        let metered = self.stream.get_mut();
        let framed = std::mem::take(&mut metered.read) as usize;
        framed.max(metered.inner.wired())
    }
}

/// A stream of which so many bytes more are read.
struct Metered<S> {
    inner: S,
    left: Option<usize>,
    /// Bytes that were read since somebody asked.
    read: u32,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.read = self.read.saturating_add(u32::try_from(read).unwrap_or(u32::MAX));
        let Some(left) = &mut self.left else {
            return Poll::Ready(Ok(()));
        };
        match left.checked_sub(read) {
            Some(rest) => *left = rest,
            None => return Poll::Ready(Err(io::Error::other("too much from somebody who is not let in"))),
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

fn broken_pipe(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::BrokenPipe, other),
    }
}
