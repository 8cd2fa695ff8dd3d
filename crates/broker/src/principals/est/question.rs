//! What is asked: the paths of RFC 7030, and what comes with them.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use contract::Id;
use hyper::{
    Method, StatusCode,
    header::{AUTHORIZATION, HeaderMap},
    http::request::Parts,
};

use super::reply::Reply;

const PREFIX: &str = "/.well-known/est/";

/// A request that can be answered.
#[derive(Debug)]
pub(super) enum Question {
    /// `cacerts` (section 4.1).
    Authorities,
    /// `csrattrs` (section 4.5).
    Attributes,
    /// `simpleenroll` and `simplereenroll` (section 4.2).
    Enrol(Enrolment),
}

/// A certificate is asked for.
#[derive(Debug)]
pub(super) struct Enrolment {
    /// Provisioning's verb.
    pub(super) verb: &'static str,
    /// The certificate request, PEM.
    pub(super) pem: String,
    common_name: Option<String>,
    user_name: Option<String>,
    /// The password.
    pub(super) secret: Option<String>,
}

/// What is asked by a path, and by which method.
fn verb(path: &str) -> Option<(Method, Option<&'static str>)> {
    Some(match path.strip_prefix(PREFIX)? {
        "cacerts" | "csrattrs" => (Method::GET, None),
        "simpleenroll" => (Method::POST, Some("sign")),
        "simplereenroll" => (Method::POST, Some("renew")),
        _ => return None,
    })
}

/// Whether its body is to be read; what cannot be answered is answered now.
pub(super) fn wants_body(parts: &Parts) -> Result<bool, Reply> {
    let Some((method, verb)) = verb(parts.uri.path()) else {
        let text = "there is cacerts, simpleenroll, simplereenroll and csrattrs below /.well-known/est/";
        return Err(Reply::text(StatusCode::NOT_FOUND, text));
    };
    if parts.method != method {
        return Err(Reply::text(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{method} it"),
        ));
    }
    Ok(verb.is_some())
}

/// Reads a request whose body is there.
pub(super) fn read(parts: &Parts, body: &Bytes) -> Result<Question, Reply> {
    let path = parts.uri.path();
    let Some((_, Some(verb))) = verb(path) else {
        return Ok(match path.ends_with("csrattrs") {
            true => Question::Attributes,
            false => Question::Authorities,
        });
    };
    let request = pki::est_request(body).map_err(|e| Reply::bad_request(e.to_string()))?;
    let (user_name, secret) = match login(&parts.headers) {
        Ok(login) => login.unzip(),
        Err(()) => {
            return Err(Reply::bad_request(
                "the Authorization is not `Basic`, or does not parse",
            ));
        }
    };
    Ok(Question::Enrol(Enrolment {
        verb,
        pem: request.pem,
        common_name: request.csr.requested_common_name().map(str::to_owned),
        user_name: user_name.filter(|name| !name.is_empty()),
        secret,
    }))
}

/// User name and password (RFC 7617).
fn login(headers: &HeaderMap) -> Result<Option<(String, String)>, ()> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(drop)?;
    let (scheme, coded) = text.split_once(' ').ok_or(())?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(());
    }
    let plain = STANDARD.decode(coded.trim()).map_err(drop)?;
    let plain = String::from_utf8(plain).map_err(drop)?;
    let (user, password) = plain.split_once(':').ok_or(())?;
    Ok(Some((user.to_owned(), password.to_owned())))
}

impl Enrolment {
    /// The device that whoever holds a claim hopes to be.
    pub(super) fn device(&self) -> Result<Id, String> {
        let name = match (&self.user_name, &self.common_name) {
            (Some(user), Some(common)) if user != common => {
                return Err(format!(
                    "the user name is `{user}`, the request's common name `{common}`"
                ));
            }
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => return Err("the request's common name is the device's id; it has none".into()),
        };
        name.parse()
            .map_err(|_| format!("`{name}` cannot be the id of a device"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, path: &str, login: Option<&str>) -> Parts {
        let mut request = hyper::Request::builder().method(method).uri(path);
        if let Some(login) = login {
            request = request.header(AUTHORIZATION, login);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn csr(id: &str) -> Bytes {
        let key = pki::generate_key(pki::KeyKind::P256).unwrap();
        pki::csr_for(&key, id).unwrap().into()
    }

    fn device(login: Option<&str>) -> Result<String, StatusCode> {
        let parts = parts("POST", "/.well-known/est/simpleenroll", login);
        match read(&parts, &csr("pump-7")).map_err(|reply| reply.status)? {
            Question::Enrol(enrolment) => enrolment
                .device()
                .map(|id| id.to_string())
                .map_err(|_| StatusCode::IM_A_TEAPOT),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn paths_and_methods_are_those_of_the_standard() {
        for (method, path, expected) in [
            ("GET", "/.well-known/est/cacerts", Ok(false)),
            ("GET", "/.well-known/est/csrattrs", Ok(false)),
            ("POST", "/.well-known/est/simpleenroll", Ok(true)),
            ("POST", "/.well-known/est/simplereenroll", Ok(true)),
            (
                "POST",
                "/.well-known/est/cacerts",
                Err(StatusCode::METHOD_NOT_ALLOWED),
            ),
            (
                "GET",
                "/.well-known/est/simpleenroll",
                Err(StatusCode::METHOD_NOT_ALLOWED),
            ),
            (
                "POST",
                "/.well-known/est/serverkeygen",
                Err(StatusCode::NOT_FOUND),
            ),
            (
                "GET",
                "/.well-known/est/label/cacerts",
                Err(StatusCode::NOT_FOUND),
            ),
            ("GET", "/", Err(StatusCode::NOT_FOUND)),
        ] {
            let wants = wants_body(&parts(method, path, None)).map_err(|reply| reply.status);
            assert_eq!(wants, expected, "{method} {path}");
        }
    }

    #[test]
    fn the_user_name_and_the_common_name_are_one() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(device(None), Ok("pump-7".into()));
        assert_eq!(device(Some(&basic("pump-7:secret"))), Ok("pump-7".into()));
        assert_eq!(device(Some(&basic(":secret"))), Ok("pump-7".into()));
        assert_eq!(
            device(Some(&basic("pump-8:secret"))),
            Err(StatusCode::IM_A_TEAPOT)
        );
        for bad in ["Bearer x", "Basic", "Basic !", &basic("no colon")] {
            assert_eq!(device(Some(bad)), Err(StatusCode::BAD_REQUEST), "{bad}");
        }
    }

    #[test]
    fn a_body_that_is_no_request_is_refused() {
        let parts = parts("POST", "/.well-known/est/simpleenroll", None);
        for bad in [
            &b""[..],
            b"AAAA",
            b"{}",
            &[0xFF; 100],
            &[b'A'; pki::EST_BODY_MAX_BYTES + 1],
        ] {
            let refused = read(&parts, &Bytes::copy_from_slice(bad)).unwrap_err();
            assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        }
    }
}
