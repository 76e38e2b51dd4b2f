//! `spice cluster tls bundle`.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches, ValueEnum};
use cluster_pki::{Existing, Namespace, NodeName, SecretForm, SecretName, SecretTarget};

use crate::args::tls::{ReportArgs, ReportFormat};

/// A node's files in the form of another program, as far as flags and form fit together.
pub(crate) struct BundleArgs {
    pub(crate) name: NodeName,
    pub(crate) from: PathBuf,
    pub(crate) form: BundleForm,
    pub(crate) destination: Destination,
    pub(crate) existing: Existing,
    pub(crate) report: ReportFormat,
}

/// A form, and what only that form needs.
pub(crate) enum BundleForm {
    Pem,
    Pkcs12 { passphrase_file: Option<PathBuf> },
    Secret(SecretTarget, SecretForm),
}

pub(crate) enum Destination {
    Stdout,
    File(PathBuf),
}

impl BundleForm {
    /// The word for it in flags and reports.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Pem => "pem",
            Self::Pkcs12 { .. } => "p12",
            Self::Secret(..) => "k8s-secret",
        }
    }
}

/// Write a node's certificate, key and roots in the form of another program.
///
/// Reads `ca.pem`, `NAME.pem` and `NAME-key.pem` and verifies them as a node does. `pem` is one
/// file for HAProxy, nginx or curl: certificate, key, then roots. `p12` is PKCS#12 for Java and
/// browsers, under a passphrase. `k8s-secret` is the manifest of a `kubernetes.io/tls` Secret. All
/// of them hold the private key: files are readable by their owner only.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
struct Flags {
    /// The node.
    #[arg(value_name = "NAME")]
    name: NodeName,

    /// The form.
    #[arg(long, value_name = "FORM", value_enum)]
    format: Form,

    /// The directory of the node's files.
    #[arg(long, value_name = "DIR", default_value = ".")]
    from: PathBuf,

    /// Where to write it, `-` for standard output [default: NAME-bundle.pem, NAME.p12, or standard
    /// output for k8s-secret].
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// For k8s-secret: the namespace of the Secret [default: that of whoever applies it].
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<Namespace>,

    /// For k8s-secret: the name of the Secret [default: NAME in lower case].
    #[arg(long, value_name = "SECRET")]
    secret_name: Option<SecretName>,

    /// For p12: a file whose first line is the passphrase to set, or `-` for standard input
    /// [default: the variable SPICE_BUNDLE_PASSPHRASE, else you are asked].
    #[arg(long, value_name = "FILE")]
    bundle_passphrase_file: Option<PathBuf>,

    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One PEM file.
    Pem,
    /// PKCS#12.
    P12,
    /// A Kubernetes Secret.
    #[value(name = "k8s-secret")]
    K8sSecret,
}

impl Args for BundleArgs {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

impl FromArgMatches for BundleArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        decide(Flags::from_arg_matches(matches)?)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn decide(flags: Flags) -> Result<BundleArgs, Error> {
    let form = form(&flags)?;
    let destination = destination(&flags);
    let report = flags.report.output;
    if let Destination::Stdout = destination {
        check_stdout(&flags)?;
    }
    Ok(BundleArgs {
        name: flags.name,
        from: flags.from,
        form,
        destination,
        existing: if flags.force {
            Existing::Replace
        } else {
            Existing::Refuse
        },
        report,
    })
}

fn form(flags: &Flags) -> Result<BundleForm, Error> {
    if flags.format != Form::K8sSecret {
        let kubernetes = "`--format k8s-secret`";
        refuse("--namespace", flags.namespace.is_some(), kubernetes)?;
        refuse("--secret-name", flags.secret_name.is_some(), kubernetes)?;
    }
    if flags.format != Form::P12 {
        let given = flags.bundle_passphrase_file.is_some();
        refuse("--bundle-passphrase-file", given, "`--format p12`")?;
    }
    Ok(match flags.format {
        Form::Pem => BundleForm::Pem,
        Form::P12 => BundleForm::Pkcs12 {
            passphrase_file: flags.bundle_passphrase_file.clone(),
        },
        Form::K8sSecret => BundleForm::Secret(secret_target(flags)?, secret_form(flags)),
    })
}

fn secret_target(flags: &Flags) -> Result<SecretTarget, Error> {
    let name = match &flags.secret_name {
        Some(name) => name.clone(),
        None => flags.name.canonical().parse().map_err(|error| {
            let message = format!("{error}\nnext: name it with --secret-name SECRET");
            usage(ErrorKind::MissingRequiredArgument, &message)
        })?,
    };
    Ok(SecretTarget {
        name,
        namespace: flags.namespace.clone(),
    })
}

fn secret_form(flags: &Flags) -> SecretForm {
    match flags.report.output {
        ReportFormat::Table => SecretForm::Yaml,
        ReportFormat::Json => SecretForm::Json,
    }
}

fn destination(flags: &Flags) -> Destination {
    let default = |suffix| Destination::File(format!("{}{suffix}", flags.name).into());
    match (&flags.file, flags.format) {
        (Some(path), _) if path.as_os_str() == "-" => Destination::Stdout,
        (Some(path), _) => Destination::File(path.clone()),
        (None, Form::Pem) => default("-bundle.pem"),
        (None, Form::P12) => default(".p12"),
        (None, Form::K8sSecret) => Destination::Stdout,
    }
}

/// What says something about a file has nothing to say where there is none.
fn check_stdout(flags: &Flags) -> Result<(), Error> {
    let to_file = "a file to write";
    refuse("--force", flags.force, to_file)?;
    let report = matches!(flags.report.output, ReportFormat::Json);
    let manifest = flags.format == Form::K8sSecret;
    refuse("--output json", report && !manifest, to_file)
}

fn refuse(flag: &str, given: bool, needed: &str) -> Result<(), Error> {
    if !given {
        return Ok(());
    }
    let message = format!("{flag} needs {needed}");
    Err(usage(ErrorKind::ArgumentConflict, &message))
}

/// As clap tells its own, with the usage of this command.
fn usage(kind: ErrorKind, message: &str) -> Error {
    let command = Command::new("bundle").bin_name("spice cluster tls bundle");
    Flags::augment_args(command).error(kind, message)
}

const EXAMPLES: &str = "\
Examples:
  spice cluster tls bundle client1 --format pem
  spice cluster tls bundle client1 --format p12 --bundle-passphrase-file passphrase
  spice cluster tls bundle executor1 --format k8s-secret --namespace spice | kubectl apply -f -";
