//! One request and one answer over HTTP/1.1; the connection closes after it.

use std::{convert::Infallible, pin::Pin, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot},
};

use super::{
    super::FAREWELL_BYTES,
    question::{self, Question},
    reply::Reply,
};
use crate::farewell::see_out;

/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// How long the answer may take to reach the client.
const LAST_WORDS: Duration = Duration::from_secs(5);

type Read = Result<Question, Reply>;
type Posed = (Read, oneshot::Sender<Reply>);
type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection over which one thing is asked.
pub(super) struct Exchange {
    served: Served,
    posed: mpsc::Receiver<Posed>,
    waiting: Option<oneshot::Sender<Reply>>,
    over: bool,
}

impl Exchange {
    pub(super) fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Exchange {
        let (pose, posed) = mpsc::channel(1);
        let service = service_fn(move |request| {
            let pose = pose.clone();
            async move { Ok::<_, Infallible>(response(pass_on(request, pose).await)) }
        });
        let serving = http1::Builder::new()
            .keep_alive(false)
            .header_read_timeout(None)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let served = Box::pin(async move {
            match serving.without_shutdown().await {
                // It may be in the midst of a body that nobody wants.
                Ok(parts) => see_out(parts.io.into_inner(), FAREWELL_BYTES).await,
                Err(error) => tracing::debug!(%error, "an EST connection broke"),
            }
        });
        Exchange {
            served,
            posed,
            waiting: None,
            over: false,
        }
    }

    /// What is asked, once all of it is there; or what is to be said to a request that makes no sense.
    pub(super) async fn question(&mut self) -> Result<Read, String> {
        tokio::select! {
            biased;
            Some((question, reply)) = self.posed.recv() => {
                self.waiting = Some(reply);
                Ok(question)
            }
            () = &mut self.served => {
                self.over = true;
                Err("it closed, or asked nothing by HTTP".into())
            }
        }
    }

    /// Does something as long as the client waits for it.
    pub(super) async fn unless_gone<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = &mut self.served => {
                self.over = true;
                None
            }
        }
    }

    /// Says it, and lets it go out.
    pub(super) async fn reply(mut self, reply: Reply) {
        let status = reply.status.as_str().to_owned();
        metrics::counter!("muster_est_replies_total", "status" => status).increment(1);
        if let Some(waiting) = self.waiting.take() {
            let _ = waiting.send(reply);
        }
        if !self.over {
            let _ = tokio::time::timeout(LAST_WORDS, self.served).await;
        }
    }
}

/// Reads the request whole, and lets somebody else answer it.
async fn pass_on(request: Request<Incoming>, pose: mpsc::Sender<Posed>) -> Reply {
    let question = read(request).await;
    let (reply, answered) = oneshot::channel();
    let _ = pose.send((question, reply)).await;
    let nobody = |_| Reply::text(StatusCode::SERVICE_UNAVAILABLE, "come again");
    answered.await.unwrap_or_else(nobody)
}

async fn read(request: Request<Incoming>) -> Read {
    let (parts, body) = request.into_parts();
    if !question::wants_body(&parts)? {
        return question::read(&parts, &Bytes::new());
    }
    let body = Limited::new(body, pki::EST_BODY_MAX_BYTES).collect().await;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => Reply::text(StatusCode::PAYLOAD_TOO_LARGE, "a certificate request is smaller"),
        false => Reply::bad_request("the body broke off"),
    })?;
    question::read(&parts, &body.to_bytes())
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    if reply.content_type.starts_with("application/") {
        // What the standard wants (RFC 7030, section 4.1.3) and its correction ignores (RFC 8951).
        headers.insert("content-transfer-encoding", HeaderValue::from_static("base64"));
    }
    if let Some(seconds) = reply.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if reply.wants_login {
        headers.insert(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"muster\""),
        );
    }
    response
}
