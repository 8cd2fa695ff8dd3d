//! `muster device import --update`: what a file says otherwise of devices that are there is changed.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    iter::Peekable,
    sync::Arc,
};

use anyhow::{Context, Result};
use client::{AskError, Client};
use contract::{
    Code, Refusal, document,
    id::ServiceName,
    v1::{
        ChangeDevice, ChangeMembers, Changed, ConfigMode, ConfigShown, Device, DeviceShown, MembersChanged,
        OwnConfig, SetConfig, ShowConfig, ShowDevice,
    },
};
use serde::Serialize;

use super::{
    super::{Global, progress, whole},
    faults::{self, Refused},
    import::{self, Report},
    rows::{Good, Row, SETTINGS, shown},
};

/// The column of the version that a device is to have.
pub(super) const VERSION: &str = "version";
/// Devices that are read at once: their ids fit a query.
const IDS_MAX: usize = 100;
const IDS_CHARS: usize = 1_900;
/// Changes under way.
const UNDER_WAY: usize = 16;
/// How often a device is looked at that others change meanwhile.
const TRIES: usize = 5;
/// Changes that are told of.
const TOLD_MAX: usize = 10;

/// What a row says of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Said {
    line: u64,
    device_id: String,
    /// By name, as the registry would write them; empty ones are to go.
    fields: BTreeMap<String, String>,
    /// `None`: it does not say.
    groups: Option<BTreeSet<String>>,
    /// What is to be set for the device alone, as text; `None`: it does not say.
    settings: Option<String>,
    /// 0: whichever.
    version: u64,
}

/// A value that becomes another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Turn {
    from: String,
    to: String,
}

/// A device as it is.
#[derive(Debug, Clone, Default)]
struct Present {
    device: Device,
    /// What is set for it alone; of version 0 where nothing is, whatever its configuration's version.
    config: OwnConfig,
}

/// What of a device becomes another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    line: u64,
    device_id: String,
    fields: BTreeMap<String, Turn>,
    joined: Vec<String>,
    left: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Turn>,
    #[serde(skip)]
    version: u64,
    /// Of the configuration that the settings are part of.
    #[serde(skip)]
    config_version: u64,
    #[serde(skip)]
    said: Said,
}

/// What came of one.
enum Made {
    Changed,
    Unchanged,
    Refused(Refused),
}

/// Registers the rows of new devices, and changes the others. `empty`: the columns in which nothing stands for removing.
pub(super) async fn run(
    global: &Global,
    report: &mut Report,
    good: Good<'_>,
    (dry_run, empty): (bool, &[String]),
) -> Result<()> {
    report.changed = Some(0);
    let (client, _inbox) = global.connect().await?;
    let dynamic = Arc::new(whole::dynamic_groups(&client).await?);
    let (mut new, mut changes) = (Vec::new(), Vec::new());
    let mut rows = good.rows.peekable();
    loop {
        let batch = next_batch(&mut rows);
        if batch.is_empty() {
            break;
        }
        let present = present(&client, &batch, empty).await?;
        for row in batch {
            match sort(row, &present, empty, &dynamic) {
                Ok(Sorted::New(row)) => new.push(row),
                Ok(Sorted::Same) => report.unchanged += 1,
                Ok(Sorted::Other(change)) => changes.push(change),
                Err(refused) => report.refused.extend(refused),
            }
        }
    }
    client.disconnect().await;
    // What a change names may be new.
    let new = Good {
        count: new.len(),
        rows: Box::new(new.into_iter()),
    };
    import::register(global, report, new, dry_run).await?;
    make(global, report, (changes, &dynamic), dry_run).await
}

/// As many rows as can be asked for in one query.
fn next_batch(rows: &mut Peekable<impl Iterator<Item = Row>>) -> Vec<Row> {
    let (mut batch, mut chars) = (Vec::new(), 0);
    let size = |row: &Row| row.device.device_id.len() + 4;
    while let Some(row) = rows.next_if(|row| batch.len() < IDS_MAX && chars + size(row) <= IDS_CHARS) {
        chars += size(&row);
        batch.push(row);
    }
    batch
}

