//! Which hosts an issuing CA may name.

use pki::Subtree;

/// Names of this machine, which are permitted along: the command line reaches the server by them.
const HERE_DOMAIN: &str = "localhost";
const HERE: [&str; 2] = ["127.0.0.1", "::1"];

/// Name constraints.
#[derive(Debug, Clone, Default, clap::Args)]
pub(in crate::cli) struct Permit {
    /// The issuing CA may name this domain and those below it, and no other (and localhost); may be given several times
    #[arg(long, value_name = "DOMAIN", value_parser = domain)]
    permit_dns: Vec<Subtree>,
    /// The issuing CA may name addresses of this network, and no other (and 127.0.0.1 and ::1); may be given several times
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    permit_ip: Vec<Subtree>,
}

fn domain(text: &str) -> Result<Subtree, String> {
    Subtree::domain(text).ok_or_else(|| "no domain, like example.com".to_owned())
}

fn network(text: &str) -> Result<Subtree, String> {
    Subtree::network(text).ok_or_else(|| "no network, like 192.0.2.0/24 or 2001:db8::/32".to_owned())
}

impl Permit {
    /// All that is permitted; nothing where nothing is constrained.
    pub(in crate::cli) fn subtrees(&self) -> Vec<Subtree> {
        let mut all = self.permit_dns.clone();
        if !all.is_empty() {
            all.extend(Subtree::domain(HERE_DOMAIN));
        }
        all.extend(self.permit_ip.iter().cloned());
        if !self.permit_ip.is_empty() {
            all.extend(HERE.iter().filter_map(|here| Subtree::network(here)));
        }
        all
    }
}
