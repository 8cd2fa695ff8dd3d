//! The closed list of rejection codes, and the refusal that carries one.

use crate::v1;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal, $reason:literal;)*) => {
        /// Why a request was rejected. The list is closed: callers may match on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[doc = $doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// The code as it travels.
            pub const fn word(self) -> &'static str {
                match self { $(Code::$name => $word,)* }
            }

            /// What it means, in a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Code::$name => concat!($($doc),*).trim_ascii(),)* }
            }

            /// The MQTT 5 reason code of a PUBACK that carries it (MQTT 5, table 3-4).
            pub const fn mqtt_reason(self) -> u8 {
                match self { $(Code::$name => $reason,)* }
            }

            /// The code behind a word.
            pub fn from_word(word: &str) -> Option<Code> {
                Code::ALL.iter().copied().find(|code| code.word() == word)
            }
        }
    };
}

codes! {
    /// The payload does not parse, or has the wrong content type.
    Malformed = "malformed", 0x99;
    /// A field has a value that is not allowed.
    Invalid = "invalid", 0x83;
    /// The payload or a part of it is larger than its limit.
    TooLarge = "too-large", 0x97;
    /// There is no such verb or topic.
    UnknownVerb = "unknown-verb", 0x90;
    /// The caller may not do this.
    Denied = "denied", 0x87;
    /// There is no such entity.
    NotFound = "not-found", 0x83;
    /// An entity of this name exists already.
    Exists = "exists", 0x83;
    /// The entity has another version than expected, or the request id was used for another request.
    Conflict = "conflict", 0x83;
    /// The entity's present state does not allow this.
    NotAllowed = "not-allowed", 0x83;
    /// Something else must be done first.
    Precondition = "precondition", 0x83;
    /// Another person must approve it first; it is kept, and decided once somebody has.
    AwaitingApproval = "awaiting-approval", 0x83;
    /// A limit on number or rate is reached.
    Limit = "limit", 0x97;
    /// Too much is under way; try again.
    Busy = "busy", 0x97;
    /// A signature or a proof of possession does not hold.
    Untrusted = "untrusted", 0x83;
    /// The service failed on this request.
    Internal = "internal", 0x80;
}

/// A rejection on its way to the caller: the code, a sentence that says what to do, the field at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.word())]
pub struct Refusal {
    /// Which of the closed list.
    pub code: Code,
    /// What happened and what to do.
    pub message: String,
    /// The field at fault, empty when there is none.
    pub field: String,
    /// The entity's present version, where a stale one was expected.
    pub present_version: u64,
    /// What would have been allowed.
    pub allowed: Vec<String>,
    /// When to try again; 0 says nothing about it.
    pub retry_after_ms: u64,
    /// What is behind it, for operators alone: it is in no answer. Empty where the message says it.
    pub behind: String,
}

impl Refusal {
    /// A refusal without a field.
    pub fn new(code: Code, message: impl Into<String>) -> Refusal {
        Refusal {
            code,
            message: message.into(),
            field: String::new(),
            present_version: 0,
            allowed: Vec::new(),
            retry_after_ms: 0,
            behind: String::new(),
        }
    }

    /// A field with a value that is not allowed.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Refusal {
        Refusal::new(Code::Invalid, message).at(field)
    }

    /// An entity that is not there.
    pub fn not_found(what: &str, id: &str) -> Refusal {
        Refusal::new(
            Code::NotFound,
            format!("there is no {what} `{}`", id.escape_debug()),
        )
    }

    /// A stale expected version.
    pub fn stale(what: &str, expected: u64, present: u64) -> Refusal {
        let message =
            format!("the {what} has version {present}, not {expected}; read it again and repeat the change");
        Refusal {
            present_version: present,
            ..Refusal::new(Code::Conflict, message)
        }
        .at("expected_version")
    }

    /// Names the field at fault.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Refusal {
        self.field = field.into();
        self
    }

    /// Names what would have been allowed.
    #[must_use]
    pub fn allowing<T: Into<String>>(mut self, allowed: impl IntoIterator<Item = T>) -> Refusal {
        self.allowed = allowed.into_iter().map(Into::into).collect();
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Refusal {
        self.retry_after_ms = ms;
        self
    }

    /// Says what the caller must not hear.
    #[must_use]
    pub fn because(mut self, behind: impl Into<String>) -> Refusal {
        self.behind = behind.into();
        self
    }

    /// The message on `…/rejected`.
    pub fn to_message(&self, request_id: &str) -> v1::Rejection {
        v1::Rejection {
            code: self.code.word().into(),
            message: self.message.clone(),
            field: self.field.clone(),
            request_id: request_id.into(),
            present_version: self.present_version,
            allowed: self.allowed.clone(),
            retry_after_ms: self.retry_after_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_come_back() {
        for code in Code::ALL {
            assert_eq!(Code::from_word(code.word()), Some(*code));
            assert!(code.mqtt_reason() >= 0x80);
            assert!(code.meaning().ends_with('.'));
        }
    }
}