/// Those of the rows' devices that are there; what is set for them alone is asked for if a row says something of that.
async fn present(client: &Client, batch: &[Row], empty: &[String]) -> Result<BTreeMap<String, Present>> {
    let ids: Vec<_> = batch
        .iter()
        .map(|row| format!("'{}'", row.device.device_id))
        .collect();
    let query = format!("id in ({})", ids.join(", "));
    let devices = whole::fitting(client, None, &query, Some).await?;
    let named = devices.into_iter().map(|device| {
        let config = OwnConfig::default();
        (device.device_id.clone(), Present { device, config })
    });
    let mut present: BTreeMap<_, _> = named.collect();
    let is_said = batch.iter().any(|row| !row.device.settings.is_empty());
    if is_said || empty.iter().any(|name| name == SETTINGS) {
        for config in whole::settings(client, &query).await? {
            if let Some(present) = present.get_mut(&config.device_id) {
                present.config = config;
            }
        }
    }
    Ok(present)
}

/// The device of a change as it is now.
async fn look(client: &Client, change: &Change) -> Result<Present, AskError> {
    let device_id = change.device_id.clone();
    let show = ShowDevice {
        device_id: device_id.clone(),
        ..ShowDevice::default()
    };
    let shown: DeviceShown = client.ask(ServiceName::Registry, "show", &show).await?;
    let mut present = Present {
        device: shown.device.unwrap_or_default(),
        config: OwnConfig::default(),
    };
    if change.said.settings.is_some() {
        let show = ShowConfig {
            device_id,
            ..ShowConfig::default()
        };
        let shown: ConfigShown = client.ask(ServiceName::Registry, "config-show", &show).await?;
        let config = shown.config.unwrap_or_default();
        present.config.version = config.version;
        present.config.document = config.own;
    }
    Ok(present)
}

/// What a row comes to.
enum Sorted {
    New(Row),
    Same,
    Other(Change),
}

fn sort(
    mut row: Row,
    present: &BTreeMap<String, Present>,
    empty: &[String],
    dynamic: &BTreeSet<String>,
) -> Result<Sorted, Vec<Refused>> {
    let said = Said::read(&row, empty)?;
    let Some(present) = present.get(&said.device_id) else {
        row.device.fields.remove(VERSION);
        return Ok(Sorted::New(row));
    };
    let Some(change) = said.difference(present, |group| dynamic.contains(group)) else {
        return Ok(Sorted::Same);
    };
    let version = present.device.version;
    if said.version != 0 && said.version != version {
        let refusal = Refusal::stale("device", said.version, version).at(VERSION);
        let row = (said.line, said.device_id.as_str());
        return Err(vec![Refused::of_row(row, said.version.to_string(), refusal)]);
    }
    Ok(Sorted::Other(change))
}

impl Said {
    fn read(row: &Row, empty: &[String]) -> Result<Said, Vec<Refused>> {
        let mut device = row.device.clone();
        let refused = |refusal: Refusal| {
            let value = faults::value(&row.device, &refusal.field);
            Refused::of_row((row.line, &row.device.device_id), value, refusal)
        };
        let version = match device.fields.remove(VERSION).as_deref() {
            None | Some("") => 0,
            Some(text) => text
                .parse()
                .map_err(|_| vec![refused(Refusal::invalid(VERSION, "a version is a number"))])?,
        };
        // How much a device matters is never unsaid.
        let kept = ["device_id", "planned", "groups", SETTINGS, "criticality", VERSION];
        for name in empty.iter().filter(|name| !kept.contains(&name.as_str())) {
            device.fields.entry(name.clone()).or_default();
        }
        let (fields, faults) = registry::declared::row(&device);
        if !faults.is_empty() {
            return Err(faults.into_iter().map(refused).collect());
        }
        let is_emptied = |column: &str| empty.iter().any(|name| name == column);
        let says_groups = !device.groups.is_empty() || is_emptied("groups");
        let says_settings = !device.settings.is_empty() || is_emptied(SETTINGS);
        Ok(Said {
            settings: says_settings.then(|| same_form(&device.settings)),
            line: row.line,
            groups: says_groups.then(|| device.groups.into_iter().collect()),
            device_id: device.device_id,
            fields,
            version,
        })
    }

