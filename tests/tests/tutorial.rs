//! Pages that can be typed block by block, as typed; only their two ports are others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fmt::Write,
    fs::File,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use world::{cargo_output, free_port, pages, repository};

/// How long the whole of it may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Stands before each block's output.
const MARK: &str = "== block";

#[test]
#[ignore = "takes long; tests/run runs it"]
fn the_tutorial_does_what_it_says() {
    let said = typed_out("docs/tutorial.md", ["127.0.0.1:18883", "127.0.0.1:18080"]);
    promised(
        &said,
        &[
            ("muster device register pump-7", "registered"),
            ("muster device quarantine pump-7", "quarantined"),
            ("muster why connect pump-7", "what repairs it only"),
            ("muster rollout watch r-1", "2.0.0"),
            ("muster --as billing events", "pump-7"),
            ("muster cert revoke --device pump-8", "revoked"),
            ("muster why connect pump-8", "this certificate is revoked"),
            ("muster why connect pump-8", "exit code 5"),
            ("muster device retire pump-7", "retired"),
        ],
    );
}

#[test]
#[ignore = "takes long; tests/run runs it"]
fn what_is_stolen_is_shut_out_as_its_page_says() {
    let said = typed_out("docs/incidents.md", ["127.0.0.1:18899", "127.0.0.1:18099"]);
    promised(
        &said,
        &[
            ("muster monitor security", "(none)"),
            ("muster device suspend pump-7", "pump-7: version"),
            ("muster device suspend pump-7", "revoked"),
            ("--claim spring --reason", "revoked"),
            ("muster why connect pump-7", "stolen from hall 3"),
            ("muster why connect pump-7", "exit code 5"),
            ("muster audit show --who eve", "exit code 5"),
            ("--out eve-anew", "pump-7"),
            ("muster cert renew-server", "eve"),
        ],
    );
}

#[test]
#[ignore = "takes long; tests/run runs it"]
fn firmware_goes_out_and_back_as_its_page_says() {
    let said = typed_out("docs/rollouts.md", ["127.0.0.1:18900", "127.0.0.1:18100"]);
    promised(
        &said,
        &[
            ("muster rollout create r-1", "for 3 devices; 1 cannot take it"),
            ("muster rollout create r-1", "exit code 1"),
            ("muster rollout create r-1", "no certificate yet"),
            ("muster rollout create r-1", "rolled-back"),
            ("muster rollout pause r-2", "paused"),
            ("muster rollout pause r-2", "2 of 2 devices succeeded"),
            ("--version 3.1.0", "2 of 2 devices succeeded"),
            ("--version 3.1.0", "3.1.0"),
            (
                "--version 4.0.0",
                "the release was recalled: pumps stop at low pressure",
            ),
            ("--version 4.0.0", "exit code 1"),
            ("--version 4.0.0", "roll another release out"),
            ("--undo --yes", "1 of 1 devices succeeded"),
            ("--undo --yes", "recall lifted because"),
            ("--undo --yes", "rollout/recall"),
        ],
    );
}

#[test]
#[ignore = "takes long; tests/run runs it"]
fn each_way_in_does_what_its_page_says() {
    let said = typed_out(
        "docs/provisioning.md",
        ["127.0.0.1:18884", "127.0.0.1:18084", "127.0.0.1:18085"],
    );
    promised(
        &said,
        &[
            ("muster cert claims", "line-7"),
            ("--secret pump-2.secret", "provisioned"),
            ("muster cert admit pump-3", "is admitted"),
            ("muster cert admit pump-3", "provisioned"),
            ("--key $line/key.pem", "CN = pump-4"),
            ("--key pump-4.key", "CN = pump-4"),
            ("--config pump-5.conf", "CN = pump-5"),
            ("--factory idevid", "provisioned"),
            ("muster manufacturer list", "acme"),
            ("muster manufacturer crl acme", "revoked   1"),
            ("--admission hook", "provisioned"),
            ("muster cert renew-all", "2 renewed"),
            ("muster cert renewals list", "devices by name"),
            ("--of-batch line-7", "certificates are revoked"),
            ("muster cert crl publish", "is published, good until"),
            ("muster cert crl publish", " certificates"),
            ("muster cert verify", "revoked at"),
            ("muster cert verify", "exit code 5"),
            ("muster claim list", "dock"),
            ("muster cert expiring", "DEVICES"),
            ("--key p384", "provisioned"),
            ("--key p384", "ASN1 OID: secp384r1"),
            (
                "--key p384",
                "O = Acme Valves, CN = valve-1, serialNumber = SN-valve-1",
            ),
            ("--key p384", "Policy: 1.3.6.1.4.1.32473.1"),
            ("--key p384", "TLS Web Client Authentication, 1.3.6.1.5.5.7.3.14"),
            ("--key p384", "must be of the kind p384, and this one is of p256"),
            ("grep -i -e ^http", "HTTP/1.1 429"),
            ("grep -i -e ^http", "retry-after: "),
            ("--admission announced", "CN = pump-8"),
            ("@other.b64", "this claim does not open this device"),
            ("admit sensor-1", "renewed-late"),
        ],
    );
}

