//! The questions, answered from what is committed.

mod revocations;

use contract::{
    Code, Refusal, limits,
    v1::{
        AdmissionStatus, AdmissionsListed, Authorities, Certificate, CertificateShown, CertificateStatus,
        CertificatesListed, Claim, ClaimsListed, ListAdmissions, ListCertificates, ListRenewals,
        ListRenewing, Manufacturer, ManufacturersListed, RenewalsListed, RenewingDevice, RenewingListed,
        RenewingState, WaitingDevice,
    },
    wire::Reply,
};
use service::{
    Caller, Fault, QueryContext, Sight, View,
    page::{self, Page},
};

use crate::{
    Provisioning, Request,
    decide::{renewal_in_sight, server_keys},
    effects, policy,
    state::{self, Course, ListState, Record},
};

/// The longest revocation lists that go into a message, bytes; the rest is for certificates and for JSON's escapes.
const LISTS_BYTES: usize = limits::PAYLOAD_BYTES - 64 * 1024;

/// Answers a query.
pub(crate) fn answer(
    service: &Provisioning,
    view: &View<'_>,
    caller: &Caller,
    request: Request,
    cx: &QueryContext<'_>,
) -> Result<Box<dyn Reply>, Fault> {
    let sight = &caller.sight;
    match request {
        Request::Show(m) => Ok(Box::new(show(view, sight, &m.serial)?)),
        Request::List(m) => Ok(Box::new(list(view, sight, &m)?)),
        Request::Claims(m) => {
            let page = page::list::<Claim>(view, state::BATCHES, &m.page, m.page_size, |_| true)?;
            Ok(Box::new(ClaimsListed {
                claims: page.rows,
                next_page: page.next,
                ..ClaimsListed::default()
            }))
        }
        Request::Admissions(m) => {
            let prefix = match m.device_id.as_str() {
                "" => state::ADMISSIONS.to_owned(),
                device => state::admissions_of(policy::id("device_id", device)?.as_str()),
            };
            let page = page::list_where::<WaitingDevice>(view, &prefix, &m.page, m.page_size, |waiting| {
                Ok(sight.device(view, &waiting.device_id)?)
            })?;
            Ok(Box::new(AdmissionsListed {
                devices: page.rows,
                next_page: page.next,
                ..AdmissionsListed::default()
            }))
        }
        Request::AdmissionQuestions(m) => {
            let page = questions(view, caller, &m, cx.now.wall_ms)?;
            Ok(Box::new(AdmissionsListed {
                devices: page.rows,
                next_page: page.next,
                ..AdmissionsListed::default()
            }))
        }
        Request::Manufacturers(m) => {
            let page =
                page::list::<Manufacturer>(view, state::MANUFACTURERS, &m.page, m.page_size, |_| true)?;
            // The lists of a few would fill the answer.
            let told = |one: Manufacturer| Manufacturer {
                crl: String::new(),
                ..one
            };
            Ok(Box::new(ManufacturersListed {
                manufacturers: page.rows.into_iter().map(told).collect(),
                next_page: page.next,
                ..ManufacturersListed::default()
            }))
        }
        Request::Revocations(m) => Ok(Box::new(revocations::list(view, &m)?)),
        Request::Renewals(m) => Ok(Box::new(renewals(view, caller, &m)?)),
        Request::Renewing(m) => Ok(Box::new(renewing(view, caller, &m)?)),
        Request::Authorities(_) => Ok(Box::new(authorities(service, view, cx)?)),
        _ => Err(Refusal::new(Code::Internal, "this verb is a command").into()),
    }
}

/// What waits for the caller's own word.
fn questions(
    view: &View<'_>,
    caller: &Caller,
    m: &ListAdmissions,
    now_ms: i64,
) -> Result<Page<WaitingDevice>, Fault> {
    let prefix = match m.device_id.as_str() {
        "" => state::ADMISSIONS.to_owned(),
        device => state::admissions_of(policy::id("device_id", device)?.as_str()),
    };
    let own = caller.principal.to_string();
    page::list::<WaitingDevice>(view, &prefix, &m.page, m.page_size, |waiting| {
        waiting.approver == own
            && waiting.status() == AdmissionStatus::Waiting
            && waiting.deadline_ms > now_ms
    })
}

