//! What the service is asked, and what a well-formed request looks like.

use std::collections::BTreeSet;

use contract::{Code, Id, Refusal, limits, text::misleads, v1::*};

use crate::policy;

service::requests! {
    /// What the rollout service is asked.
    pub enum Request {
        "open-artifact" => OpenArtifact(OpenArtifact),
        "put-block" => PutBlock(PutBlock),
        "seal-artifact" => SealArtifact(SealArtifact),
        "artifacts" => Artifacts(ListArtifacts),
        "recall" => Recall(RecallArtifact),
        "create" => Create(CreateRollout),
        "show" => Show(ShowRollout),
        "list" => List(ListRollouts),
        "updates" => Updates(ListUpdates),
        "pause" => Pause(SteerRollout),
        "resume" => Resume(SteerRollout),
        "abort" => Abort(SteerRollout),
        "assignment" => Assignment(GetAssignment),
        "block" => Block(GetBlock),
        "report" => Report(UpdateReport),
    }
}

/// Devices that a request may name.
const NAMED_DEVICES_MAX: usize = 500;
/// Waves of a rollout.
const WAVES_MAX: usize = 20;
/// Waves when none are given.
const WAVES_DEFAULT: [u32; 3] = [10, 30, 60];
/// The share of a wave that must succeed when none is given, percent.
const SUCCESS_DEFAULT: u32 = 90;
/// How long a device may take when nothing is said: an hour covers a slow link and a reboot.
const TIMEOUT_DEFAULT_MS: u64 = 3_600_000;
/// From a second, which only tests want, to thirty days, for devices that wake once a week.
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 1_000..=30 * 24 * 3_600_000;

/// For which devices a rollout is.
pub(crate) enum Targets {
    /// The members of a group.
    Group(Id),
    /// These.
    Devices(BTreeSet<String>),
}

/// A rollout that is well formed.
pub(crate) struct Plan {
    pub(crate) rollout_id: Id,
    pub(crate) artifact_id: String,
    pub(crate) targets: Targets,
    pub(crate) shares: Vec<u32>,
    pub(crate) success_percent: u32,
    pub(crate) timeout_ms: u64,
}

/// Reads an id.
pub(crate) fn id(field: &str, text: &str) -> Result<Id, Refusal> {
    text.parse()
        .map_err(|e: contract::id::BadId| Refusal::invalid(field, e.to_string()))
}

/// Reads an artifact's id: 64 hex digits.
pub(crate) fn artifact_id(text: &str) -> Result<&str, Refusal> {
    let digits = text
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if digits && text.len() == 64 {
        return Ok(text);
    }
    Err(Refusal::invalid(
        "artifact_id",
        "an artifact's id is its image's SHA-256 as 64 lower case hex digits",
    ))
}

/// Checks free text.
pub(crate) fn text(field: &str, text: &str) -> Result<(), Refusal> {
    if text.chars().count() <= limits::TEXT_CHARS && !text.contains(misleads) {
        return Ok(());
    }
    let message = format!(
        "{field} has up to {} characters and no control characters",
        limits::TEXT_CHARS
    );
    Err(Refusal::invalid(field, message))
}

/// Checks why something is done that is not done without a reason.
pub(crate) fn reason(given: &str) -> Result<(), Refusal> {
    if given.trim().is_empty() {
        return Err(Refusal::invalid(
            "reason",
            "say why: whoever comes to it later has nothing else",
        ));
    }
    text("reason", given)
}

/// Checks the length of a block.
pub(crate) fn block_length(field: &str, length: usize) -> Result<(), Refusal> {
    if (1..=limits::BLOCK_BYTES).contains(&length) {
        return Ok(());
    }
    let message = format!("a block has 1 to {} bytes, not {length}", limits::BLOCK_BYTES);
    let code = if length == 0 {
        Code::Invalid
    } else {
        Code::TooLarge
    };
    Err(Refusal::new(code, message).at(field))
}

/// Reads a request for a rollout.
pub(crate) fn plan(request: CreateRollout) -> Result<Plan, Refusal> {
    Ok(Plan {
        rollout_id: id("rollout_id", &request.rollout_id)?,
        artifact_id: artifact_id(&request.artifact_id)?.to_owned(),
        shares: shares(request.waves)?,
        success_percent: success_percent(request.success_percent)?,
        timeout_ms: timeout_ms(request.timeout_ms)?,
        targets: targets(&request.group, request.device_ids)?,
    })
}

/// Checks a device's report.
pub(crate) fn report(request: &UpdateReport) -> Result<(), Refusal> {
    id("rollout_id", &request.rollout_id)?;
    text("detail", &request.detail)?;
    if request.percent > 100 {
        return Err(Refusal::invalid("percent", "percent lies between 0 and 100"));
    }
    if policy::REPORTABLE.contains(&request.state()) {
        return Ok(());
    }
    let message = "this is no state that a device reports";
    Err(Refusal::invalid("state", message).allowing(policy::REPORTABLE.iter().map(UpdateState::as_str_name)))
}

fn shares(waves: Vec<u32>) -> Result<Vec<u32>, Refusal> {
    if waves.is_empty() {
        return Ok(WAVES_DEFAULT.to_vec());
    }
    let each = waves.iter().all(|share| (1..=100).contains(share));
    if each && waves.len() <= WAVES_MAX && waves.iter().sum::<u32>() == 100 {
        return Ok(waves);
    }
    let message = format!("waves are 1 to {WAVES_MAX} percentages of at least 1 that add up to 100");
    Err(Refusal::invalid("waves", message))
}

fn success_percent(given: u32) -> Result<u32, Refusal> {
    match given {
        0 => Ok(SUCCESS_DEFAULT),
        1..=100 => Ok(given),
        _ => Err(Refusal::invalid(
            "success_percent",
            "success_percent lies between 1 and 100; 0 means 90",
        )),
    }
}

fn timeout_ms(given: u64) -> Result<u64, Refusal> {
    match given {
        0 => Ok(TIMEOUT_DEFAULT_MS),
        given if TIMEOUT_MS.contains(&given) => Ok(given),
        _ => {
            let message = "timeout_ms lies between 1000 (a second) and 2592000000 (30 days); 0 means an hour";
            Err(Refusal::invalid("timeout_ms", message))
        }
    }
}

fn targets(group: &str, device_ids: Vec<String>) -> Result<Targets, Refusal> {
    match (group.is_empty(), device_ids.is_empty()) {
        (false, true) => return Ok(Targets::Group(id("group", group)?)),
        (true, false) => {}
        _ => return Err(Refusal::invalid("group", "give either a group or device_ids")),
    }
    if device_ids.len() > NAMED_DEVICES_MAX {
        let message = format!("a rollout names up to {NAMED_DEVICES_MAX} devices; make a group of more");
        return Err(Refusal::invalid("device_ids", message));
    }
    for (n, device) in device_ids.iter().enumerate() {
        id(&format!("device_ids[{n}]"), device)?;
    }
    Ok(Targets::Devices(device_ids.into_iter().collect()))
}
