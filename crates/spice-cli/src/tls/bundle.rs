//! `spice cluster tls bundle`.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::time::SystemTime;

use cluster_pki::{Bundle, BundleError, Namespace, NodeBundle, NodeName, OutputError, Timestamp};
use cluster_tls::{CredentialFile, LoadError};
use serde_json::json;

use crate::args::{BundleArgs, BundleForm, Destination, ReportFormat};
use crate::failure::Failure;
use crate::tls::interrupt::Interrupt;
use crate::tls::next_step::quoted;
use crate::tls::out_directory;
use crate::tls::passphrase::PassphraseInput;
use crate::tls::remedy::explain_path;
use crate::tls::report::{Card, print_json};

pub(crate) fn run(args: &BundleArgs) -> Result<(), Failure> {
    let directory = out_directory(&args.from);
    let node = NodeBundle::read(directory, &args.name, SystemTime::now())
        .map_err(|error| explain(&error, args))?;
    let bundle = make(args, &node)?;
    match &args.destination {
        Destination::Stdout => print(&bundle, &args.form),
        Destination::File(path) => {
            let _interrupt = Interrupt::hold()?;
            bundle
                .write(path, args.existing)
                .map_err(|error| explain_output(&error))?;
            report(args, &node, path)
        }
    }
}

fn make(args: &BundleArgs, node: &NodeBundle) -> Result<Bundle, Failure> {
    let made = match &args.form {
        BundleForm::Pem => node.pem(),
        BundleForm::Pkcs12 { passphrase_file } => {
            let input = PassphraseInput::bundle(passphrase_file.clone());
            node.pkcs12(&input.choose(&subject(args))?)
        }
        BundleForm::Secret(target, form) => node.kubernetes_secret(target, *form),
    };
    made.map_err(|error| explain(&error, args))
}

/// What the passphrase is for, as its user knows it.
fn subject(args: &BundleArgs) -> String {
    match &args.destination {
        Destination::File(path) => path.display().to_string(),
        Destination::Stdout => format!("the bundle of {}", args.name),
    }
}

fn print(bundle: &Bundle, form: &BundleForm) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if matches!(form, BundleForm::Pkcs12 { .. }) && out.is_terminal() {
        let failure = Failure::new("PKCS#12 is binary, and standard output is a terminal");
        return Err(failure.with_next("leave --file out, or name one with --file FILE"));
    }
    out.write_all(bundle.as_bytes())?;
    out.flush()?;
    Ok(())
}

fn report(args: &BundleArgs, node: &NodeBundle, path: &Path) -> Result<(), Failure> {
    match args.report {
        ReportFormat::Table => table(args, node, path),
        ReportFormat::Json => json(args, node, path),
    }
}

fn table(args: &BundleArgs, node: &NodeBundle, path: &Path) -> Result<(), Failure> {
    let identity = node.identity();
    let form = args.form.as_str();
    let mut card = Card::new(format!("wrote the {form} bundle of {}", node.name()));
    let file = path.display();
    card.row("file", format!("{file} (readable by its owner only)"));
    if let Some(uri) = identity.uri() {
        card.row("identity", uri);
    }
    card.row("sha256", identity.fingerprint());
    card.row("valid until", Timestamp(identity.not_after()));
    card.row("roots", node.root_count());
    if let BundleForm::Secret(target, _) = &args.form {
        card.row("secret", &target.name);
        card.text(format!("next: kubectl apply -f {}", quoted(path)));
    }
    card.print()
}

fn json(args: &BundleArgs, node: &NodeBundle, path: &Path) -> Result<(), Failure> {
    let identity = node.identity();
    let target = match &args.form {
        BundleForm::Secret(target, _) => Some(target),
        _ => None,
    };
    let namespace = target.and_then(|target| target.namespace.as_ref());
    print_json(&json!({
        "name": node.name().as_str(),
        "format": args.form.as_str(),
        "file": path,
        "uri": identity.uri(),
        "role": identity.role().as_str(),
        "fingerprint_sha256": identity.fingerprint(),
        "not_after": Timestamp(identity.not_after()).to_string(),
        "roots": node.root_count(),
        "secret_name": target.map(|target| target.name.as_str()),
        "namespace": namespace.map(Namespace::as_str),
    }))
}

fn explain(error: &BundleError, args: &BundleArgs) -> Failure {
    let failure = Failure::from_error(error);
    let name = &args.name;
    match error {
        BundleError::File(file) if file.source.kind() == ErrorKind::NotFound => {
            failure.with_next(format!(
                "issue it with `spice cluster tls add {name}`, or name the directory of its files \
                 with --from DIR"
            ))
        }
        BundleError::Refused(error) => explain_refusal(error, name),
        BundleError::KeyEncoding { .. } => failure.with_next(format!(
            "convert the key with `openssl pkcs8 -topk8 -nocrypt -in {name}-key.pem`"
        )),
        BundleError::Pkcs12 { .. } => {
            failure.with_next("choose a passphrase of letters, digits and punctuation")
        }
        _ => explain_path(error, "--from"),
    }
}

/// The remedy is the next step here, and not part of the message as in the logs of a node.
fn explain_refusal(error: &LoadError, name: &NodeName) -> Failure {
    let (file, fault) = (error.file(), error.fault());
    let path = error.path().map(Path::display);
    let message = match path {
        Some(path) => format!("{file} {path}: {fault}"),
        None => format!("{file}: {fault}"),
    };
    let remedy = error.remedy();
    Failure::new(message).with_next(match file {
        CredentialFile::Certificate | CredentialFile::Key => {
            format!("{remedy}, or make both anew with `spice cluster tls add {name} --force`")
        }
        _ => remedy.to_owned(),
    })
}

fn explain_output(error: &OutputError) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        OutputError::Exists { .. } => {
            failure.with_next("name another file with --file FILE, or replace it with --force")
        }
        OutputError::Directory { .. } => failure.with_next("name a file in it with --file FILE"),
        OutputError::PkiDirectory { .. } => {
            failure.with_next("name a file in another directory with --file FILE")
        }
        _ => explain_path(error, "--file"),
    }
}
