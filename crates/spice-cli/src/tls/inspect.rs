//! `spice cluster tls inspect`.

mod prose;

use std::io;
use std::path::Path;
use std::time::SystemTime;

use cluster_pki::{InspectError, InspectedContent, Inspection, InspectionInput};
use serde_json::json;

use crate::args::{InspectArgs, ReportFormat};
use crate::failure::{Failure, FailureKind};
use crate::tls::next_step::quoted;
use crate::tls::report::print_json;
use crate::voice::Voice;

pub(crate) fn run(args: &InspectArgs, voice: Voice) -> Result<(), Failure> {
    let name = shown_name(&args.file);
    let inspection = look(&args.file).map_err(|error| explain(&error, &name))?;
    for warning in &inspection.warnings {
        voice.warn(format_args!("{name}: {warning}"));
    }
    match args.report.output {
        ReportFormat::Table => prose::print(&name, &quoted(&args.file), &inspection)?,
        ReportFormat::Json => print_json(&json!({
            "file": name,
            "format": inspection.format,
            "sections": inspection.sections,
            "warnings": inspection.warnings,
        }))?,
    }
    damage(&name, &inspection)
}

fn look(file: &Path) -> Result<Inspection, InspectError> {
    let input = if file == Path::new("-") {
        InspectionInput::from_reader(io::stdin().lock())?
    } else {
        InspectionInput::read(file)?
    };
    Inspection::of(&input, SystemTime::now())
}

/// The file's name is no secret, but may hold what a terminal would act on.
fn shown_name(file: &Path) -> String {
    if file == Path::new("-") {
        return "standard input".to_owned();
    }
    let name = file.to_string_lossy();
    match name.chars().any(char::is_control) {
        true => name.escape_debug().to_string(),
        false => name.into_owned(),
    }
}

/// What could be read was shown; that something could not is a failure all the same.
fn damage(name: &str, inspection: &Inspection) -> Result<(), Failure> {
    for section in &inspection.sections {
        if let InspectedContent::Damaged { fault } = &section.content {
            let label = section.label.as_deref().unwrap_or_default();
            let position = section.position;
            return Err(Failure::new(format!(
                "{name}: section {position} ({label}) cannot be read: {fault}"
            ))
            .of_kind(FailureKind::Refused));
        }
    }
    Ok(())
}

fn explain(error: &InspectError, name: &str) -> Failure {
    let failure = match error {
        InspectError::File(error) => Failure::from_error(error),
        _ => Failure::new(format!("{name}: {error}")).of_kind(FailureKind::Refused),
    };
    match error {
        InspectError::Empty | InspectError::TooLarge | InspectError::Unknown => {
            failure.with_next(EXPECTED)
        }
        _ => failure,
    }
}

const EXPECTED: &str = "name a file of PEM sections (`-----BEGIN ...`), one binary object (DER), \
                        or a deny-list";
