//! `spice man`: a manual page for each command, made of what its help says.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::args::{Cli, ManArgs};
use crate::failure::{Failure, FailureKind};

pub(crate) fn run(args: &ManArgs) -> Result<(), Failure> {
    let directory = &args.directory;
    fs::create_dir_all(directory).map_err(|error| cannot_write(directory, &error))?;
    let mut written = Vec::new();
    for page in pages()? {
        let path = directory.join(&page.file_name);
        replace(&path, &page.text)?;
        written.push(path);
    }
    let mut out = io::stdout().lock();
    for path in written {
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}

/// The manual page of one command.
struct Page {
    file_name: String,
    text: Vec<u8>,
}

/// The pages of every command that is not hidden.
fn pages() -> Result<Vec<Page>, Failure> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    let mut commands = vec![root];
    while let Some(command) = commands.pop() {
        let below: Vec<_> = visible(&command).cloned().collect();
        pages.push(page(command)?);
        commands.extend(below);
    }
    Ok(pages)
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|it| !it.is_hide_set())
}

/// What clap_mangen makes of a command, but for the text that follows its help.
fn page(command: Command) -> Result<Page, Failure> {
    let after_help = command.get_after_long_help().or(command.get_after_help());
    let after_help = after_help.map(ToString::to_string).unwrap_or_default();
    let has_subcommands = visible(&command).next().is_some();
    let man = Man::new(command).source(concat!("spice ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if has_subcommands {
        man.render_subcommands_section(&mut text)?;
    }
    sections(&after_help).to_writer(&mut text)?;
    let file_name = man.get_filename();
    Ok(Page { file_name, text })
}

/// The text after the help: lines like `Examples:` are headings, and what is under them stands
/// as it was written. clap_mangen would fill lines that are to be typed.
fn sections(after_help: &str) -> Roff {
    let mut roff = Roff::new();
    let mut inside = Inside::Nothing;
    for line in after_help.lines() {
        let heading = line.strip_suffix(':').filter(|it| !it.starts_with(' '));
        match (heading, inside) {
            (Some(heading), _) => {
                close(&mut roff, inside);
                roff.control("SH", [heading.to_uppercase().as_str()]);
                roff.control("nf", []);
                inside = Inside::Section;
            }
            (None, Inside::Section) => {
                roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
            (None, Inside::Nothing) => {
                roff.control("SH", ["NOTES"]);
                roff.control("nf", []);
                roff.text([roman(line)]);
                inside = Inside::Section;
            }
        }
    }
    close(&mut roff, inside);
    roff
}

#[derive(Clone, Copy)]
enum Inside {
    Nothing,
    Section,
}

fn close(roff: &mut Roff, inside: Inside) {
    if let Inside::Section = inside {
        roff.control("fi", []);
    }
}

/// Writes a page anew. Only a plain file gives way, so that no link is followed and no directory
/// or device is taken for a page.
fn replace(path: &Path, text: &[u8]) -> Result<(), Failure> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => return Err(in_the_way(path)),
        Ok(_) => fs::remove_file(path).map_err(|error| cannot_write(path, &error))?,
        Err(_) => {}
    }
    let created = OpenOptions::new().write(true).create_new(true).open(path);
    created
        .and_then(|mut file| file.write_all(text))
        .map_err(|error| cannot_write(path, &error))
}

fn in_the_way(path: &Path) -> Failure {
    let path = path.display();
    Failure::new(format!("{path} is not a plain file, and is left alone"))
        .of_kind(FailureKind::Refused)
        .with_next("move it away, or choose another directory")
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    Failure::new(format!("cannot write {path}: {error}"))
        .of_kind(FailureKind::Io)
        .with_next("choose a directory that you may write to")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_after_the_help_becomes_sections_with_its_lines_kept() {
        let roff = sections("Exit codes:\n  0  fine\n  1  not\n\nExamples:\n  .x 'a'\n    b");
        let text = roff.to_roff();
        for part in [
            ".SH \"EXIT CODES\"\n.nf\n0  fine\n1  not\n\n.fi\n.SH EXAMPLES\n.nf\n",
            "\n  b\n.fi\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("\n.x"), "a line is no request: {text}");
        assert!(sections("See also.").to_roff().contains(".SH NOTES\n"));
        assert_eq!(sections("").to_roff().matches(".SH").count(), 0);
    }
}
