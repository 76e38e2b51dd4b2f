//! What strangers' bytes reach first, for the fuzz targets in `fuzz/`. Not part of the API.

use rustls_pki_types::CertificateDer;

use crate::certificate::Certificate;
use crate::identity::Claims;

/// Certificates of a PEM file.
pub fn pem_bundle(text: &[u8]) {
    let _ = crate::load::decode_pem::<CertificateDer<'static>>(text);
}

/// The identity in a certificate.
pub fn san_identity(der: &[u8]) {
    let Ok(certificate) = Certificate::parse(&CertificateDer::from(der)) else {
        return;
    };
    if let Ok(claims) = Claims::read(&certificate, &[]) {
        assert!(!claims.names.is_empty() || claims.uri.is_some());
    }
}

/// The identity URI and every name, as text.
pub fn identity_text(text: &str) {
    if let Ok(name) = text.parse::<crate::Name>() {
        let again = name.to_string().parse();
        assert_eq!(
            again,
            Ok(name),
            "the canonical form is its own canonical form"
        );
    }
    let _ = text.parse::<crate::IdentityRule>();
    let _ = text.parse::<crate::NodeAddress>();
}

/// Certificate revocation lists of a PEM file.
pub fn revocations(text: &[u8]) {
    let _ = crate::load::read_revocations(text);
}

/// The first bytes of a connection.
pub fn first_bytes(seen: &[u8]) {
    let _ = crate::accept::judge_first_bytes(seen);
}
