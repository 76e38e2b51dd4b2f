//! A machine whose disk can be made small or read-only: namespaces of users and mounts.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::fixture::{Ended, Home};
use crate::operation::copy_command;
use crate::soundness::Place;
use crate::tool::{tls_words, wrapped};

/// A copy of a home on a file system of its own, which nobody else on this machine sees.
pub(crate) struct Machine {
    /// Keeps the namespaces alive, and ends when its input does.
    holder: Child,
    home: Home,
}

/// What there is little of on a file system.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scarce {
    /// Pages of 4 KiB, which is what a small file takes.
    Pages,
    /// Files, however small.
    Files,
}

impl Machine {
    /// A machine with a copy of `prepared` and plenty of room.
    pub(crate) fn with(prepared: &Home) -> Self {
        let mut holder = Command::new("unshare")
            .args(["--map-root-user", "--mount", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Who answers is in its namespaces.
        writeln!(holder.stdin.as_mut().unwrap(), "there?").unwrap();
        let mut answer = String::new();
        let mut output = BufReader::new(holder.stdout.as_mut().unwrap());
        output.read_line(&mut answer).unwrap();
        assert_eq!(
            answer, "there?\n",
            "no namespaces: see what unshare says above"
        );
        let machine = Self {
            holder,
            home: Home::new(),
        };
        let root = machine.home.root().display().to_string();
        machine.run(&format!("mount -t tmpfs -o mode=700 none {root}"));
        machine.run(&copy_command(prepared, &root));
        machine
    }

    /// Leaves so much of it and no more.
    pub(crate) fn leave(&self, scarce: Scarce, left: u64) {
        let (column, option, each, unit) = match scarce {
            Scarce::Pages => ("used", "size", PAGE_KIB, "k"),
            Scarce::Files => ("iused", "nr_inodes", 1, ""),
        };
        let root = self.home.root().display();
        let used = self.run(&format!("df -k --output={column} {root}"));
        let used: u64 = used.lines().nth(1).unwrap().trim().parse().unwrap();
        let limit = used + left * each;
        self.run(&format!("mount -o remount,{option}={limit}{unit} {root}"));
    }

    /// Makes room for everything.
    pub(crate) fn make_room(&self) {
        let root = self.home.root().display();
        self.run(&format!("mount -o remount,size=16m,nr_inodes=4k {root}"));
    }

    pub(crate) fn make_read_only(&self) {
        self.run(&format!(
            "mount -o remount,ro {}",
            self.home.root().display()
        ));
    }

    pub(crate) fn make_writable(&self) {
        self.run(&format!(
            "mount -o remount,rw {}",
            self.home.root().display()
        ));
    }

    /// Runs `spice cluster tls` in its home.
    pub(crate) fn tls(&self, line: &str) -> Ended {
        let command = self.home.command(&tls_words(line));
        // The working directory of who enters is that of the other side.
        let directory = self.home.work().display().to_string();
        let inside = wrapped(
            "sh",
            ["-c", "cd \"$0\" && exec \"$@\"", &directory],
            &command,
        );
        Ended::new(self.inside(&inside).output().unwrap())
    }

    /// Its home as it is seen from here.
    pub(crate) fn place(&self) -> Place {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        Place::new(root.join(self.home.root().strip_prefix("/").unwrap()))
    }

    /// Runs a program of the system in it, and gives what that printed.
    fn run(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        let output = self.inside(&command).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{line}`: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn inside(&self, command: &Command) -> Command {
        let target = format!("--target={}", self.holder.id());
        let options = [&target, "--user", "--mount", "--preserve-credentials", "--"];
        wrapped("nsenter", options, command)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

const PAGE_KIB: u64 = 4;
