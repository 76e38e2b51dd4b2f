//! DER structures with one part left to the fuzzer. Their signatures are made up: what is fuzzed
//! reads, and verifies later.

/// One value: `tag`, the length of `content`, and `content`.
#[must_use]
pub fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let octets = content.len().to_be_bytes();
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    let length = &octets[zeros..];
    let mut der = vec![tag];
    match content.len() {
        short @ 0..0x80 => der.push(short as u8),
        _ => {
            der.push(0x80 | length.len() as u8);
            der.extend(length);
        }
    }
    der.extend(content);
    der
}

/// The sequence of `parts`, each a value already.
#[must_use]
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(SEQUENCE, &parts.concat())
}

/// A certificate whose subject alternative names are `names` (RFC 5280, 4.2.1.6), also when they
/// are no sequence at all.
#[must_use]
pub fn certificate(names: &[u8]) -> Vec<u8> {
    let extension = sequence(&[SUBJECT_ALTERNATIVE_NAME, &value(OCTET_STRING, names)]);
    let extensions = value(CONTEXT_3, &sequence(&[&extension]));
    let name = distinguished_name();
    let validity = sequence(&[EARLIER, LATER]);
    let key = sequence(&[&sequence(&[EC_PUBLIC_KEY, PRIME256V1]), BITS]);
    signed(&[
        VERSION_3,
        ONE,
        &sequence(&[ECDSA_WITH_SHA256]),
        &name,
        &validity,
        &name,
        &key,
        &extensions,
    ])
}

/// A revocation list (RFC 5280, 5.1) with the contents of its list of certificates and of its
/// extensions.
#[must_use]
pub fn revocation_list(certificates: &[u8], extensions: &[u8]) -> Vec<u8> {
    let certificates = value(SEQUENCE, certificates);
    let extensions = value(CONTEXT_0, &value(SEQUENCE, extensions));
    signed(&[
        ONE,
        &sequence(&[ECDSA_WITH_SHA256]),
        &distinguished_name(),
        EARLIER,
        LATER,
        // Absent rather than empty, as the standard wants it.
        if certificates.len() > 2 {
            &certificates
        } else {
            &[]
        },
        &extensions,
    ])
}

/// What is signed, the algorithm, and a signature of nothing.
fn signed(parts: &[&[u8]]) -> Vec<u8> {
    sequence(&[&sequence(parts), &sequence(&[ECDSA_WITH_SHA256]), BITS])
}

/// The common name `a`.
fn distinguished_name() -> Vec<u8> {
    let attribute = sequence(&[COMMON_NAME, &value(UTF8_STRING, b"a")]);
    sequence(&[&value(SET, &attribute)])
}

const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_3: u8 = 0xa3;

const ONE: &[u8] = &[0x02, 0x01, 0x01];
const VERSION_3: &[u8] = &[CONTEXT_0, 0x03, 0x02, 0x01, 0x02];
const EARLIER: &[u8] = b"\x17\x0d250101000000Z";
const LATER: &[u8] = b"\x17\x0d490101000000Z";
const BITS: &[u8] = &[0x03, 0x02, 0x00, 0x04];

/// 1.2.840.10045.2.1
const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10045.3.1.7
const PRIME256V1: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.2.840.10045.4.3.2
const ECDSA_WITH_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
/// 2.5.29.17
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x11];
