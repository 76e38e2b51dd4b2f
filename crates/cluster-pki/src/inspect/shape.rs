//! Telling binary objects apart by the outermost of their parts (DER).

use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Decode, Reader, SliceReader, Tag, Tagged};

/// The parts of one sequence that is all there is, or nothing where it is none.
pub(super) fn parts(der: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let outer = AnyRef::from_der(der).ok()?;
    if outer.tag() != Tag::Sequence {
        return None;
    }
    inner_parts(outer)
}

/// The parts of a sequence that is itself a part.
pub(super) fn inner_parts(outer: AnyRef<'_>) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(outer.value()).ok()?;
    let mut parts = Vec::new();
    while !reader.is_finished() {
        if parts.len() == PARTS_LIMIT {
            return None;
        }
        parts.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(parts)
}

/// The tags of some parts, to match on.
pub(super) fn tags(parts: &[AnyRef<'_>]) -> Vec<Tag> {
    parts.iter().map(Tagged::tag).collect()
}

/// `PFX` of RFC 7292: version 3, then content whose type is one of PKCS#7.
pub(super) fn is_pkcs12(der: &[u8]) -> bool {
    let Some(parts) = parts(der) else {
        return false;
    };
    let [version, content, ..] = parts.as_slice() else {
        return false;
    };
    let kind = inner_parts(*content).and_then(|inner| inner.first().copied());
    version.tag() == Tag::Integer
        && version.value() == [3]
        && kind.is_some_and(|kind| {
            kind.tag() == Tag::ObjectIdentifier && kind.value().starts_with(PKCS7)
        })
}

/// More than any object that is looked at has: an RSA key has ten.
const PARTS_LIMIT: usize = 16;

/// 1.2.840.113549.1.7 as it is encoded.
const PKCS7: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07];
