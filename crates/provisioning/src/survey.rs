//! What there is, counted over all records for whoever watches the server.

use std::collections::BTreeMap;

use contract::{
    id::Kind,
    v1::{AdmissionStatus, WaitingDevice},
};
use service::{
    Fault, View,
    store::{Batch, Read},
};

use crate::{
    DAY_MS,
    decide::for_each,
    state::{self, Course, ListState, Record, Trusted},
};

/// The bounds of the days until certificates end: what renews in a day, a week, a month; and what lasts a year.
pub const DAYS: [u32; 9] = [1, 3, 7, 14, 30, 60, 90, 180, 365];

/// What there is at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Certificates that count, by the kind of their owner.
    pub ends: BTreeMap<&'static str, Ends>,
    /// The same by their issuing CA, of all that are trusted and all that have some; but for the server's own, whose
    /// clients go by their roots.
    pub issuers: BTreeMap<String, u64>,
    /// Devices of mass renewals under way that were not told yet.
    pub waiting: u64,
    /// Those that were told and have not renewed yet.
    pub told: u64,
    /// Keys that wait for somebody's word.
    pub admissions: u64,
    /// Until when the revocation lists count, if there are any.
    pub crl_next_update_ms: Option<i64>,
}

/// When certificates end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ends {
    /// How many end within each of [`DAYS`]; those of the bounds before are among them.
    pub within: [u64; DAYS.len()],
    /// All.
    pub count: u64,
    /// Days until they end, all together.
    pub days: u64,
}

impl Ends {
    fn add(&mut self, left_ms: u64) {
        for (count, days) in self.within.iter_mut().zip(DAYS) {
            *count += u64::from(left_ms <= u64::from(days) * DAY_MS);
        }
        self.count += 1;
        self.days += left_ms / DAY_MS;
    }
}

/// Looks through all records of a store; the service may go on meanwhile.
///
/// # Errors
/// The store cannot be read, or a record is damaged.
pub fn survey(store: &dyn Read, now_ms: i64) -> Result<Survey, Fault> {
    let nothing = Batch::default();
    let view = View::new(store, &nothing);
    let mut survey = Survey::default();
    let trusted: Option<Trusted> = view.load(state::TRUSTED)?;
    let trusted = trusted.unwrap_or_default().all.into_iter();
    survey.issuers.extend(trusted.map(|issuer| (issuer, 0)));
    for_each(&view, state::CERTIFICATES, |record: Record| {
        let certificate = record.certificate();
        if let Some(kind) = Kind::from_word(&certificate.kind).filter(|_| record.counts(now_ms)) {
            let left_ms = certificate.not_after_ms.saturating_sub(now_ms).max(0);
            let ends = survey.ends.entry(kind.word()).or_default();
            ends.add(left_ms.unsigned_abs());
            if kind != Kind::Service {
                *survey.issuers.entry(certificate.issuer).or_default() += 1;
            }
        }
        Ok(())
    })?;
    for_each(&view, state::RENEWALS, |course: Course| {
        if course.is_running() {
            let renewal = course.renewal();
            survey.waiting += u64::from(renewal.waiting);
            survey.told += u64::from(renewal.told);
        }
        Ok(())
    })?;
    for_each(&view, state::ADMISSIONS, |waiting: WaitingDevice| {
        survey.admissions += u64::from(waiting.status() == AdmissionStatus::Waiting);
        Ok(())
    })?;
    let list: Option<ListState> = view.load(state::LIST)?;
    survey.crl_next_update_ms = list
        .filter(|list| list.number > 0)
        .map(|list| list.next_update_ms);
    Ok(survey)
}
