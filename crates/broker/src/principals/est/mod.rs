//! Enrolment over secure transport (RFC 7030): one request over one TLS connection becomes one request to
//! provisioning.
//!
//! The service stays the only one who decides: the request goes the way of every other, through a connection of the
//! front door that stands for whoever the TLS connection vouches for. What is special to EST is the form.

mod exchange;
mod question;
mod reply;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use contract::{
    Id, ServiceName,
    id::{Kind, Principal},
    v1, wire,
    wire::Encoding,
};
use session::{Answer, Asked, Connection, Peer, Petition};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::TcpStream,
    time::Instant,
};

use self::{
    exchange::Exchange,
    question::{Enrolment, Question},
    reply::Reply,
};
use super::{Porter, task};
use crate::{
    Shared,
    entrance::Guest,
    tls::{self, Handshakes, TlsStream},
};

/// Between the request and the connection that stands for it.
const PIPE_BYTES: usize = 16 * 1024;
/// A little longer than a request waits for its service, which then ends the connection.
const PATIENCE: Duration = Duration::from_secs(35);

/// Answers requests.
pub(super) struct Desk {
    /// Know the installation's CAs.
    handshakes: Arc<Handshakes>,
    /// The batch of those who show no certificate.
    claim: Option<Id>,
}

impl Desk {
    pub(super) fn new(handshakes: Arc<Handshakes>, claim: Option<Id>) -> Desk {
        Desk { handshakes, claim }
    }

    /// Reads one request, answers it, and closes.
    pub(super) async fn attend(
        &self,
        porter: &Porter,
        (stream, peer): (TlsStream<TcpStream>, Peer),
        address: SocketAddr,
        deadline: Instant,
        mut guest: Guest,
    ) {
        let version = tls::version(stream.state());
        let mut exchange = Exchange::over(stream);
        let Some(question) = porter
            .in_time(deadline, address, &mut guest, exchange.question())
            .await
        else {
            // Too slow, or gone; HTTP's own refusals are out already.
            return;
        };
        let question = match question {
            Ok(question) => question,
            Err(reply) => return exchange.reply(reply).await,
        };
        let connection = |peer| porter.connection(peer, version, address);
        let answering = self.answer(porter, peer, question, connection, guest);
        let Some(reply) = exchange.unless_gone(answering).await else {
            return;
        };
        exchange.reply(reply).await;
    }

    async fn answer(
        &self,
        porter: &Porter,
        peer: Peer,
        question: Question,
        connection: impl FnOnce(Peer) -> Connection,
        guest: Guest,
    ) -> Reply {
        let enrolment = match question {
            Question::Authorities => return Reply::certificates(self.handshakes.authorities().to_string()),
            Question::Attributes => return Reply::no_attributes(),
            Question::Enrol(enrolment) => enrolment,
        };
        let Some(peer) = self.peer(&porter.shared, peer) else {
            return Reply::who_are_you();
        };
        match asked(&peer, enrolment) {
            Ok(asked) => {
                let may_try_again = asked.who.kind == Kind::Claim;
                let petition = Petition::new(porter.shared.root.clone(), asked);
                let answer = petitioned(&porter.shared, connection(peer), guest, petition).await;
                Reply::of(answer, may_try_again)
            }
            Err(reply) => reply,
        }
    }

    /// Whom the front door takes the visitor for.
    fn peer(&self, shared: &Shared, shown: Peer) -> Option<Peer> {
        match (shown, &self.claim) {
            (Peer::Nobody, Some(batch)) => shared.with_door(|door, _| door.holder_of(batch)),
            (Peer::Nobody, None) => None,
            (shown, _) => Some(shown),
        }
    }
}

/// The request to provisioning. A holder of a batch is known by the name that it hopes for: its user name, or
/// the request's common name.
fn asked(peer: &Peer, enrolment: Enrolment) -> Result<Asked, Reply> {
    let (kind, id) = match peer {
        Peer::Factory { .. }
        | Peer::Certified {
            kind: Kind::Claim, ..
        } => (Kind::Claim, enrolment.device().map_err(Reply::bad_request)?),
        Peer::Certified { kind, id, .. } => (*kind, id.clone()),
        Peer::Nobody | Peer::Believed => return Err(Reply::who_are_you()),
    };
    let request = v1::Sign {
        request_id: name_of(&enrolment),
        csr: enrolment.pem,
        secret: enrolment.secret.unwrap_or_default(),
    };
    Ok(Asked {
        client_id: format!("{id}:est"),
        who: Principal::new(kind, id),
        service: ServiceName::Provisioning,
        verb: enrolment.verb,
        payload: wire::encode(&request, Encoding::Protobuf),
    })
}

/// A client that heard no answer sends the same bytes again, and gets the same certificate.
fn name_of(enrolment: &Enrolment) -> String {
    let mut digest = Sha256::new_with_prefix(&enrolment.pem);
    digest.update(enrolment.secret.as_deref().unwrap_or_default());
    let digest = digest.finalize();
    format!("est-{}", hex::encode(&digest[..16]))
}

/// Makes a request over a connection of its own. That one lives in a task: it has to be parted from even when
/// nobody waits for the answer any more.
async fn petitioned(
    shared: &Arc<Shared>,
    connection: Connection,
    guest: Guest,
    petition: Petition,
) -> Option<Answer> {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let shared = shared.clone();
    tokio::spawn(task::run(far, connection, shared, guest));
    let answered = tokio::time::timeout(PATIENCE, converse(near, petition)).await;
    answered.ok().and_then(Result::ok)
}

async fn converse(mut stream: DuplexStream, mut petition: Petition) -> std::io::Result<Answer> {
    let mut buffer = Bytes::new();
    let mut arrived = vec![0; PIPE_BYTES];
    loop {
        if buffer.is_empty() {
            buffer = petition.take_output();
        }
        stream.write_all_buf(&mut buffer).await?;
        let read = stream.read(&mut arrived).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(answer) = petition.receive(&arrived[..read]) {
            stream.write_all_buf(&mut petition.take_output()).await?;
            return Ok(answer);
        }
    }
}
