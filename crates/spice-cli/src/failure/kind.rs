//! Kinds of failure: a word for programs and an exit code for shells.

use cluster_tls::Stage;

/// What kind of failure ended a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The command line was not understood.
    Usage,
    /// A rule says no, and says it again until something is changed.
    Refused,
    /// It was tried, and something went wrong.
    Failed,
    /// A file, the output or the network did not do its part.
    Io,
    /// A node cannot be reached, or would not be: this is where it ends.
    Stage(Stage),
}

impl FailureKind {
    /// The stable word of `--machine`.
    pub(crate) fn code(self) -> String {
        match self {
            Self::Usage => "usage".to_owned(),
            Self::Refused => "refused".to_owned(),
            Self::Failed => "failed".to_owned(),
            Self::Io => "io".to_owned(),
            Self::Stage(stage) => format!("stage_{stage}"),
        }
    }

    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Refused | Self::Failed | Self::Io => 1,
            Self::Stage(stage) => stage_code(stage),
        }
    }
}

/// Far from the codes that shells and signals use (126 and up) and from those of every command.
/// The help of `connect` and `verify` has the table: numbers are never given to another stage.
fn stage_code(stage: Stage) -> u8 {
    match stage {
        Stage::Credentials => 10,
        Stage::Resolve => 11,
        Stage::Connect => 12,
        Stage::Handshake => 13,
        Stage::Chain => 14,
        Stage::Name => 15,
        Stage::Role => 16,
        Stage::Expiry => 17,
        Stage::Admission => 18,
        // A stage that the library has and this table has not yet.
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_a_code_of_its_own_from_10_up() {
        let codes = Stage::ALL.map(|stage| FailureKind::Stage(stage).exit_code());
        assert_eq!(codes, [10, 11, 12, 13, 14, 15, 16, 17, 18]);
    }
}
