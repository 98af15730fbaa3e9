//! What clients asked of a store and what they were told, and whether one order of it all explains it.
//!
//! Each process records into a file of its own; their clock is one. `tests/history/porcupine` is the checker, in Go, and
//! says what is told of each operation.
//!
//! ```no_run
//! use dataknobs_kv_services::history::{Action, Asked, Checker, History, Outcome, Verdict, now};
//!
//! let folder = std::env::temp_dir();
//! let history = History::create(&folder.join("history.jsonl"))?;
//! let call = now();
//! // … set, and then, with what it answered:
//! let asked = Asked { client: 0, key: "key", action: Action::Set { value: "1" }, expires: None, call };
//! history.record(asked, Outcome::Wrote { version: "v1" })?;
//! drop(history);
//! let checked = Checker::build().expect("Go").check(&[folder.join("history.jsonl")])?;
//! assert_eq!(checked.verdict, Verdict::Linearizable, "{}", checked.report);
//! # Ok::<(), String>(())
//! ```

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::install::{client, once, quietly};
use crate::{Missing, Result};

/// What a client asked for. Values are unlike each other, so that each names its writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// The entry.
    Get,
    /// A write under no condition.
    Set {
        /// What is written.
        value: &'a str,
    },
    /// A write if there is no entry.
    Create {
        /// What is written.
        value: &'a str,
    },
    /// A write if the entry has this version.
    Cas {
        /// The version.
        expected: &'a str,
        /// What is written.
        value: &'a str,
    },
    /// A write if the entry has this value.
    Swap {
        /// The value; none: if there is no entry.
        expected: Option<&'a str>,
        /// What is written.
        value: &'a str,
    },
    /// So much more; of what is absent, from 0.
    Increment {
        /// How much.
        delta: i64,
    },
    /// No entry any more.
    Delete {
        /// Only if it has this version.
        expected: Option<&'a str>,
    },
}

/// An operation as a client asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Who. Each client does one thing at a time.
    pub client: u32,
    /// Of which entry.
    pub key: &'a str,
    /// What.
    pub action: Action<'a>,
    /// When what is written expires, as [`now`] will be then; none: never, and an increment leaves what there is.
    pub expires: Option<u64>,
    /// When, by [`now`].
    pub call: u64,
}

/// What it was told. Of what was refused with nothing applied there is nothing to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// A get found this.
    Read {
        /// The value.
        value: &'a str,
        /// Its version.
        version: &'a str,
    },
    /// A set, create, CAS or swap wrote.
    Wrote {
        /// The new version.
        version: &'a str,
    },
    /// An increment made this.
    Counted {
        /// The new number.
        value: i64,
        /// The new version; empty where it was not told.
        version: &'a str,
    },
    /// A delete found something.
    Deleted,
    /// A get or delete found nothing.
    Absent,
    /// The condition did not hold. A state that came with it is a get of its own.
    Conflict,
    /// No answer: it may take effect at any time after its call, or never.
    Unknown,
}

/// A file of operations.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    file: Mutex<BufWriter<File>>,
}

impl History {
    /// A new file.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|e| format!("cannot create {}: {e}", path.display()))?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(BufWriter::new(file)) })
    }

    /// An operation that has returned now.
    pub fn record(&self, asked: Asked<'_>, outcome: Outcome<'_>) -> Result {
        self.line(&line(asked, now(), outcome))
    }

    /// A lost race that came with the state which was in the way (none: absent by then): the operation, and a read that
    /// happened meanwhile. It has returned now.
    pub fn conflict(&self, asked: Asked<'_>, in_the_way: Outcome<'_>) -> Result {
        let back = now();
        let read = Asked { action: Action::Get, expires: None, ..asked };
        self.line(&(line(asked, back, Outcome::Conflict) + &line(read, back, in_the_way)))
    }

    /// At once for whoever reads: a process that records may be killed.
    fn line(&self, line: &str) -> Result {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(line.as_bytes()).and_then(|()| file.flush());
        written.map_err(|e| format!("cannot write {}: {e}", self.path.display()))
    }
}

