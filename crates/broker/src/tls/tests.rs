//! Handshakes of every kind of client that comes too late, or from another authority.

use std::time::{SystemTime, UNIX_EPOCH};

use pki::{Authority, Charter, Host, KeyKind, NewAuthority, Plan, Profile, PublicKey, Serial, Validity};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsConnector;

use super::*;

mod streams;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const GRACE: i64 = 10 * DAY;

/// The handshake's own clock is the machine's.
#[allow(clippy::disallowed_methods)]
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// An installation that was founded a hundred days ago.
struct Site {
    root: Authority,
    roots_pem: String,
    issuing: Authority,
    now: i64,
}

fn charter(n: u8, now_ms: i64) -> Charter<'static> {
    Charter {
        site: "hq",
        key: KeyKind::P256,
        serial: Serial::from_random([n; 16]),
        now_ms,
        lifetime_ms: 3650 * DAY as u64,
    }
}

fn open(new: &NewAuthority, now: i64) -> Authority {
    Authority::open(&new.chain_pem, &new.key_pem, now).unwrap()
}

impl Site {
    fn found(n: u8) -> Site {
        let now = now_ms();
        let founded = now - 100 * DAY;
        let root = pki::create_root(&charter(n, founded)).unwrap();
        let root_authority = open(&root, now);
        let issuing = open(
            &pki::create_issuing(&root_authority, &charter(n + 1, founded)).unwrap(),
            now,
        );
        Site {
            root: root_authority,
            roots_pem: root.chain_pem,
            issuing,
            now,
        }
    }

    fn material(&self) -> TlsMaterial {
        let hosts = vec![Host::parse("localhost").unwrap()];
        let server = "urn:muster:hq:services:front-door";
        let (chain, key) = self.certify(&self.issuing, Profile::Server { hosts }, server, self.now + DAY);
        TlsMaterial {
            server_chain_pem: chain,
            server_key_pem: key,
            client_roots_pem: self.roots_pem.clone(),
            root_links_pem: String::new(),
            issuing_pem: self.issuing.certificate_pem(),
        }
    }

    /// A certificate with its issuer's, and its key.
    fn certify(&self, by: &Authority, profile: Profile, subject: &str, end: i64) -> (String, String) {
        let key = pki::generate_key(KeyKind::P256).unwrap();
        let validity = Validity {
            not_before_ms: end - 20 * DAY,
            not_after_ms: end,
        };
        let subject = subject.parse().unwrap();
        let public = PublicKey::of_private(&key).unwrap();
        let plan = Plan::new(Serial::from_random([9; 16]), profile, subject, &public, validity);
        let chain = by.sign(&plan).unwrap().pem + &by.certificate_pem();
        (chain, key.to_string())
    }

    fn client(&self, kind: &str, end: i64) -> (String, String) {
        self.certify(
            &self.issuing,
            Profile::Client,
            &format!("urn:muster:hq:{kind}:pump-7"),
            end,
        )
    }
}

/// TLS 1.3 tells a client that it is refused when that has long begun to speak: what it said must not turn the reason
/// into a reset.
#[tokio::test]
async fn a_client_that_is_refused_hears_why() {
    let (site, strange) = (Site::found(1), Site::found(7));
    let handshakes = Handshakes::new(&site.material(), 0).unwrap();
    let client = strange.client("devices", strange.now + DAY);
    for _ in 0..20 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let connector = TlsConnector::from(Arc::new(client_config(&site, &client)));
        let connecting = tokio::spawn(async move {
            let name = ServerName::try_from("localhost").unwrap();
            let mut stream = connector.connect(name, near).await?;
            for _ in 0..4 {
                stream.write_all(&[7; 4_000]).await?;
                tokio::task::yield_now().await;
            }
            stream.read(&mut [0]).await
        });
        assert!(crate::principals::shake(config(&handshakes), far).await.is_err());
        let heard = connecting.await.unwrap().unwrap_err();
        let inner = heard.get_ref().and_then(|inner| inner.downcast_ref());
        assert!(
            matches!(inner, Some(rustls::Error::AlertReceived(_))),
            "{heard:?}"
        );
    }
}

fn client_config(site: &Site, client: &(String, String)) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(certificates("roots", &site.roots_pem).unwrap().remove(0))
        .unwrap();
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            certificates("client", &client.0).unwrap(),
            PrivateKeyDer::from_pem_slice(client.1.as_bytes()).unwrap(),
        )
        .unwrap()
}

fn config(handshakes: &Handshakes) -> Arc<ServerConfig> {
    handshakes.next(Demand::Certificate).0
}

/// A whole handshake of a client with a server of this site: who it is for the front door, or why not.
async fn shake(site: &Site, grace: i64, client: &(String, String)) -> Result<Peer, String> {
    let server = Handshakes::new(&site.material(), grace as u64).unwrap();
    let (config, clients) = server.next(Demand::Certificate);
    let stream = shaken(site, config, client).await?;
    clients.peer("hq", stream.state().peer_certificates(), now_ms())
}

