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
/// heard from `warn` on.
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
    let mut filter = format!("{engine},audit=info");
    for room in rooms {
        filter.push_str(&format!(",{room}={ours}"));
    }
    if verbose < 2 {
        for quiet in QUIET {
            filter.push_str(&format!(",{quiet}=off"));
        }
    }
    filter
}

/// Parts of the engine that log as errors what is none: that executors cannot be reached (under
/// pull scheduling; the control stream does it), that a poll failed (the control stream says it
/// once), that a query was wrong or cancelled (its client is told), and that the operator
/// metrics of a stage are missing (executors report none, see their `engine/stage.rs`).
const QUIET: [&str; 8] = [
    "ballista_scheduler::state::executor_manager",
    "ballista_scheduler::state::task_manager",
    "ballista_scheduler::scheduler_server::query_stage_scheduler",
    "ballista_scheduler::scheduler_server::grpc",
    "ballista_executor::execution_loop",
    "ballista_executor::executor",
    "ballista_scheduler::state::execution_stage",
    "ballista_scheduler::display",
];

fn stderr_is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}
