//! What was found in a file, for people.

use std::io::{self, Write};

use cluster_pki::{
    CertificateReport, DenyListReport, InspectedContent, InspectedSection, Inspection,
    PrivateKeyReport, PublicKeySummary, RequestReport, RevocationListReport, Validity,
    ValidityStatus,
};

use crate::failure::Failure;
use crate::tls::report::Card;

/// Prints everything under the file's name; `typed` is the file as a shell takes it.
pub(super) fn print(name: &str, typed: &str, inspection: &Inspection) -> Result<(), Failure> {
    let count = inspection.sections.len();
    for section in &inspection.sections {
        let title = match count {
            1 => name.to_owned(),
            _ => format!("{name}, {} of {count}", section.position),
        };
        if section.position > 1 {
            writeln!(io::stdout())?;
        }
        card(&title, typed, section).print()?;
    }
    Ok(())
}

fn card(title: &str, typed: &str, section: &InspectedSection) -> Card {
    let titled = |what: &str| Card::new(format!("{title}: {what}"));
    match &section.content {
        InspectedContent::Certificate(found) => {
            let mut card = titled(kind(found));
            certificate(&mut card, found, section);
            card
        }
        InspectedContent::PrivateKey(found) => private_key(titled, found, section),
        InspectedContent::PublicKey(found) => {
            let mut card = titled("a public key");
            public_key(&mut card, found);
            weakness(&mut card, found);
            card
        }
        InspectedContent::Request(found) => request(titled("a certificate request"), found),
        InspectedContent::RevocationList(found) => {
            revocation_list(titled("a certificate revocation list"), found, section)
        }
        InspectedContent::DenyList(found) => deny_list(titled("a deny-list"), found),
        InspectedContent::Pkcs12 => {
            let mut card = titled("a PKCS#12 store of certificates and keys");
            card.text(PKCS12_NEXT.replace("FILE", typed));
            card
        }
        InspectedContent::Damaged { fault } => {
            let label = section.label.as_deref().unwrap_or_default();
            titled(&format!("{label}, damaged: {fault}"))
        }
        // Whatever else there may be one day.
        _ => {
            let label = section.label.as_deref().unwrap_or_default();
            titled(&format!("{label}, which this program does not read"))
        }
    }
}

fn kind(found: &CertificateReport) -> &'static str {
    match (found.is_authority, found.is_self_signed) {
        (true, true) => "a root certificate",
        (true, false) => "the certificate of an authority, not a root",
        (false, _) => "a certificate",
    }
}

fn certificate(card: &mut Card, found: &CertificateReport, section: &InspectedSection) {
    card.row("subject", &found.subject);
    card.row("issuer", &found.issuer);
    signed_by(card, section);
    if !found.is_authority {
        card.row("role", found.role.unwrap_or("none"));
    }
    rows(card, "identity", &found.uris);
    let names = [&found.dns_names, &found.ip_addresses, &found.other_names];
    list(card, "names", names.into_iter().flatten());
    card.row("serial", &found.serial);
    card.row("sha256", &found.fingerprint_sha256);
    validity(card, &found.validity);
    public_key(card, &found.public_key);
    card.row("signed with", &found.signature_algorithm);
    let usages = found.key_usages.iter().map(|usage| (*usage).to_owned());
    let usages: Vec<_> = usages.chain(found.extended_key_usages.clone()).collect();
    list(card, "usages", usages.iter());
    rows(card, "objection", &found.objections);
}

fn validity(card: &mut Card, validity: &Validity) {
    card.row("valid from", &validity.not_before);
    let distance = distance(validity);
    card.row(
        "valid until",
        format!("{} ({distance})", validity.not_after),
    );
}

fn distance(validity: &Validity) -> String {
    let days = |count: u64| match count {
        1 => "1 day".to_owned(),
        _ => format!("{count} days"),
    };
    let count = validity.expires_in_days.unsigned_abs();
    match (validity.status, count) {
        (ValidityStatus::Expired, 0) => "expired less than a day ago".to_owned(),
        (ValidityStatus::Expired, _) => format!("expired {} ago", days(count)),
        (_, 0) => "expires in less than a day".to_owned(),
        (_, _) => format!("expires in {}", days(count)),
    }
}

