//! One certificate as a whole process: `spice cluster tls add` against what others use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::interop::packages;
use crate::workspace::{Workspace, succeed};

/// The programs that are measured against, and the Debian packages that they are in.
const TOOLS: [(&str, &str); 4] = [
    ("mkcert", "mkcert"),
    ("cfssl", "golang-cfssl"),
    ("cfssljson", "golang-cfssl"),
    ("openssl", "openssl"),
];

/// Enough for a median that stays where it is on a machine that does other things too.
const ROUNDS: usize = 60;

/// How many nodes the batch has.
const BATCH: usize = 1000;

const BATCH_ROUNDS: usize = 5;

/// Builds `spice` for release, lets everybody make one certificate a round, and prints what it
/// took. All make a P-256 key; all files are on the file system of the target directory.
pub(super) fn run(workspace: &Workspace) -> Result<()> {
    packages::see_to(&TOOLS, &[])?;
    let mut build = workspace.cargo();
    succeed(build.args(["build", "--release", "-p", "spice-cli"]))?;
    let spice = workspace.target().join("release/spice");
    let arena = Arena::prepare(&workspace.target().join("bench-certificates"), &spice)?;
    single(&arena)?;
    batch(&arena)?;
    start(&arena)
}

/// Every contestant's authority, made beforehand.
struct Arena {
    directory: PathBuf,
    spice: PathBuf,
}

/// Who makes a certificate, and how: the words of its processes, one after the other.
type Contestant = (&'static str, fn(&Arena, usize) -> Vec<Command>);

const CONTESTANTS: [Contestant; 4] = [
    ("spice", |arena, round| {
        let name = format!("n{round}");
        vec![arena.spice(&["add", &name, "--out", "out"])]
    }),
    ("mkcert -ecdsa", |arena, round| {
        let (certificate, key) = (format!("m{round}.pem"), format!("m{round}-key.pem"));
        let mut command = arena.command("mkcert");
        command.args(["-ecdsa", "-cert-file", &certificate, "-key-file", &key]);
        command.arg(format!("m{round}"));
        vec![command]
    }),
    ("cfssl gencert | cfssljson", |arena, round| {
        let line = format!(
            "cfssl gencert -loglevel 5 -ca cfssl.pem -ca-key cfssl-key.pem -hostname c{round} leaf.json \
             | cfssljson -bare c{round}"
        );
        let mut command = arena.command("sh");
        command.args(["-c", &line]);
        vec![command]
    }),
    ("openssl genpkey, req, x509", |arena, round| {
        let (key, csr, pem) = (
            format!("o{round}.key"),
            format!("o{round}.csr"),
            format!("o{round}.pem"),
        );
        let subject = format!("/CN=o{round}");
        let steps: [&[&str]; 3] = [
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-out",
                &key,
            ],
            &["req", "-new", "-key", &key, "-subj", &subject, "-out", &csr],
            &[
                "x509",
                "-req",
                "-in",
                &csr,
                "-CA",
                "openssl.pem",
                "-CAkey",
                "openssl-key.pem",
                "-days",
                "365",
                "-extfile",
                "leaf.ext",
                "-out",
                &pem,
            ],
        ];
        steps
            .into_iter()
            .map(|words| {
                let mut command = arena.command("openssl");
                command.args(words);
                command
            })
            .collect()
    }),
];

impl Arena {
    fn prepare(directory: &Path, spice: &Path) -> Result<Self> {
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        fs::create_dir_all(directory)?;
        let arena = Self {
            directory: directory.to_owned(),
            spice: spice.to_owned(),
        };
        fs::write(directory.join("leaf.json"), CFSSL_LEAF)?;
        fs::write(directory.join("ca.json"), CFSSL_CA)?;
        fs::write(directory.join("leaf.ext"), OPENSSL_LEAF)?;
        timed(&mut arena.spice(&["init", "--out", "out"]))?;
        let mut cfssl = arena.command("sh");
        cfssl.args([
            "-c",
            "cfssl gencert -loglevel 5 -initca ca.json | cfssljson -bare cfssl",
        ]);
        timed(&mut cfssl)?;
        let mut openssl = arena.command("openssl");
        openssl.args(OPENSSL_CA);
        timed(&mut openssl)?;
        // Its first run makes its authority.
        let mut mkcert = arena.command("mkcert");
        timed(mkcert.args(["-ecdsa", "first"]))?;
        Ok(arena)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.directory)
            .env("HOME", &self.directory)
            .env("CAROOT", self.directory.join("mkcert"))
            .env_remove("SPICE_PKI_DIR")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn spice(&self, words: &[&str]) -> Command {
        let mut command = self.command(&self.spice);
        command.args(["cluster", "tls"]).args(words);
        command
    }
}

