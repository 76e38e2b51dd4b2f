//! `spice sql`: one statement, statements from a file, or a prompt.

mod client;
mod history;
mod print;
mod prompt;
mod statements;

use std::io::{self, BufRead, IsTerminal};
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};

use crate::args::{RowFormat, SqlArgs};
use crate::failure::Failure;
use crate::sql::client::Client;
use crate::sql::statements::Statements;
use crate::voice::Voice;

pub(crate) fn run(args: &SqlArgs, voice: Voice) -> Result<(), Failure> {
    // One worker of its own keeps the connection alive while the prompt waits for a person.
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(&error))?;
    let client = runtime.block_on(Client::connect(&args.flight_endpoint))?;
    let mut session = Session {
        runtime,
        client,
        format: args.output,
        timing: args.timing,
        voice,
    };
    match &args.query {
        Some(query) => session.run(query),
        None if io::stdin().is_terminal() => prompt::run(&mut session),
        None => run_lines(&mut session, io::stdin().lock()),
    }
}

/// A connection and how rows are printed.
struct Session {
    runtime: Runtime,
    client: Client,
    format: RowFormat,
    timing: bool,
    voice: Voice,
}

impl Session {
    /// Runs a statement and prints its rows.
    fn run(&mut self, statement: &str) -> Result<(), Failure> {
        let started = Instant::now();
        let rows =
            self.runtime
                .block_on(run_statement(&mut self.client, statement, self.format))?;
        self.tell_time(rows, started);
        Ok(())
    }

    /// The same, but Ctrl-C ends the statement instead of the program.
    fn run_interruptible(&mut self, statement: &str) -> Result<(), Failure> {
        let started = Instant::now();
        let running = run_statement(&mut self.client, statement, self.format);
        let rows = self.runtime.block_on(async {
            tokio::select! {
                finished = running => finished,
                _ = tokio::signal::ctrl_c() => Err(Failure::new("cancelled")),
            }
        })?;
        self.tell_time(rows, started);
        Ok(())
    }

    fn tell_time(&self, rows: usize, started: Instant) {
        if self.timing {
            self.voice.timing(rows, started.elapsed());
        }
    }
}

async fn run_statement(
    client: &mut Client,
    statement: &str,
    format: RowFormat,
) -> Result<usize, Failure> {
    let rows = client.query(statement).await?;
    print::print(rows, format, io::stdout()).await
}

/// Runs statements as they come and stops at the first that fails. What follows the last `;` is
/// a statement too.
fn run_lines(session: &mut Session, input: impl BufRead) -> Result<(), Failure> {
    let mut statements = Statements::default();
    for line in input.lines() {
        let line = line.map_err(|error| {
            Failure::new(format!(
                "cannot read statements from standard input: {error}"
            ))
        })?;
        for statement in statements.push_line(&line) {
            session.run(&statement)?;
        }
    }
    match statements.finish() {
        Some(statement) => session.run(&statement),
        None => Ok(()),
    }
}
