//! Everything a contributor runs, as `cargo xtask COMMAND`.
//!
//! The dependencies are few on purpose: a first `cargo xtask arch` must not compile the query
//! engine. What needs the workspace's own crates is a binary of its own that a command here
//! builds and starts.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a command line program: printing is its output"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::binaries::Profile;
use crate::codegen::Mode;
use crate::workspace::Workspace;

mod arch;
mod bench;
mod binaries;
mod ci;
mod codegen;
mod deny;
mod fuzz;
mod interop;
mod man;
mod minimal_versions;
mod packages;
mod public_api;
mod python;
mod quickstart;
mod suite;
mod tool;
mod unstable;
mod workspace;

/// Builds, tests and checks the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything and run a secured three-node cluster on this machine
    #[command(after_help = QUICKSTART_HELP)]
    Quickstart {
        /// Build with optimizations: a longer build, faster queries
        #[arg(long)]
        release: bool,
        /// What the demonstration itself understands
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGS"
        )]
        demo: Vec<String>,
    },
    /// Build the binaries, then run every test of the workspace
    Test {
        /// Passed to `cargo test`: a filter on test names, `-- --nocapture`, ...
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGS"
        )]
        cargo: Vec<String>,
    },
    /// Everything a change must pass: all steps run, then a table of what failed
    Ci,
    /// Generate the code of the internal wire from its .proto files
    Codegen {
        /// Compare with what is checked in and write nothing
        #[arg(long)]
        check: bool,
    },
    /// Check which crate may depend on what, and which code may say what
    Arch,
    /// Check licences, banned crates and sources of the dependencies with cargo-deny
    Deny,
    /// Check that the public API of cluster-tls names no crate that users should not meet
    PublicApi,
    /// Check that cluster-tls builds with the oldest dependencies its manifest allows
    MinimalVersions,
    /// Count the packages below cluster-tls and check that none is there unasked
    Packages,
    /// Feed made-up bytes to what strangers reach first, with cargo-fuzz
    Fuzz {
        /// How long each target runs
        #[arg(
            long,
            value_name = "N",
            default_value_t = fuzz::DEFAULT_SECONDS,
            // To libFuzzer zero means for ever.
            value_parser = clap::value_parser!(u64).range(1..)
        )]
        seconds: u64,
        /// One target instead of all: the name of a file in fuzz/fuzz_targets
        target: Option<String>,
    },
    /// Run programs of others against ours, and `spice cluster tls` where it is killed
    ///
    /// OpenSSL, GnuTLS and cfssl talk with cluster-tls. OpenSSL, GnuTLS, Java and the schemas of
    /// Kubernetes read what `spice cluster tls` writes, which is also killed, interrupted and left
    /// without disk. An unmodified ADBC driver talks with a node.
    Interop,
    /// Write the manual pages of `spice`, one for each of its commands
    Man {
        /// The directory for the pages [default: `man` in the target directory]
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
    /// Measure the cluster with a release build
    Bench {
        /// One short round: is it in the right order of magnitude
        #[arg(long)]
        quick: bool,
        /// Measure cluster-tls alone: handshakes, calls, streams, memory, swaps
        #[arg(long)]
        transport: bool,
        /// Measure `spice cluster tls add` against mkcert, cfssl and OpenSSL
        #[arg(long, conflicts_with_all = ["quick", "transport"])]
        certificates: bool,
        /// Measure what it costs a scheduler to look at the others, as they grow to a hundred
        #[arg(long, conflicts_with_all = ["certificates", "transport"])]
        state: bool,
        /// Measure the control streams of up to 4 000 executors on one scheduler
        #[arg(long, conflicts_with_all = ["transport", "certificates"])]
        control: bool,
    },
}

const QUICKSTART_HELP: &str = "\
Arguments after the first one that is not known here go to the demonstration:
  --scale N        TPC-H scale factor of the generated data (0.1 is about 30 MB)
  --keep           leave the cluster running until Ctrl-C and print how to connect
  --port-offset N  add to every port, where the usual ones are taken

Examples:
  cargo xtask quickstart
  cargo xtask quickstart --release --scale 1 --keep";

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Quickstart { release, demo } => {
            quickstart::run(&workspace, Profile::from_release_flag(release), &demo)
        }
        Command::Test { cargo } => suite::run(&workspace, &cargo),
        Command::Ci => ci::run(&workspace),
        Command::Codegen { check } => codegen::run(&workspace, Mode::from_check_flag(check)),
        Command::Arch => arch::run(&workspace),
        Command::Deny => deny::run(&workspace),
        Command::PublicApi => public_api::run(&workspace),
        Command::MinimalVersions => minimal_versions::run(&workspace),
        Command::Packages => packages::run(&workspace),
        Command::Fuzz { seconds, target } => fuzz::run(&workspace, target.as_deref(), seconds),
        Command::Interop => interop::run(&workspace),
        Command::Man { directory } => man::run(&workspace, directory),
        Command::Bench {
            quick,
            transport,
            certificates,
            state,
            control,
        } => {
            let argument = quick.then_some("--quick");
            if certificates {
                bench::certificates(&workspace)
            } else if transport {
                bench::transport(&workspace, argument)
            } else if state {
                bench::state(&workspace, argument)
            } else if control {
                bench::control(&workspace, argument)
            } else {
                bench::run(&workspace, argument)
            }
        }
    }
}
