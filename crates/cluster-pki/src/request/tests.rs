//! Requests of every kind, made in the test and read as the authority reads them.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;
use std::time::SystemTime;

use cluster_tls::{CredentialPaths, PeerPolicy, Role, SystemClock};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequest, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData,
    SanType, SignatureAlgorithm, SigningKey,
};

use super::*;
use crate::authority::{Authority, InitRequest};
use crate::days::Days;
use crate::mint::{LeafPlan, RootPlan, mint_root, sign_leaf};
use crate::policy::{Window, identity_uri};

fn params(common_name: &str, names: &[SanType]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.subject_alt_names = names.to_vec();
    params
}

fn signed(params: &CertificateParams, key: &impl SigningKey) -> CertificateSigningRequest {
    params.serialize_request(key).unwrap()
}

fn pem(params: &CertificateParams) -> String {
    let key = KeyPair::generate().unwrap();
    signed(params, &key).pem().unwrap()
}

fn read(pem: &str) -> Result<SigningRequest, SigningRequestError> {
    SigningRequest::from_pem(pem.as_bytes())
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn names(request: &SigningRequest) -> Vec<String> {
    request.names().iter().map(ToString::to_string).collect()
}

#[test]
fn what_a_node_makes_is_what_the_authority_reads() {
    let dir = tempfile::tempdir().unwrap();
    for key_type in KeyType::ALL {
        let name: NodeName = format!("Executor-{key_type}").parse().unwrap();
        let mut plan = RequestPlan::new(name, dir.path());
        plan.key_type = key_type;
        plan.hosts.push("10.0.0.7".parse().unwrap());
        let made = plan.make().unwrap();
        let request = SigningRequest::read(&made.files.request).unwrap();
        let expected: Vec<_> = made.names.iter().map(ToString::to_string).collect();
        assert_eq!(names(&request), expected);
        let name = format!("executor-{key_type}");
        assert_eq!(request.name().unwrap().as_str(), name);
        assert_eq!(request.key().kind, key_type.as_str());
        assert_eq!(request.key().sha256, made.public_key_sha256);
        assert_eq!((request.refused(), request.ignored()), (&[][..], &[][..]));
    }
}

#[test]
fn a_certificate_for_a_request_works_with_the_key_that_stayed() {
    let dir = tempfile::tempdir().unwrap();
    let made = RequestPlan::new("executor1".parse().unwrap(), dir.path())
        .make()
        .unwrap();
    let request = SigningRequest::read(&made.files.request).unwrap();
    let domain = Domain::default();
    let window = Window::starting(SystemTime::now(), Days::ONE);
    let root = mint_root(&RootPlan {
        domain: &domain,
        generation: 1,
        key_type: KeyType::P384,
        window,
    })
    .unwrap();
    let key = KeyPair::from_pem(&root.key_pem).unwrap();
    let issuer = Issuer::from_ca_cert_der(&root.certificate, key).unwrap();
    let plan = LeafPlan {
        name: request.name().unwrap(),
        domain: &domain,
        names: &made.names,
        uri: &identity_uri(&domain, Role::Executor, &made.name),
        key_type: KeyType::P256,
        window,
    };
    let leaf = sign_leaf(&plan, request.public_key(), &issuer).unwrap();
    let paths = CredentialPaths {
        ca: dir.path().join("ca.pem"),
        certificate: dir.path().join("executor1.pem"),
        key: made.files.key,
    };
    fs::write(&paths.ca, root.certificate_pem).unwrap();
    fs::write(&paths.certificate, leaf.certificate_pem).unwrap();
    let load = || cluster_tls::load(&paths, Arc::new(SystemClock), PeerPolicy::default());
    let snapshot = load().unwrap();
    assert_eq!(snapshot.own().role(), Role::Executor);
    assert_eq!(snapshot.own().serial(), leaf.serial.hex());
    let mut other = RequestPlan::new("executor1".parse().unwrap(), dir.path());
    other.existing = Existing::Replace;
    other.make().unwrap();
    assert!(load().is_err(), "the key is another one now");
}

#[test]
fn keys_are_accepted_by_the_standard_of_nodes() {
    let algorithms: [&'static SignatureAlgorithm; 5] = [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ECDSA_P521_SHA512,
        &PKCS_ED25519,
        &PKCS_RSA_SHA256,
    ];
    for algorithm in algorithms {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let request = signed(&params("n1", &[]), &key);
        let read = read(&request.pem().unwrap()).unwrap();
        assert_eq!(read.public_key_der(), key.subject_public_key_info());
    }
}

/// A key that need not exist: its owner signs with whatever.
struct Pretended {
    public: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
}

impl PublicKeyData for Pretended {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl SigningKey for Pretended {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(vec![7; 64])
    }
}

/// `RSAPublicKey` with the exponent 65537 and a modulus of so many octets.
fn rsa(octets: usize) -> Vec<u8> {
    let length = |length: usize| {
        let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
        [0x82, high, low]
    };
    let modulus = [&[0x02], &length(octets + 1)[..], &[0], &vec![0xc3; octets]].concat();
    let numbers = [&modulus[..], &[0x02, 0x03, 0x01, 0x00, 0x01]].concat();
    [&[0x30], &length(numbers.len())[..], &numbers].concat()
}

#[test]
fn weak_keys_are_refused_and_named() {
    for (octets, bits) in [(128, 1024), (255, 2040), (1025, 8200)] {
        let key = Pretended {
            public: rsa(octets),
            algorithm: &PKCS_RSA_SHA256,
        };
        let error = read(&signed(&params("n1", &[]), &key).pem().unwrap()).unwrap_err();
        let expected = format!("the request holds an RSA key of {bits} bits, which nodes refuse");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_request_by_somebody_who_does_not_hold_the_key_is_refused() {
    let own = KeyPair::generate().unwrap();
    let foreign = Pretended {
        public: own.der_bytes().to_vec(),
        algorithm: &PKCS_ECDSA_P256_SHA256,
    };
    let strong = Pretended {
        public: rsa(256),
        algorithm: &PKCS_RSA_SHA256,
    };
    for key in [foreign, strong] {
        let error = read(&signed(&params("n1", &[]), &key).pem().unwrap()).unwrap_err();
        assert!(matches!(error, SigningRequestError::Signature), "{error}");
    }
}

#[test]
fn a_signature_that_nodes_do_not_believe_proves_nothing() {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let mut der = signed(&params("n1", &[]), &key).der().to_vec();
    let sha256_with_rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
    let mut windows = der.windows(sha256_with_rsa.len());
    let start = windows.position(|window| window == sha256_with_rsa);
    der[start.unwrap() + 8] = 0x05;
    let error = SigningRequest::from_der(&der).unwrap_err().to_string();
    assert!(
        error.contains("sha1WithRSAEncryption, which nodes do not"),
        "{error}"
    );
}

#[test]
fn the_name_comes_from_the_common_name_or_else_from_a_dns_name() {
    let table: [(&str, &[SanType], Option<&str>); 5] = [
        ("n1", &[dns("n2")], Some("n1")),
        (
            "My Node",
            &[dns("*.a"), dns("n2.example")],
            Some("n2.example"),
        ),
        ("ca", &[SanType::IpAddress([10, 0, 0, 7].into())], None),
        ("10.0.0.7", &[], None),
        ("", &[], None),
    ];
    for (common_name, asked, expected) in table {
        let request = read(&pem(&params(common_name, asked))).unwrap();
        let name = request.name().map(NodeName::as_str);
        assert_eq!(name, expected, "{common_name}");
    }
}

#[test]
fn names_that_will_never_be_certified_are_told_with_the_reason() {
    let asked = [
        dns("n1"),
        dns("N1"),
        dns("*.example"),
        dns("10.0.0.1"),
        dns("a b\u{7}"),
        SanType::IpAddress([0, 0, 0, 0].into()),
        SanType::IpAddress([10, 0, 0, 7].into()),
        SanType::URI("spiffe://cluster.local/scheduler/n1".try_into().unwrap()),
        SanType::Rfc822Name("root@example".try_into().unwrap()),
        SanType::OtherName((vec![1, 2, 3], "x".into())),
    ];
    let request = read(&pem(&params("n1", &asked))).unwrap();
    assert_eq!(names(&request), ["n1", "10.0.0.7"]);
    let refused: Vec<_> = request.refused().iter().map(ToString::to_string).collect();
    let expected = [
        "DNS name *.example: `*.example` is a wildcard; a certificate names exactly one node",
        "DNS name 10.0.0.1: an IP address is written as a DNS name",
        r"DNS name a b\u{7}: ' ' in `a b\u{7}` is not allowed; use letters, digits, `-`, `_` and `.`",
        "IP address 0.0.0.0: 0.0.0.0 is not an address of one node",
        "URI spiffe://cluster.local/scheduler/n1: the authority alone gives identities and roles",
        "e-mail address root@example: it means nothing between nodes",
        "other name (not text): it means nothing between nodes",
    ];
    assert_eq!(refused, expected);
}

#[test]
fn other_extensions_are_told_and_ignored() {
    let mut asked = params("n1", &[]);
    asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    asked.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    asked.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    let request = read(&pem(&asked)).unwrap();
    let mut ignored = request.ignored().to_vec();
    ignored.sort();
    let expected = [
        "basic constraints: to be an authority",
        "extended key usage: codeSigning",
        "key usage: keyCertSign",
    ];
    assert_eq!(ignored, expected);
}

#[test]
fn a_hundred_names_are_enough() {
    let asked = |count| {
        (0..count)
            .map(|n| dns(&format!("n{n}")))
            .collect::<Vec<_>>()
    };
    assert!(read(&pem(&params("n1", &asked(100)))).is_ok());
    let error = read(&pem(&params("n1", &asked(101)))).unwrap_err();
    assert!(matches!(
        error,
        SigningRequestError::TooManyNames { count: 101 }
    ));
}

#[test]
fn other_files_are_refused_each_with_its_reason() {
    let good = pem(&params("n1", &[]));
    let key = KeyPair::generate().unwrap();
    let certificate = params("n1", &[]).self_signed(&key).unwrap().pem();
    let table = [
        (String::new(), "the file is empty"),
        ("hello".to_owned(), "the file is not PEM"),
        (certificate.clone(), "holds a certificate, not"),
        (key.serialize_pem(), "holds a private key"),
        (
            format!("{good}{}", key.serialize_pem()),
            "holds a private key",
        ),
        (format!("{good}{certificate}"), "holds a certificate, not"),
        (format!("{good}{good}"), "holds 2 certificate requests"),
        (key.public_key_pem(), "holds `PUBLIC KEY`, not"),
        (
            certificate.replace("CERTIFICATE", "CERTIFICATE REQUEST"),
            "not a PKCS#10",
        ),
        (good.replace("-----END", "----END"), "is damaged"),
        (
            good.replace("\nMII", "\n!II").replace("\nMIH", "\n!IH"),
            "is damaged",
        ),
        (
            format!("{good}{}", " ".repeat(64 * 1024)),
            "more than 64 KiB",
        ),
    ];
    for (text, reason) in table {
        let error = read(&text).unwrap_err();
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
}

#[test]
fn the_old_label_text_around_and_windows_line_ends_are_accepted() {
    let good = pem(&params("n1", &[]));
    for text in [
        good.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
        format!("Certificate Request:\n    Data:\n{good}\n"),
        good.replace('\n', "\r\n"),
    ] {
        assert_eq!(read(&text).unwrap().name().unwrap().as_str(), "n1");
    }
}

fn ca_1(out: &Path) -> RequestPlan {
    RequestPlan::new("ca-1".parse().unwrap(), out)
}

#[test]
fn the_key_is_its_owners_alone_and_nothing_else_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let made = ca_1(dir.path()).make().unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&made.files.key), 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn files_and_links_in_the_way_are_refused_unless_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    for name in ["ca-1-key.pem", "ca-1.csr"] {
        let path = dir.path().join(name);
        symlink(&victim, &path).unwrap();
        let refused = ca_1(dir.path()).make();
        assert!(
            matches!(
                refused,
                Err(RequestError::Output(OutputError::Exists { .. }))
            ),
            "{refused:?}"
        );
        let mut plan = ca_1(dir.path());
        plan.existing = Existing::Replace;
        plan.make().unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        fs::remove_file(dir.path().join("ca-1-key.pem")).unwrap();
        fs::remove_file(dir.path().join("ca-1.csr")).unwrap();
    }
}

#[test]
fn an_authoritys_directory_is_refused_even_when_replacing() {
    let dir = tempfile::tempdir().unwrap();
    let pki = dir.path().join("pki");
    let now = SystemTime::now();
    Authority::init(&pki, &InitRequest::default(), now).unwrap();
    let key = fs::read(pki.join("ca-1-key.pem")).unwrap();
    let mut plan = ca_1(&pki);
    plan.existing = Existing::Replace;
    let refused = plan.make();
    assert!(
        matches!(
            refused,
            Err(RequestError::Output(OutputError::PkiDirectory { .. }))
        ),
        "{refused:?}"
    );
    assert_eq!(fs::read(pki.join("ca-1-key.pem")).unwrap(), key);
}
