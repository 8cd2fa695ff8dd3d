//! Making an installation: certificate authorities, the server's certificate, the first operator, the
//! firmware signing key, the key under the records of retirements, and the requests that tell the empty services of them.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use anyhow::Result;
use contract::{
    id::{Kind, ServiceName},
    v1,
};
use host::clock::wall_ms;
use pki::{
    Authority, Brought, Charter, Cost, HERE, Host, IssuedCertificate, KeyKind, NameLimits, NewAuthority,
    Plan, Profile, Protection, PublicKey, Serial, Subject, SubjectKind, Subtree, Validity,
};
use zeroize::Zeroizing;

use crate::{
    exit::Failure,
    folder::{Folder, write_public, write_secret},
    passphrase, prompt,
    waiting::{self, Asked},
};

/// What shall be made once the root has answered.
const FOUNDING: &str = "founding.json";

const DAY_MS: u64 = 24 * 3600 * 1000;
/// The root outlives most hardware; it is used only to sign issuing authorities.
pub(crate) const ROOT_LIFETIME_MS: u64 = 20 * 365 * DAY_MS;
pub(crate) const ISSUING_LIFETIME_MS: u64 = 10 * 365 * DAY_MS;
const SERVER_LIFETIME_MS: u64 = 398 * DAY_MS;
const OPERATOR_LIFETIME_MS: u64 = 365 * DAY_MS;

/// What is to be made.
pub struct Plans {
    /// The installation's name.
    pub site: String,
    /// Names and addresses under which the server is reached.
    pub hosts: Vec<String>,
    /// The first operator's id.
    pub operator: String,
    /// The passphrase of the CA keys, or `None` to keep them unencrypted.
    pub passphrase: Option<Zeroizing<String>>,
    /// Where the authorities come from.
    pub authorities: Founding,
    /// Where the server reads that passphrase from; written into `muster.toml`.
    pub passphrase_file: Option<PathBuf>,
    /// Hosts that the issuing CA may name, and no others; none: any.
    pub permitted: Vec<Subtree>,
    /// More settings written into it, as lines.
    pub settings: String,
}

/// Where an installation's authorities come from.
pub enum Founding {
    /// They are made: a root and an issuing CA under it, with keys of this kind.
    Made(KeyKind),
    /// Somebody else founded the issuing CA, and holds the root's key.
    Brought {
        /// Its certificate followed by the root's, PEM.
        chain_pem: String,
        /// Its private key, PEM.
        key_pem: Zeroizing<String>,
    },
    /// The root is elsewhere, and answers a request for the issuing CA with a key of this kind.
    Offline(KeyKind),
}

/// Makes an installation in an empty folder.
pub fn init(folder: &Folder, plans: &Plans) -> Result<()> {
    refuse_taken(folder)?;
    let now = wall_ms();
    let authorities = found(folder, plans, now)?;
    finish(folder, plans, &authorities, now)
}

/// An installation is not made over another.
pub(crate) fn refuse_taken(folder: &Folder) -> Result<(), Failure> {
    if folder.config().exists() {
        let message = format!(
            "{} holds an installation already; nothing was changed",
            folder.path().display()
        );
        return Err(Failure::new(crate::exit::Exit::Conflict, message));
    }
    if waits(folder) {
        let message = format!(
            "{0} waits for its root's answer: `muster --dir {0} ca import ANSWER`; to begin again, remove {1}",
            folder.path().display(),
            folder.pki("").display()
        );
        return Err(Failure::new(crate::exit::Exit::Conflict, message));
    }
    Ok(())
}

/// All that is made once there are authorities.
fn finish(folder: &Folder, plans: &Plans, authorities: &Authorities, now: i64) -> Result<()> {
    let server = certify_server(folder, plans, authorities, now)?;
    let operator = certify_operator(folder, plans, authorities, now)?;
    make_release_key(folder)?;
    make_retirement_key(folder, plans)?;
    write_bootstrap(folder, plans, &server, &operator)?;
    write_public(&folder.config(), config_text(plans).as_bytes())
}

/// What an installation shall be that waits for its root's answer: `pki/founding.json`.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    site: String,
    hosts: Vec<String>,
    operator: String,
    /// Where the passphrase of the key that waits is read from.
    pub(crate) passphrase_file: Option<PathBuf>,
}

impl Wait {
    /// Reads it.
    pub(crate) fn read(folder: &Folder) -> Result<Wait> {
        let path = folder.pki(FOUNDING);
        serde_json::from_str(&crate::folder::read_text(&path)?)
            .map_err(|error| Failure::usage(format!("{} does not count: {error}", path.display())).into())
    }
}

