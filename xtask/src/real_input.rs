//! `cargo xtask real-input`: data that nobody made up, through the command line as a user would, and back out again equal.

use std::fmt::Write;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::Result;
use crate::cargo::{build_release, cargo, output, root};
use crate::packages::packages;

/// Imports, lists, exports, imports again and compares; writes what it did to `docs/real-input.md`.
pub(crate) fn real_input() -> Result {
    crate::setup::setup()?;
    let [binary] = build_release([("dataknobs-kv-cli", "dataknobs-kv")], &[])?;
    let folder = std::env::temp_dir().join(format!("dataknobs-kv-real-input-{}", std::process::id()));
    fs::create_dir(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    let mut session = Session { binary, folder, transcript: String::new() };
    let done = session.play();
    let removed = fs::remove_dir_all(&session.folder);
    done?;
    removed.map_err(|e| format!("cannot remove {}: {e}", session.folder.display()))?;
    let document = root().join("docs/real-input.md");
    fs::write(&document, session.document()).map_err(|e| format!("cannot write {}: {e}", document.display()))?;
    eprintln!("written: {}", document.display());
    Ok(())
}

/// A terminal in a folder of its own, and what it showed.
struct Session {
    binary: PathBuf,
    folder: PathBuf,
    transcript: String,
}

impl Session {
    fn play(&mut self) -> Result {
        let crates = output(&mut cargo(["metadata", "--format-version", "1"]))?;
        self.write("crates.json", &crates)?;
        let (packages, source) = packages()?;
        let names = packages.len();
        let packages = Value::from(packages);
        self.write("packages.json", packages.to_string().as_bytes())?;
        self.say(&format!("# crates.json: cargo metadata --format-version 1 ({} KB)", crates.len() / 1000));
        self.say(&format!("# packages.json: {source}, {names} packages ({} KB)", packages.to_string().len() / 1000));
        self.say("");

        self.run(
            "cargo metadata --format-version 1 | ",
            "import --format json --prefix crates -",
            Some("crates.json"),
            None,
        )?;
        self.kv("import --format json --prefix packages packages.json", None)?;
        self.kv("count '**'", None)?;
        self.kv("keys 'crates.*'", None)?;
        self.kv("keys 'packages.bash*.version'", None)?;
        self.kv("get packages.bash.depends", None)?;
        self.kv("count 'packages.*.{size,installed_size}'", None)?;

        self.kv("export --format json --prefix crates", Some("crates-back.json"))?;
        self.kv("export --format json --prefix packages", Some("packages-back.json"))?;
        self.same_json("crates.json", "crates-back.json")?;
        self.same_json("packages.json", "packages-back.json")?;

        self.kv("export --format jsonl", Some("all.jsonl"))?;
        self.kv("--store file:again.redb import --format jsonl all.jsonl", None)?;
        self.kv("--store file:again.redb export --format jsonl", Some("all-again.jsonl"))?;
        self.same_entries("all.jsonl", "all-again.jsonl")
    }

    fn kv(&mut self, line: &str, into: Option<&str>) -> Result {
        self.run("", line, None, into)
    }

    /// Runs `dataknobs-kv LINE`, shows what it says, and how long it took. A quoted word loses its quotes; what `source`
    /// would pipe into it was written to `from`.
    fn run(&mut self, source: &str, line: &str, from: Option<&str>, into: Option<&str>) -> Result {
        let redirect = into.map(|file| format!(" > {file}")).unwrap_or_default();
        self.say(&format!("$ {source}dataknobs-kv {line}{redirect}"));
        let mut command = Command::new(&self.binary);
        command.args(line.split(' ').map(|word| word.trim_matches('\''))).current_dir(&self.folder);
        command.env("DATAKNOBS_KV_STORE", "file:real.redb").stdin(Stdio::null());
        if let Some(file) = from {
            let path = self.folder.join(file);
            command.stdin(File::open(&path).map_err(|e| format!("cannot open {}: {e}", path.display()))?);
        }
        if let Some(file) = into {
            let path = self.folder.join(file);
            command.stdout(File::create(&path).map_err(|e| format!("cannot create {}: {e}", path.display()))?);
        }
        let began = Instant::now();
        let output = command.output().map_err(|e| format!("cannot start {}: {e}", self.binary.display()))?;
        let took = began.elapsed();
        for said in [&output.stdout, &output.stderr] {
            self.say_lines(&String::from_utf8_lossy(said));
        }
        self.say(&format!("# {:.2} s", took.as_secs_f64()));
        self.say("");
        if output.status.success() { Ok(()) } else { Err(format!("`dataknobs-kv {line}` failed ({})", output.status)) }
    }

    fn same_json(&mut self, one: &str, other: &str) -> Result {
        let same = self.json(one)? == self.json(other)?;
        self.compared(one, other, "the same JSON", same)
    }

    /// Equal line by line but for what is new by nature: versions, which name a state of one store, and the times of
    /// writing.
    fn same_entries(&mut self, one: &str, other: &str) -> Result {
        let (these, those) = (self.read(one)?, self.read(other)?);
        let (these, those) = (String::from_utf8_lossy(&these), String::from_utf8_lossy(&those));
        let same = these.lines().count() == those.lines().count()
            && these.lines().zip(those.lines()).all(|(this, that)| match (entry(this), entry(that)) {
                (Some(this), Some(that)) => this == that,
                _ => false,
            });
        self.compared(one, other, "the same entries", same)
    }

    fn compared(&mut self, one: &str, other: &str, how: &str, same: bool) -> Result {
        self.say(&format!("# {one} and {other}: {}{how}", if same { "" } else { "NOT " }));
        self.say("");
        if same { Ok(()) } else { Err(format!("{one} and {other} are not {how}")) }
    }

    fn json(&self, file: &str) -> Result<Value> {
        serde_json::from_slice(&self.read(file)?).map_err(|e| format!("{file} is not JSON: {e}"))
    }

    fn read(&self, file: &str) -> Result<Vec<u8>> {
        fs::read(self.folder.join(file)).map_err(|e| format!("cannot read {file}: {e}"))
    }

    fn write(&self, file: &str, bytes: &[u8]) -> Result {
        fs::write(self.folder.join(file), bytes).map_err(|e| format!("cannot write {file}: {e}"))
    }

    fn say(&mut self, line: &str) {
        println!("{line}");
        self.transcript.push_str(line);
        self.transcript.push('\n');
    }

    /// The first lines and the last; long ones are cut, and paths of this machine left out.
    fn say_lines(&mut self, text: &str) {
        const SHOWN: usize = 12;
        let here = self.folder.to_string_lossy().into_owned();
        let project = root().to_string_lossy().into_owned();
        let lines: Vec<&str> = text.lines().collect();
        for line in lines.iter().take(SHOWN) {
            let line = line.replace(&here, ".").replace(&project, "…");
            let cut = if line.chars().count() > 150 { line.chars().take(149).chain(['…']).collect() } else { line };
            self.say(&cut);
        }
        if lines.len() > SHOWN {
            self.say(&format!("… {} more lines", lines.len() - SHOWN));
        }
    }

    fn document(&self) -> String {
        let mut text = String::from(
            "# Real input\n\nThe dependency graph of this project and the package list of a Debian, through the command \
             line into a redb file,\nand out again equal. `cargo xtask real-input` does it anew and writes this page.\n\n",
        );
        let _ = writeln!(text, "```console\n{}```", self.transcript.trim_end_matches('\n').to_owned() + "\n");
        text
    }
}

/// A line of an export, without version and times of writing; none where it is no such line.
fn entry(line: &str) -> Option<Value> {
    let mut entry: Value = serde_json::from_str(line).ok()?;
    let fields = entry.as_object_mut()?;
    for field in ["version", "created_at", "updated_at"] {
        fields.remove(field)?;
    }
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_is_cut_and_paths_are_hidden() {
        let folder = PathBuf::from("/tmp/somewhere");
        let mut session = Session { binary: PathBuf::new(), folder, transcript: String::new() };
        let long = "x".repeat(200);
        session.say_lines(&format!("/tmp/somewhere/real.redb\n{long}\n{}", "y\n".repeat(20)));
        let lines: Vec<&str> = session.transcript.lines().collect();
        assert_eq!(lines[0], "./real.redb");
        assert_eq!(lines[1].chars().count(), 150);
        assert_eq!(lines.last(), Some(&"… 10 more lines"));
    }
}
