//! `cargo xtask bench --state`: what it costs a scheduler to look at the others.
//!
//! A look reads the document of the cluster and lists the heartbeats, which each member has. It is
//! what one scheduler does every five seconds, so its time is measured as the scheduler itself
//! tells it, with one, ten and a hundred members, in a directory and in an S3-compatible server on
//! the same machine. That server is a Python program: the time is mostly its own.
#![expect(
    clippy::print_stdout,
    reason = "this is a command line program: printing is its output"
)]

mod members;

use std::time::Duration;

use anyhow::Result;
use cluster_scheduler::{S3Keys, S3Location, StateLocation};
use cluster_test::S3Server;

fn main() -> Result<()> {
    let looks = if std::env::args().any(|argument| argument == "--quick") {
        QUICK_LOOKS
    } else {
        LOOKS
    };
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(measure(looks))
}

async fn measure(looks: usize) -> Result<()> {
    println!("a look at the other schedulers, ms over {looks} looks");
    println!("state       members     min  median     90%     max");
    let directory = tempfile::tempdir()?;
    for count in MEMBERS {
        let location = || StateLocation::Directory(directory.path().join(count.to_string()));
        show(
            "directory",
            count,
            &members::looks(count, looks, &location).await?,
        );
    }
    let server = S3Server::start().await?;
    for count in MEMBERS {
        let location = || in_bucket(&server, count);
        show(
            "s3 server",
            count,
            &members::looks(count, looks, &location).await?,
        );
    }
    Ok(())
}

fn show(state: &str, count: usize, looks: &[Duration]) {
    let mut sorted: Vec<f64> = looks.iter().map(|it| it.as_secs_f64() * 1000.0).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len() - 1;
    let [min, median, most, max] = [0, last / 2, last * 9 / 10, last].map(|at| sorted[at]);
    println!("{state:10} {count:8} {min:7.2} {median:7.2} {most:7.2} {max:7.2}");
}

fn in_bucket(server: &S3Server, count: usize) -> StateLocation {
    let keys = server.credentials();
    StateLocation::S3(S3Location {
        bucket: S3Server::BUCKET.to_owned(),
        prefix: count.to_string(),
        endpoint: Some(server.endpoint()),
        region: None,
        keys: Some(S3Keys {
            key: keys.access_key_id.clone().into(),
            secret: keys.secret_access_key.clone().into(),
            session_token: None,
        }),
        allow_http: true,
    })
}

const MEMBERS: [usize; 3] = [1, 10, 100];
const QUICK_LOOKS: usize = 10;
const LOOKS: usize = 60;
