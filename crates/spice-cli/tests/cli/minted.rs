//! Certificates and lists that `spice` itself does not make.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SanType, SerialNumber,
};

/// Another issuer, with its files in one directory.
pub(crate) struct Issuer<'a> {
    directory: &'a Path,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl<'a> Issuer<'a> {
    /// Writes `ca.pem`.
    pub(crate) fn new(directory: &'a Path) -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "another issuer");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(directory.join("ca.pem"), issuer.pem()).unwrap();
        Self { directory, issuer }
    }

    /// Writes `node.pem` and `node-key.pem`: good, but for what `change` does.
    pub(crate) fn issue(&self, change: impl FnOnce(&mut CertificateParams)) {
        let mut params = CertificateParams::new(["node".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(SERIAL.to_vec()));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        params.not_before = (SystemTime::now() - 2 * DAY).into();
        params.not_after = (SystemTime::now() + 90 * DAY).into();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.directory.join("node.pem"), certificate.pem()).unwrap();
        let mut private = fs::OpenOptions::new();
        private.write(true).create(true).truncate(true).mode(0o600);
        let mut file = private.open(self.directory.join("node-key.pem")).unwrap();
        std::io::Write::write_all(&mut file, key.serialize_pem().as_bytes()).unwrap();
    }

    /// Writes `crl.pem`, a list of these serial numbers.
    pub(crate) fn revoke(&self, serials: &[&[u8]]) {
        let now = SystemTime::now();
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(serial.to_vec()),
            revocation_time: now.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: now.into(),
            next_update: (now + 7 * DAY).into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).unwrap();
        fs::write(self.directory.join("crl.pem"), list.pem().unwrap()).unwrap();
    }
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// The serial number of what an issuer issues.
pub(crate) const SERIAL: &[u8] = &[0x5f, 0x3a];

pub(crate) const DAY: Duration = Duration::from_secs(86_400);
