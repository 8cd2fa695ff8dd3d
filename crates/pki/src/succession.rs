//! Which of the roots that somebody is told he may trust, going by those that he trusts and by their links.

use crate::authority::AuthorityError;
use crate::root::RootCertificate;
use crate::root_link::RootLink;

/// The most roots that are told at once, and that somebody takes beside those that he began with.
pub const ROOTS_MAX: usize = 8;
/// The most links: each root may have one of the former and one of the one before that.
pub const LINKS_MAX: usize = 2 * ROOTS_MAX;
/// The longest text of either.
pub const ROOTS_MAX_BYTES: usize = 64 * 1024;

/// Roots and links as they are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The roots.
    pub roots: Vec<RootCertificate>,
    /// The links to some of them.
    pub links: Vec<RootLink>,
}

/// Why what is told is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToldError {
    /// There are more than anybody needs.
    #[error("there are more than {ROOTS_MAX} roots or {LINKS_MAX} links")]
    TooMany,
    /// A text that is not a sequence of roots or of links.
    #[error(transparent)]
    Unfit(#[from] AuthorityError),
}

/// Why a root is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// No link is for this root's name and key.
    #[error("there is no link to it")]
    NoLink,
    /// None of its links has the signature of a root that is trusted.
    #[error("no root that is trusted now has signed its link")]
    Unsigned,
    /// The time of its links is over, or has not come.
    #[error("its link has ended, or its time has not come")]
    LinkTime,
    /// Its own time is over, or has not come.
    #[error("it has ended, or its time has not come")]
    RootTime,
}

/// What becomes of the roots that are new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Succession {
    /// Those that may be trusted, each with the link that says so and none before the root that signed it.
    pub taken: Vec<(RootCertificate, RootLink)>,
    /// The others.
    pub refused: Vec<(RootCertificate, NotTaken)>,
}

impl Told {
    /// Reads them; more than anybody needs is not looked at.
    pub fn read(roots_pem: &str, links_pem: &str) -> Result<Told, ToldError> {
        if [roots_pem, links_pem]
            .iter()
            .any(|text| text.len() > ROOTS_MAX_BYTES)
        {
            return Err(ToldError::TooMany);
        }
        let told = Told {
            roots: RootCertificate::read_all(roots_pem)?,
            links: RootLink::read_all(links_pem)?,
        };
        match told.roots.len() > ROOTS_MAX || told.links.len() > LINKS_MAX {
            true => Err(ToldError::TooMany),
            false => Ok(told),
        }
    }
}

impl Succession {
    /// Judges those that are not among the trusted, at this time. A root that is taken may lead to the next.
    pub fn judge(trusted: &[RootCertificate], told: &Told, at_ms: i64) -> Succession {
        let mut known = trusted.to_vec();
        let mut taken = Vec::new();
        let is_new = |root: &&RootCertificate| !trusted.contains(root);
        let mut waiting: Vec<_> = told.roots.iter().filter(is_new).collect();
        loop {
            let before = taken.len();
            waiting.retain(|root| match way(&known, told, root, at_ms) {
                Ok(link) => {
                    known.push((*root).clone());
                    taken.push(((*root).clone(), link.clone()));
                    false
                }
                Err(_) => true,
            });
            if taken.len() == before {
                break;
            }
        }
        let why = |root: &RootCertificate| way(&known, told, root, at_ms).err();
        let refused = waiting
            .into_iter()
            .filter_map(|root| Some((root.clone(), why(root)?)));
        Succession {
            refused: refused.collect(),
            taken,
        }
    }
}

/// The link by which a root may be trusted.
fn way<'a>(
    known: &[RootCertificate],
    told: &'a Told,
    root: &RootCertificate,
    at_ms: i64,
) -> Result<&'a RootLink, NotTaken> {
    if !root.validity.contains(at_ms) {
        return Err(NotTaken::RootTime);
    }
    let has_signed = |former: &&RootCertificate, link: &RootLink| {
        former.validity.contains(at_ms) && link.is_signed_by(former)
    };
    let mut why = NotTaken::NoLink;
    for link in told.links.iter().filter(|link| link.leads_to(root)) {
        match known.iter().any(|former| has_signed(&former, link)) {
            true if link.validity.contains(at_ms) => return Ok(link),
            true => why = NotTaken::LinkTime,
            false if why == NotTaken::NoLink => why = NotTaken::Unsigned,
            false => {}
        }
    }
    Err(why)
}

/// The roots that links lead to from those that somebody began with, whatever the time is: for what was taken before. One
/// that no link leads to any more, because the root that it began with is not trusted now, is not among them.
pub fn led_to(begun_with: &[RootCertificate], taken: &[(RootCertificate, RootLink)]) -> Vec<RootCertificate> {
    let mut known = begun_with.to_vec();
    for (root, link) in taken {
        if link.leads_to(root) && known.iter().any(|former| link.is_signed_by(former)) {
            known.push(root.clone());
        }
    }
    known.split_off(begun_with.len())
}
