//! Measures dataknobs-kv against its yardsticks: `cargo xtask bench [NAME...]`.
//!
//! Machines are noisy: rivals are measured in turn, round by round, and medians and their ratios are what counts.

mod adapters;
mod component;
mod http;
mod import;
mod in_flight;
mod listing;
mod machine;
mod measure;
mod migrate;
mod processes;
mod report;
mod start_up;

use std::process::ExitCode;

/// As the command has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use report::Section;

/// Anything that keeps a measurement from being made.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Makes a measurement.
type Measure = fn() -> Result<Section>;

/// By name: what can be measured.
const MEASUREMENTS: &[(&str, Measure)] = &[
    ("component", component::measure),
    ("in-flight", in_flight::measure),
    ("start-up", start_up::measure),
    ("listing", listing::measure),
    ("import", import::measure),
    ("migrate", migrate::measure),
    ("http", http::measure),
    ("postgres", adapters::postgres),
    ("redis", adapters::redis),
    ("s3", adapters::s3),
    ("elasticsearch", adapters::elasticsearch),
];

/// Names of several.
const GROUPS: &[(&str, &[&str])] = &[("adapters", &["postgres", "redis", "s3", "elasticsearch"])];

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match names.first().map(String::as_str) {
        // This program again, as a process of its own.
        Some("child-in-flight") => in_flight::child(&names[1..]),
        Some("child-hot-key") => adapters::child(&names[1..]),
        Some("child-empty-service") => http::empty_service(),
        _ => run(&names),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(names: &[String]) -> Result {
    let of = |name: &str| GROUPS.iter().find(|(group, _)| *group == name).map(|(_, members)| *members);
    let names: Vec<&str> =
        names.iter().flat_map(|name| of(name).map_or_else(|| vec![name.as_str()], <[&str]>::to_vec)).collect();
    if let Some(unknown) = names.iter().find(|name| !MEASUREMENTS.iter().any(|(known, _)| known == *name)) {
        let known: Vec<_> = MEASUREMENTS.iter().map(|(name, _)| *name).collect();
        return Err(format!("no measurement `{unknown}`; there are {}", known.join(", ")).into());
    }
    if cfg!(debug_assertions) {
        eprintln!("bench: built without optimisation: these numbers mean nothing");
    }
    let mut sections = Vec::new();
    for (name, measure) in MEASUREMENTS {
        if names.is_empty() || names.contains(name) {
            eprintln!("bench: {name}");
            let section = measure()?;
            println!("{section}");
            sections.push(section);
        }
    }
    if names.is_empty() {
        report::write(&sections)?;
    }
    Ok(())
}