/// Whether an installation is begun and waits for its root's answer.
pub(crate) fn waits(folder: &Folder) -> bool {
    folder.pki(FOUNDING).exists() && !folder.config().exists()
}

/// Begins an installation whose root is elsewhere: its issuing CA's key, the request for it, and what shall be made
/// once it is answered.
pub(crate) fn ask_root(folder: &Folder, plans: &Plans, key: KeyKind) -> Result<Asked> {
    refuse_taken(folder)?;
    for host in &plans.hosts {
        parsed_host(host)?;
    }
    let asked = waiting::ask(folder, &plans.site, Some(key), plans.passphrase.as_ref())?;
    let wait = Wait {
        site: plans.site.clone(),
        hosts: plans.hosts.clone(),
        operator: plans.operator.clone(),
        passphrase_file: plans.passphrase_file.clone(),
    };
    write_public(&folder.pki(FOUNDING), &serde_json::to_vec_pretty(&wait)?)?;
    Ok(asked)
}

/// Makes an installation under the issuing CA that its root has signed. Cut off, it is made anew by the same answer.
pub(crate) fn found_answered(
    folder: &Folder,
    wait: Wait,
    passphrase: Option<Zeroizing<String>>,
    brought: Brought,
    key_pem: &str,
) -> Result<()> {
    let plans = Plans {
        site: wait.site,
        hosts: wait.hosts,
        operator: wait.operator,
        passphrase,
        passphrase_file: wait.passphrase_file,
        authorities: Founding::Offline(KeyKind::default()),
        permitted: Vec::new(),
        settings: String::new(),
    };
    server_hosts(&plans, &brought.issuing.names())?;
    write_authorities(folder, &plans, &brought.issuing, key_pem, &brought.root_pem)?;
    let authorities = Authorities {
        issuing: brought.issuing,
        roots_pem: brought.root_pem,
    };
    finish(folder, &plans, &authorities, wall_ms())?;
    waiting::done(folder)?;
    forget_wait(folder)
}

/// What was waited for is there.
pub(crate) fn forget_wait(folder: &Folder) -> Result<()> {
    waiting::remove(&folder.pki(FOUNDING))
}

/// The passphrase of new keys: from a file, none, or asked for.
pub(crate) fn new_passphrase(file: Option<&Path>, unencrypted: bool) -> Result<Option<Zeroizing<String>>> {
    match file {
        _ if unencrypted => Ok(None),
        Some(file) => passphrase::read(file).map(Some),
        None => ask_passphrase().map(Some),
    }
}

/// Asks for the passphrase of a key that there is.
pub(crate) fn ask_passphrase_once() -> Result<Zeroizing<String>> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("give --passphrase-file FILE, there is no terminal to ask on").into());
    }
    prompt::secret("Passphrase of the CA keys: ")
}

/// Asks for a passphrase on a terminal, twice.
pub fn ask_passphrase() -> Result<Zeroizing<String>> {
    if !std::io::stdin().is_terminal() {
        let message = "the CA keys need a passphrase: give --passphrase-file FILE, or --unencrypted to store them in clear";
        return Err(Failure::usage(message).into());
    }
    let first = prompt::secret("Passphrase for the CA keys: ")?;
    let second = prompt::secret("The same again: ")?;
    if first != second || first.is_empty() {
        return Err(Failure::usage("the two passphrases differ, or are empty").into());
    }
    Ok(first)
}

struct Authorities {
    issuing: Authority,
    roots_pem: String,
}

fn found(folder: &Folder, plans: &Plans, now_ms: i64) -> Result<Authorities> {
    match &plans.authorities {
        Founding::Made(key) => make(folder, plans, *key, now_ms),
        Founding::Brought { chain_pem, key_pem } => bring(folder, plans, (chain_pem, key_pem), now_ms),
        Founding::Offline(_) => Err(Failure::usage("the root's answer is not here yet").into()),
    }
}

fn make(folder: &Folder, plans: &Plans, key: KeyKind, now_ms: i64) -> Result<Authorities> {
    let charter = |lifetime_ms| Charter {
        site: &plans.site,
        key,
        serial: fresh_serial(),
        now_ms,
        lifetime_ms,
    };
    let root = pki::create_root(&charter(ROOT_LIFETIME_MS))?;
    let root_authority = Authority::open(&root.chain_pem, &root.key_pem, now_ms)?;
    let key_pem = pki::generate_key(key)?;
    let public_key = PublicKey::of_private(&key_pem)?;
    let charter = charter(ISSUING_LIFETIME_MS);
    let chain_pem = pki::certify_issuing(&root_authority, &public_key, &charter, &plans.permitted)?;
    let issuing = NewAuthority { chain_pem, key_pem };
    let issuing_authority = Authority::open(&issuing.chain_pem, &issuing.key_pem, now_ms)?;
    server_hosts(plans, &issuing_authority.names())?;
    let protection = protection(plans.passphrase.as_ref());
    write_secret(
        &folder.pki("root.key"),
        &pki::seal_key(&root.key_pem, &protection)?,
    )?;
    write_authorities(
        folder,
        plans,
        &issuing_authority,
        &issuing.key_pem,
        &root.chain_pem,
    )?;
    Ok(Authorities {
        issuing: issuing_authority,
        roots_pem: root.chain_pem,
    })
}