    /// What would be another; a device's dynamic groups are left to their queries.
    fn difference(&self, present: &Present, is_dynamic: impl Fn(&str) -> bool) -> Option<Change> {
        let Present { device, config } = present;
        let written = registry::written(device);
        let turned = self.fields.iter().filter_map(|(name, to)| {
            let from = written.get(name).cloned().unwrap_or_default();
            let turn = Turn { from, to: to.clone() };
            (turn.from != turn.to).then(|| (name.clone(), turn))
        });
        let fields: BTreeMap<_, _> = turned.collect();
        let held: BTreeSet<String> = device
            .groups
            .iter()
            .filter(|group| !is_dynamic(group))
            .cloned()
            .collect();
        let wanted = self.groups.as_ref().unwrap_or(&held);
        let joined: Vec<_> = wanted.difference(&held).cloned().collect();
        let left: Vec<_> = held.difference(wanted).cloned().collect();
        let settings = self.settings.clone().map(|to| Turn {
            from: same_form(&config.document),
            to,
        });
        let settings = settings.filter(|turn| turn.from != turn.to);
        if fields.is_empty() && joined.is_empty() && left.is_empty() && settings.is_none() {
            return None;
        }
        Some(Change {
            line: self.line,
            device_id: self.device_id.clone(),
            fields,
            joined,
            left,
            settings,
            version: device.version,
            config_version: config.version,
            said: self.clone(),
        })
    }
}

/// A document as text, by which equal ones are found; nothing is an empty one.
fn same_form(text: &str) -> String {
    document::to_text(&document::from_text(text))
}

impl Change {
    fn refused(&self, refusal: Refusal) -> Refused {
        let value = match refusal.field.as_str() {
            SETTINGS => self.said.settings.clone(),
            field => self.said.fields.get(field).cloned(),
        };
        let value = shown(&value.unwrap_or_default());
        Refused::of_row((self.line, &self.device_id), value, refusal)
    }

    fn request(&self, dry_run: bool) -> ChangeDevice {
        let set = self
            .fields
            .iter()
            .map(|(name, turn)| (name.clone(), turn.to.clone()));
        ChangeDevice {
            device_id: self.device_id.clone(),
            expected_version: self.version,
            set: set.collect(),
            dry_run,
            ..ChangeDevice::default()
        }
    }

    /// `line 3: pump-7 site `rome` → `berlin`, +hall-3`
    fn words(&self) -> String {
        let fields = self.fields.iter();
        let fields = fields.map(|(name, turn)| format!("{name} `{}` → `{}`", turn.from, turn.to));
        let joined = self.joined.iter().map(|group| format!("+{group}"));
        let left = self.left.iter().map(|group| format!("-{group}"));
        let settings = self.settings.iter();
        let settings =
            settings.map(|turn| format!("{SETTINGS} `{}` → `{}`", shown(&turn.from), shown(&turn.to)));
        let all: Vec<_> = fields.chain(joined).chain(left).chain(settings).collect();
        format!("line {}: {} {}", self.line, self.device_id, all.join(", "))
    }
}

/// What would become another, row by row.
pub(super) fn told(changes: &[Change], all_rows: bool) -> Vec<String> {
    let most = if all_rows { usize::MAX } else { TOLD_MAX };
    let mut lines: Vec<_> = changes.iter().take(most).map(Change::words).collect();
    if let Some(more) = changes.len().checked_sub(most).filter(|more| *more > 0) {
        lines.push(format!("and {more} more changes: --all-rows names them"));
    }
    lines
}

/// Makes the changes, so many at a time.
async fn make(
    global: &Global,
    report: &mut Report,
    (changes, dynamic): (Vec<Change>, &Arc<BTreeSet<String>>),
    dry_run: bool,
) -> Result<()> {
    let (client, _inbox) = global.connect().await?;
    let (count, mut done) = (changes.len(), 0);
    let bar = progress::bar(count as u64, "devices");
    let (mut changes, mut under_way) = (changes.into_iter(), VecDeque::new());
    loop {
        while under_way.len() < UNDER_WAY
            && let Some(change) = changes.next()
        {
            let (client, dynamic, asked) = (client.clone(), dynamic.clone(), change.clone());
            let asked = tokio::spawn(async move { make_one(&client, asked, &dynamic, dry_run).await });
            under_way.push_back((change, asked));
        }
        let Some((change, asked)) = under_way.pop_front() else {
            break;
        };
        let made = asked.await?.map_err(super::super::global::explain);
        let made =
            made.with_context(|| format!("after {done} of {count} changes; the import may be repeated"))?;
        match made {
            Made::Unchanged => report.unchanged += 1,
            Made::Refused(refused) => report.refused.push(refused),
            Made::Changed => {
                report.changed = report.changed.map(|changed| changed + 1);
                report.changes.extend(dry_run.then_some(change));
            }
        }
        done += 1;
        bar.inc(1);
    }
    bar.finish_and_clear();
    client.disconnect().await;
    Ok(())
}