fn line(asked: Asked<'_>, back: u64, outcome: Outcome<'_>) -> String {
    let Asked { client, key, action, expires, call } = asked;
    let mut text = format!(r#"{{"client":{client},"key":{},"call":{call}"#, json(key));
    let mut field = |name: &str, value: &str| _ = write!(text, r#","{name}":{}"#, json(value));
    match action {
        Action::Get => field("op", "get"),
        Action::Set { value } => {
            field("op", "set");
            field("value", value);
        }
        Action::Create { value } => {
            field("op", "create");
            field("value", value);
        }
        Action::Cas { expected, value } => {
            field("op", "cas");
            field("expected", expected);
            field("value", value);
        }
        Action::Swap { expected, value } => {
            field("op", "swap");
            field("expected", expected.unwrap_or_default());
            field("value", value);
        }
        Action::Increment { .. } => field("op", "increment"),
        Action::Delete { expected } => {
            field("op", "delete");
            field("expected", expected.unwrap_or_default());
        }
    }
    match outcome {
        Outcome::Read { value, version } => {
            field("outcome", "ok");
            field("seen", value);
            field("version", version);
        }
        Outcome::Wrote { version } => {
            field("outcome", "ok");
            field("version", version);
        }
        Outcome::Counted { value, version } => {
            field("outcome", "ok");
            field("seen", &value.to_string());
            field("version", version);
        }
        Outcome::Deleted => field("outcome", "ok"),
        Outcome::Absent => field("outcome", "absent"),
        Outcome::Conflict => field("outcome", "conflict"),
        Outcome::Unknown => field("outcome", "unknown"),
    }
    if let Action::Increment { delta } = action {
        let _ = write!(text, r#","delta":{delta}"#);
    }
    if let Some(expires) = expires {
        let _ = write!(text, r#","expires":{expires}"#);
    }
    let _ = write!(text, r#","return":{back}"#);
    text + "}\n"
}

/// A JSON string.
fn json(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\0'..=' ' if character != ' ' => _ = write!(quoted, "\\u{:04x}", u32::from(character)),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// Nanoseconds of a clock that never goes back and is one for all processes of this machine.
pub fn now() -> u64 {
    #[cfg(unix)]
    let (seconds, nanoseconds) = {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        (time.tv_sec, time.tv_nsec)
    };
    // Of one process alone: servers are started on Unix alone.
    #[cfg(not(unix))]
    let (seconds, nanoseconds) = {
        static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let elapsed = BEGAN.get_or_init(std::time::Instant::now).elapsed();
        (elapsed.as_secs(), elapsed.subsec_nanos())
    };
    u64::try_from(seconds).unwrap_or(0) * 1_000_000_000 + u64::try_from(nanoseconds).unwrap_or(0)
}

/// By how much the instant of an expiry may be another by [`now`] than by a server's clock: both are clocks of this
/// machine, looked at one after the other, and the one counts milliseconds.
const SLACK: Duration = Duration::from_millis(5);

/// The built checker.
#[derive(Clone, Debug)]
pub struct Checker(PathBuf);

/// What the checker found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every key's history has an order that explains it.
    Linearizable,
    /// A key's history has none.
    NotLinearizable,
    /// The time was too short to tell.
    Undecided,
}

/// A verdict, and how it was found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Over all keys.
    pub verdict: Verdict,
    /// A line for each key that is not well, with the drawing of it, and one for all.
    pub report: String,
}

impl Checker {
    /// Builds it by Go, if it was not built from these sources before.
    pub fn build() -> Result<Self, Missing> {
        build().map(Self).map_err(|reason| Missing::new("porcupine", format!("no linearizability checker: {reason}")))
    }

    /// Looks at these files as one history, a minute at each key. A drawing of each key that fails is left beside the
    /// first file.
    pub fn check(&self, files: &[PathBuf]) -> Result<Checked> {
        let drawings = files.first().and_then(|file| file.parent()).ok_or("no file to check")?;
        let mut command = Command::new(&self.0);
        command.arg("-slack").arg(SLACK.as_nanos().to_string()).arg("-html").arg(drawings).args(files);
        let output = command.output().map_err(|e| format!("cannot start {}: {e}", self.0.display()))?;
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        let verdict = match output.status.code() {
            Some(0) => Verdict::Linearizable,
            Some(1) => Verdict::NotLinearizable,
            Some(2) => Verdict::Undecided,
            _ => return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        };
        Ok(Checked { verdict, report })
    }
}

fn build() -> Result<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("history").join("porcupine");
    let mut hasher = DefaultHasher::new();
    for name in ["go.mod", "go.sum", "main.go", "model.go"] {
        let file = sources.join(name);
        fs::read(&file).map_err(|e| format!("cannot read {}: {e}", file.display()))?.hash(&mut hasher);
    }
    let folder = once(&format!("history-{:016x}", hasher.finish()), |folder| {
        let mut go = Command::new(client("go", "golang-go")?);
        go.current_dir(&sources).env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local").env("GOWORK", "off");
        go.env_remove("GOFLAGS").args(["build", "-o"]).arg(folder.join("history")).arg(".");
        quietly(&mut go).map(drop)
    })?;
    Ok(folder.join("history"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_json() {
        let action = Action::Increment { delta: -5 };
        let asked = Asked { client: 7, key: "a\"\n\\ é", action, expires: Some(5), call: 1 };
        let outcome = Outcome::Counted { value: -3, version: "v" };
        assert_eq!(
            line(asked, 2, outcome),
            "{\"client\":7,\"key\":\"a\\\"\\u000a\\\\ é\",\"call\":1,\"op\":\"increment\",\"outcome\":\"ok\",\
             \"seen\":\"-3\",\"version\":\"v\",\"delta\":-5,\"expires\":5,\"return\":2}\n"
        );
    }

    #[test]
    fn time_goes_on() {
        let (first, second) = (now(), now());
        assert!(0 < first && first <= second);
    }
}
