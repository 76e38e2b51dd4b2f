use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cluster_test::tpch::Query;

use crate::figures::{Figures, ratios};
use crate::systems::Systems;

/// What each system took for each query, round by round.
#[derive(Default)]
struct Times {
    reference: Vec<Duration>,
    mutual: Vec<Duration>,
    insecure: Vec<Duration>,
}

/// The queries on all systems in turn, after one round that is not counted.
pub(crate) async fn measure(systems: &mut Systems, queries: &[Query], rounds: usize) -> Result<()> {
    let mut times: Vec<Times> = queries.iter().map(|_| Times::default()).collect();
    for round in 0..=rounds {
        for (query, times) in queries.iter().zip(&mut times) {
            let measured = one(systems, query).await;
            let measured = measured.with_context(|| format!("query {}", query.number))?;
            if round > 0 {
                times.reference.push(measured[0]);
                times.mutual.push(measured[1]);
                times.insecure.push(measured[2]);
            }
        }
    }
    println!("\nTPC-H, best of {rounds} rounds, ms");
    println!(
        "  {:>5} {:>11} {:>12} {:>9} {:>16} {:>14}",
        "query", "DataFusion", "mutual TLS", "insecure", "TLS/DataFusion", "TLS/insecure"
    );
    for (query, times) in queries.iter().zip(&times) {
        show_query(query, times);
    }
    show_sums(&times, rounds);
    Ok(())
}

async fn one(systems: &mut Systems, query: &Query) -> Result<[Duration; 3]> {
    let started = Instant::now();
    systems.reference.sql(&query.sql).await?.collect().await?;
    let reference = started.elapsed();
    let started = Instant::now();
    systems.mutual.client.query(&query.sql).await?;
    let mutual = started.elapsed();
    let started = Instant::now();
    systems.insecure.client.query(&query.sql).await?;
    Ok([reference, mutual, started.elapsed()])
}

fn show_query(query: &Query, times: &Times) {
    let [reference, mutual, insecure] =
        [&times.reference, &times.mutual, &times.insecure].map(|it| Figures::new(it).minimum());
    println!(
        "  {:>5} {reference:>11.0} {mutual:>12.0} {insecure:>9.0} {:>16.2} {:>14.2}",
        query.number,
        mutual / reference,
        mutual / insecure
    );
}

/// The sum over all queries: of the best times, and per round with the spread.
fn show_sums(times: &[Times], rounds: usize) {
    let best = |pick: fn(&Times) -> &Vec<Duration>| -> f64 {
        times
            .iter()
            .map(|it| Figures::new(pick(it)).minimum())
            .sum()
    };
    let per_round = |pick: fn(&Times) -> &Vec<Duration>| -> Vec<Duration> {
        (0..rounds)
            .map(|round| times.iter().filter_map(|it| pick(it).get(round)).sum())
            .collect()
    };
    let reference = per_round(|it| &it.reference);
    let mutual = per_round(|it| &it.mutual);
    let insecure = per_round(|it| &it.insecure);
    let best_reference = best(|it| &it.reference);
    let best_mutual = best(|it| &it.mutual);
    let best_insecure = best(|it| &it.insecure);
    println!("\nsum of the best times, s");
    println!(
        "  DataFusion {:.2}, mutual TLS {:.2} ({:.2} times), insecure {:.2}; mutual TLS is {:.2} times insecure",
        best_reference / 1000.0,
        best_mutual / 1000.0,
        best_mutual / best_reference,
        best_insecure / 1000.0,
        best_mutual / best_insecure
    );
    println!("\nsum of each round, s (minimum / median / maximum)");
    show_spread("DataFusion", &Figures::new(&reference));
    show_spread("mutual TLS", &Figures::new(&mutual));
    show_spread("insecure", &Figures::new(&insecure));
    let show_ratio = |name: &str, figures: &Figures| {
        println!(
            "  {name:<24} {:>6.2} / {:>5.2} / {:>5.2}",
            figures.minimum(),
            figures.median(),
            figures.maximum()
        );
    };
    println!("\nratio of each round (minimum / median / maximum)");
    show_ratio("mutual TLS / DataFusion", &ratios(&mutual, &reference));
    show_ratio("mutual TLS / insecure", &ratios(&mutual, &insecure));
}

fn show_spread(name: &str, figures: &Figures) {
    println!(
        "  {name:<24} {:>6.2} / {:>5.2} / {:>5.2}",
        figures.minimum() / 1000.0,
        figures.median() / 1000.0,
        figures.maximum() / 1000.0
    );
}
