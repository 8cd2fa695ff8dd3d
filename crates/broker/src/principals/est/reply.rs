//! What is answered: provisioning's words in those of HTTP (RFC 7030, sections 4.1.3, 4.2.3 and 4.5.2).

use bytes::Bytes;
use contract::{Code, v1, wire};
use hyper::StatusCode;
use session::Answer;

/// When somebody who was let in nowhere may come again, seconds.
const BUSY_S: u64 = 10;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: String,
    /// When to come again, seconds.
    pub(super) retry_after_s: Option<u64>,
    /// A password may help.
    pub(super) wants_login: bool,
}

impl Reply {
    /// A sentence for people.
    pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Reply {
        Reply {
            status,
            content_type: "text/plain; charset=utf-8",
            body: text.into() + "\n",
            retry_after_s: None,
            wants_login: false,
        }
    }

    pub(super) fn bad_request(text: impl Into<String>) -> Reply {
        Reply::text(StatusCode::BAD_REQUEST, text)
    }

    /// PKCS #7 in base64.
    pub(super) fn certificates(body: String) -> Reply {
        Reply {
            content_type: "application/pkcs7-mime; smime-type=certs-only",
            body,
            ..Reply::text(StatusCode::OK, "")
        }
    }

    /// A request may be made as its maker likes.
    pub(super) fn no_attributes() -> Reply {
        Reply {
            body: String::new(),
            ..Reply::text(StatusCode::NO_CONTENT, "")
        }
    }

    /// It showed no certificate, and none is taken for it.
    pub(super) fn who_are_you() -> Reply {
        let text = "show a client certificate: a claim's to enrol, the device's own to enrol again";
        Reply::text(StatusCode::UNAUTHORIZED, text).or_a_login(true)
    }

    /// What came of a request; nothing, where nobody answered.
    pub(super) fn of(answer: Option<Answer>, may_log_in: bool) -> Reply {
        match answer {
            Some(Answer::Accepted(payload)) => issued(&payload),
            Some(Answer::Rejected(rejection)) => rejected(rejection, may_log_in),
            // Server busy, quota exceeded, too large a rate; the service is away (MQTT 5, section 2.4).
            Some(Answer::TurnedAway(0x88 | 0x89 | 0x8B | 0x96 | 0x97 | 0x9F)) | None => {
                Reply::text(StatusCode::SERVICE_UNAVAILABLE, "come again").in_seconds(BUSY_S)
            }
            Some(Answer::TurnedAway(_)) => {
                let text = "the front door does not let this certificate in, or not to this; `muster why connect` says why";
                Reply::text(StatusCode::FORBIDDEN, text)
            }
        }
    }

    fn in_seconds(self, seconds: u64) -> Reply {
        Reply {
            retry_after_s: Some(seconds),
            ..self
        }
    }

    fn or_a_login(self, wants_login: bool) -> Reply {
        Reply { wants_login, ..self }
    }
}

/// The new certificate alone.
fn issued(payload: &Bytes) -> Reply {
    const END: &str = "-----END CERTIFICATE-----";
    let signed: v1::Signed = wire::decode(payload, "").unwrap_or_default();
    let own = signed.certificate.split_inclusive(END).next().unwrap_or_default();
    match pki::certificates_only(own) {
        Ok(body) => Reply::certificates(body),
        Err(error) => Reply::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn rejected(rejection: v1::Rejection, may_log_in: bool) -> Reply {
    let code = Code::from_word(&rejection.code).unwrap_or(Code::Internal);
    let again_s = (rejection.retry_after_ms > 0).then(|| rejection.retry_after_ms.div_ceil(1000));
    let status = match code {
        // An operator has not decided yet.
        Code::Precondition if again_s.is_some() => StatusCode::ACCEPTED,
        Code::Malformed | Code::Invalid | Code::Untrusted => StatusCode::BAD_REQUEST,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Denied if may_log_in => StatusCode::UNAUTHORIZED,
        Code::Denied | Code::UnknownVerb => StatusCode::FORBIDDEN,
        Code::NotFound
        | Code::Exists
        | Code::Conflict
        | Code::NotAllowed
        | Code::Precondition
        | Code::AwaitingApproval => StatusCode::CONFLICT,
        Code::Limit => StatusCode::TOO_MANY_REQUESTS,
        Code::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Reply {
        retry_after_s: again_s,
        ..Reply::text(status, rejection.message)
    }
    .or_a_login(status == StatusCode::UNAUTHORIZED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: Code, retry_after_ms: u64, may_log_in: bool) -> (u16, Option<u64>, bool) {
        let rejection = v1::Rejection {
            code: code.word().into(),
            message: "why".into(),
            retry_after_ms,
            ..v1::Rejection::default()
        };
        let reply = Reply::of(Some(Answer::Rejected(rejection)), may_log_in);
        assert_eq!(reply.body, "why\n");
        (reply.status.as_u16(), reply.retry_after_s, reply.wants_login)
    }

    #[test]
    fn every_refusal_has_its_status() {
        for (code, retry_after_ms, may_log_in, expected) in [
            (Code::Precondition, 30_000, true, (202, Some(30), false)),
            (Code::Precondition, 0, true, (409, None, false)),
            (Code::Limit, 1_200, true, (429, Some(2), false)),
            (Code::Denied, 0, true, (401, None, true)),
            (Code::Denied, 0, false, (403, None, false)),
            (Code::Invalid, 0, true, (400, None, false)),
            (Code::TooLarge, 0, true, (413, None, false)),
            (Code::Internal, 0, true, (500, None, false)),
        ] {
            assert_eq!(of(code, retry_after_ms, may_log_in), expected, "{code:?}");
        }
    }

    #[test]
    fn who_was_not_let_in_is_told_whether_to_come_again() {
        for (answer, expected) in [
            (None, (503, Some(BUSY_S))),
            (Some(Answer::TurnedAway(0x89)), (503, Some(BUSY_S))),
            (Some(Answer::TurnedAway(0x97)), (503, Some(BUSY_S))),
            (Some(Answer::TurnedAway(0x87)), (403, None)),
        ] {
            let reply = Reply::of(answer, true);
            assert_eq!((reply.status.as_u16(), reply.retry_after_s), expected);
        }
    }
}
