//! TLS records, opened and sealed in buffers that are lent: a connection keeps only what is not whole.
//!
//! rustls' own buffered connection keeps 4 kB to read to for its whole life. This is its other form, which is lent
//! a buffer whenever there is something to do (rustls, `unbuffered`). What is done to the bytes is the same.

use std::sync::Arc;

use bytes::BytesMut;
use rustls::{
    CommonState, Error, ServerConfig,
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{
        ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus,
        WriteTraffic,
    },
};

/// Sealed bytes that may wait for the rest of what they belong to: a handshake's message comes in several records, and
/// rustls' buffered connection takes as much.
const PART_BYTES: usize = 0xffff;

/// One connection's records.
pub(super) struct Records {
    tls: UnbufferedServerConnection,
    /// What has come of a record or a handshake's message that is not whole.
    part: Vec<u8>,
    end: Option<End>,
}

/// Why nothing more comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The other end has said its last.
    Closed,
    /// The other end does not hold to TLS.
    Broken,
}

/// What rustls wants next.
enum Turn {
    On,
    Waits,
    Closed,
    Broken(Error),
}

impl Records {
    /// Of a connection that has just been made.
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Records, Error> {
        Ok(Records {
            tls: UnbufferedServerConnection::new(config)?,
            part: Vec::new(),
            end: None,
        })
    }

    pub(super) fn state(&self) -> &CommonState {
        &self.tls
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.part.capacity()
    }

    /// Whether the other end has said its last.
    pub(super) fn is_closed(&self) -> bool {
        self.end == Some(End::Closed)
    }

    /// Puts what is not whole at the beginning of a buffer to read to, and says how much that is.
    pub(super) fn begin(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        let length = self.part.len();
        match buffer.get_mut(..length) {
            _ if self.end == Some(End::Broken) => Err(over()),
            Some(beginning) if length <= PART_BYTES => {
                beginning.copy_from_slice(&self.part);
                Ok(length)
            }
            _ => Err(Error::General("a handshake's message is too long".into())),
        }
    }

    /// Opens what has come, behind what was not whole. What must be sent for it is put behind `answer`, also when the
    /// other end breaks the rules.
    pub(super) fn open(
        &mut self,
        sealed: &mut [u8],
        mut opened: impl FnMut(&[u8]),
        answer: &mut BytesMut,
    ) -> Result<(), Error> {
        let mut taken = 0;
        loop {
            let UnbufferedStatus { discard, state } = self.tls.process_tls_records(&mut sealed[taken..]);
            let (more, turn) = turn(state, &mut opened, answer);
            taken += discard + more;
            match turn {
                Turn::On => {}
                Turn::Waits => break,
                Turn::Closed => {
                    self.end = Some(End::Closed);
                    taken = sealed.len();
                    break;
                }
                Turn::Broken(error) => {
                    self.tell_why(&mut sealed[taken..], answer);
                    return Err(error);
                }
            }
        }
        self.keep(&sealed[taken..]);
        Ok(())
    }

    fn keep(&mut self, part: &[u8]) {
        self.part.clear();
        self.part.extend_from_slice(part);
        if part.is_empty() {
            self.part = Vec::new();
        }
    }

    /// The alert that rustls has for whoever breaks the rules.
    fn tell_why(&mut self, sealed: &mut [u8], answer: &mut BytesMut) {
        self.end = Some(End::Broken);
        self.part = Vec::new();
        // No further: it would open what it could not open once more.
        while self.tls.wants_write()
            && let Ok(ConnectionState::EncodeTlsData(data)) = self.tls.process_tls_records(sealed).state
        {
            encode(data, answer);
        }
    }

    /// Seals something into a buffer that grows as it must; how many bytes of it that came to.
    pub(super) fn seal(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> Result<usize, Error> {
        self.write(into, |traffic, into| traffic.encrypt(bytes, into))
    }

    /// Seals the last word, once.
    pub(super) fn close(&mut self, into: &mut Vec<u8>) -> Result<usize, Error> {
        self.write(into, |traffic, into| traffic.queue_close_notify(into))
    }

    fn write(
        &mut self,
        into: &mut Vec<u8>,
        mut write: impl FnMut(
            &mut WriteTraffic<'_, ServerConnectionData>,
            &mut [u8],
        ) -> Result<usize, EncryptError>,
    ) -> Result<usize, Error> {
        // What rustls had to say before goes first.
        let mut first = BytesMut::new();
        while self.end != Some(End::Broken) {
            match self.tls.process_tls_records(&mut self.part).state? {
                ConnectionState::EncodeTlsData(data) => encode(data, &mut first),
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.end = Some(End::Closed),
                ConnectionState::WriteTraffic(mut traffic) => {
                    let begin = begin_with(&first, into);
                    match write(&mut traffic, &mut into[begin..]) {
                        Ok(written) => return Ok(begin + written),
                        Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
                            into.resize(begin + required_size, 0);
                        }
                        Err(error) => return Err(Error::General(error.to_string())),
                    }
                }
                ConnectionState::Closed if !first.is_empty() => return Ok(begin_with(&first, into)),
                _ => break,
            }
        }
        Err(over())
    }
}

fn begin_with(first: &[u8], into: &mut Vec<u8>) -> usize {
    into.resize(into.len().max(first.len()), 0);
    into[..first.len()].copy_from_slice(first);
    first.len()
}

fn over() -> Error {
    Error::General("the TLS connection is over".into())
}

/// Does what rustls wants next; how much of what was opened it took besides.
fn turn(
    state: Result<ConnectionState<'_, '_, ServerConnectionData>, Error>,
    opened: &mut impl FnMut(&[u8]),
    answer: &mut BytesMut,
) -> (usize, Turn) {
    let mut taken = 0;
    let turn = match state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    taken += record.discard;
                    opened(record.payload);
                }
                Some(Err(error)) => break Turn::Broken(error),
                None => break Turn::On,
            }
        },
        Ok(ConnectionState::EncodeTlsData(data)) => {
            encode(data, answer);
            Turn::On
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Turn::On
        }
        Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => Turn::Waits,
        Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Turn::Closed,
        // Early data is not taken (`max_early_data_size` is 0).
        Ok(_) => Turn::Broken(over()),
        Err(error) => Turn::Broken(error),
    };
    (taken, turn)
}

fn encode(mut data: EncodeTlsData<'_, ServerConnectionData>, into: &mut BytesMut) {
    let begin = into.len();
    if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) = data.encode(&mut [])
    {
        into.resize(begin + required_size, 0);
        // There is room for it now, and it was not encoded before.
        let _ = data.encode(&mut into[begin..]);
    }
}
