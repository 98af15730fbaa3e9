//! How fast the command line fills a redb file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Result;
use crate::measure::median;
use crate::processes::binary;
use crate::report::{Goal, Section, digits};

const KEYS: usize = 500_000;
const ROUNDS: usize = 5;

pub(crate) fn measure() -> Result<Section> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    nested(&folder.join("nested.json"))?;
    let (mut json, mut export, mut jsonl) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (one, other) = (format!("file:json-{round}.redb"), format!("file:jsonl-{round}.redb"));
        json.push(rate(folder, &["--store", &one, "import", "--format", "json", "-"], Some("nested.json"), None)?);
        export.push(rate(folder, &["--store", &one, "export", "--format", "jsonl"], None, Some("all.jsonl"))?);
        jsonl.push(rate(folder, &["--store", &other, "import", "--format", "jsonl", "-"], Some("all.jsonl"), None)?);
        for file in [one, other] {
            std::fs::remove_file(folder.join(file.trim_start_matches("file:")))?;
        }
    }
    let slowest = median(&json).min(median(&jsonl));
    let row = |name: &str, rates: &[f64]| vec![name.to_owned(), digits(median(rates))];
    Ok(Section {
        title: "Import and export",
        method: format!(
            "The real command, from starting it to its end, {KEYS} entries of some 40 B into a new redb file and out of it: \
             keys\nper second on the wall, median of {ROUNDS}."
        ),
        columns: vec!["", "keys per second"],
        rows: vec![
            row("import of nested JSON", &json),
            row("export as JSON lines", &export),
            row("import of JSON lines", &jsonl),
        ],
        goals: vec![Goal {
            aim: "import ≥ 100,000 keys per second",
            measured: Some(slowest),
            limit: 100_000.0,
            at_least: true,
        }],
    })
}

/// Groups of ten fields, as configuration or catalogues have them.
fn nested(path: &Path) -> Result {
    let mut file = BufWriter::new(File::create(path)?);
    for item in 0..KEYS / 10 {
        write!(file, "{}\"item{item:06}\":{{", if item == 0 { "{" } else { ",\n" })?;
        for field in 0..10 {
            let comma = if field == 0 { "" } else { "," };
            write!(file, "{comma}\"field{field}\":\"value {field} of item {item}, as long as such texts are\"")?;
        }
        write!(file, "}}")?;
    }
    writeln!(file, "}}")?;
    Ok(file.flush()?)
}

/// Keys per second.
fn rate(folder: &Path, args: &[&str], from: Option<&str>, into: Option<&str>) -> Result<f64> {
    let mut command = Command::new(binary()?);
    command.args(args).current_dir(folder).stderr(Stdio::piped());
    command.stdin(from.map_or(Ok(Stdio::null()), |file| File::open(folder.join(file)).map(Stdio::from))?);
    command.stdout(into.map_or(Ok(Stdio::null()), |file| File::create(folder.join(file)).map(Stdio::from))?);
    let began = Instant::now();
    let output = command.output()?;
    let took = began.elapsed();
    if !output.status.success() {
        return Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(KEYS as f64 / took.as_secs_f64())
}
