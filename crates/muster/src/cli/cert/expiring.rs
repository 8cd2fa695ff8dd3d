//! `muster cert expiring`

use std::collections::BTreeMap;

use anyhow::Result;
use contract::{
    id::{Kind, ServiceName},
    v1::{Certificate, CertificateStatus, CertificatesListed, ListCertificates},
};
use host::clock::wall_ms;
use serde_json::json;

use super::{
    super::{Global, list::Page, print, whole, words},
    when::DAY_MS,
};

const WEEK_MS: i64 = 7 * DAY_MS;
/// 1970 began on a Thursday.
const FIRST_MONDAY_MS: i64 = 4 * DAY_MS;

#[derive(clap::Args)]
pub(in crate::cli) struct Expiring {
    /// How far to look ahead; what lasts 90 days now ends within the default
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u16).range(1..=1100))]
    weeks: u16,
    /// Of this kind of owner
    #[arg(long, value_parser = words::owner())]
    kind: Option<Kind>,
}

/// Certificates by the kind of their owner, for each week by its Monday.
type Weeks = BTreeMap<i64, BTreeMap<String, u64>>;

impl Expiring {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let now_ms = wall_ms();
        let end_ms = monday(now_ms).saturating_add(i64::from(self.weeks) * WEEK_MS);
        let kind = self.kind.map(Kind::word).unwrap_or_default();
        let request = |Page { size, token }| ListCertificates {
            kind: kind.to_owned(),
            expires_from_ms: now_ms,
            expires_before_ms: end_ms,
            page_size: size,
            page: token,
            ..ListCertificates::default()
        };
        // A kind and an end are kept of each: there may be as many as devices.
        let take = |page: CertificatesListed| {
            let live = page.certificates.into_iter().filter(is_live);
            (
                live.map(|one| (one.kind, one.not_after_ms)).collect(),
                page.next_page,
            )
        };
        let ends = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let ends = whole::all(&client, (ServiceName::Provisioning, "list"), request, take).await?;
            client.disconnect().await;
            Ok(ends)
        })?;
        show(global, &counted(ends))
    }
}

fn is_live(certificate: &Certificate) -> bool {
    matches!(
        certificate.status(),
        CertificateStatus::Issued | CertificateStatus::Active
    )
}

/// When the week of a time began.
fn monday(ms: i64) -> i64 {
    ms - (ms - FIRST_MONDAY_MS).rem_euclid(WEEK_MS)
}

fn counted(ends: Vec<(String, i64)>) -> Weeks {
    let mut weeks = Weeks::new();
    for (kind, not_after_ms) in ends {
        *weeks
            .entry(monday(not_after_ms))
            .or_default()
            .entry(kind)
            .or_default() += 1;
    }
    weeks
}

fn show(global: &Global, weeks: &Weeks) -> Result<()> {
    if global.json {
        for (week, kinds) in weeks {
            let total: u64 = kinds.values().sum();
            print::json(&json!({ "week_ms": week.to_string(), "total": total, "kinds": kinds }))?;
        }
        return Ok(());
    }
    let row = |(week, kinds): (&i64, &BTreeMap<String, u64>)| {
        let of = |kind: Kind| kinds.get(kind.word()).copied().unwrap_or_default();
        let own = [
            Kind::Device,
            Kind::Operator,
            Kind::Integrator,
            Kind::Claim,
            Kind::Service,
        ];
        let counts = own.map(|kind| of(kind).to_string());
        std::iter::once(print::time(*week)).chain(counts).collect()
    };
    let titles = [
        "week of",
        "devices",
        "operators",
        "integrators",
        "claims",
        "services",
    ];
    print::table(&titles, weeks.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_mondays() {
        // 2026-11-26 was a Thursday; its Monday the 23rd.
        let thursday = 1_795_651_200_000;
        let begun = thursday - 3 * DAY_MS;
        assert_eq!(monday(thursday), begun);
        assert_eq!(monday(begun), begun);
        assert_eq!(monday(begun - 1), begun - WEEK_MS);
        let ends = [("devices", begun), ("devices", thursday), ("claims", begun - 1)];
        let weeks = counted(ends.map(|(kind, end)| (kind.to_owned(), end)).to_vec());
        assert_eq!(weeks[&begun]["devices"], 2);
        assert_eq!(weeks[&(begun - WEEK_MS)]["claims"], 1);
    }
}
