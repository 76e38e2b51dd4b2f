//! Whether a process of this machine still runs, as far as that can be proven.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

/// Where a process can be looked for: its number means something only on the same boot of the same
/// machine, within the same namespace of process numbers, and to the same user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessMark {
    boot_id: String,
    pid_namespace: String,
    user_id: u32,
    pid: u32,
    /// When it started, in ticks since the boot: numbers are used again.
    started_ticks: u64,
}

impl ProcessMark {
    /// That of this process; `None` where the system does not tell. Blocks.
    pub(crate) fn own() -> Option<Self> {
        let pid = std::process::id();
        let stat = fs::read_to_string(stat_path(pid)).ok()?;
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
        Some(Self {
            boot_id: fs::read_to_string(BOOT_ID).ok()?.trim().to_owned(),
            pid_namespace: namespace.to_str()?.to_owned(),
            user_id: fs::metadata("/proc/self").ok()?.uid(),
            pid,
            started_ticks: Stat::parse(&stat)?.started_ticks,
        })
    }

    /// Whether the process is proven to have ended, looked at from `here`. Blocks.
    ///
    /// A process that may run elsewhere, or that this user may not see, is not.
    pub(crate) fn is_gone(&self, here: &Self) -> bool {
        let visible = self.boot_id == here.boot_id
            && self.pid_namespace == here.pid_namespace
            && self.user_id == here.user_id;
        visible
            && match fs::read_to_string(stat_path(self.pid)) {
                Ok(stat) => Stat::parse(&stat).is_some_and(|stat| !stat.is_run_of(self)),
                Err(error) => error.kind() == ErrorKind::NotFound,
            }
    }

    /// The number of the process, for people.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }
}

/// What `/proc/PID/stat` says; proc_pid_stat(5).
struct Stat {
    state: char,
    started_ticks: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, which may hold any character.
        let (_, behind) = text.rsplit_once(')')?;
        let mut fields = behind.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let started_ticks = fields.nth(STARTTIME - 1)?.parse().ok()?;
        Some(Self {
            state,
            started_ticks,
        })
    }

    fn is_run_of(&self, mark: &ProcessMark) -> bool {
        // What was killed stays as a zombie until its parent looks.
        self.started_ticks == mark.started_ticks && !matches!(self.state, 'Z' | 'X')
    }
}

fn stat_path(pid: u32) -> String {
    format!("/proc/{pid}/stat")
}

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How many fields behind the state the start time is.
const STARTTIME: usize = 19;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn own() -> ProcessMark {
        ProcessMark::own().unwrap()
    }

    #[test]
    fn reads_the_start_time_behind_a_name_of_any_kind() {
        let line = "7 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.state, stat.started_ticks), ('S', 4711));
        assert!(Stat::parse("7 (a) S 1").is_none());
    }

    #[test]
    fn a_process_that_runs_is_not_gone_and_one_that_ended_is() {
        assert!(!own().is_gone(&own()));
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let stat = fs::read_to_string(stat_path(child.id())).unwrap();
        let mark = ProcessMark {
            pid: child.id(),
            started_ticks: Stat::parse(&stat).unwrap().started_ticks,
            ..own()
        };
        assert!(!mark.is_gone(&own()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(mark.is_gone(&own()));
    }

    #[test]
    fn a_number_that_was_used_again_is_another_process() {
        let earlier = ProcessMark {
            started_ticks: own().started_ticks - 1,
            ..own()
        };
        assert!(earlier.is_gone(&own()));
    }

    #[test]
    fn nothing_is_proven_about_processes_that_are_not_seen_from_here() {
        let ended = || ProcessMark {
            pid: u32::MAX,
            ..own()
        };
        assert!(ended().is_gone(&own()));
        let (mut boot, mut namespace, mut user) = (ended(), ended(), ended());
        boot.boot_id.push('x');
        namespace.pid_namespace.push('x');
        user.user_id += 1;
        for elsewhere in [boot, namespace, user] {
            assert!(!elsewhere.is_gone(&own()), "{elsewhere:?}");
        }
    }
}
