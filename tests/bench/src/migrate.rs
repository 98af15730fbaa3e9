//! How fast the command line copies one redb file into another.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Result;
use crate::measure::median;
use crate::processes::binary;
use crate::report::{Goal, Section, digits};

const ENTRIES: usize = 300_000;
const ROUNDS: usize = 5;

pub(crate) fn measure() -> Result<Section> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    fill(folder)?;
    let (mut plain, mut verified) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let target = format!("file:target-{round}.redb");
        plain.push(rate(folder, &["migrate", "file:source.redb", &target, "--no-checkpoint"])?);
        std::fs::remove_file(folder.join(target.trim_start_matches("file:")))?;
        let checkpoint = ["--checkpoint", "checkpoint.json", "--verify"];
        verified.push(rate(folder, &[&["migrate", "file:source.redb", &target], &checkpoint[..]].concat())?);
        std::fs::remove_file(folder.join(target.trim_start_matches("file:")))?;
    }
    let row = |name: &str, rates: &[f64]| vec![name.to_owned(), digits(median(rates))];
    Ok(Section {
        title: "Migration",
        method: format!(
            "The real command, from starting it to its end, {ENTRIES} entries of 100 B, a third of them with metadata and a \
             quarter with\nan expiry, from one redb file into a new one: entries per second on the wall, median of {ROUNDS}."
        ),
        columns: vec!["", "entries per second"],
        rows: vec![row("copied", &plain), row("copied with a checkpoint, then compared", &verified)],
        goals: vec![Goal {
            aim: "redb to redb ≥ 50,000 entries per second",
            measured: Some(median(&plain)),
            limit: 50_000.0,
            at_least: true,
        }],
    })
}

/// By the import: JSON lines.
fn fill(folder: &Path) -> Result {
    let mut lines = String::new();
    let value = "v".repeat(100);
    for index in 0..ENTRIES {
        let metadata = if index % 3 == 0 { r#","metadata":{"by":"bench","tags":["a","b"]}"# } else { "" };
        let expiry = if index % 4 == 0 { r#","expires_at":4102444800123"# } else { "" };
        lines += &format!("{{\"key\":\"group{}.item{index}\",\"value\":\"{value}\"{metadata}{expiry}}}\n", index % 100);
    }
    let file = folder.join("lines.jsonl");
    std::fs::write(&file, lines)?;
    rate(folder, &["--store", "file:source.redb", "import", "lines.jsonl"])?;
    Ok(std::fs::remove_file(file)?)
}

/// Entries per second.
fn rate(folder: &Path, args: &[&str]) -> Result<f64> {
    let mut command = Command::new(binary()?);
    command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let began = Instant::now();
    let output = command.output()?;
    let took = began.elapsed();
    if !output.status.success() {
        return Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(ENTRIES as f64 / took.as_secs_f64())
}