#[test]
#[ignore = "takes long; tests/run runs it"]
fn the_cas_are_made_and_replaced_as_their_page_says() {
    let said = typed_out("docs/authorities.md", ["127.0.0.1:18898", "127.0.0.1:18098"]);
    promised(
        &said,
        &[
            ("ca root new safe", "made a root in safe"),
            ("--root-offline\ncp", "a request for it is written"),
            (
                "sign --offline --root-folder safe request",
                "signed the issuing CA",
            ),
            ("muster ca import answer.pem", "made an installation"),
            ("muster ca import answer.pem", "server.pem: OK"),
            ("muster ca import next.pem", "signs nothing yet"),
            ("muster ca activate $next", "retiring"),
            ("muster ca remove $former", "exit code 4"),
            (
                "muster ca remove $former",
                "is trusted no more; the running server has taken it",
            ),
            (
                "ca activate $fresh",
                "stays trusted; the running server has taken it",
            ),
            (
                "ca remove $stolen",
                "is trusted no more; the running server has taken it",
            ),
            ("rm muster-data/pki/server.key", "exit code 2"),
            ("rm muster-data/pki/server.key", "next: start Muster"),
            ("rm muster-data/pki/issuing-$fresh.key", "exit code 2"),
            ("rm muster-data/pki/issuing-$fresh.key", "muster ca activate"),
            (
                "rm muster-data/pki/issuing-$fresh.key",
                "its revocation list is made no more",
            ),
            ("ca root link --offline", "signed a link"),
            ("ca root link --offline", "link.pem: OK"),
            ("--link link.pem", "the running server has taken it"),
            ("--link link.pem", "linked from"),
            ("--out both", "both/roots.pem:2\nboth/root-links.pem:1"),
            (
                "ca activate $other",
                "stays trusted; the running server has taken it",
            ),
            ("ca activate $other", "replaced"),
            ("ca root export rome-root", "was read back there"),
            ("ca root export rome-root", "a request for it is written"),
            ("--dir paris ca import", "made an installation in paris"),
            ("--dir milan init", "made an installation in milan"),
            ("--dir turin ca list", "example.com, localhost, 192.0.2.0/24"),
            ("--dir turin ca list", "turin/pki/server.pem: OK"),
            ("--dir turin ca list", "exit code 4"),
        ],
    );
}

