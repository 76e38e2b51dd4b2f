//! What becomes of the commands that a scheduler gives, as log lines and metrics.

use cluster_proto::NodeId;
use cluster_scheduler::{CommandEnd, CommandKind};

use super::Observer;
use crate::metrics::CommandLabels;

impl Observer {
    pub(super) fn tell_command(&self, id: &NodeId, command: CommandKind, end: CommandEnd) {
        self.count_command(command, end.as_str());
        let command = command.as_str();
        match end {
            CommandEnd::GivenUp | CommandEnd::Displaced => {
                let reason = end.as_str();
                tracing::warn!(executor = %id, command, reason, "command not acknowledged, given up");
            }
            CommandEnd::Acknowledged { after } => {
                let after_ms = after.as_millis();
                tracing::debug!(executor = %id, command, after_ms, "command acknowledged");
            }
            CommandEnd::Superseded => {
                tracing::debug!(executor = %id, command, "command superseded");
            }
        }
    }

    pub(super) fn tell_failed_command(&self, id: &NodeId, command: CommandKind, error: &str) {
        self.count_command(command, "failed");
        let command = command.as_str();
        tracing::warn!(executor = %id, command, error, "executor could not carry out a command");
    }

    fn count_command(&self, command: CommandKind, outcome: &'static str) {
        let command = command.as_str();
        let labels = CommandLabels { command, outcome };
        self.metrics.commands.get_or_create(&labels).inc();
    }
}