/// Takes one that somebody else founded; the root's key stays where it is.
fn bring(folder: &Folder, plans: &Plans, (chain, key): (&str, &str), now_ms: i64) -> Result<Authorities> {
    let brought = pki::Brought::open(chain, key, now_ms)
        .map_err(|error| Failure::usage(format!("--ca and --ca-private-key cannot be used: {error}")))?;
    server_hosts(plans, &brought.issuing.names())?;
    write_authorities(folder, plans, &brought.issuing, key, &brought.root_pem)?;
    Ok(Authorities {
        issuing: brought.issuing,
        roots_pem: brought.root_pem,
    })
}

fn write_authorities(
    folder: &Folder,
    plans: &Plans,
    issuing: &Authority,
    key_pem: &str,
    root_pem: &str,
) -> Result<()> {
    let sealed = pki::seal_key(key_pem, &protection(plans.passphrase.as_ref()))?;
    write_secret(&folder.pki("issuing.key"), &sealed)?;
    write_public(&folder.pki("root.pem"), root_pem.as_bytes())?;
    write_public(&folder.pki("issuing.pem"), issuing.chain_pem().as_bytes())
}

/// How a key lies on disk.
pub(crate) fn protection(passphrase: Option<&Zeroizing<String>>) -> Protection<'_> {
    match passphrase {
        Some(passphrase) => Protection::Passphrase(passphrase, Cost::RECOMMENDED),
        None => Protection::Plain,
    }
}

/// What the server's certificate names. Of this machine's own names only those that the CA may name.
fn server_hosts(plans: &Plans, names: &NameLimits) -> Result<Vec<Host>, Failure> {
    permitted_hosts(&plans.hosts, names)
}

/// The same of names and addresses as people write them.
pub(crate) fn permitted_hosts(named: &[String], names: &NameLimits) -> Result<Vec<Host>, Failure> {
    let mut hosts = Vec::new();
    for text in named {
        let host = parsed_host(text)?;
        match names.forbid(&host) {
            false => hosts.push(host),
            true if HERE.contains(&text.as_str()) => {}
            true => {
                let message = format!("--host {text}: the issuing CA's name constraints forbid it");
                return Err(Failure::usage(message));
            }
        }
    }
    Ok(hosts)
}

fn parsed_host(text: &str) -> Result<Host, Failure> {
    let refuse = || Failure::usage(format!("--host {text}: neither a DNS name nor an IP address"));
    Host::parse(text).ok_or_else(refuse)
}

fn certify_server(folder: &Folder, plans: &Plans, by: &Authorities, now: i64) -> Result<IssuedCertificate> {
    let hosts = server_hosts(plans, &by.issuing.names())?;
    let key = pki::generate_key(KeyKind::P256)?;
    let lifetime_ms = SERVER_LIFETIME_MS;
    let issued = sign_server(&by.issuing, &plans.site, hosts, (&key, now, lifetime_ms))?;
    write_secret(&folder.pki("server.key"), key.as_bytes())?;
    write_public(&folder.pki("server.pem"), chain(&by.issuing, &issued).as_bytes())?;
    Ok(issued)
}

fn certify_operator(folder: &Folder, plans: &Plans, by: &Authorities, now: i64) -> Result<IssuedCertificate> {
    let key = pki::generate_key(KeyKind::P256)?;
    let issued = sign_operator(&by.issuing, &plans.site, &plans.operator, &key, now)?;
    let file = |name| folder.person(&plans.operator, name);
    write_secret(&file("key.pem"), key.as_bytes())?;
    write_public(&file("certificate.pem"), chain(&by.issuing, &issued).as_bytes())?;
    write_public(&file("roots.pem"), by.roots_pem.as_bytes())?;
    Ok(issued)
}

/// Certifies the server's key without asking anybody: for the first one, and when it is lost.
pub(crate) fn sign_server(
    issuing: &Authority,
    site: &str,
    hosts: Vec<Host>,
    (key_pem, now, lifetime_ms): (&str, i64, u64),
) -> Result<IssuedCertificate> {
    let subject = Subject::new(site, SubjectKind::Service, ServiceName::FrontDoor.word())?;
    issue(
        issuing,
        Profile::Server { hosts },
        subject,
        key_pem,
        now,
        lifetime_ms,
    )
}

