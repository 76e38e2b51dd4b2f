//! `spice cluster tls rotate-ca`.

use std::path::Path;
use std::time::SystemTime;

use cluster_pki::{
    Aborted, Authority, Begun, NodeName, Passphrase, RootInfo, RotateError, Rotation,
    RotationError, RotationRequest, Timestamp,
};
use serde_json::{Value, json};

use crate::args::{
    AbortArgs, FinishArgs, ReportFormat, RotateCaArgs, RotateCaCommand, StartArgs, StatusArgs,
};
use crate::failure::Failure;
use crate::tls::interrupt::Interrupt;
use crate::tls::opened::{Opened, explain_rotate};
use crate::tls::passphrase::PassphraseInput;
use crate::tls::report::{Card, print_json};
use crate::tls::{PkiDirectory, consent, out_directory};

pub(crate) fn run(args: &RotateCaArgs) -> Result<(), Failure> {
    match &args.command {
        RotateCaCommand::Start(args) => start(args),
        RotateCaCommand::Status(args) => status(args),
        RotateCaCommand::Finish(args) => finish(args),
        RotateCaCommand::Abort(args) => abort(args),
    }
}

fn start(args: &StartArgs) -> Result<(), Failure> {
    let mut opened = Opened::open(&args.step.pki)?;
    let request = RotationRequest {
        days: args.days,
        key_type: args.key_type,
        passphrase: passphrase(args, &mut opened)?,
        out: out_directory(&args.step.out).to_owned(),
    };
    let _interrupt = Interrupt::hold()?;
    let begun = start_or_resume(&mut opened.authority, &request, SystemTime::now());
    let begun = begun.map_err(|error| explain_rotate(&error, &opened.pki))?;
    let title = format!(
        "root {} signs from now on",
        begun.rotation.signing.generation
    );
    let has_lists = opened.authority.has_lists();
    Told {
        title,
        begun,
        has_lists,
    }
    .report(args.step.report.output, &opened.pki)
}

/// A rotation is begun once. Where a crash left it without its `ca.pem`, that is written when it is
/// asked for again.
fn start_or_resume(
    authority: &mut Authority,
    request: &RotationRequest,
    now: SystemTime,
) -> Result<Begun, RotateError> {
    let begun = authority.start_rotation(request, now);
    if let Err(RotateError::Rotation(RotationError::UnderWay { .. })) = &begun
        && let Some(resumed) = authority.resume_rotation(&request.out)?
    {
        return Ok(resumed);
    }
    begun
}

/// One passphrase for both roots, since both keys are opened while the rotation lasts.
fn passphrase(args: &StartArgs, opened: &mut Opened) -> Result<Option<Passphrase>, Failure> {
    // A key that is lost is no reason not to exchange its root.
    let sealed = opened.authority.has_passphrase().unwrap_or(false);
    match (sealed, args.encrypt) {
        (true, _) if args.no_encrypt => Ok(None),
        (true, _) => opened.unlock_again(&args.passphrase).map(Some),
        (false, true) => PassphraseInput::authority(&args.passphrase)
            .choose("the new root's key")
            .map(Some),
        (false, false) => Ok(None),
    }
}

fn status(args: &StatusArgs) -> Result<(), Failure> {
    let opened = Opened::open(&args.pki)?;
    let rotation = opened.authority.rotation();
    let rotation = rotation.map_err(|error| explain_rotate(&error, &opened.pki))?;
    match args.report.output {
        ReportFormat::Json => print_json(&document(&rotation, None)),
        ReportFormat::Table => {
            let title = match rotation.retiring {
                Some(_) => "a rotation of the root is under way",
                None => "no rotation of the root is under way",
            };
            let mut card = Card::new(title.to_owned());
            rows(&mut card, &rotation);
            card.text(next(&rotation, &opened.pki));
            card.print()
        }
    }
}

fn finish(args: &FinishArgs) -> Result<(), Failure> {
    let mut opened = Opened::open(&args.step.pki)?;
    let retiring = opened.authority.to_finish(&args.abandoned);
    let retiring = retiring.map_err(|error| explain_rotate(&error, &opened.pki))?;
    let question = match retiring {
        Some(retiring) => finish_question(&retiring, &args.abandoned),
        None => "Destroy the keys of roots that are out of use?".to_owned(),
    };
    consent::ask(&question, &args.consent)?;
    let _interrupt = Interrupt::hold()?;
    let out = out_directory(&args.step.out);
    let begun = opened.authority.finish_rotation(&args.abandoned, out);
    let begun = begun.map_err(|error| explain_rotate(&error, &opened.pki))?;
    let title = "the rotation is finished: the old root is believed no more".to_owned();
    let has_lists = opened.authority.has_lists();
    Told {
        title,
        begun,
        has_lists,
    }
    .report(args.step.report.output, &opened.pki)
}

