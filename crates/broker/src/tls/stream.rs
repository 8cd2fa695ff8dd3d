//! A client's TLS connection on its way through tokio.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use rustls::{CommonState, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::records::Records;

/// Sealed bytes read in one go, and so about the most that lies here opened when its reader takes little at a time.
const READ_BYTES: usize = 16 * 1024;
/// Bytes sealed in one go, and so the most that wait here for a client's socket.
const WRITE_BYTES: usize = 64 * 1024;
/// What is not whole of a handshake's message, and what is read behind it.
const BUFFER_BYTES: usize = 64 * 1024 + READ_BYTES;

/// What it takes to open a record, in bytes that take as long.
const RECORD_BYTES: u32 = 128;

thread_local! {
    /// Where sealed bytes are read to and opened.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER_BYTES].into_boxed_slice());
    /// Where bytes are sealed before they are written.
    static WRITE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A stream over TLS. While nothing moves it holds keys and no buffer.
pub(crate) struct TlsStream<S> {
    inner: S,
    records: Records,
    /// Opened, and not read: what did not fit in its reader's buffer.
    unread: BytesMut,
    /// Sealed, and not taken by the socket.
    unsent: BytesMut,
    /// Sealed bytes that have come since somebody asked, and what opening their records is worth.
    wired: u32,
    /// Its last word is sealed.
    ends: bool,
}

/// Shakes hands; a stream whose client fails comes back, with the reason on its way if the socket took it.
pub(crate) async fn accept<S>(config: Arc<ServerConfig>, inner: S) -> Result<TlsStream<S>, (io::Error, S)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let records = match Records::new(config) {
        Ok(records) => records,
        Err(error) => return Err((io::Error::other(error), inner)),
    };
    let mut stream = TlsStream {
        inner,
        records,
        unread: BytesMut::new(),
        unsent: BytesMut::new(),
        wired: 0,
        ends: false,
    };
    match poll_fn(|cx| stream.poll_shake(cx)).await {
        Ok(()) => Ok(stream),
        Err(error) => Err((error, stream.inner)),
    }
}

impl<S> TlsStream<S> {
    /// What the handshake came to.
    pub(crate) fn state(&self) -> &CommonState {
        self.records.state()
    }

    /// What has come over the wire since this was asked last: its bytes, and as many more as its records are worth.
    pub(crate) fn take_wired(&mut self) -> usize {
        std::mem::take(&mut self.wired) as usize
    }

    /// Bytes for which it has set memory aside, besides its keys.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.unread.capacity() + self.unsent.capacity() + self.records.held()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    fn poll_shake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_send(cx))?;
            if !self.records.state().is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.records.is_closed() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            ready!(self.poll_take(cx, None))?;
        }
    }

    /// Takes what the socket has, and opens it.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Option<&mut ReadBuf<'_>>,
    ) -> Poll<io::Result<()>> {
        let opened = READ.with_borrow_mut(|buffer| {
            let begin = self.records.begin(buffer).map_err(broken)?;
            let end = buffer.len().min(begin + READ_BYTES);
            let mut read = ReadBuf::new(&mut buffer[begin..end]);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut read))?;
            let end = begin + read.filled().len();
            if end == begin {
                // Without its last word: whatever was cut off, TLS cannot tell (RFC 8446, section 6.1).
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let came = u32::try_from(end - begin).unwrap_or(u32::MAX);
            self.wired = self.wired.saturating_add(came);
            let (unread, wired) = (&mut self.unread, &mut self.wired);
            let opened = |bytes: &[u8]| {
                *wired = wired.saturating_add(RECORD_BYTES);
                give(bytes, reader.as_deref_mut(), unread);
            };
            let opened = self.records.open(&mut buffer[..end], opened, &mut self.unsent);
            Poll::Ready(opened.map_err(broken))
        });
        let opened = ready!(opened);
        // An alert, or the answer to a change of keys. Whoever cannot take it now gets it with what comes next.
        if let Poll::Ready(Err(error)) = self.poll_send(cx) {
            return Poll::Ready(opened.and(Err(error)));
        }
        Poll::Ready(opened)
    }

    /// Writes what is sealed.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let sent = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(sent);
        }
        if self.unsent.capacity() > 0 {
            self.unsent = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Seals something in a lent buffer and writes it; what the socket does not take is kept.
    fn seal(
        &mut self,
        cx: &mut Context<'_>,
        seal: impl FnOnce(&mut Records, &mut Vec<u8>) -> Result<usize, rustls::Error>,
    ) -> io::Result<()> {
        WRITE.with_borrow_mut(|buffer| {
            let sealed = seal(&mut self.records, buffer).map_err(broken)?;
            let sealed = &buffer[..sealed];
            let sent = match Pin::new(&mut self.inner).poll_write(cx, sealed) {
                Poll::Ready(sent) => sent?,
                Poll::Pending => 0,
            };
            self.unsent.extend_from_slice(&sealed[sent..]);
            Ok(())
        })
    }
}

/// Hands over what was opened: to the reader as far as it has room.
fn give(bytes: &[u8], reader: Option<&mut ReadBuf<'_>>, unread: &mut BytesMut) {
    let fits = match reader {
        Some(reader) if unread.is_empty() => {
            let fits = bytes.len().min(reader.remaining());
            reader.put_slice(&bytes[..fits]);
            fits
        }
        _ => 0,
    };
    unread.extend_from_slice(&bytes[fits..]);
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        reader: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = &mut *self;
        let before = reader.filled().len();
        let waits = stream.unread.len().min(reader.remaining());
        if waits > 0 {
            reader.put_slice(&stream.unread[..waits]);
            stream.unread.advance(waits);
            if stream.unread.is_empty() {
                stream.unread = BytesMut::new();
            }
        }
        while reader.filled().len() == before && reader.remaining() > 0 && !stream.records.is_closed() {
            ready!(stream.poll_take(cx, Some(&mut *reader)))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        let length = bytes.len().min(WRITE_BYTES);
        if length > 0 {
            self.seal(cx, |records, into| records.seal(&bytes[..length], into))?;
        }
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        if !std::mem::replace(&mut self.ends, true) {
            // Whoever does not hold to TLS has heard its alert instead.
            let _ = self.seal(cx, |records, into| records.close(into));
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
