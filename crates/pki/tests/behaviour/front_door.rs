//! Certificates that a trusted authority signed and that are no client's all the same.

use pki::{ClientCertificate, ProfileError};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};

const URN: &str = "urn:muster:harbour:devices:pump-7";

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn good() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "pump-7");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![uri(URN)];
    params.use_authority_key_identifier_extension = true;
    params
}

fn read(change: impl FnOnce(&mut CertificateParams)) -> Result<ClientCertificate, ProfileError> {
    let mut params = good();
    change(&mut params);
    let issuer = Issuer::new(CertificateParams::default(), KeyPair::generate().unwrap());
    let certificate = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    ClientCertificate::parse(certificate.der())
}

#[test]
fn the_profile_itself_is_accepted() {
    assert_eq!(read(|_| ()).unwrap().subject.to_string(), URN);
}

#[test]
fn authorities_and_those_that_do_not_say() {
    let authority = |c: &mut CertificateParams| c.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(read(authority), Err(ProfileError::NotAnEndEntity));
    assert_eq!(read(|c| c.is_ca = IsCa::NoCa), Err(ProfileError::NotAnEndEntity));
}

#[test]
fn other_uses_of_the_key() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    for usages in [
        vec![],
        vec![ServerAuth],
        vec![ClientAuth, ServerAuth],
        vec![Any],
        vec![ClientAuth, Any],
    ] {
        let shown = format!("{usages:?}");
        assert_eq!(
            read(|c| c.extended_key_usages = usages),
            Err(ProfileError::ExtendedKeyUsage),
            "{shown}"
        );
    }
    use KeyUsagePurpose::{DigitalSignature, KeyAgreement, KeyCertSign};
    for usages in [vec![], vec![KeyAgreement], vec![DigitalSignature, KeyCertSign]] {
        let shown = format!("{usages:?}");
        assert_eq!(
            read(|c| c.key_usages = usages),
            Err(ProfileError::KeyUsage),
            "{shown}"
        );
    }
}

#[test]
fn names_that_do_not_name_one_party() {
    let dns = || SanType::DnsName("broker.local".try_into().unwrap());
    let mail = || SanType::Rfc822Name("a@b".try_into().unwrap());
    for names in [
        vec![],
        vec![dns()],
        vec![uri(URN), dns()],
        vec![uri(URN), uri(URN)],
        vec![uri(URN), mail()],
        vec![uri("urn:muster:harbour:devices:#")],
        vec![uri("https://pump-7")],
    ] {
        let shown = format!("{names:?}");
        assert_eq!(
            read(|c| c.subject_alt_names = names),
            Err(ProfileError::AlternativeName),
            "{shown}"
        );
    }
}

#[test]
fn a_common_name_that_is_not_the_id() {
    let other = |c: &mut CertificateParams| {
        c.distinguished_name = rcgen::DistinguishedName::new();
        c.distinguished_name.push(DnType::CommonName, "pump-8");
    };
    assert_eq!(read(other), Err(ProfileError::CommonName));
    let none = |c: &mut CertificateParams| c.distinguished_name = rcgen::DistinguishedName::new();
    assert_eq!(read(none), Err(ProfileError::CommonName));
}

#[test]
fn extensions_we_do_not_know() {
    let strange = |critical| {
        move |c: &mut CertificateParams| {
            let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
            extension.set_criticality(critical);
            c.custom_extensions.push(extension);
        }
    };
    assert_eq!(read(strange(true)), Err(ProfileError::UnknownCriticalExtension));
    assert!(read(strange(false)).is_ok());
}

#[test]
fn no_issuers_key_identifier() {
    let none = |c: &mut CertificateParams| c.use_authority_key_identifier_extension = false;
    assert_eq!(read(none), Err(ProfileError::KeyIdentifier));
}

#[test]
fn bytes_that_are_no_certificate() {
    for bytes in [&b""[..], b"\x30", b"-----BEGIN CERTIFICATE-----"] {
        assert_eq!(ClientCertificate::parse(bytes), Err(ProfileError::NotParseable));
    }
    assert_eq!(ClientCertificate::parse_pem(""), Err(ProfileError::NotParseable));
}
