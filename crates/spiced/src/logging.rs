use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::LogFormat;

/// Starts logging to stderr; stdout belongs to nobody here.
pub(crate) fn init(format: LogFormat, verbose: u8) {
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(EnvFilter::new(filter(verbose)));
    match format {
        LogFormat::Text => builder
            .with_target(false)
            .with_ansi(stderr_is_terminal())
            .finish()
            .init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().init(),
    }
}

/// Our own rooms speak at `info`. The engine below logs every task at that level, so it is
/// heard from `warn` on, and its one habit that looks like an error and is none stays quiet:
/// under pull scheduling it cannot reach executors, and the control stream does that instead.
fn filter(verbose: u8) -> String {
    let (ours, engine) = match verbose {
        0 => ("info", "warn"),
        1 => ("debug", "info"),
        _ => ("trace", "debug"),
    };
    let rooms = [
        "spiced",
        "cluster_tls",
        "cluster_scheduler",
        "cluster_executor",
        "spice_runtime",
        "spicepod",
        "public_api",
    ];
    let mut filter = engine.to_owned();
    for room in rooms {
        filter.push_str(&format!(",{room}={ours}"));
    }
    if verbose < 2 {
        filter.push_str(",ballista_scheduler::state::executor_manager=off");
    }
    filter
}

fn stderr_is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}
