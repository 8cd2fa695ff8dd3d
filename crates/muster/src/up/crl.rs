//! Revocation lists and the certificates of the issuing CAs over HTTP, as provisioning wrote them (RFC 5280, sections 4.2.1.13
//! and 4.2.2.1; RFC 2585, section 4).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    Router,
    extract::{self, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use contract::id::ServiceName;
use tokio::sync::Semaphore;

use super::services;
use crate::config::Config;

/// Lists that are read at the same time: each is held in memory until it is sent.
const AT_ONCE: usize = 8;

#[derive(Clone)]
struct Lists {
    folder: PathBuf,
    turns: Arc<Semaphore>,
}

/// `/crl/{id}.der` and `/crl/{id}.pem`, by the mark of the issuing CA, `/crl/all.pem`, and `/ca/{id}.der`.
pub(super) fn router(config: &Config) -> Router {
    let lists = Lists {
        folder: services::files(config, ServiceName::Provisioning),
        turns: Arc::new(Semaphore::new(AT_ONCE)),
    };
    Router::new()
        .route("/crl/{name}", get(list))
        .route("/ca/{name}", get(certificate))
        .with_state(lists)
}

async fn certificate(State(lists): State<Lists>, extract::Path(name): extract::Path<String>) -> Response {
    match name.strip_suffix(".der").filter(|id| is_mark(id)) {
        Some(id) => send(&lists, &format!("ca-{id}.der"), "application/pkix-cert").await,
        None => {
            let text = "ask for {id}.der, as `muster ca list` names it\n";
            (StatusCode::NOT_FOUND, text).into_response()
        }
    }
}

async fn list(State(lists): State<Lists>, extract::Path(name): extract::Path<String>) -> Response {
    let Some((file, content_type)) = file(&name) else {
        let text = "ask for {id}.der or {id}.pem, as `muster ca list` names it, or for all.pem\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    send(&lists, &file, content_type).await
}

async fn send(lists: &Lists, file: &str, content_type: &'static str) -> Response {
    // Closed never.
    let _turn = lists.turns.acquire().await;
    match tokio::fs::read(Path::new(&lists.folder).join(file)).await {
        Ok(bytes) => (
            [("content-type", content_type), ("cache-control", "no-cache")],
            bytes,
        )
            .into_response(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            (StatusCode::NOT_FOUND, "there is no such file\n").into_response()
        }
        Err(error) => {
            tracing::warn!(%error, file, "a published file cannot be read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The file behind a name, and its type.
fn file(name: &str) -> Option<(String, &'static str)> {
    if name == "all.pem" {
        return Some(("crl.pem".into(), "application/x-pem-file"));
    }
    let (id, form) = name.split_once('.')?;
    let content_type = match form {
        "der" => "application/pkix-crl",
        "pem" => "application/x-pem-file",
        _ => return None,
    };
    is_mark(id).then(|| (format!("crl-{id}.{form}"), content_type))
}

fn is_mark(id: &str) -> bool {
    id.len() == 8 && id.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lists_have_names() {
        let named = |name: &str| file(name).map(|(file, _)| file);
        assert_eq!(named("4a000001.der").as_deref(), Some("crl-4a000001.der"));
        assert_eq!(named("4a000001.pem").as_deref(), Some("crl-4a000001.pem"));
        assert_eq!(named("all.pem").as_deref(), Some("crl.pem"));
        for bad in [
            "",
            "all.der",
            "4a000001",
            "4a000001.key",
            "4A000001.der",
            "../../x.der",
            "4a00000/.der",
            "4a000001.der.new",
            "crl-entries",
        ] {
            assert_eq!(named(bad), None, "{bad}");
        }
    }
}
