//! Reports on the fleet, as typed, and their page in a browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod installation;

use std::{fs, process::Command};

use installation::Installation;

const FLEET: &str = "device_id,site,criticality,supplier,price,purchased_on\n\
    pump-1,=cmd(),critical,acme,10.50 EUR,2020-01-31\n\
    pump-2,<script>document.title='owned'</script>,high,acme,1.25 EUR,2026-01-31\n\
    pump-3,,low,,,\n";

/// A server with three devices, of which two have odd sites.
fn with_a_fleet() -> Installation {
    let server = Installation::running();
    let fleet = server.path("fleet.csv");
    fs::write(&fleet, FLEET).unwrap();
    server.good(&["supplier", "put", "acme"]);
    server.good(&["device", "import", fleet.to_str().unwrap()]);
    server
}

#[test]
fn reports_come_in_the_form_that_is_asked_for() {
    let server = with_a_fleet();
    let said = server.good(&["report", "spend", "inventory", "spend"]);
    let (inventory, spend) = (said.find("inventory: 3").unwrap(), said.find("11.75").unwrap());
    assert!(inventory < spend && said.matches("spend:").count() == 1, "{said}");
    assert!(!said.contains("idle:"), "{said}");

    let one = server.documents(&["report", "inventory", "--where", "site = \"=cmd()\""]);
    assert_eq!((one.len(), &one[0]["rows"][0][1]), (1, &"=cmd()".into()));

    let folder = server.path("tables");
    server.good(&["report", "--csv", folder.to_str().unwrap()]);
    let table = fs::read_to_string(folder.join("inventory.csv")).unwrap();
    assert!(table.contains("site,'=cmd(),1\n"), "{table}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 7);

    let shown = server.ends(&["report", "everything"], 2);
    assert!(shown.contains("possible values"), "{shown}");
    let bad = server.ends(&["report", "--where", "site ="], 2);
    assert!(!bad.contains("inventory:"), "{bad}");
}

#[test]
#[ignore = "needs Chromium; tests/run installs it"]
fn a_browser_shows_the_page_and_runs_nothing_of_it() {
    let server = with_a_fleet();
    let page = server.path("fleet.html");
    server.good(&["report", "--html", page.to_str().unwrap()]);
    let shot = server.path("page.png");
    let url = format!("file://{}", page.display());
    let dumped = browser(&server).args(["--dump-dom", &url]).output().unwrap();
    let shown = String::from_utf8_lossy(&dumped.stdout);
    assert!(shown.contains("<title>Fleet report"), "{shown}");
    assert!(!shown.contains("<script"), "{shown}");
    let charts = shown.matches("<svg").count();
    assert_eq!(charts, 4 + 3 + 1, "a chart for each thing that is counted");

    let picture = format!("--screenshot={}", shot.display());
    let drawn = browser(&server)
        .args(["--window-size=800,600", &picture, &url])
        .output()
        .unwrap();
    assert!(drawn.status.success());
    // An empty page of this size compresses to a tenth of it.
    assert!(fs::metadata(&shot).unwrap().len() > 15_000);
}

/// Chromium without a window, which asks nobody anything.
fn browser(server: &Installation) -> Command {
    let mut browser = Command::new("chromium");
    browser
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .arg(format!("--user-data-dir={}", server.path("profile").display()));
    browser
}
