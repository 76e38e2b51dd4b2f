//! A secured cluster on this machine, from nothing to answered queries, in one command.

use std::process::ExitCode;

use clap::Parser;
use cluster_test::quickstart::{self, Options};

#[expect(
    clippy::print_stderr,
    reason = "this is a command line program: printing is its output"
)]
fn main() -> ExitCode {
    match quickstart::run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
