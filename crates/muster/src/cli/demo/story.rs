//! The story, from an empty folder to a retired device.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::Write as _,
    process::{Child, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use client::Endpoint;
use serde_json::Value;

use super::{
    super::{Global, print},
    Demo,
    check::Expected,
    fleet::{self, Fleet, MODEL},
    intruder,
    life::{self, Cast},
    report::{self, Report},
    stage::Stage,
};
use crate::exit::{Exit, Failure};

/// The firmware that is rolled out.
const NEW: &str = "1.1.0";
/// Its size: small enough for a short story, large enough for several blocks.
const IMAGE_BYTES: usize = 200 * 1024;
/// How one device is set, unlike the others.
pub(super) const LIMIT_OF_ONE: &str = "valve.limit=5";
/// What the whole fleet is told to do goes by this name.
pub(super) const JOB: &str = "look-round";
/// So many devices do it at once.
const AT_ONCE: u32 = 25;
/// Of so many devices one refuses the new firmware.
const SICK: usize = 20;

pub(super) async fn tell(demo: &Demo, global: &Global) -> Result<()> {
    let mut stage = Stage::set(demo.folder.clone(), global.json)?;
    stage.run(&["init", "--unencrypted", "--site", "demo"])?;
    stage.start_server()?;
    let checker = engage_checker(&stage)?;
    let ids = fleet::ids(demo.devices);
    let sick: BTreeSet<String> = ids.iter().skip(SICK / 2).step_by(SICK).cloned().collect();
    let cast = Cast::of(&ids)?;
    let fleet = provision(&stage, &ids, &sick, &cast).await?;
    life::accept(&stage, &cast)?;
    configure(&stage, &fleet, &ids).await?;
    command(&stage, &ids)?;
    let rollout = update(&stage, &fleet, &ids, &sick).await?;
    let quarantined = meet_intruder(&stage, &ids).await?;
    let (revoked, closed_after_ms) = revoke(&stage, &ids)?;
    life::hand_over(&stage, &cast)?;
    life::replace(&stage, &cast)?;
    retire(&stage, &fleet, &cast.worn).await?;
    life::record(&stage, &cast).await?;
    let expected = Expected {
        devices: ids.clone(),
        sick,
        version: NEW.into(),
        artifact: rollout,
        quarantined,
        revoked,
        retired: cast.worn,
        ordered: cast.ordered,
        successor: cast.successor,
        transferred: cast.transferred,
        critical: cast.critical,
        closed_after_ms,
    };
    // Absence is noticed after the grace, and heartbeats come once a second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let report = ask_checker(&stage, checker, &expected)?;
    report::print(global, &report, stage.seconds())?;
    if demo.keep && report.is_good() {
        say_how_to_connect(&stage)?;
        stage.wait_for_server()?;
    }
    fleet.stop().await;
    if report.is_good() {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "a check did not hold").into())
}