fn private_key(
    titled: impl Fn(&str) -> Card,
    found: &PrivateKeyReport,
    section: &InspectedSection,
) -> Card {
    if found.encrypted {
        let mut card = titled("an encrypted private key");
        card.row("encoding", found.encoding);
        return card;
    }
    let mut card = titled("a private key, not encrypted");
    card.row("encoding", found.encoding);
    match (&found.public_key, &found.unknown_algorithm) {
        (Some(public), _) => {
            public_key(&mut card, public);
            weakness(&mut card, public);
        }
        (None, Some(algorithm)) => card.row("key type", format!("unknown: {algorithm}")),
        (None, None) => card.row("key type", "unknown"),
    }
    let positions = section.key_of.iter().map(ToString::to_string);
    let positions: Vec<_> = positions.collect();
    list(&mut card, "key of", positions.iter());
    card
}

fn public_key(card: &mut Card, found: &PublicKeySummary) {
    card.row("key type", found);
    card.row("key sha256", &found.sha256);
}

/// For keys alone: certificates and requests have objections.
fn weakness(card: &mut Card, found: &PublicKeySummary) {
    if let Some(weakness) = &found.weakness {
        card.row("objection", format!("{weakness}, which nodes refuse"));
    }
}

fn request(mut card: Card, found: &RequestReport) -> Card {
    card.row("subject", &found.subject);
    card.row("node", found.name.as_deref().unwrap_or("none is named"));
    let names = [&found.dns_names, &found.ip_addresses];
    list(&mut card, "names", names.into_iter().flatten());
    for refused in &found.refused {
        card.row("never signed", refused);
    }
    rows(&mut card, "ignored", &found.ignored);
    public_key(&mut card, &found.public_key);
    card.row("signed with", &found.signature_algorithm);
    rows(&mut card, "objection", &found.objections);
    card
}

fn revocation_list(
    mut card: Card,
    found: &RevocationListReport,
    section: &InspectedSection,
) -> Card {
    card.row("issuer", &found.issuer);
    signed_by(&mut card, section);
    card.row("number", found.number.as_deref().unwrap_or("none"));
    card.row("made at", &found.this_update);
    card.row(
        "next update",
        found.next_update.as_deref().unwrap_or("none"),
    );
    card.row("signed with", &found.signature_algorithm);
    rows(&mut card, "objection", &found.objections);
    if found.entries.is_empty() {
        card.row("revoked", "nobody");
    }
    for entry in &found.entries {
        let reason = entry.reason.unwrap_or("no reason given");
        let since = &entry.revoked_at;
        card.row(
            "revoked",
            format!("{} since {since}, {reason}", entry.serial),
        );
    }
    card
}

fn deny_list(mut card: Card, found: &DenyListReport) -> Card {
    if found.entries.is_empty() {
        card.row("denied", "nobody");
    }
    for entry in &found.entries {
        let label = match entry.kind {
            "serial" => "serial",
            _ => "sha256",
        };
        match &entry.comment {
            Some(comment) => card.row(label, format!("{}  # {comment}", entry.value)),
            None => card.row(label, &entry.value),
        }
    }
    card
}

fn signed_by(card: &mut Card, section: &InspectedSection) {
    match section.signed_by {
        Some(position) if position == section.position => card.row("signed by", "itself"),
        Some(position) => card.row("signed by", format!("{position} of this file")),
        None => {}
    }
}

fn rows(card: &mut Card, label: &'static str, values: &[String]) {
    for value in values {
        card.row(label, value);
    }
}

fn list<'a>(card: &mut Card, label: &'static str, values: impl Iterator<Item = &'a String>) {
    let values: Vec<_> = values.map(String::as_str).collect();
    if !values.is_empty() {
        card.row(label, values.join(", "));
    }
}

const PKCS12_NEXT: &str = "It takes its passphrase to say more:\n  \
     openssl pkcs12 -in FILE -info -noenc\n\
     or ask for the same node as PEM: spice cluster tls bundle NAME --format pem";