#[test]
#[ignore = "takes long; tests/run runs it"]
fn what_devices_are_set_to_is_as_its_page_says() {
    let said = typed_out(
        "docs/configuration-of-devices.md",
        ["127.0.0.1:18892", "127.0.0.1:18092"],
    );
    promised(
        &said,
        &[
            ("muster config show pump-1", "version 1"),
            ("settings.json", r#"{"heartbeat":"10s","valve":{"limit":3}}"#),
            ("heartbeat=soon", "heartbeat is a time between 1s and 24h"),
            ("muster config unset pump-1 heartbeat", "(none)"),
            ("muster config explain pump-1", "group line-7"),
            ("muster config explain pump-1", "type pump"),
            ("config-set", "\"version\":\"1\""),
            ("muster config show pump-2", r#"{"heartbeat":"30s"}"#),
        ],
    );
}

#[test]
#[ignore = "takes long; tests/run runs it"]
fn what_devices_are_told_is_done_as_its_page_says() {
    let said = typed_out("docs/commands.md", ["127.0.0.1:18886", "127.0.0.1:18086"]);
    promised(
        &said,
        &[
            ("muster command run pump-1 diagnose", "\"process\":"),
            ("muster command run pump-1 diagnose", "told to restart"),
            ("muster command run pump-1 diagnose", "going down"),
            ("muster command run pump-1 diagnose", "reboot-1"),
            ("muster command list", "succeeded"),
            ("muster command run pump-1 dance", "cannot do `dance`"),
            ("muster command run pump-1 dance", "exit code 4"),
            ("muster type add pump", "to `restart`, by the rule of `type pump`"),
            ("group put works", "signature only, by the rule of `group works`"),
            (
                "group put works",
                "to `open`, by the rule of `group works` and `device pump-1`",
            ),
            (
                "group put works",
                r#"["type pump",["diagnose","flush","logs","open"]]"#,
            ),
            ("group put works", "with a signature only: flush"),
            (
                "command-why",
                "by the rule of `type pump` and `group works` and `device pump-1`",
            ),
            ("muster command output", "bytes in pump-1.logs"),
            ("muster command cancel flush-1", "flush-1 is cancelled"),
            ("--deadline 1s --wait", "exit code 6"),
            ("--group hall-3", "1 succeeded, 1 timed-out"),
            ("--group hall-3", "exit code 1"),
            ("--group hall-3", "\"process\":"),
            ("jobs cancel flush-2", "1 cancelled"),
            ("key new", "signature-missing"),
            ("key new", "exit code 4"),
            ("key new", "warrants"),
            ("job-run", "\"job_id\":\"all-1\""),
            ("command-run", "\"id\":\"valve-1\""),
            ("muster command show valve-1", "valve 3 is open"),
        ],
    );
}

#[test]
#[ignore = "takes long; tests/run runs it"]
fn the_later_life_of_a_device_is_as_its_page_says() {
    let said = typed_out("docs/life.md", ["127.0.0.1:18893", "127.0.0.1:18093"]);
    promised(
        &said,
        &[
            ("maintenance add pump-7", "Pump Service Ltd"),
            ("maintenance add pump-7", "129.50 EUR"),
            ("muster report maintenance", "1 devices are overdue"),
            ("muster report maintenance", "2025-12-31"),
            (
                "maintenance export work.csv",
                "3 records of 1 devices in work.csv",
            ),
            ("maintenance export work.csv", "0 would be recorded, 3 unchanged"),
            (
                "maintenance export work.csv",
                "0 recorded, 3 unchanged, 0 refused",
            ),
            ("maintenance export work.csv", "device_id,kind,at,by"),
            ("--to south --group south", "offered"),
            ("0123ABCD-0123ABCD", "exit code 5"),
            ("0123ABCD-0123ABCD", "accepted"),
            ("0123ABCD-0123ABCD", "transferred"),
            ("cancel-transfer", "version"),
            ("show pump-7 --at", "south"),
            ("show pump-7 --at", "hall-9"),
            ("show pump-7 --at", "was not known then"),
            ("muster device retire pump-7", "pump-7.retirement is written"),
            ("muster device retire pump-7", "sold to Recycling Ltd"),
            ("muster device retire pump-7", "(cessationOfOperation)"),
            ("retirement verify pump-7.retirement", "holds: signed by key"),
            ("verify forged.retirement", "do not belong together"),
            ("verify forged.retirement", "exit code 7"),
            ("openssl pkeyutl", "Signature Verified Successfully"),
            ("openssl pkeyutl", "ERASURE_CONFIRMED"),
        ],
    );
}

#[test]
#[ignore = "takes long; tests/run runs it"]
fn devices_are_listed_found_and_counted_as_their_page_says() {
    let said = typed_out("docs/registry.md", ["127.0.0.1:18894", "127.0.0.1:18094"]);
    promised(
        &said,
        &[
            ("order receive po-17", "2 received"),
            ("device why pump-7 active", "nobody has attested it"),
            ("device attest pump-7", "pump-7   active"),
            ("import fleet.csv --dry-run", "4 would be registered"),
            ("import fleet.csv --dry-run", "0 registered, 4 unchanged"),
            ("\"set\":{\"end_of_support\"", "\"id\":\"pump-7\""),
            ("export now.csv", "site `apia` → `samoa`"),
            (
                "export now.csv",
                "0 would be registered, 1 would be changed, 3 unchanged",
            ),
            ("export now.csv", "0 registered, 0 changed, 4 unchanged"),
            ("quarantine valve-3", "would change 2 devices (valve-1, valve-2)"),
            ("quarantine valve-3", "1 of 2 devices was not changed"),
            ("quarantine valve-3", "exit code 3"),
            ("near(52.52", "valve-1"),
            ("near(-16, 180", "valve-3"),
            ("near(-16, 180", "valve-4"),
            ("query put ageing", "ageing: version 1"),
            ("page.json", "\"device_id\":\"valve-3\""),
            (
                "put-query",
                "{\"request_id\":\"r-7\",\"devices\":[{\"device_id\":\"valve-3\"",
            ),
            ("--by site --top 1", "berlin     2"),
            ("--by site --top 1", "(others)   3"),
            (
                "--by model --of price",
                "450     452.5   450     455     455     455",
            ),
            ("age(purchased_on)", "days"),
            (
                "until(warranty_until)",
                "\"count\":\"2\",\"spreads\":[{\"unit\":\"days\"",
            ),
            ("group put old-pumps", "pump-7"),
            ("group = settled-in", "joined=[\"pump-7\"]"),
            ("group = settled-in", "valve-1"),
            ("group tree", "line-7  1 member"),
            ("group tree", "pump-8"),
            ("device replace pump-7", "pump-7: version"),
            ("device readmit pump-8", "pump-8: version 5"),
            ("events checkpoints --everybody", "for the north"),
            ("events checkpoints --everybody", "integrators/erp"),
            ("remove-checkpoint nightly", "registered"),
            ("remove-checkpoint nightly", "nightly is removed"),
            ("type add valve", "no rollout of `trial-*` has succeeded on it"),
            ("type add valve", "rollout trial-1 of firmware 1.1.0"),
            ("put-type", "\"summary\":\"`valve-9` is active\""),
            (
                "put-checkpoint",
                "\"checkpoint_id\":\"by-hand\",\"owner\":\"operators/admin\"",
            ),
        ],
    );
}

#[test]
#[ignore = "takes long; tests/run runs it"]
fn a_declared_fleet_is_as_its_page_says() {
    let said = typed_out("docs/fleet.md", ["127.0.0.1:18897", "127.0.0.1:18097"]);
    promised(
        &said,
        &[
            ("cat > fleet.toml", "+ group hall-3"),
            ("cat > fleet.toml", "exit code 9"),
            ("cat > fleet.toml", "operator eve: version 1"),
            ("cat > fleet.toml", "the fleet is as the file says"),
            ("--prune --yes", "not in the file, and left alone: group hall-3"),
            ("--prune --yes", "- group hall-3"),
            ("--prune --yes", "group hall-3: removed"),
            ("--only-plan", "nothing was changed: the plan is"),
            ("--only-plan", "exit code 4"),
            ("--only-plan", r#"["rule","hot","change""#),
            ("muster export-fleet", "the fleet is as the file says"),
            ("muster export-fleet", "type = pump and firmware < 1.4"),
            ("cat > wrong.toml", "line 3, groups.hall-4.colour"),
            ("cat > wrong.toml", "line 6, groups.new-pumps.query"),
            ("cat > wrong.toml", "there is no group `berlim`"),
            ("cat > wrong.toml", "exit code 2"),
            ("operator add kim", "`put-rule` needs the role"),
            ("operator add kim", "exit code 5"),
        ],
    );
}

#[test]
#[ignore = "takes long; tests/run runs it"]
fn reports_say_what_their_page_says() {
    let said = typed_out("docs/reports.md", ["127.0.0.1:18890", "127.0.0.1:18090"]);
    promised(
        &said,
        &[
            ("muster report\n", "inventory: 3 devices that are not retired"),
            ("muster report\n", "1 devices are out of their maker's support"),
            ("muster report\n", "unseen: 3 devices have never connected"),
            ("muster report\n", "2890.50"),
            ("muster report --html", "fleet.html is written"),
            ("muster report --csv", "spend.csv: 1 rows"),
            ("muster report --csv", r#"["site","berlin","2"]"#),
        ],
    );
}

#[test]
#[ignore = "takes long; tests/run runs it"]
fn the_audit_log_does_what_its_page_says() {
    let said = typed_out("docs/audit.md", ["127.0.0.1:18891", "127.0.0.1:18091"]);
    promised(
        &said,
        &[
            ("muster --as eve device suspend", "exit code 5"),
            ("muster audit show --subject", "north → south"),
            ("muster audit show --who eve", "registry/suspend"),
            ("muster audit export", "registry: holds"),
            ("verify forged.ndjson", "DOES NOT HOLD"),
            ("verify forged.ndjson", "exit code 7"),
            ("python3 check.py", "all of it holds"),
        ],
    );
}

#[test]
#[ignore = "needs paho-mqtt; tests/run installs it"]
fn people_log_in_as_the_page_says() {
    let said = typed_out(
        "docs/login.md",
        ["127.0.0.1:18887", "127.0.0.1:18087", "127.0.0.1:18088"],
    );
    promised(
        &said,
        &[
            ("muster person tokens operator ada", "the tablet in hall 3"),
            ("muster why connect ada", "over WebSocket"),
            ("python3 ask.py", "down/registry/show/accepted"),
            ("revoke-token operator ada", "1 token(s) taken back"),
            ("revoke-token operator ada", "refused: Bad user name or password"),
            ("muster person password operator ada", "has another password"),
            (
                "muster person password operator ada",
                "down/registry/show/accepted",
            ),
            ("clients/#", "login-failed"),
            ("muster broker limits", "login_tries_per_address"),
        ],
    );
}

#[test]
#[ignore = "takes long; tests/run runs it"]
fn operators_may_do_what_their_page_says() {
    let said = typed_out("docs/operators.md", ["127.0.0.1:18889", "127.0.0.1:18089"]);
    promised(
        &said,
        &[
            ("muster operator add eve", "operator for the group `berlin`"),
            ("muster operator add eve", "pump-1"),
            ("muster operator add eve", "`pump-2` is not among them"),
            ("muster operator add eve", "exit code 5"),
            ("muster operator add eve", "look-1"),
            ("muster operator add eve", "`rome` is not among them"),
            (
                "operator add max",
                "to `restart`, by the rule of `grants of operators/max`",
            ),
            ("operator add max", "exit code 5"),
            ("operator add max", "may be ordered: diagnose, logs"),
            ("put-person", "operator (ordering logs only) for the group `rome`"),
            ("group put munich", "reaches beyond groups"),
            (
                "quarantine pump-2 --reason \"strange traffic\"",
                "pump-2: version 2",
            ),
            (
                "quarantine pump-2 --reason \"strange traffic\"",
                "(registry/quarantine)",
            ),
            ("muster operator revoke eve", "exit code 5"),
            ("muster group remove berlin", "`eve` has grants for the group"),
            (
                "muster approval require",
                "registry/retire of devices of criticality high or more",
            ),
            ("muster approval require", "exit code 8"),
            (
                "muster approval require",
                "you asked for this; another person must approve it",
            ),
            ("muster approval require", ": accepted"),
            ("muster approval require", "awaiting-approval"),
            ("muster approval waive", "nobody needs another person"),
        ],
    );
}

/// The machine of the page on operations: its service manager, and a server that is started for whoever reads on.
const MACHINE: &str = r#"
export MUSTER_DIR=lib MUSTER_EVENTS__MOST=3
(umask 077; head -c 24 /dev/urandom | base64 > ca-passphrase)
running=
at_work() { rm -f "./$1-$2.log"; command muster "$@" > "./$1-$2.log" 2>&1 & running="$running $!"; }
systemctl() {
  if [ "$1" = stop ]; then
    for one in $running; do kill "$one"; wait "$one" || true; done
    running=
  else
    muster --dir lib up
  fi
}
sudo() { shift 2; "$@"; }
systemd-creds() { cat ca-passphrase; }
install() { (umask 077; cat > "${@: -1}"); }
muster() {
  case "$*" in
    *' up') at_work "$@"; until grep -qs ^ready ./--dir-lib.log; do sleep 0.2; done ;;
    'serve front-door') systemctl stop; at_work "$@" ;;
    'serve registry') MUSTER_LISTEN__HTTP=127.0.0.1:0 at_work "$@" ;;
    'serve provisioning'*)
      MUSTER_LISTEN__HTTP=127.0.0.1:0 at_work "$@"
      until command muster device register pump-1; do sleep 0.5; done ;;
    'events '*)
      until command muster device list > /dev/null; do sleep 0.5; done
      for n in 2 3 4 5 6 7; do command muster device register "pump-$n"; done
      until command muster "$@" 2>&1 | grep 'no longer kept'; do sleep 0.5; done ;;
    *) command muster "$@" ;;
  esac
}
"#;

