//! A small authority that mints whatever a test needs, good or bad.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cluster_tls::Clock;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, RevokedCertParams, SanType,
    SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Mid 2024. Certificates below end at the turn of that year, so anything that looked at the
/// machine's clock instead of this one would find them expired.
#[derive(Debug)]
pub(crate) struct Mid2024;

impl Clock for Mid2024 {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_717_200_000)
    }
}

/// Year, month and day.
pub(crate) type Day = (i32, u8, u8);

/// A clock that shows what it was last told; clones show the same.
#[derive(Clone, Debug)]
pub(crate) struct ManualClock(Arc<Mutex<SystemTime>>);

impl ManualClock {
    pub(crate) fn mid_2024() -> Self {
        Self(Arc::new(Mutex::new(Mid2024.now())))
    }

    pub(crate) fn jump_to(&self, time: SystemTime) {
        *self.0.lock().unwrap() = time;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

/// A certificate authority of its own.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its intermediates, and its key.
pub(crate) struct Issued {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn new(subject: &str) -> Self {
        Self::root(authority(subject))
    }

    pub(crate) fn root(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    pub(crate) fn rsa(subject: &str) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(authority(subject), key).unwrap(),
        }
    }

    pub(crate) fn intermediate(&self, subject: &str) -> Self {
        self.intermediate_from(authority(subject))
    }

    pub(crate) fn intermediate_from(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::signed_by(params, key, &self.issuer).unwrap(),
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// A good certificate of an executor.
    pub(crate) fn executor(&self) -> Issued {
        self.issue(&executor())
    }

    pub(crate) fn issue(&self, params: &CertificateParams) -> Issued {
        self.issue_for(params, &PKCS_ECDSA_P256_SHA256)
    }

    pub(crate) fn issue_for(
        &self,
        params: &CertificateParams,
        algorithm: &'static SignatureAlgorithm,
    ) -> Issued {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            chain: vec![certificate.der().clone()],
            key,
        }
    }
}

impl Authority {
    /// A revocation list that is current in mid 2024, as PEM.
    pub(crate) fn crl(&self, revoked: &[u16]) -> String {
        self.crl_dated(revoked, (2024, 5, 1), (2024, 12, 1))
    }

    /// The same between two dates: issued at the first, replaced by the second.
    pub(crate) fn crl_dated(&self, revoked: &[u16], from: Day, to: Day) -> String {
        pem("X509 CRL", &self.crl_der(revoked, from, to))
    }

    pub(crate) fn crl_der(&self, serials: &[u16], from: Day, to: Day) -> Vec<u8> {
        let issued = date_time_ymd(from.0, from.1, from.2);
        let revoked = |serial: &u16| RevokedCertParams {
            serial_number: serial_number(*serial),
            revocation_time: issued,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: issued,
            next_update: date_time_ymd(to.0, to.1, to.2),
            crl_number: serial_number(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    /// A certificate for a key that is not at hand.
    pub(crate) fn certify(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> CertificateDer<'static> {
        params.signed_by(key, &self.issuer).unwrap().der().clone()
    }
}

impl Issued {
    pub(crate) fn with(mut self, intermediate: CertificateDer<'static>) -> Self {
        self.chain.push(intermediate);
        self
    }

    pub(crate) fn chain_pem(&self) -> String {
        self.chain
            .iter()
            .map(|der| pem("CERTIFICATE", der))
            .collect()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}

/// Parameters of an authority that is valid through 2024.
pub(crate) fn authority(subject: &str) -> CertificateParams {
    let mut params = dated();
    params.distinguished_name = named(subject);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Parameters of an executor on this machine.
pub(crate) fn executor() -> CertificateParams {
    member("executor", "executor1")
}

/// Parameters of a member on this machine that is valid through 2024.
pub(crate) fn member(role: &str, name: &str) -> CertificateParams {
    let mut params = nameless();
    params.distinguished_name = named(name);
    params.subject_alt_names = vec![
        dns(&format!("{name}.cluster.local")),
        dns("localhost"),
        SanType::IpAddress([127, 0, 0, 1].into()),
        uri(&format!("spiffe://cluster.local/{role}/{name}")),
    ];
    params
}

/// Parameters of an executor whose serial number is known beforehand.
pub(crate) fn numbered(name: &str, serial: u16) -> CertificateParams {
    let mut params = member("executor", name);
    params.serial_number = Some(serial_number(serial));
    params
}

/// At most 0x7fff, so that no zero octet is needed in front.
pub(crate) fn serial_number(serial: u16) -> SerialNumber {
    SerialNumber::from(serial.to_be_bytes().to_vec())
}

/// A member's parameters without any alternative name.
pub(crate) fn nameless() -> CertificateParams {
    let mut params = dated();
    params.distinguished_name = named("executor1.cluster.local");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    params
}

pub(crate) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

pub(crate) fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

/// PEM armour around bytes.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let lines: Vec<_> = base64(der)
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0_usize, |word, index| {
            word << 8 | chunk.get(index).copied().map_or(0, usize::from)
        });
        for digit in 0..4 {
            if digit <= chunk.len() {
                text.push(char::from(DIGITS[word >> (18 - 6 * digit) & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

fn dated() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2025, 1, 1);
    params
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}