/// Certifies an operator's key without asking anybody: for the first one, and when all others are lost.
pub(crate) fn sign_operator(
    issuing: &Authority,
    site: &str,
    id: &str,
    key_pem: &str,
    now: i64,
) -> Result<IssuedCertificate> {
    let subject = Subject::new(site, SubjectKind::Operator, id)?;
    issue(
        issuing,
        Profile::Client,
        subject,
        key_pem,
        now,
        OPERATOR_LIFETIME_MS,
    )
}

/// A certificate as its owner shows it: with the one that signed it.
pub(crate) fn chain(issuing: &Authority, issued: &IssuedCertificate) -> String {
    format!("{}{}", issued.pem, issuing.certificate_pem())
}

fn issue(
    by: &Authority,
    profile: Profile,
    subject: Subject,
    key_pem: &str,
    now: i64,
    lifetime_ms: u64,
) -> Result<IssuedCertificate> {
    let key = PublicKey::of_private(key_pem)?;
    let validity = Validity::within(by.validity(), now, lifetime_ms)?;
    let plan = Plan::new(fresh_serial(), profile, subject, &key, validity);
    Ok(by.sign(&plan)?)
}

fn fresh_serial() -> Serial {
    Serial::from_random(rand::random())
}

/// The key that signs firmware. Keep it off the server once you are past trying things out.
fn make_release_key(folder: &Folder) -> Result<()> {
    let seed = Zeroizing::new(rand::random::<[u8; 32]>());
    let key = artifact::SigningKey::from_seed(&seed);
    write_secret(&folder.release("release.key"), key.to_pem()?.as_bytes())?;
    write_public(
        &folder.release("release.pub"),
        key.public_key().to_pem()?.as_bytes(),
    )
}

/// The key that signs the records of retirements; it lies as the CAs' keys do.
fn make_retirement_key(folder: &Folder, plans: &Plans) -> Result<()> {
    let seed = Zeroizing::new(rand::random::<[u8; 32]>());
    let key = artifact::SigningKey::from_seed(&seed);
    let sealed = pki::seal_key(&key.to_pem()?, &protection(plans.passphrase.as_ref()))?;
    write_secret(&folder.pki("retirement.key"), &sealed)?;
    write_public(
        &folder.pki("retirement.pub"),
        key.public_key().to_pem()?.as_bytes(),
    )
}

fn write_bootstrap(
    folder: &Folder,
    plans: &Plans,
    server: &IssuedCertificate,
    operator: &IssuedCertificate,
) -> Result<()> {
    let registry = vec![("put-person", serde_json::to_value(admin(&plans.operator))?)];
    let provisioning = vec![
        (
            "record",
            serde_json::to_value(record(Kind::Service, ServiceName::FrontDoor.word(), server))?,
        ),
        (
            "record",
            serde_json::to_value(record(Kind::Operator, &plans.operator, operator))?,
        ),
    ];
    for (service, requests) in [
        (ServiceName::Registry, registry),
        (ServiceName::Provisioning, provisioning),
    ] {
        write_secret(&folder.bootstrap(service), &serde_json::to_vec_pretty(&requests)?)?;
    }
    Ok(())
}

/// Makes an operator an admin.
pub(crate) fn admin(id: &str) -> v1::PutPerson {
    v1::PutPerson {
        id: id.into(),
        kind: Kind::Operator.word().into(),
        role: v1::Role::Admin.into(),
        ..v1::PutPerson::default()
    }
}

/// Tells provisioning of a certificate that it did not issue itself.
pub(crate) fn record(kind: Kind, id: &str, issued: &IssuedCertificate) -> v1::RecordCertificate {
    v1::RecordCertificate {
        kind: kind.word().into(),
        id: id.into(),
        certificate: issued.pem.clone(),
        ..v1::RecordCertificate::default()
    }
}

fn config_text(plans: &Plans) -> String {
    let passphrase = plans.passphrase_file.as_ref();
    let passphrase = passphrase.map(|file| {
        let file = file.display().to_string();
        format!("\n[pki]\npassphrase_file = {file:?}\n")
    });
    format!(
        "# Muster's configuration. Every setting can also be given in the environment, for example\n\
         # MUSTER_LISTEN__HTTP=127.0.0.1:9000. docs/configuration.md lists them all.\n\n\
         site = \"{}\"\n{}{}",
        plans.site,
        passphrase.unwrap_or_default(),
        plans.settings
    )
}
