//! The same data in PostgreSQL, with the indexes that the questions want.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{muster::Effort, rows};
use crate::{
    fleet::operator::BATCH,
    servers::{Postgres, postgres::Ran},
};

const TABLES: &str = "
CREATE TABLE devices (
  id text PRIMARY KEY, serial_number text NOT NULL UNIQUE, name text NOT NULL, model text NOT NULL,
  site text NOT NULL, owner text NOT NULL, criticality int NOT NULL, warranty_until date, tags jsonb NOT NULL,
  version bigint NOT NULL);
CREATE INDEX ON devices (site, id);
CREATE INDEX ON devices (model, id);
CREATE INDEX ON devices ((tags->>'line'), id);
CREATE TABLE members (group_id text, device_id text, PRIMARY KEY (group_id, device_id));
";

/// The figures of one size.
pub(super) struct Findings {
    pub(super) registered_per_second: f64,
    pub(super) disk_bytes: f64,
    pub(super) query: Ran,
    pub(super) scan: Duration,
    pub(super) change: Ran,
    pub(super) changes: Ran,
    pub(super) settling: Duration,
    pub(super) joining: Ran,
}

/// Everything at one size.
pub(super) fn measure(postgres: &Postgres, devices: usize, effort: Effort) -> Result<Findings> {
    postgres.sql("DROP TABLE IF EXISTS devices, members;")?;
    postgres.sql(TABLES)?;
    let registered_per_second = devices as f64 / register(postgres, devices)?.as_secs_f64();
    let disk_bytes = postgres.disk_bytes()?;
    postgres.sql("VACUUM ANALYZE devices;")?;
    let seconds = effort.span.as_secs_f64();
    Ok(Findings {
        registered_per_second,
        disk_bytes,
        query: postgres.bench(&query(devices), 1, seconds)?,
        scan: timed(|| postgres.sql(&scan(devices)))?,
        change: postgres.bench(&change(devices), 1, seconds)?,
        changes: postgres.bench(&change(devices), effort.window, seconds)?,
        settling: timed(|| {
            postgres.sql("INSERT INTO members SELECT 'urgent', id FROM devices WHERE criticality = 4;")
        })?,
        joining: postgres.bench(&joining(devices), 1, seconds)?,
    })
}

/// As many rows in a transaction as in a request of Muster.
fn register(postgres: &Postgres, devices: usize) -> Result<Duration> {
    let mut file = tempfile::NamedTempFile::new()?;
    let all: Vec<_> = rows::rows(devices).collect();
    for chunk in all.chunks(BATCH) {
        let mut statement = String::from("INSERT INTO devices VALUES ");
        for (n, row) in chunk.iter().enumerate() {
            statement.push_str(if n == 0 { "" } else { "," });
            row.write(&mut statement);
        }
        writeln!(file, "{statement};")?;
    }
    file.flush()?;
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(file.path(), permissions)?;
    timed(|| postgres.file(file.path()))
}

fn timed(run: impl FnOnce() -> Result<String>) -> Result<Duration> {
    let begun = Instant::now();
    run()?;
    Ok(begun.elapsed())
}

fn query(devices: usize) -> String {
    format!(
        "\\set site random(0, {})\n\
         SELECT * FROM devices WHERE site = 'site-' || :site::text AND criticality >= 1 ORDER BY id LIMIT {};\n",
        rows::sites(devices) - 1,
        rows::OF_A_SITE
    )
}

fn scan(devices: usize) -> String {
    format!(
        "SELECT * FROM devices WHERE name ILIKE '% {} %' ORDER BY id;",
        devices / 2
    )
}

/// The variables of a script: a device, and a number to write.
fn drawn(devices: usize, most: usize) -> String {
    format!(
        "\\set device random(0, {})\n\\set value random(1, {most})\n",
        devices - 1
    )
}

const DEVICE: &str = "id = 'dev-' || lpad(:device::text, 7, '0')";

fn change(devices: usize) -> String {
    format!(
        "{}UPDATE devices SET tags = jsonb_set(tags, '{{line}}', to_jsonb(:value::text)), version = version + 1 \
         WHERE {DEVICE};\n",
        drawn(devices, 1_000_000)
    )
}

/// High is 3, critical 4.
fn joining(devices: usize) -> String {
    format!(
        "{}BEGIN;\n\
         UPDATE devices SET criticality = 2 + :value, version = version + 1 WHERE {DEVICE};\n\
         INSERT INTO members SELECT 'urgent', id FROM devices WHERE {DEVICE} AND criticality = 4 \
         ON CONFLICT DO NOTHING;\n\
         DELETE FROM members USING devices WHERE {DEVICE} AND device_id = id AND criticality <> 4;\n\
         COMMIT;\n",
        drawn(devices, 2)
    )
}
