//! `spice cluster tls init`.

use std::path::PathBuf;
use std::time::SystemTime;

use cluster_pki::{Authority, InitError, InitRequest, Timestamp};
use serde_json::json;

use crate::args::{InitArgs, ReportFormat};
use crate::failure::Failure;
use crate::tls::interrupt::Interrupt;
use crate::tls::opened::explain_output;
use crate::tls::passphrase::PassphraseInput;
use crate::tls::remedy::{explain as explain_files, explain_lock, explain_open};
use crate::tls::report::{Card, print_json};
use crate::tls::{PkiDirectory, out_directory};

pub(crate) fn run(args: &InitArgs) -> Result<(), Failure> {
    let pki = PkiDirectory::decide(&args.pki)?;
    let input = PassphraseInput::authority(&args.passphrase);
    let encrypt = args.encrypt || input.is_given();
    // Nobody is asked for the passphrase of an authority that will not be made.
    if encrypt && Authority::open(pki.path()).is_ok() {
        let directory = pki.path().to_owned();
        return Err(explain(&InitError::Exists { directory }, &pki));
    }
    let passphrase = encrypt.then(|| input.choose("the authority's key"));
    let request = InitRequest {
        domain: args.domain.clone(),
        days: args.days,
        key_type: args.key_type,
        out: Some(out_directory(&args.out).to_owned()),
        passphrase: passphrase.transpose()?,
    };
    let _interrupt = Interrupt::hold()?;
    let authority = Authority::init(pki.path(), &request, SystemTime::now())
        .map_err(|error| explain(&error, &pki))?;
    match args.report.output {
        ReportFormat::Table => table(&authority, args, &pki),
        ReportFormat::Json => json(&authority, args),
    }
}

fn table(authority: &Authority, args: &InitArgs, pki: &PkiDirectory) -> Result<(), Failure> {
    let mut card = Card::new(format!("made the authority of {}", authority.domain()));
    card.row("directory", authority.directory().display());
    card.row("subject", authority.subject());
    card.row("key type", authority.key_type());
    card.row("sha256", authority.fingerprint());
    card.row(
        "key",
        match is_encrypted(authority)? {
            true => "encrypted with the passphrase",
            false => "without a passphrase; --encrypt asks for one",
        },
    );
    card.row("valid until", Timestamp(authority.not_after()));
    card.row("roots", ca_file(args).display());
    card.text(format!("next: spice cluster tls add scheduler1{pki}"));
    card.print()
}

fn json(authority: &Authority, args: &InitArgs) -> Result<(), Failure> {
    print_json(&json!({
        "pki_dir": authority.directory(),
        "domain": authority.domain().as_str(),
        "generation": authority.generation(),
        "key_type": authority.key_type().as_str(),
        "key_encrypted": is_encrypted(authority)?,
        "subject": authority.subject(),
        "fingerprint_sha256": authority.fingerprint(),
        "not_before": Timestamp(authority.not_before()).to_string(),
        "not_after": Timestamp(authority.not_after()).to_string(),
        "files": { "ca": ca_file(args) },
    }))
}

fn is_encrypted(authority: &Authority) -> Result<bool, Failure> {
    authority
        .has_passphrase()
        .map_err(|error| explain_files(&error))
}

fn ca_file(args: &InitArgs) -> PathBuf {
    out_directory(&args.out).join("ca.pem")
}

fn explain(error: &InitError, pki: &PkiDirectory) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        InitError::Exists { .. } => failure.with_next(format!(
            "use it with `spice cluster tls add NAME{pki}`, exchange its root with `spice cluster \
             tls rotate-ca start{pki}`, or make another one with --pki-dir DIR"
        )),
        InitError::Output(error) => explain_output(error),
        InitError::Lock(error) => explain_lock(error),
        InitError::Open(error) => explain_open(error, pki),
        _ => explain_files(error),
    }
}
