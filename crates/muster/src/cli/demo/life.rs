//! What people decide in a device's life: it is bought, received, accepted, ranked, handed over, replaced, and its end
//! is put on record.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context, Result, bail};

use super::{fleet::MODEL, stage::Stage};

/// The order.
pub(super) const ORDER: &str = "po-1";
/// The next owner of one device.
pub(super) const NEXT_OWNER: &str = "south";
/// What is ordered.
const TYPE: &str = "critical-pump";
/// What it must pass.
const CHECK: &str = "burn-in";

/// Which devices it happens to.
pub(super) struct Cast {
    /// They are ordered; all others are there already.
    pub(super) ordered: Vec<String>,
    /// It is replaced and retired.
    pub(super) worn: String,
    /// It takes that one's place.
    pub(super) successor: String,
    /// It matters most.
    pub(super) critical: String,
    /// It changes its owner.
    pub(super) transferred: String,
}

impl Cast {
    pub(super) fn of(ids: &[String]) -> Result<Cast> {
        let [.., worn, a, b, c] = ids.get(..8).context("too few devices")? else {
            bail!("too few devices");
        };
        Ok(Cast {
            ordered: [a, b, c].map(String::clone).to_vec(),
            worn: worn.clone(),
            successor: a.clone(),
            transferred: b.clone(),
            critical: c.clone(),
        })
    }
}

/// A vetted supplier, a type with an acceptance test, an order, and what it brings.
pub(super) fn buy(stage: &Stage, cast: &Cast) -> Result<()> {
    stage.tell("a supplier is looked into; pumps are ordered that must pass a test, and they arrive")?;
    stage.run(&["supplier", "put", "acme", "--name", "ACME Pumps"])?;
    stage.run(&["supplier", "vet", "acme", "--note", "audited"])?;
    stage.run(&["type", "add", TYPE, "--check", &format!("{CHECK}=attested")])?;
    stage.run(&["order", "put", ORDER, "--supplier", "acme", "--type", TYPE])?;
    let mut note = String::new();
    for id in &cast.ordered {
        let _ = writeln!(
            note,
            "{{\"device_id\":\"{id}\",\"serial_number\":\"SN-{id}\",\"model\":\"{MODEL}\",\"groups\":[\"fleet\"]}}"
        );
    }
    let file = stage.folder().join("delivery-note.ndjson");
    std::fs::write(&file, note)?;
    stage.run(&["order", "expect", ORDER, &file.display().to_string()])?;
    let arrived: Vec<_> = cast.ordered.iter().map(|id| format!("{id}=SN-{id}")).collect();
    let arrived = arrived.iter().map(String::as_str);
    stage.run(
        &["order", "receive", ORDER]
            .into_iter()
            .chain(arrived)
            .collect::<Vec<_>>(),
    )?;
    Ok(())
}

/// The test is passed, and one device matters most.
pub(super) fn accept(stage: &Stage, cast: &Cast) -> Result<()> {
    stage.tell("those that were ordered wait for their acceptance test")?;
    let first = &cast.successor;
    let why = stage.run(&["device", "why", first, "active"])?;
    stage.tell(why["summary"].as_str().unwrap_or_default())?;
    for id in &cast.ordered {
        stage.run(&["device", "attest", id, CHECK, "--note", "48 h"])?;
    }
    stage.tell(
        "one of them matters most: what it lacks of the protection that this asks for is in the report",
    )?;
    let set = ["--set", "criticality=critical", "--set", "owner=waterworks"];
    stage.run(&[&["device", "change", &cast.critical][..], &set].concat())?;
    let lacking = stage.run(&["report", "protection"])?;
    stage.tell(lacking["about"].as_str().unwrap_or_default())
}

/// One device changes its owner, with a secret that only both know.
pub(super) fn hand_over(stage: &Stage, cast: &Cast) -> Result<()> {
    stage.tell("one device is offered to another owner, who accepts it with a secret")?;
    let id = &cast.transferred;
    let offer = stage.run(&["device", "transfer", id, "--to", NEXT_OWNER, "--for", "1h"])?;
    let secret = offer["secret"].as_str().context("the offer has no secret")?;
    let file = stage.folder().join("offer.secret");
    crate::folder::write_secret(&file, secret.as_bytes())?;
    stage.run(&["device", "accept", id, "--secret", &file.display().to_string()])?;
    Ok(())
}

/// One that is worn out gives its place to its successor.
pub(super) fn replace(stage: &Stage, cast: &Cast) -> Result<()> {
    stage.tell("a worn device gives its place to its successor, and is retired")?;
    stage.run(&[
        "device",
        "replace",
        &cast.worn,
        &cast.successor,
        "--reason",
        "worn out",
    ])?;
    Ok(())
}

/// The record of its end is signed, and holds without a server.
pub(super) async fn record(stage: &Stage, cast: &Cast) -> Result<()> {
    for _ in 0..100 {
        let found = stage.run_unseen(&["device", "retirement", &cast.worn])?;
        if found["state"] == "RETIREMENT_STATE_SIGNED" {
            stage.tell("the record of its end is signed, and holds")?;
            let file = stage.folder().join("end.retirement").display().to_string();
            let key = stage.folder().join("pki/retirement.pub").display().to_string();
            stage.run_blindly(&["device", "retirement", &cast.worn, "--out", &file])?;
            stage.run(&["device", "retirement", "verify", &file, "--key", &key])?;
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("the record of the end of {} was not signed", cast.worn)
}
