//! The limits that several parts share, each with its reason.

use std::time::Duration;

/// Longest id: X.509 bounds a common name at 64 characters (RFC 5280, ub-common-name).
pub const ID_CHARS: usize = 64;
/// Longest request id: a UUID with room for a prefix.
pub const REQUEST_ID_BYTES: usize = 128;
/// Deepest nesting of a JSON payload that is even looked at.
pub const JSON_DEPTH: usize = 32;
/// The largest payload any verb takes; also the MQTT packet limit less its header.
pub const PAYLOAD_BYTES: usize = 256 * 1024;
/// Longest topic and topic filter, bytes: the longest of ours has some 400, below a root of four long levels.
pub const TOPIC_BYTES: usize = 512;
/// Their most levels: ours have ten, and a response topic may go on below them.
pub const TOPIC_LEVELS: usize = 32;
/// Most bytes of one firmware block.
pub const BLOCK_BYTES: usize = 32 * 1024;
/// How long an answer is remembered for repeats of its request.
pub const ANSWER_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Answers remembered for one principal; the oldest go first.
pub const ANSWERS_PER_PRINCIPAL: usize = 1024;
/// Longest page of any list.
pub const PAGE_MAX: usize = 500;
/// A page when the caller names no size.
pub const PAGE_DEFAULT: usize = 100;
/// Attributes of one device, metrics of one heartbeat.
pub const ENTRIES_MAX: usize = 64;
/// Longest attribute key or metric name.
pub const KEY_CHARS: usize = 128;
/// Longest attribute value.
pub const VALUE_CHARS: usize = 1024;
/// Longest free text (names, reasons, details).
pub const TEXT_CHARS: usize = 512;
/// Groups of one device.
pub const GROUPS_MAX: usize = 32;
/// Bytes of what a command puts out.
pub const COMMAND_OUTPUT_BYTES: usize = 4 * 1024;
/// Bytes of it where it comes in pieces.
pub const COMMAND_WHOLE_BYTES: usize = 256 * 1024;
/// Bytes of such a piece.
pub const COMMAND_PIECE_BYTES: usize = 16 * 1024;
/// Devices of a job that are under way at once, where nobody says.
pub const JOB_AT_ONCE: u32 = 20;