/// Who was slower looks again, unless the file says which version it is about.
async fn make_one(
    client: &Client,
    mut change: Change,
    dynamic: &BTreeSet<String>,
    dry_run: bool,
) -> Result<Made, AskError> {
    let mut tries = 0;
    loop {
        tries += 1;
        if change.settings.is_some() && change.config_version == 0 && !dry_run {
            // Nothing is set for it alone; which version others may have made since is not known.
            change.config_version = look(client, &change).await?.config.version;
        }
        let refusal = match write(client, &change, dry_run).await {
            Ok(()) => return Ok(Made::Changed),
            Err(AskError::Refused(refusal)) => refusal,
            Err(error) => return Err(error),
        };
        if refusal.code != Code::Conflict || change.said.version != 0 || tries == TRIES {
            return Ok(Made::Refused(change.refused(refusal)));
        }
        let present = look(client, &change).await?;
        match change.said.difference(&present, |group| dynamic.contains(group)) {
            Some(next) => change = next,
            None => return Ok(Made::Unchanged),
        }
    }
}

async fn write(client: &Client, change: &Change, dry_run: bool) -> Result<(), AskError> {
    if !change.fields.is_empty() {
        let request = change.request(dry_run);
        let _: Changed = client.ask(ServiceName::Registry, "change", &request).await?;
    }
    if dry_run {
        return Ok(());
    }
    for (verb, groups) in [("join-group", &change.joined), ("leave-group", &change.left)] {
        for group in groups {
            let request = ChangeMembers {
                group_id: group.clone(),
                device_ids: vec![change.device_id.clone()],
                ..ChangeMembers::default()
            };
            let _: MembersChanged = client.ask(ServiceName::Registry, verb, &request).await?;
        }
    }
    if let Some(turn) = &change.settings {
        let request = SetConfig {
            device_id: change.device_id.clone(),
            mode: ConfigMode::Replace.into(),
            document: turn.to.clone(),
            expected_version: change.config_version,
            ..SetConfig::default()
        };
        let set: Result<Changed, _> = client.ask(ServiceName::Registry, "config-set", &request).await;
        set.map_err(at_settings)?;
    }
    Ok(())
}

