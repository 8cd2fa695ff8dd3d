//! Which hosts an authority's certificates may name: name constraints (RFC 5280, section 4.2.1.10) on DNS names and
//! addresses.
//!
//! None on URIs: a device's identity is one, and verifiers refuse every certificate below an authority that constrains
//! them. A constraint of another kind of name is refused, for all that is signed below would break it, or nothing.

use std::fmt;
use std::net::IpAddr;

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, GeneralSubtree as ReadSubtree, ParsedExtension};
use x509_parser::oid_registry::OID_X509_EXT_NAME_CONSTRAINTS;

use crate::authority::AuthorityError;
use crate::plan::Host;

/// The most subtrees of one authority: its certificate is sent in each handshake.
const SUBTREES_MAX: usize = 64;

/// Hosts that belong together: a domain with all below it, or a network.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subtree(Tree);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Tree {
    Dns(String),
    /// The first address, and how many of its bits count.
    Network(IpAddr, u8),
}

/// What one authority of a chain permits and excludes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Level {
    permitted: Vec<Subtree>,
    excluded: Vec<Subtree>,
}

/// What the authorities of a chain, together, let a certificate name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameLimits(Vec<Level>);

impl Subtree {
    /// A domain, and all names below it.
    pub fn domain(text: &str) -> Option<Subtree> {
        match Host::parse(text)? {
            Host::Dns(name) => Some(Subtree(Tree::Dns(name))),
            Host::Ip(_) => None,
        }
    }

    /// A network as `10.0.0.0/8`, or one address. Bits beyond the prefix must be zero.
    pub fn network(text: &str) -> Option<Subtree> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse().ok()?, bits.parse().ok()?),
            None => {
                let address: IpAddr = text.parse().ok()?;
                (address, if address.is_ipv4() { 32 } else { 128 })
            }
        };
        let is_whole = bits <= width(address) && masked(address, bits) == number(address);
        is_whole.then_some(Subtree(Tree::Network(address, bits)))
    }

    fn holds(&self, host: &Host) -> bool {
        match (&self.0, host) {
            (Tree::Dns(base), Host::Dns(name)) => is_below(name, base),
            (Tree::Network(first, bits), Host::Ip(address)) => {
                first.is_ipv4() == address.is_ipv4() && masked(*address, *bits) == number(*first)
            }
            _ => false,
        }
    }

    fn is_of_kind(&self, host: &Host) -> bool {
        match (&self.0, host) {
            (Tree::Dns(_), Host::Dns(_)) => true,
            // RFC 5280 knows one kind of address name; one network of either version constrains both.
            (Tree::Network(..), Host::Ip(_)) => true,
            _ => false,
        }
    }

    fn written(&self) -> GeneralSubtree {
        match &self.0 {
            Tree::Dns(name) => GeneralSubtree::DnsName(name.clone()),
            Tree::Network(address, bits) => {
                // Not `from_addr_prefix`: it overflows at 0 bits of IPv6.
                GeneralSubtree::IpAddress(match address {
                    IpAddr::V4(v4) => CidrSubnet::V4(v4.octets(), mask(*bits).to_be_bytes()),
                    IpAddr::V6(v6) => CidrSubnet::V6(v6.octets(), mask_v6(*bits).to_be_bytes()),
                })
            }
        }
    }

    fn read(name: &GeneralName<'_>) -> Result<Subtree, AuthorityError> {
        let tree = match name {
            GeneralName::DNSName(text) if is_constraint(text) => Tree::Dns(text.to_ascii_lowercase()),
            GeneralName::IPAddress(octets) => network_of(octets).ok_or(AuthorityError::NameConstraints)?,
            _ => return Err(AuthorityError::NameConstraints),
        };
        Ok(Subtree(tree))
    }
}

impl fmt::Display for Subtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Tree::Dns(name) => f.write_str(name),
            Tree::Network(address, bits) if *bits == width(*address) => address.fmt(f),
            Tree::Network(address, bits) => write!(f, "{address}/{bits}"),
        }
    }
}