fn abort(args: &AbortArgs) -> Result<(), Failure> {
    let mut opened = Opened::open(&args.step.pki)?;
    let now = SystemTime::now();
    let before = opened.authority.rotation();
    let before = before.map_err(|error| explain_rotate(&error, &opened.pki))?;
    // Without one under way the refusal comes first: there is nothing to say yes to.
    if let Some(retiring) = &before.retiring {
        let question = format!("Go back to root {}?", retiring.generation);
        consent::ask(&question, &args.consent)?;
    }
    let _interrupt = Interrupt::hold()?;
    let out = out_directory(&args.step.out);
    let aborted = opened.authority.abort_rotation(out, now);
    let (begun, aborted) = aborted.map_err(|error| explain_rotate(&error, &opened.pki))?;
    let title = match aborted {
        Aborted::TurnedBack => "the old root signs again; nodes must be renewed once more",
        _ => "the rotation is undone: everything is as before it",
    };
    let has_lists = opened.authority.has_lists();
    Told {
        title: title.to_owned(),
        begun,
        has_lists,
    }
    .report(args.step.report.output, &opened.pki)
}

/// A step that was taken, as it is told.
struct Told {
    title: String,
    begun: Begun,
    has_lists: bool,
}

impl Told {
    fn report(&self, format: ReportFormat, pki: &PkiDirectory) -> Result<(), Failure> {
        let rotation = &self.begun.rotation;
        match format {
            ReportFormat::Json => print_json(&document(rotation, Some(&self.begun.ca))),
            ReportFormat::Table => {
                let mut card = Card::new(self.title.clone());
                rows(&mut card, rotation);
                card.row("roots", self.begun.ca.display());
                if self.begun.other_roots > 0 {
                    let count = self.begun.other_roots;
                    card.row(
                        "and in it",
                        format!("{count} of others, which nodes will believe too"),
                    );
                }
                card.text(self.next(pki));
                card.print()
            }
        }
    }

    fn next(&self, pki: &PkiDirectory) -> String {
        let lists = if self.has_lists {
            format!(
                "\nNodes with --node-mtls-crl-file need a list of each root: write them with \
                 `spice cluster tls crl{pki}` and roll crl.pem out together with ca.pem."
            )
        } else {
            String::new()
        };
        next(&self.begun.rotation, pki) + &lists
    }
}

fn finish_question(retiring: &RootInfo, abandoned: &[NodeName]) -> String {
    let names: Vec<_> = abandoned.iter().map(NodeName::as_str).collect();
    let left = match names.as_slice() {
        [] => String::new(),
        names => format!(" Cut off {}?", names.join(", ")),
    };
    format!(
        "Drop root {} and destroy its key?{left}",
        retiring.generation
    )
}

fn rows(card: &mut Card, rotation: &Rotation) {
    card.row("signs", root_line(&rotation.signing));
    if let Some(retiring) = &rotation.retiring {
        card.row("on its way out", root_line(retiring));
    }
    if let Some(since) = rotation.since {
        card.row("since", Timestamp(since));
        card.row("renewed", count(&rotation.renewed));
        card.row("not renewed", count(&rotation.not_renewed));
    }
    for key in &rotation.stray_keys {
        card.row(
            "left over",
            format!("{}, which `rotate-ca finish` deletes", key.display()),
        );
    }
}

fn root_line(root: &RootInfo) -> String {
    format!(
        "root {}, {}, until {}",
        root.generation,
        root.subject,
        Timestamp(root.not_after)
    )
}

/// How many, and the first of them.
fn count(names: &[NodeName]) -> String {
    let first: Vec<_> = names.iter().take(NAMED).map(NodeName::as_str).collect();
    let more = if names.len() > NAMED { ", ..." } else { "" };
    match names.len() {
        0 => "0".to_owned(),
        number => format!("{number} ({}{more})", first.join(", ")),
    }
}

/// What to roll out, in the order in which it must be.
fn next(rotation: &Rotation, pki: &PkiDirectory) -> String {
    match (&rotation.retiring, rotation.not_renewed.is_empty()) {
        (None, _) if !rotation.stray_keys.is_empty() => format!(
            "next: destroy the key that a run left which died, with `spice cluster tls rotate-ca \
             finish{pki}`"
        ),
        (None, _) => format!(
            "next: roll ca.pem out to every node, if that was not done.\n\
             Another rotation begins with `spice cluster tls rotate-ca start{pki}`."
        ),
        (Some(_), false) => format!(
            "next, in this order:\n  \
             1. roll ca.pem, which has both roots, out to every node; a running node takes it up\n     \
             by itself. A node without it will refuse those that are renewed.\n  \
             2. spice cluster tls renew --retiring{pki}\n  \
             3. roll the new files out\n  \
             4. spice cluster tls rotate-ca finish{pki}"
        ),
        (Some(_), true) => format!(
            "next: when ca.pem with both roots and the renewed files are on every node,\n  \
             spice cluster tls rotate-ca finish{pki}"
        ),
    }
}

fn document(rotation: &Rotation, ca: Option<&Path>) -> Value {
    let names =
        |nodes: &[NodeName]| -> Vec<String> { nodes.iter().map(ToString::to_string).collect() };
    json!({
        "under_way": rotation.retiring.is_some(),
        "signing": root(&rotation.signing),
        "retiring": rotation.retiring.as_ref().map(root),
        "since": rotation.since.map(|since| Timestamp(since).to_string()),
        "renewed": names(&rotation.renewed),
        "not_renewed": names(&rotation.not_renewed),
        "stray_keys": rotation.stray_keys,
        "files": { "ca": ca },
    })
}

fn root(root: &RootInfo) -> Value {
    json!({
        "generation": root.generation,
        "subject": root.subject,
        "fingerprint_sha256": root.fingerprint,
        "not_after": Timestamp(root.not_after).to_string(),
    })
}

const NAMED: usize = 10;