/// What was refused stands in the row's column.
fn at_settings(error: AskError) -> AskError {
    match error {
        AskError::Refused(refusal) if refusal.code != Code::Conflict => {
            AskError::Refused(refusal.at(SETTINGS))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use contract::v1::RegisterDevice;

    use super::*;

    fn row(fields: &[(&str, &str)], groups: &[&str]) -> Row {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        Row {
            line: 3,
            device: RegisterDevice {
                device_id: "pump-7".into(),
                groups: groups.iter().map(|group| (*group).to_owned()).collect(),
                fields: fields.iter().map(owned).collect(),
                ..RegisterDevice::default()
            },
        }
    }

    fn pump() -> Present {
        let device = Device {
            device_id: "pump-7".into(),
            version: 5,
            site: "rome".into(),
            notes: "old".into(),
            criticality: contract::v1::Criticality::High.into(),
            groups: ["hall", "by-query"].map(str::to_owned).to_vec(),
            ..Device::default()
        };
        let config = OwnConfig {
            version: 3,
            document: r#"{"heartbeat":"30s","net":{"mtu":1400}}"#.into(),
            ..OwnConfig::default()
        };
        Present { device, config }
    }

    fn words(row: &Row, empty: &[&str]) -> Result<Option<String>, Vec<Refused>> {
        let empty: Vec<_> = empty.iter().map(|name| (*name).to_owned()).collect();
        let said = Said::read(row, &empty)?;
        let change = said.difference(&pump(), |group| group == "by-query");
        Ok(change.map(|change| change.words()))
    }

    #[test]
    fn what_a_row_does_not_say_stays_and_other_words_for_the_same_change_nothing() {
        let same = [
            row(&[], &[]),
            row(&[("site", "rome"), ("criticality", "HIGH")], &["hall"]),
        ];
        for row in same {
            assert_eq!(words(&row, &[]), Ok(None));
        }
        let other = row(
            &[("site", "berlin"), ("notes", ""), ("latitude", "52.50")],
            &["line"],
        );
        let expected =
            "line 3: pump-7 latitude `` → `52.5`, notes `old` → ``, site `rome` → `berlin`, +line, -hall";
        assert_eq!(words(&other, &[]), Ok(Some(expected.to_owned())));
        // An empty cell removes only where that is asked for.
        let columns = ["device_id", "planned", "groups", "criticality", "notes", "owner"];
        let expected = "line 3: pump-7 notes `old` → ``, -hall";
        assert_eq!(words(&row(&[], &[]), &columns), Ok(Some(expected.to_owned())));
    }

    #[test]
    fn settings_are_compared_by_what_they_say() {
        let with = |settings: &str| {
            let mut row = row(&[], &[]);
            row.device.settings = settings.into();
            row
        };
        let same = with(r#"{ "net": {"mtu": 1400}, "heartbeat": "30s" }"#);
        assert_eq!(words(&same, &[]), Ok(None));
        let removed = words(&row(&[], &[]), &["device_id", SETTINGS]);
        let from = r#"settings `{"heartbeat":"30s","net":{"mtu":1400}}` → "#;
        assert_eq!(removed, Ok(Some(format!("line 3: pump-7 {from}`{{}}`"))));
        let other = words(&with(r#"{"heartbeat":"9s"}"#), &[]).unwrap().unwrap();
        assert_eq!(other, format!(r#"line 3: pump-7 {from}`{{"heartbeat":"9s"}}`"#));
        let faults = words(&with(r#"{"heartbeat":null}"#), &[]).unwrap_err();
        assert_eq!((faults[0].field.as_str(), faults[0].line), (SETTINGS, 3));
    }

    #[test]
    fn every_fault_of_a_row_is_told_with_what_stands_there() {
        let bad = row(
            &[
                ("criticality", "hihg"),
                ("colour", "red"),
                ("stage", "active"),
                ("latitude", "400"),
            ],
            &[],
        );
        let faults = words(&bad, &[]).unwrap_err();
        let told: Vec<_> = faults
            .iter()
            .map(|f| (f.field.as_str(), f.value.as_str()))
            .collect();
        let expected = [
            ("colour", "red"),
            ("criticality", "hihg"),
            ("latitude", "400"),
            ("stage", "active"),
        ];
        assert_eq!(told, expected);
        let version = words(&row(&[(VERSION, "new")], &[]), &[]).unwrap_err();
        assert_eq!((version[0].field.as_str(), version[0].line), (VERSION, 3));
    }

    #[test]
    fn the_version_in_the_file_must_be_the_device_s() {
        let present = BTreeMap::from([("pump-7".to_owned(), pump())]);
        let sorted = |version: &str, site: &str| {
            let row = row(&[(VERSION, version), ("site", site)], &[]);
            sort(row, &present, &[], &BTreeSet::new())
        };
        assert!(matches!(sorted("5", "berlin"), Ok(Sorted::Other(_))));
        assert!(matches!(sorted("4", "rome"), Ok(Sorted::Same)));
        let refused = sorted("4", "berlin").err().unwrap();
        assert_eq!(
            (refused[0].code.as_str(), refused[0].field.as_str()),
            ("conflict", VERSION)
        );
        assert_eq!(refused[0].value, "4");
        let mut other = row(&[(VERSION, "4")], &[]);
        other.device.device_id = "pump-8".into();
        let Ok(Sorted::New(new)) = sort(other, &present, &[], &BTreeSet::new()) else {
            panic!("it is not there");
        };
        assert!(new.device.fields.is_empty());
    }

    #[test]
    fn as_many_are_asked_for_as_fit_a_query() {
        let rows = (0..250).map(|n| {
            let mut row = row(&[], &[]);
            row.device.device_id = format!("{n:064}");
            row
        });
        let mut rows = rows.peekable();
        let sizes: Vec<_> =
            std::iter::from_fn(|| Some(next_batch(&mut rows).len()).filter(|n| *n > 0)).collect();
        assert_eq!((sizes.iter().sum::<usize>(), sizes[0]), (250, 27));
    }
}