/// A whole handshake of a client that trusts this site; the client sends a byte after it.
async fn shaken(
    site: &Site,
    server: Arc<ServerConfig>,
    client: &(String, String),
) -> Result<TlsStream<DuplexStream>, String> {
    let config = client_config(site, client);
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from("localhost").unwrap();
    tokio::spawn(async move {
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, near).await?;
        stream.write_all(b"x").await?;
        stream.read(&mut [0]).await
    });
    accept(server, far).await.map_err(|(error, _)| error.to_string())
}

#[tokio::test]
async fn a_devices_certificate_is_good_until_the_grace_is_over_and_nobody_elses_is() {
    let site = Site::found(1);
    for (kind, end, grace, good) in [
        ("devices", site.now + DAY, GRACE, true),
        ("devices", site.now - 5_000, GRACE, true),
        ("devices", site.now - GRACE + HOUR, GRACE, true),
        ("devices", site.now - GRACE - HOUR, GRACE, false),
        ("devices", site.now - 5_000, 0, false),
        ("operators", site.now + DAY, GRACE, true),
        ("operators", site.now - 5_000, GRACE, false),
        ("integrators", site.now - 5_000, GRACE, false),
        ("claims", site.now - 5_000, GRACE, false),
    ] {
        let shaken = shake(&site, grace, &site.client(kind, end)).await;
        assert_eq!(shaken.is_ok(), good, "{kind} {}: {shaken:?}", end - site.now);
        if let Ok(Peer::Certified { not_after_ms, .. }) = shaken {
            assert_eq!(not_after_ms, end / 1000 * 1000);
        }
    }
}

#[tokio::test]
async fn an_end_opens_no_other_door() {
    let (site, other) = (Site::found(1), Site::found(5));
    // Signed by another installation, in time and late.
    for end in [site.now + DAY, site.now - DAY] {
        assert!(shake(&site, GRACE, &other.client("devices", end)).await.is_err());
    }
    // A server's certificate that ended, and one that begins later.
    let hosts = vec![Host::parse("localhost").unwrap()];
    let server = site.certify(
        &site.issuing,
        Profile::Server { hosts },
        "urn:muster:hq:services:x",
        site.now - DAY,
    );
    assert!(shake(&site, GRACE, &server).await.is_err());
    let early = site.client("devices", site.now + 30 * DAY);
    assert!(shake(&site, GRACE, &early).await.is_err());
}

