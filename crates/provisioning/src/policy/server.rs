//! Which names the server has, and when its certificate is due.

use contract::{Code, Refusal, limits};
use pki::{HERE, Host, NameLimits};

/// The most names and addresses of a server: its certificate is sent in each handshake.
const HOSTS_MAX: usize = 32;

/// What a server is to be called that is reached under these names and addresses: they, and the machine's own names as far
/// as the authority that signs may name them. Without those the command line beside the server is shut out.
pub(crate) fn server_hosts(texts: &[String], limits: &NameLimits) -> Result<Vec<Host>, Refusal> {
    if !(1..=HOSTS_MAX).contains(&texts.len()) {
        let message = format!("a server has 1 to {HOSTS_MAX} names and addresses");
        return Err(Refusal::invalid("hosts", message));
    }
    let mut all = hosts(texts)?;
    names(limits, &all)?;
    for here in HERE.iter().filter_map(|here| Host::parse(here)) {
        if !all.contains(&here) && !limits.forbid(&here) {
            all.push(here);
        }
    }
    Ok(all)
}

/// Names and addresses as they are written, each once.
pub(crate) fn hosts(texts: &[String]) -> Result<Vec<Host>, Refusal> {
    let mut hosts = Vec::new();
    for text in texts {
        let host = Host::parse(text).ok_or_else(|| {
            let shown: String = text.chars().take(limits::TEXT_CHARS).collect();
            Refusal::invalid(
                "hosts",
                format!("`{shown}` is neither a DNS name nor an IP address"),
            )
        })?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// Whether the authority that signs may name these hosts. Who verifies would refuse the certificate.
pub(crate) fn names(limits: &NameLimits, hosts: &[Host]) -> Result<(), Refusal> {
    let Some(host) = limits.first_forbidden(hosts) else {
        return Ok(());
    };
    let message = format!("the issuing CA's name constraints forbid the name `{host}`");
    Err(Refusal::new(Code::Precondition, message)
        .at("hosts")
        .allowing(limits.words()))
}

/// When the server's certificate is to be renewed; `None`: only by hand. Never in the first half of its life, so that
/// no setting makes it renew all the time.
pub(crate) fn server_due(issued_at_ms: i64, not_after_ms: i64, before_ms: Option<u64>) -> Option<i64> {
    let life_ms = not_after_ms.saturating_sub(issued_at_ms).max(0).unsigned_abs();
    let before_ms = match before_ms {
        Some(0) => return None,
        Some(before_ms) => before_ms.min(life_ms / 2),
        None => life_ms / 3,
    };
    Some(not_after_ms.saturating_sub_unsigned(before_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_due_in_the_second_half_of_its_certificates_life() {
        for (before_ms, expected) in [
            (None, Some(700)),
            (Some(0), None),
            (Some(1), Some(999)),
            (Some(450), Some(550)),
            (Some(u64::MAX), Some(550)),
        ] {
            assert_eq!(server_due(100, 1_000, before_ms), expected, "{before_ms:?}");
        }
        assert_eq!(
            server_due(1_000, 100, None),
            Some(100),
            "it ended before it was recorded"
        );
    }
}
