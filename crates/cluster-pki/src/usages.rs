//! What a certificate may be used for, in the words of RFC 5280.

use x509_parser::extensions::{ExtendedKeyUsage, KeyUsage};

use crate::text::printable;

/// The key usages, in the order of RFC 5280, section 4.2.1.3.
pub(crate) fn key_usages(usage: &KeyUsage) -> Vec<&'static str> {
    let named = [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ];
    named
        .into_iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, name)| name)
        .collect()
}

/// The extended key usages; those without a name by their number.
pub(crate) fn extended_key_usages(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let named = [
        (usage.any, "anyExtendedKeyUsage"),
        (usage.server_auth, "serverAuth"),
        (usage.client_auth, "clientAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ];
    let named = named
        .into_iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, name)| name.to_owned());
    let others = usage.other.iter().map(|oid| printable(&oid.to_string()));
    named.chain(others).collect()
}