#[test]
#[ignore = "takes long; tests/run runs it"]
fn an_installation_is_operated_as_its_page_says() {
    let page = std::fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let places = [
        ("/var/lib/muster", "lib"),
        ("/etc/muster/ca-passphrase", "$PWD/ca-passphrase"),
        ("/run/ca", "$PWD/run-ca"),
        ("--after 1200", "--after 1"),
    ];
    let page = places.into_iter().fold(page, |page, (there, here)| {
        assert!(page.contains(there), "the page does not name {there}");
        page.replace(there, here)
    });
    let free = || format!("127.0.0.1:{}", free_port());
    let ports = format!(
        "export MUSTER_LISTEN__PRINCIPALS={} MUSTER_LISTEN__SERVICES={} MUSTER_LISTEN__HTTP={}\n",
        free(),
        free(),
        free()
    );
    let said = typed_after(&format!("{ports}{MACHINE}"), &pages::blocks(&page, "sh"));
    promised(
        &said,
        &[
            ("init --site berlin", "made an installation in lib"),
            ("serve front-door", "pump-1: version 1"),
            ("recover operator admin", "people/admin"),
            ("events --service registry", "are no longer kept; the earliest is"),
        ],
    );
}

/// Types a page's blocks in one shell; what it said.
fn typed_out<const N: usize>(page: &str, addresses: [&str; N]) -> String {
    let page = std::fs::read_to_string(repository().join(page)).unwrap();
    let page = addresses.into_iter().fold(page, elsewhere);
    let blocks = pages::blocks(&page, "sh");
    assert!(blocks.len() > 3, "blocks marked `sh`: {}", blocks.len());
    typed_after("", &blocks)
}