fn renewals(view: &View<'_>, caller: &Caller, m: &ListRenewals) -> Result<RenewalsListed, Fault> {
    let wanted = |course: &Course| {
        let renewal = course.renewal();
        (m.renewal_id.is_empty() || renewal.renewal_id == m.renewal_id) && renewal_in_sight(caller, &renewal)
    };
    let page = page::fill(state::RENEWALS, &m.page, m.page_size, |after, limit| {
        let rows = view.list::<Course>(state::RENEWALS, after, limit)?.into_iter();
        let row = |(key, course)| (key, Some(course).filter(wanted).map(|course| course.renewal()));
        Ok(rows.map(row).collect())
    })?;
    if !m.renewal_id.is_empty() && page.rows.is_empty() {
        return Err(Refusal::not_found("mass renewal", &m.renewal_id)
            .at("renewal_id")
            .into());
    }
    Ok(RenewalsListed {
        renewals: page.rows,
        next_page: page.next,
        ..RenewalsListed::default()
    })
}

fn renewing(view: &View<'_>, caller: &Caller, m: &ListRenewing) -> Result<RenewingListed, Fault> {
    let name = policy::id("renewal_id", &m.renewal_id)?;
    let state = RenewingState::try_from(m.state);
    let state = state.map_err(|_| Refusal::invalid("state", "there is no such state"))?;
    let course = view.load::<Course>(state::course_key(name.as_str()))?;
    if !course.is_some_and(|course| renewal_in_sight(caller, &course.renewal())) {
        return Err(Refusal::not_found("mass renewal", name.as_str())
            .at("renewal_id")
            .into());
    }
    let prefix = state::renewing_of(name.as_str());
    let page = page::list_where::<RenewingDevice>(view, &prefix, &m.page, m.page_size, |device| {
        let fits = state == RenewingState::Unspecified || device.state() == state;
        Ok(fits && caller.sight.device(view, &device.device_id)?)
    })?;
    Ok(RenewingListed {
        devices: page.rows,
        next_page: page.next,
        ..RenewingListed::default()
    })
}

fn show(view: &View<'_>, sight: &Sight, serial: &str) -> Result<CertificateShown, Fault> {
    let serial = policy::serial(serial)?;
    let record = state::record(view, &serial)?;
    let absent = || Refusal::not_found("certificate", &serial).at("serial");
    let certificate = record.ok_or_else(absent)?.certificate();
    if !state::in_sight(view, sight, &certificate)? {
        return Err(absent().into());
    }
    Ok(CertificateShown {
        certificate: Some(certificate),
        ..CertificateShown::default()
    })
}

/// By owner or kind where one is named, by their end where that matters, else all.
fn list(view: &View<'_>, sight: &Sight, m: &ListCertificates) -> Result<CertificatesListed, Fault> {
    let wanted = Wanted::read(sight, m)?;
    let by_end = |ms: i64| (ms > 0).then(|| format!("{}{}", state::ENDS, state::end_digits(ms)));
    let (from, before) = (by_end(m.expires_from_ms), by_end(m.expires_before_ms));
    let page = if (from.is_some() || before.is_some()) && m.id.is_empty() {
        let range = (
            from.as_deref().map(str::as_bytes),
            before.as_deref().map(str::as_bytes),
        );
        through_index(view, state::ENDS, range, m, &wanted)?
    } else if !m.id.is_empty() {
        through_index(view, &state::owned(&m.kind, &m.id), (None, None), m, &wanted)?
    } else if !m.kind.is_empty() {
        through_index(view, &state::owners(&m.kind), (None, None), m, &wanted)?
    } else {
        page::fill(state::CERTIFICATES, &m.page, m.page_size, |after, limit| {
            let rows = view.list::<Record>(state::CERTIFICATES, after, limit)?;
            let row = |(key, record)| Ok((key, wanted.row(view, &record)?));
            rows.into_iter().map(row).collect()
        })?
    };
    Ok(CertificatesListed {
        certificates: page.rows,
        next_page: page.next,
        ..CertificatesListed::default()
    })
}