impl NameLimits {
    /// Those of one authority that permits these and nothing else of their kinds; none permits all.
    pub fn permitting(permitted: &[Subtree]) -> NameLimits {
        let level = Level {
            permitted: permitted.to_vec(),
            excluded: Vec::new(),
        };
        NameLimits((!permitted.is_empty()).then_some(level).into_iter().collect())
    }

    /// Whether a certificate that names this host would break them.
    pub fn forbid(&self, host: &Host) -> bool {
        self.0.iter().any(|level| {
            let mut of_kind = level
                .permitted
                .iter()
                .filter(|tree| tree.is_of_kind(host))
                .peekable();
            let is_constrained = of_kind.peek().is_some();
            let is_excluded = level.excluded.iter().any(|tree| tree.holds(host));
            is_excluded || (is_constrained && !of_kind.any(|tree| tree.holds(host)))
        })
    }

    /// The first of these hosts that would break them.
    pub fn first_forbidden<'a>(&self, hosts: &'a [Host]) -> Option<&'a Host> {
        hosts.iter().find(|host| self.forbid(host))
    }

    /// What may be named, as people write it; `not` stands before what may not. Empty where everything may be.
    pub fn words(&self) -> Vec<String> {
        let levels = self.0.iter();
        let words = levels.flat_map(|level| {
            let permitted = level.permitted.iter().map(Subtree::to_string);
            permitted.chain(level.excluded.iter().map(|tree| format!("not {tree}")))
        });
        words.collect()
    }

    /// Both, one above the other.
    pub(crate) fn and(mut self, above: NameLimits) -> NameLimits {
        self.0.extend(above.0);
        self
    }

    /// As they stand in a certificate.
    pub(crate) fn read(certificate: &X509Certificate<'_>) -> Result<NameLimits, AuthorityError> {
        let mut levels = Vec::new();
        for extension in certificate.extensions() {
            if extension.oid != OID_X509_EXT_NAME_CONSTRAINTS {
                continue;
            }
            let ParsedExtension::NameConstraints(said) = extension.parsed_extension() else {
                return Err(AuthorityError::NameConstraints);
            };
            levels.push(Level {
                permitted: subtrees(said.permitted_subtrees.as_deref())?,
                excluded: subtrees(said.excluded_subtrees.as_deref())?,
            });
        }
        Ok(NameLimits(levels))
    }
}

/// How they are written into an authority's certificate.
pub(crate) fn extension(permitted: &[Subtree]) -> Option<NameConstraints> {
    (!permitted.is_empty()).then(|| NameConstraints {
        permitted_subtrees: permitted.iter().map(Subtree::written).collect(),
        excluded_subtrees: Vec::new(),
    })
}