#[tokio::test]
async fn an_issuing_authority_that_is_not_listed_opens_nothing_though_the_root_signed_it() {
    let site = Site::found(1);
    let removed = open(
        &pki::create_issuing(&site.root, &charter(8, site.now - 50 * DAY)).unwrap(),
        site.now,
    );
    let device = |end| site.certify(&removed, Profile::Client, "urn:muster:hq:devices:pump-7", end);
    for end in [site.now + DAY, site.now - DAY] {
        assert!(shake(&site, GRACE, &device(end)).await.is_err());
    }
    let rolled = Site {
        issuing: removed,
        ..site
    };
    assert!(
        shake(&rolled, GRACE, &rolled.client("devices", rolled.now + DAY))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn other_files_are_for_the_handshakes_to_come() {
    let (former, next) = (Site::found(1), Site::found(11));
    let [of_former, of_next] = [&former, &next].map(|site| site.client("devices", site.now + DAY));
    let handshakes = Handshakes::new(&former.material(), 0).unwrap();
    let mut lasting = shaken(&former, config(&handshakes), &of_former).await.unwrap();
    assert!(shaken(&next, config(&handshakes), &of_next).await.is_err());

    let unfit = TlsMaterial {
        server_key_pem: next.material().server_key_pem,
        ..former.material()
    };
    assert!(handshakes.change(&unfit).is_err());
    let told = handshakes.authorities();
    assert!(shaken(&former, config(&handshakes), &of_former).await.is_ok());

    handshakes.change(&next.material()).unwrap();
    assert!(shaken(&next, config(&handshakes), &of_next).await.is_ok());
    assert!(shaken(&former, config(&handshakes), &of_former).await.is_err());
    assert_ne!(handshakes.authorities(), told, "EST tells of the new CAs");
    let mut first = [0];
    lasting.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"x", "who is connected stays so");
}

/// The manufacturer here is another installation: its certificates have the shape of ours, which must not help them.
#[tokio::test]
async fn a_manufacturers_certificates_are_its_devices_and_nobody_elses_whatever_they_say() {
    let (site, maker, other) = (Site::found(1), Site::found(21), Site::found(31));
    let handshakes = Handshakes::new(&site.material(), GRACE as u64).unwrap();
    let meet = async |client: (String, String)| {
        let (acceptor, clients) = handshakes.next(Demand::Certificate);
        let stream = shaken(&site, acceptor, &client).await?;
        clients.peer("hq", stream.state().peer_certificates(), site.now)
    };
    let of_maker = |kind: &str, end: i64| maker.client(kind, maker.now + end);
    assert!(
        meet(of_maker("devices", DAY)).await.is_err(),
        "nobody is trusted yet"
    );

    let named = |name: &str, ca: String| Manufacturer {
        name: name.into(),
        ca,
        ..Manufacturer::default()
    };
    let trusted = vec![named("acme", maker.issuing.certificate_pem())];
    handshakes.trust(7, trusted.clone()).unwrap();
    assert_eq!(handshakes.change_known(), 7);
    for kind in ["devices", "operators", "integrators", "claims"] {
        let met = meet(of_maker(kind, DAY)).await;
        let Ok(Peer::Factory { certificate, .. }) = met else {
            panic!("{kind}: {met:?}")
        };
        assert_eq!(
            (
                certificate.manufacturer.as_str(),
                certificate.common_name.as_str()
            ),
            ("acme", "pump-7")
        );
    }
    // The grace is for our own devices.
    assert!(meet(of_maker("devices", -5_000)).await.is_err());
    assert!(meet(other.client("devices", other.now + DAY)).await.is_err());
    // Ours are what they were, also those that no manufacturer would make.
    for (kind, end) in [("operators", DAY), ("devices", -5_000)] {
        let met = meet(site.client(kind, site.now + end)).await;
        assert!(matches!(met, Ok(Peer::Certified { .. })), "{kind}: {met:?}");
    }
    // A CA of the manufacturer's that has the name of ours.
    let twin = Site {
        issuing: named_alike(&site, &maker),
        ..Site::found(41)
    };
    let forged = twin.client("operators", twin.now + DAY);
    assert!(meet(forged).await.is_err());

    // What an older change says is not heard; files that change leave the manufacturers.
    handshakes.trust(6, Vec::new()).unwrap();
    handshakes.change(&site.material()).unwrap();
    assert!(meet(of_maker("devices", DAY)).await.is_ok());
    // One that cannot be read holds up nobody.
    handshakes
        .trust(8, [trusted, vec![named("bad", "rubbish".into())]].concat())
        .unwrap();
    assert!(meet(of_maker("devices", DAY)).await.is_ok());
    handshakes.trust(9, Vec::new()).unwrap();
    assert!(meet(of_maker("devices", DAY)).await.is_err());
    assert!(meet(site.client("operators", site.now + DAY)).await.is_ok());
}

#[test]
fn a_manufacturers_chain_is_verified_once_a_handshake() {
    let maker = Site::found(51);
    let factories = Factories::of(vec![Manufacturer {
        name: "acme".into(),
        ca: maker.issuing.certificate_pem(),
        ..Manufacturer::default()
    }]);
    let shown = certificates("a chain", &maker.client("devices", maker.now + DAY).0).unwrap();
    let late = maker.now + 2 * DAY;
    assert!(factories.peer(&shown, late).is_err(), "it has ended by then");
    factories.verify(&shown, maker.now).unwrap();
    assert!(
        factories.peer(&shown, late).is_ok(),
        "what the handshake has found"
    );
    assert!(factories.peer(&shown, late).is_err(), "once");
    for _ in 0..200 {
        factories.verify(&shown, maker.now).unwrap();
    }
    let kept = (0..200).filter(|_| factories.peer(&shown, late).is_ok()).count();
    assert!((1..=64).contains(&kept), "failed handshakes leave {kept}");
}

/// An issuing CA of the manufacturer's under the name of the site's: names follow from the serial.
fn named_alike(site: &Site, maker: &Site) -> Authority {
    let twin = pki::create_issuing(&maker.root, &charter(2, site.now - 100 * DAY)).unwrap();
    let twin = open(&twin, site.now);
    assert_eq!(twin.id(), site.issuing.id());
    twin
}

#[test]
fn the_server_goes_by_its_certificates_names_and_by_addresses() {
    let site = Site::found(90);
    let handshakes = Handshakes::new(&site.material(), 0).unwrap();
    for ours in ["localhost", "127.0.0.1", "10.0.0.1", "::1"] {
        assert!(handshakes.are_for(ours), "{ours}");
    }
    for other in ["evil.example.com", "localhost.evil.example.com", "a b", ""] {
        assert!(!handshakes.are_for(other), "{other:?}");
    }
}

#[test]
fn est_tells_the_roots_the_links_between_them_and_the_issuing_cas() {
    let (old, new) = (Site::found(1), Site::found(5));
    let next = pki::RootCertificate::read_all(&new.roots_pem).unwrap().remove(0);
    let link = pki::link_roots(&old.root, &next, Serial::from_random([9; 16]), old.now).unwrap();
    let material = TlsMaterial {
        client_roots_pem: old.roots_pem.clone() + &new.roots_pem,
        root_links_pem: link.pem.clone(),
        ..old.material()
    };
    let all = [&material.client_roots_pem, &link.pem, &material.issuing_pem];
    let all: String = all.into_iter().map(String::as_str).collect();
    assert_eq!(
        &*authorities(&material).unwrap(),
        pki::certificates_only(&all).unwrap()
    );
}