/// Reads an index whose keys end in the serial, from one key on and up to another.
fn through_index(
    view: &View<'_>,
    prefix: &str,
    (from, end): (Option<&[u8]>, Option<&[u8]>),
    m: &ListCertificates,
    wanted: &Wanted<'_>,
) -> Result<Page<Certificate>, Fault> {
    page::fill(prefix, &m.page, m.page_size, |after, limit| {
        let mut rows = Vec::new();
        for (key, _) in view.scan(prefix.as_bytes(), after.or(from), limit)? {
            if end.is_some_and(|end| key.as_slice() >= end) {
                break;
            }
            let row = match state::record(view, &state::serial_at_end(&key))? {
                Some(record) => wanted.row(view, &record)?,
                None => None,
            };
            rows.push((key, row));
        }
        Ok(rows)
    })
}

/// What must hold of a listed certificate.
struct Wanted<'a> {
    sight: &'a Sight,
    kind: String,
    id: String,
    status: Option<CertificateStatus>,
    expires_from_ms: i64,
    expires_before_ms: i64,
    issuer: String,
}

impl Wanted<'_> {
    fn read<'a>(sight: &'a Sight, m: &ListCertificates) -> Result<Wanted<'a>, Refusal> {
        let kinds = contract::Kind::ALL.map(contract::Kind::word);
        if !m.kind.is_empty() && !kinds.contains(&m.kind.as_str()) {
            return Err(Refusal::invalid("kind", "no kind of principal").allowing(kinds));
        }
        if !m.id.is_empty() {
            policy::id("id", &m.id)?;
            if m.kind.is_empty() {
                return Err(Refusal::invalid("kind", "an id needs its kind").allowing(kinds));
            }
        }
        let status = CertificateStatus::try_from(m.status);
        let status = status.map_err(|_| Refusal::invalid("status", "there is no such status"))?;
        Ok(Wanted {
            sight,
            kind: m.kind.clone(),
            id: m.id.clone(),
            status: (status != CertificateStatus::Unspecified).then_some(status),
            expires_from_ms: m.expires_from_ms,
            expires_before_ms: m.expires_before_ms,
            issuer: m.issuer.clone(),
        })
    }

    /// The certificate without its text, if it is wanted: a page of texts would be large.
    fn row(&self, view: &View<'_>, record: &Record) -> Result<Option<Certificate>, Fault> {
        let certificate = record.certificate();
        let fits = (self.kind.is_empty() || self.kind == certificate.kind)
            && (self.id.is_empty() || self.id == certificate.id)
            && (self.issuer.is_empty() || self.issuer == certificate.issuer)
            && self.status.is_none_or(|status| status == certificate.status())
            && certificate.not_after_ms >= self.expires_from_ms
            && (self.expires_before_ms == 0 || certificate.not_after_ms < self.expires_before_ms)
            && state::in_sight(view, self.sight, &certificate)?;
        Ok(fits.then(|| Certificate {
            pem: String::new(),
            ..certificate
        }))
    }
}

/// Lists that are too long for a message are fetched as files.
fn authorities(service: &Provisioning, view: &View<'_>, cx: &QueryContext<'_>) -> Result<Authorities, Fault> {
    let state: ListState = view.load(state::LIST)?.unwrap_or_default();
    let known = service.issuers.held().known.clone();
    let lists = cx
        .blobs
        .read(effects::LISTS_PEM, 0, LISTS_BYTES)?
        .filter(|lists| lists.len() < LISTS_BYTES)
        .unwrap_or_default();
    Ok(Authorities {
        request_id: String::new(),
        roots: known.roots_pem.clone(),
        issuing: known.bundle(),
        crl: String::from_utf8_lossy(&lists).into_owned(),
        crl_number: state.number,
        authorities: known.listed(),
        renew_after_ms: service.settings.renew_after_ms,
        server_keys: server_keys(view)?,
        root_links: known.links_pem.clone(),
    })
}