fn single(arena: &Arena) -> Result<()> {
    let mut times = vec![Vec::with_capacity(ROUNDS); CONTESTANTS.len()];
    for round in 0..ROUNDS {
        for (contestant, (_, commands)) in CONTESTANTS.iter().enumerate() {
            let mut total = Duration::ZERO;
            for mut command in commands(arena, round) {
                total += timed(&mut command)?;
            }
            times[contestant].push(total);
        }
    }
    println!("one certificate, {ROUNDS} rounds: minimum / median / maximum in ms");
    for ((name, _), times) in CONTESTANTS.iter().zip(&times) {
        println!("  {name:28} {}", spread(times, milliseconds));
    }
    let (ours, others) = times.split_at(1);
    for ((name, _), theirs) in CONTESTANTS.iter().skip(1).zip(others) {
        let ratios = ours[0].iter().zip(theirs);
        let ratios: Vec<_> = ratios
            .map(|(ours, theirs)| ours.div_duration_f64(*theirs))
            .collect();
        println!("  spice / {name:20} {}", spread(&ratios, |ratio| *ratio));
    }
    Ok(())
}

/// What it takes to make the certificates of a large cluster.
fn batch(arena: &Arena) -> Result<()> {
    let lines = (0..BATCH)
        .map(|number| format!("batch{number},10.0.{}.{}\n", number / 250, number % 250 + 1));
    let list: String = std::iter::once("name,hosts\n".to_owned())
        .chain(lines)
        .collect();
    fs::write(arena.directory.join("nodes.csv"), list)?;
    let mut times = Vec::new();
    for round in 0..BATCH_ROUNDS {
        let (pki, out) = (format!("pki{round}"), format!("batch{round}"));
        timed(&mut arena.spice(&["init", "--pki-dir", &pki, "--out", &out]))?;
        let words = [
            "add",
            "--from",
            "nodes.csv",
            "--pki-dir",
            &pki,
            "--out",
            &out,
        ];
        times.push(timed(&mut arena.spice(&words))?);
    }
    println!(
        "{BATCH} nodes by --from, {BATCH_ROUNDS} rounds: {} ms",
        spread(&times, milliseconds)
    );
    Ok(())
}

fn start(arena: &Arena) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let mut command = arena.command(&arena.spice);
        times.push(timed(command.arg("version"))?);
    }
    let bytes = fs::metadata(&arena.spice)?.len();
    println!("`spice version`: {} ms", spread(&times, milliseconds));
    println!("the binary: {:.1} MiB", bytes as f64 / 1024.0 / 1024.0);
    Ok(())
}

/// Runs a process to its end and says how long it took; a failure is no measurement.
fn timed(command: &mut Command) -> Result<Duration> {
    let started = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    let took = started.elapsed();
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(took)
}

fn milliseconds(time: &Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn spread<T>(measured: &[T], number: fn(&T) -> f64) -> String {
    let mut numbers: Vec<f64> = measured.iter().map(number).collect();
    numbers.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let last = numbers.len().saturating_sub(1);
        numbers
            .get((last as f64 * part).round() as usize)
            .copied()
            .unwrap_or(f64::NAN)
    };
    format!("{:.2} / {:.2} / {:.2}", at(0.0), at(0.5), at(1.0))
}

const CFSSL_CA: &str = r#"{"CN":"cfssl","key":{"algo":"ecdsa","size":256}}"#;
const CFSSL_LEAF: &str = r#"{"CN":"leaf","key":{"algo":"ecdsa","size":256}}"#;

const OPENSSL_LEAF: &str = "subjectAltName=DNS:leaf,DNS:leaf.cluster.local,DNS:localhost\n\
                            extendedKeyUsage=serverAuth,clientAuth\n";

const OPENSSL_CA: [&str; 13] = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-subj",
    "/CN=openssl",
    "-keyout",
    "openssl-key.pem",
    "-out",
    "openssl.pem",
];