/// Types blocks in one shell, after what the reader has done before.
fn typed_after(before: &str, blocks: &[String]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("typed.sh");
    std::fs::write(&script, format!("{before}{}", typed(blocks))).unwrap();
    let said = folder.path().join("said.log");
    let output = File::create(&said).unwrap();
    let path = std::env::join_paths(
        [
            cargo_output("muster").parent().unwrap().to_owned(),
            repository().join("target/python/bin"),
        ]
        .into_iter()
        .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut shell = Command::new("bash");
    // Settings of whoever runs the tests are not the reader's.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"MUSTER_")) {
        shell.env_remove(name);
    }
    let mut shell = shell
        .args(["-euo", "pipefail"])
        .arg(&script)
        .current_dir(folder.path())
        .env("PATH", path.unwrap())
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        // A group of its own, so that what runs in the background ends with it.
        .process_group(0)
        .spawn()
        .unwrap();
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match shell.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() > end => break None,
            None => std::thread::sleep(Duration::from_millis(100)),
        }
    };
    let group = format!("-{}", shell.id());
    let _ = Command::new("kill")
        .args(["-KILL", "--", &group])
        .stderr(Stdio::null())
        .status();
    let _ = shell.wait();

    let said = std::fs::read_to_string(&said).unwrap();
    let last = said.rfind(MARK).unwrap_or(0);
    if status.is_none_or(|status| !status.success()) {
        let mut logs = String::new();
        for entry in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
            if entry.path().extension().is_some_and(|end| end == "log") {
                let log = std::fs::read_to_string(entry.path()).unwrap();
                let _ = writeln!(logs, "-- {}\n{log}", entry.path().display());
            }
        }
        panic!("{status:?} at\n{}\n{logs}", &said[last..]);
    }
    println!("{said}");
    said
}

/// A page with an address on a port that is free.
fn elsewhere(page: String, address: &str) -> String {
    assert!(page.contains(address), "the page does not name {address}");
    let free = free_port().to_string();
    // A program is given its host and its port one by one.
    let port = address.rsplit_once(':').unwrap().1;
    page.replace(port, &free)
}

/// One script of them, as in one shell.
fn typed(blocks: &[String]) -> String {
    let mut script = String::new();
    for (n, block) in blocks.iter().enumerate() {
        let _ = writeln!(
            script,
            "cat <<'BLOCK'\n{MARK} {}\n{block}--\nBLOCK\n{block}",
            n + 1
        );
    }
    script
}

/// How far a table's columns are apart is no promise.
fn in_words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the page tells its reader to see: in the output of the block with this command, these words.
fn promised(said: &str, expectations: &[(&str, &str)]) {
    for (command, expected) in expectations {
        let block = said.split(MARK).find(|block| block.contains(command));
        let block = block.unwrap_or_else(|| panic!("no block with `{command}`"));
        let output = block.split_once("--\n").map_or("", |(_, output)| output);
        assert!(
            output.contains(expected) || in_words(output).contains(&in_words(expected)),
            "`{expected}` after `{command}`:\n{output}"
        );
    }
}