/// The checker is a process of its own, with an integrator's and an operator's certificate.
fn engage_checker(stage: &Stage) -> Result<Child> {
    stage.tell("a checker is let in: an integrator who follows events, an operator who may only look")?;
    stage.run(&["person", "put", "integrator", "watcher", "--events", "#"])?;
    stage.run(&["person", "put", "operator", "auditor", "--role", "viewer"])?;
    stage.run(&["cert", "issue", "integrator", "watcher"])?;
    stage.run(&["cert", "issue", "operator", "auditor"])?;
    let people = stage.folder().join("people");
    let mut command = stage.command();
    command
        .arg("demo-check")
        .arg("--watcher")
        .arg(people.join("watcher"));
    command
        .arg("--auditor")
        .arg(people.join("auditor"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start the checker")?;
    let mut first = String::new();
    let stdout = child.stdout.as_mut().context("the checker has no output")?;
    read_line(stdout, &mut first)?;
    if first.trim() != "following" {
        bail!("the checker does not follow the events: {first}");
    }
    stage.tell("it follows every event from here on")?;
    Ok(child)
}

/// Reads a line byte by byte, so that nothing behind it is taken.
fn read_line(from: &mut impl std::io::Read, line: &mut String) -> Result<()> {
    let mut byte = [0];
    while from.read(&mut byte)? == 1 && byte != [b'\n'] {
        line.push(char::from(byte[0]));
    }
    Ok(())
}

async fn provision(stage: &Stage, ids: &[String], sick: &BTreeSet<String>, cast: &Cast) -> Result<Fleet> {
    stage.run(&["group", "put", "fleet"])?;
    life::buy(stage, cast)?;
    let others: Vec<_> = ids.iter().filter(|id| !cast.ordered.contains(id)).collect();
    stage.tell(format!(
        "{} devices that are there already are registered from a file",
        others.len()
    ))?;
    let file = stage.folder().join("devices.ndjson");
    let mut lines = String::new();
    for id in others {
        let _ = writeln!(
            lines,
            "{{\"device_id\":\"{id}\",\"model\":\"{MODEL}\",\"groups\":[\"fleet\"]}}"
        );
    }
    std::fs::write(&file, lines)?;
    stage.run(&["device", "import", &file.display().to_string()])?;
    stage.run(&[
        "cert",
        "claim",
        "demo",
        "--uses",
        &ids.len().to_string(),
        "--expires",
        "1d",
        // However many there are, they come at once.
        "--per-minute",
        "1000000",
    ])?;
    stage.tell("each device makes its key, claims its certificate, connects with it and reports")?;
    let fleet = Fleet::start(stage, ids.to_vec(), sick)?;
    fleet
        .until(stage, "have a certificate", ids.len(), |done| done.enrolled.len())
        .await?;
    fleet
        .until(
            stage,
            "have connected over mTLS, and reported",
            ids.len(),
            |done| done.reported.len(),
        )
        .await?;
    Ok(fleet)
}

/// Settings for the whole fleet, and one device that differs.
async fn configure(stage: &Stage, fleet: &Fleet, ids: &[String]) -> Result<()> {
    let first = ids.first().context("too few devices")?;
    stage.tell("the fleet is set from afar, and one device in another way")?;
    stage.run(&["config", "set", first, LIMIT_OF_ONE])?;
    let template = ["config", "template", "set", "group", "fleet"];
    stage.run(&[&template[..], &["heartbeat=1s", "valve.limit=3"]].concat())?;
    fleet
        .until(stage, "have applied their configuration", ids.len(), |done| {
            done.configured.len()
        })
        .await?;
    stage.run(&["config", "explain", first])?;
    Ok(())
}

/// One command to the whole fleet, so many at once.
fn command(stage: &Stage, ids: &[String]) -> Result<()> {
    stage.tell(format!(
        "all {} devices are told to describe themselves, {AT_ONCE} at once",
        ids.len()
    ))?;
    let at_once = AT_ONCE.to_string();
    let run = ["command", "run", "diagnose", "--group", "fleet", "--id", JOB];
    stage.run(&[&run[..], &["--at-once", &at_once, "--wait"]].concat())?;
    Ok(())
}

/// Firmware of real bytes, signed offline, added, rolled out in waves. Its artifact id is returned.
async fn update(stage: &Stage, fleet: &Fleet, ids: &[String], sick: &BTreeSet<String>) -> Result<String> {
    stage.tell(format!(
        "firmware {NEW} is signed with the release key, which the server does not need"
    ))?;
    let image = stage.folder().join("pump.bin");
    let bytes: Vec<u8> = (0..IMAGE_BYTES).map(|_| rand::random()).collect();
    std::fs::write(&image, bytes)?;
    let image = image.display().to_string();
    let key = stage.folder().join("release/release.key").display().to_string();
    let sign = [
        "firmware",
        "sign",
        &image,
        "--key",
        &key,
        "--name",
        "pump",
        "--version",
        NEW,
        "--sequence",
        "2",
    ];
    stage.run(&[&sign[..], &["--model", MODEL]].concat())?;
    let artifact = stage.run(&["firmware", "add", &image])?;
    let artifact = artifact["artifact_id"]
        .as_str()
        .context("no artifact id")?
        .to_owned();
    stage.tell(format!(
        "it is rolled out in waves of 10, 30 and 60 percent; {} devices will not bear it",
        sick.len()
    ))?;
    let create = [
        "rollout",
        "create",
        "spring",
        "--artifact",
        &artifact,
        "--group",
        "fleet",
    ];
    stage.run(&[&create[..], &["--waves", "10,30,60", "--success", "60"]].concat())?;
    let healthy = ids.len() - sick.len();
    fleet
        .until(stage, "run the new firmware", healthy, |done| done.updated.len())
        .await?;
    fleet
        .until(stage, "went back to the old one", sick.len(), |done| {
            done.rolled_back.len()
        })
        .await?;
    stage.run(&["rollout", "watch", "spring"])?;
    Ok(artifact)
}

/// Monitoring answers an intruder by itself.
async fn meet_intruder(stage: &Stage, ids: &[String]) -> Result<String> {
    let victim = ids.get(2).context("too few devices")?.clone();
    stage.tell("a rule: whoever tries too often what it may not is quarantined")?;
    let rule = [
        "monitor",
        "rule",
        "put",
        "intruders",
        "security.violations",
        "above",
        "10",
    ];
    stage.run(&[&rule[..], &["--severity", "high", "--response", "quarantine"]].concat())?;
    let folder = stage.folder().join("devices").join(&victim);
    let roots = stage.folder().join("pki/root.pem");
    let endpoint = Endpoint {
        host: stage.address.ip().to_string(),
        port: stage.address.port(),
    };
    let refused = intruder::try_everything(&folder, &roots, &endpoint).await?;
    stage.tell(format!(
        "somebody with the key of {victim} orders others to retire, and is refused {refused} times"
    ))?;
    for _ in 0..100 {
        let shown = stage.run_unseen(&["device", "show", &victim])?;
        if shown["restriction"] == "RESTRICTION_QUARANTINED" {
            let by = shown["changed_by"].as_str().unwrap_or_default();
            stage.tell(format!("{victim} is quarantined, by {by}"))?;
            return Ok(victim);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("{victim} was not quarantined")
}

fn revoke(stage: &Stage, ids: &[String]) -> Result<(String, u64)> {
    let device = ids.get(3).context("too few devices")?.clone();
    let revoked = stage.run(&[
        "cert",
        "revoke",
        "--device",
        &device,
        "--reason",
        "keyCompromise",
        "--yes",
    ])?;
    let ms = number(&revoked["closed_after_ms"]);
    let sessions = number(&revoked["sessions_closed"]);
    stage.tell(format!(
        "{device}'s certificate is revoked; {sessions} session closed {ms} ms after the commit"
    ))?;
    Ok((device, ms))
}

/// 64-bit numbers travel as text.
fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .or_else(|| value.as_str()?.parse().ok())
        .unwrap_or_default()
}

async fn retire(stage: &Stage, fleet: &Fleet, device: &str) -> Result<()> {
    stage.run(&["device", "retire", device, "--reason", "worn out", "--yes"])?;
    fleet
        .until(
            stage,
            "was retired: it erased its keys and sent a receipt",
            1,
            |done| done.retired.len(),
        )
        .await?;
    Ok(())
}

/// Tells the checker what was done, and hears what it found.
fn ask_checker(stage: &Stage, mut checker: Child, expected: &Expected) -> Result<Report> {
    stage.tell("the checker looks at what there is")?;
    let mut stdin = checker.stdin.take().context("the checker hears nothing")?;
    serde_json::to_writer(&mut stdin, expected)?;
    stdin.flush()?;
    drop(stdin);
    let output = checker.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).context("the checker came to no end")
}

fn say_how_to_connect(stage: &Stage) -> Result<()> {
    let (folder, address) = (stage.folder().display(), stage.address);
    let (host, port) = (address.ip(), address.port());
    print::line(format!(
        "\nIt goes on until you press Ctrl-C. To look around:\n\
         \n  muster --dir {folder} --server {address} device list\
         \n  muster --dir {folder} --server {address} events\
         \n  mosquitto_sub -V mqttv5 -h {host} -p {port} -i watcher:me -t 'muster/v1/events/#' -v \\\
         \n    --cafile {folder}/people/watcher/roots.pem --cert {folder}/people/watcher/certificate.pem \\\
         \n    --key {folder}/people/watcher/key.pem"
    ))
}
