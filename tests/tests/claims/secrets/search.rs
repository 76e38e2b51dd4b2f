//! Looking for a text wherever a process may have left it, but for its memory.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cluster_test::Node;

/// Where a text was found; empty where it is nowhere.
pub(super) type Findings = Vec<String>;

/// What was looked at, so that a search that looked at nothing is not taken for a clean one.
#[derive(Debug, Default)]
pub(super) struct Search {
    needles: Vec<String>,
    pub(super) findings: Findings,
    pub(super) files: usize,
}

impl Search {
    /// For these texts, and for what base64 and escaping in URLs make of them.
    pub(super) fn new(needles: &[&str]) -> Result<Self> {
        let mut all = Vec::new();
        for needle in needles {
            ensure!(needle.len() >= 8, "`{needle}` is found everywhere");
            all.push((*needle).to_owned());
            all.push(percent_encoded(needle));
        }
        all.dedup();
        Ok(Self {
            needles: all,
            ..Self::default()
        })
    }

    /// Looks at what the system tells of a running process, and at what it wrote.
    pub(super) fn process(&mut self, node: &Node) -> Result<()> {
        let id = node.process_id().context("the node has ended")?;
        let process = PathBuf::from(format!("/proc/{id}"));
        for name in ["environ", "cmdline"] {
            self.file(&process.join(name))?;
        }
        for entry in fs::read_dir(process.join("fd"))? {
            // A file that was closed meanwhile, or is none.
            let Ok(path) = fs::read_link(entry?.path()) else {
                continue;
            };
            if path.is_file() && !path.starts_with("/proc") && !path.starts_with("/dev") {
                self.file(&path)?;
            }
        }
        self.text(
            &format!("the log of {}", node.name()),
            &node.log().tail(usize::MAX),
        );
        Ok(())
    }

    /// Looks at every file below `directory`, and at the names of all of them.
    pub(super) fn directory(&mut self, directory: &Path) -> Result<()> {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            self.text("a file name", &path.display().to_string());
            if path.is_dir() {
                self.directory(&path)?;
            } else if path.is_file() {
                self.file(&path)?;
            }
        }
        Ok(())
    }

    pub(super) fn file(&mut self, path: &Path) -> Result<()> {
        let mut bytes = Vec::new();
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let read = file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
        if read as u64 > LARGEST_FILE {
            bail!("{} is too large to be searched", path.display());
        }
        self.files += 1;
        self.bytes(&path.display().to_string(), &bytes);
        Ok(())
    }

    pub(super) fn text(&mut self, place: &str, text: &str) {
        self.bytes(place, text.as_bytes());
    }

    fn bytes(&mut self, place: &str, bytes: &[u8]) {
        for needle in &self.needles {
            let wide: Vec<u8> = needle.bytes().flat_map(|byte| [byte, 0]).collect();
            for form in [needle.as_bytes(), &wide] {
                if bytes.windows(form.len()).any(|window| window == form) {
                    self.findings.push(place.to_owned());
                }
            }
        }
    }
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Files of a test are small; one that is not would be searched in part.
const LARGEST_FILE: u64 = 64 * 1024 * 1024;

#[test]
fn finds_what_is_in_files_names_and_other_spellings() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let place = |name: &str| directory.path().join(name);
    fs::create_dir(place("within"))?;
    fs::write(place("within/plain"), "xx hunter2/+hunter2 yy")?;
    fs::write(place("escaped"), "password=hunter2%2F%2Bhunter2&")?;
    fs::write(
        place("wide"),
        b"h\0u\0n\0t\0e\0r\x002\0/\0+\0h\0u\0n\0t\0e\0r\x002\0",
    )?;
    fs::write(place("clean"), "hunter3")?;
    let mut search = Search::new(&["hunter2/+hunter2"])?;
    search.directory(directory.path())?;
    ensure!(search.findings.len() == 3, "{:?}", search.findings);
    ensure!(search.files == 4, "{} files", search.files);
    let mut search = Search::new(&["something else"])?;
    search.directory(directory.path())?;
    ensure!(search.findings.is_empty(), "{:?}", search.findings);
    ensure!(Search::new(&["short"]).is_err());
    Ok(())
}
