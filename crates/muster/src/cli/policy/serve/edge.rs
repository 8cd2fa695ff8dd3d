//! HTTP/1.1 for a broker: few connections, each with many small requests.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use broker::{Lines, see_out};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use super::hooks::{Denied, Desk};

/// A broker's node has a pool of eight by default.
const CONNECTIONS: usize = 256;
/// A certificate and a topic, with room.
const BODY_BYTES: usize = 128 * 1024;
const HEAD_BYTES: usize = 16 * 1024;
/// For how many bytes whoever is refused is listened to, so that it hears why.
const FAREWELL_BYTES: u64 = 4 * 1024 * 1024;
/// How long a head may take, and how long a connection may be idle.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);
/// How long the rest of a request and its answer may take, and a handshake.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after the operating system refused to accept.
const PAUSE: Duration = Duration::from_millis(200);
/// How often it is looked at whether lines of the log that were only counted are due.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How a form's fields are written, in a body or behind the address.
const FORM: &str = "application/x-www-form-urlencoded";

/// What it takes to answer.
pub(super) struct Edge {
    /// Of the secret: compared in place of it, so that the time it takes tells nothing.
    digest: [u8; 32],
    tls: Option<TlsAcceptor>,
    desk: Desk,
    others: Others,
    places: Arc<Semaphore>,
    lines: Lines,
    begun: Instant,
}

/// What is said of whoever shows no certificate of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Others {
    /// It may not.
    Deny,
    /// Nothing: the broker asks whomever it asks next.
    Ignore,
}

/// What is wrong with a request.
type Wrong = (StatusCode, &'static str);

/// TLS with a server's certificate and key, PEM.
pub(super) fn tls(chain_pem: &str, key_pem: &[u8]) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .context("the certificate")?;
    let key = PrivateKeyDer::from_pem_slice(key_pem).context("the key")?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the certificate and its key")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Edge {
    pub(super) fn new(secret: String, tls: Option<TlsAcceptor>, desk: Desk, others: Others) -> Edge {
        Edge {
            digest: digest(format!("Bearer {secret}").as_bytes()),
            tls,
            desk,
            others,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            lines: Lines::default(),
            begun: Instant::now(),
        }
    }

    /// Tells of the lines that were only counted; does not end.
    pub(super) async fn tell_repeats(&self) {
        let mut tick = tokio::time::interval(TELL_EVERY);
        loop {
            tick.tick().await;
            self.lines.tell_due(self.now_ms());
        }
    }

    /// The same, when nobody asks any more.
    pub(super) fn tell_repeats_at_last(&self) {
        self.lines.tell_rest(self.now_ms());
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether a line is written; else it is counted.
    fn tells(&self, why: &str, who: &str, from: IpAddr) -> bool {
        self.lines.tells(why, who, from, self.now_ms())
    }

    /// Answers until it is dropped. Those for whom there is no place wait in the operating system.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok(place) = self.places.clone().acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, address)) => {
                    let edge = self.clone();
                    tokio::spawn(async move {
                        edge.attend(stream, address.ip()).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!(%error, "cannot accept connections");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn attend(self: Arc<Self>, stream: TcpStream, from: IpAddr) {
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else {
            return self.serve(stream, from).await;
        };
        let why = match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
            Ok(Ok(stream)) => return self.serve(stream, from).await,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        if self.tells(&why, "", from) {
            info!(why, address = %from, "a handshake failed");
        }
    }

    async fn serve(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin, from: IpAddr) {
        let service = service_fn(move |request| {
            let edge = self.clone();
            async move { Ok::<_, Infallible>(edge.respond(request, from).await) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        match served.without_shutdown().await {
            // It may be in the midst of a body that nobody wants.
            Ok(parts) => see_out(parts.io.into_inner(), FAREWELL_BYTES).await,
            Err(error) => tracing::debug!(%error, "a connection broke"),
        }
    }

    async fn respond(&self, request: Request<Incoming>, from: IpAddr) -> Response<Full<Bytes>> {
        let answered = tokio::time::timeout(PATIENCE, self.answer(request, from)).await;
        let slow = (StatusCode::REQUEST_TIMEOUT, "it took too long");
        match answered.unwrap_or(Err(slow)) {
            Ok(answer) => response(StatusCode::OK, &answer),
            Err((status, why)) => response(status, &json!({ "error": why })),
        }
    }

    async fn answer(&self, request: Request<Incoming>, from: IpAddr) -> Result<Value, Wrong> {
        let shown = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
        if shown.is_none_or(|shown| digest(shown) != self.digest) {
            return Err((StatusCode::UNAUTHORIZED, "the secret is missing or wrong"));
        }
        if ![Method::POST, Method::GET].contains(request.method()) {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "POST or GET"));
        }
        let answered = match request.uri().path() {
            "/authn" => self.desk.knock(&self.read(request, from).await?).await,
            "/authz" => self.desk.act(&self.read(request, from).await?).await,
            _ => return Err((StatusCode::NOT_FOUND, "/authn or /authz")),
        };
        match answered {
            Ok(judged) => Ok(judged.unwrap_or_else(|denied| self.denied(&denied, from))),
            // Not a denial: it may be let in by the next try.
            Err(error) => {
                if self.tells("the services do not answer", "", from) {
                    warn!("the services do not answer: {error:#}");
                }
                Err((StatusCode::SERVICE_UNAVAILABLE, "the services do not answer"))
            }
        }
    }

    fn denied(&self, Denied { who, why, stranger }: &Denied, from: IpAddr) -> Value {
        let result = match self.others {
            Others::Ignore if *stranger => "ignore",
            Others::Ignore | Others::Deny => "deny",
        };
        if self.tells(why, who, from) {
            info!(who, why, address = %from, result, "denied");
        }
        json!({ "result": result })
    }

    /// A question: in JSON, or as a form's fields, which a GET has behind its address.
    async fn read<T: DeserializeOwned>(&self, request: Request<Incoming>, from: IpAddr) -> Result<T, Wrong> {
        let read = match *request.method() {
            Method::GET => form(request.uri().query().unwrap_or_default().as_bytes()),
            _ => {
                let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
                let is_form = kind.is_some_and(|kind| kind.starts_with(FORM.as_bytes()));
                let body = body(request).await?;
                match is_form {
                    true => form(&body),
                    false => serde_json::from_slice(&body).map_err(|error| error.to_string()),
                }
            }
        };
        read.map_err(|error| {
            if self.tells("a question does not parse", "", from) {
                warn!(error, address = %from, "a question does not parse; compare the broker's template");
            }
            (StatusCode::BAD_REQUEST, "this is no such question")
        })
    }
}

fn form<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_urlencoded::from_bytes(text).map_err(|error| error.to_string())
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Wrong> {
    let body = Limited::new(request.into_body(), BODY_BYTES).collect().await;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => (StatusCode::PAYLOAD_TOO_LARGE, "a question is smaller"),
        false => (StatusCode::BAD_REQUEST, "the body broke off"),
    })?;
    Ok(body.to_bytes())
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn response(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
