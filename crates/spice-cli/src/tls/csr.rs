//! `spice cluster tls csr`.

use cluster_pki::{Existing, Localhost, NodeRequest, OutputError, RequestError, RequestPlan};
use cluster_tls::Name;
use serde_json::json;

use crate::args::{CsrArgs, ReportFormat};
use crate::failure::Failure;
use crate::tls::interrupt::Interrupt;
use crate::tls::next_step::{self, quoted};
use crate::tls::out_directory;
use crate::tls::remedy::explain_path;
use crate::tls::report::{Card, print_json};

pub(crate) fn run(args: CsrArgs) -> Result<(), Failure> {
    let format = args.report.output;
    let plan = plan(args);
    let _interrupt = Interrupt::hold()?;
    let made = plan.make().map_err(|error| explain(&error, &plan))?;
    match format {
        ReportFormat::Table => table(&made),
        ReportFormat::Json => json(&made),
    }
}

fn plan(args: CsrArgs) -> RequestPlan {
    let mut plan = RequestPlan::new(args.name, out_directory(&args.out));
    plan.domain = args.domain;
    plan.hosts = args.hosts;
    plan.key_type = args.key_type;
    if args.no_localhost {
        plan.localhost = Localhost::Omitted;
    }
    if args.force {
        plan.existing = Existing::Replace;
    }
    plan
}

fn table(made: &NodeRequest) -> Result<(), Failure> {
    let mut card = Card::new(format!("made a key and a request for {}", made.name));
    let names: Vec<_> = made.names.iter().map(ToString::to_string).collect();
    card.row("names", names.join(", "));
    card.row("key type", made.key_type);
    card.row("key sha256", &made.public_key_sha256);
    card.row("request", made.files.request.display());
    let key = made.files.key.display();
    card.row("key", format!("{key} (readable by its owner only)"));
    let request = quoted(&made.files.request);
    card.text(format!(
        "next: send {request} to the administrator of the authority, who signs it with\n  \
         spice cluster tls sign {request}\n\
         and sends back {}.pem and ca.pem. The key stays here.",
        made.name
    ));
    card.print()
}

fn json(made: &NodeRequest) -> Result<(), Failure> {
    let is_dns = |name: &&Name| matches!(name, Name::Dns(_));
    let (dns, ip): (Vec<_>, Vec<_>) = made.names.iter().partition(is_dns);
    let texts = |names: Vec<&Name>| names.into_iter().map(Name::to_string).collect::<Vec<_>>();
    print_json(&json!({
        "name": made.name.as_str(),
        "dns_names": texts(dns),
        "ip_addresses": texts(ip),
        "key_type": made.key_type.as_str(),
        "public_key_sha256": made.public_key_sha256,
        "files": {
            "request": made.files.request,
            "key": made.files.key,
        },
    }))
}

fn explain(error: &RequestError, plan: &RequestPlan) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        RequestError::Output(OutputError::Exists { .. }) => failure.with_next(format!(
            "choose another directory with --out DIR, or replace the files with \
             `spice cluster tls csr {}{} --force`",
            plan.name,
            next_step::out_flag(&plan.out)
        )),
        RequestError::Output(OutputError::PkiDirectory { .. } | OutputError::Directory { .. }) => {
            failure.with_next("choose another directory with --out DIR")
        }
        _ => explain_path(error, "--out"),
    }
}