fn subtrees(said: Option<&[ReadSubtree<'_>]>) -> Result<Vec<Subtree>, AuthorityError> {
    let said = said.unwrap_or_default();
    if said.len() > SUBTREES_MAX {
        return Err(AuthorityError::NameConstraints);
    }
    said.iter().map(|subtree| Subtree::read(&subtree.base)).collect()
}

/// A name in a constraint. Others than we write some with a dot before: that holds what is below, and not itself.
fn is_constraint(text: &str) -> bool {
    Host::Dns(text.strip_prefix('.').unwrap_or(text).to_ascii_lowercase()).is_well_formed()
}

fn is_below(name: &str, base: &str) -> bool {
    let name = name.to_ascii_lowercase();
    match name.strip_suffix(base) {
        Some("") => !base.starts_with('.'),
        Some(front) => base.starts_with('.') || front.ends_with('.'),
        None => false,
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask(bits: u8) -> u32 {
    u32::MAX
        .checked_shl(u32::from(32_u8.saturating_sub(bits)))
        .unwrap_or(0)
}

fn mask_v6(bits: u8) -> u128 {
    u128::MAX
        .checked_shl(u32::from(128_u8.saturating_sub(bits)))
        .unwrap_or(0)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

fn masked(address: IpAddr, bits: u8) -> u128 {
    match address {
        IpAddr::V4(v4) => (u32::from(v4) & mask(bits)).into(),
        IpAddr::V6(v6) => u128::from(v6) & mask_v6(bits),
    }
}

/// An address and a mask, one behind the other. A mask with holes is none that anybody means.
fn network_of(octets: &[u8]) -> Option<Tree> {
    let (first, bits) = match octets.len() {
        8 => {
            let [first, mask] = halves::<4>(octets)?.map(u32::from_be_bytes);
            let bits = mask.leading_ones();
            (mask.checked_shl(bits).unwrap_or(0) == 0)
                .then_some((IpAddr::from((first & mask).to_be_bytes()), bits))
        }
        32 => {
            let [first, mask] = halves::<16>(octets)?.map(u128::from_be_bytes);
            let bits = mask.leading_ones();
            (mask.checked_shl(bits).unwrap_or(0) == 0)
                .then_some((IpAddr::from((first & mask).to_be_bytes()), bits))
        }
        _ => None,
    }?;
    Some(Tree::Network(first, u8::try_from(bits).ok()?))
}

fn halves<const N: usize>(octets: &[u8]) -> Option<[[u8; N]; 2]> {
    let (first, second) = octets.split_at_checked(N)?;
    Some([first.try_into().ok()?, second.try_into().ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        Host::parse(text).unwrap()
    }

    #[test]
    fn a_domain_holds_itself_and_what_is_below() {
        let limits = NameLimits::permitting(&[Subtree::domain("Example.com").unwrap()]);
        for (name, forbidden) in [
            ("example.com", false),
            ("a.b.example.com", false),
            ("anexample.com", true),
            ("com", true),
            // No network is permitted, so that addresses are not constrained.
            ("192.0.2.7", false),
        ] {
            assert_eq!(limits.forbid(&host(name)), forbidden, "{name}");
        }
    }

    #[test]
    fn a_network_holds_its_addresses() {
        let trees = ["10.0.0.0/8", "::1", "2001:db8::/32"].map(|text| Subtree::network(text).unwrap());
        let limits = NameLimits::permitting(&trees);
        for (address, forbidden) in [
            ("10.200.0.1", false),
            ("11.0.0.1", true),
            ("::1", false),
            ("::2", true),
            ("2001:db8:1::7", false),
            ("2001:db9::7", true),
            ("example.com", false),
        ] {
            assert_eq!(limits.forbid(&host(address)), forbidden, "{address}");
        }
        assert_eq!(limits.words(), ["10.0.0.0/8", "::1", "2001:db8::/32"]);
        for bad in [
            "10.0.0.1/8",
            "10.0.0.0/33",
            "::/129",
            "x",
            "10.0.0.0/",
            "example.com",
        ] {
            assert_eq!(Subtree::network(bad), None, "{bad}");
        }
        for whole in ["0.0.0.0/0", "::/0"] {
            let all = NameLimits::permitting(&[Subtree::network(whole).unwrap()]);
            assert_eq!(all.words(), [whole]);
        }
        assert_eq!(Subtree::domain("10.0.0.1"), None);
    }

    #[test]
    fn every_level_of_a_chain_counts() {
        let of = |text| NameLimits::permitting(&[Subtree::domain(text).unwrap()]);
        let both = of("berlin.example.com").and(of("example.com"));
        assert!(both.forbid(&host("rome.example.com")) && !both.forbid(&host("a.berlin.example.com")));
        let excluding = NameLimits(vec![Level {
            permitted: Vec::new(),
            excluded: vec![Subtree(Tree::Dns(".example.com".into()))],
        }]);
        assert!(excluding.forbid(&host("a.example.com")) && !excluding.forbid(&host("example.com")));
        assert!(!NameLimits::default().forbid(&host("example.com")));
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let v4 = [10, 1, 0, 0, 255, 255, 0, 0];
        assert_eq!(
            network_of(&v4),
            Some(Tree::Network("10.1.0.0".parse().unwrap(), 16))
        );
        for bad in [&[0; 7][..], &[0; 16], &[10, 1, 0, 0, 255, 0, 255, 0]] {
            assert_eq!(network_of(bad), None, "{bad:?}");
        }
    }
}
