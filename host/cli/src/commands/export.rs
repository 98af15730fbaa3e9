//! `export`

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use dataknobs_kv::{Entry, Error, Value, below, key};
use dataknobs_kv_core::wire;
use futures::TryStreamExt;
use futures::stream::{self, BoxStream, StreamExt};
use serde::{Deserialize, Serialize};

use super::Context;
use super::progress::Progress;
use crate::exit::{self, Failure, Outcome};
use crate::json::{ArrayNest, Nest};
use crate::output::Output;

#[derive(Args)]
pub(crate) struct Export {
    /// Which entries
    #[arg(default_value = "**")]
    pattern: String,
    /// json: one nested document; jsonl: one entry a line, with type, metadata and times
    #[arg(long, short, value_enum, help = "The form of the output; told by the file's ending where it is not given")]
    format: Option<Format>,
    /// Writes to this file, which appears when it is complete; - is stdout
    #[arg(long, short, value_name = "PATH", default_value = "-")]
    output: PathBuf,
    /// Only this key and what lies below it, and takes it off the keys
    #[arg(long, short, value_name = "KEY", conflicts_with = "pattern")]
    prefix: Option<String>,
    /// With json: `flatten` is the other side of import's: objects numbered 0, 1, 2, … become arrays again
    #[arg(long, value_enum, default_value_t)]
    arrays: Arrays,
    /// With jsonl: every namespace, each after a line that names it
    #[arg(long, short, conflicts_with_all = ["prefix", "pattern"])]
    all_namespaces: bool,
}

/// The form of exports and imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One nested document
    Json,
    /// One entry a line
    Jsonl,
}

/// How arrays are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Arrays {
    /// Each is one JSON value
    #[default]
    Keep,
    /// Their elements are entries, numbered from 0
    Flatten,
}

/// A line that says in which namespace the following ones are.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamespaceLine {
    pub(super) namespace: String,
}

/// The format given, or the one that the file's ending tells.
pub(super) fn format_of(given: Option<Format>, path: &Path) -> Result<Format, Failure> {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    match (given, ending.as_deref()) {
        (Some(format), _) => Ok(format),
        (None, Some("json")) => Ok(Format::Json),
        (None, Some("jsonl" | "ndjson")) => Ok(Format::Jsonl),
        (None, _) => Err(Failure::usage("which format? --format json or --format jsonl")),
    }
}

impl Export {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let format = format_of(self.format, &self.output)?;
        match format {
            Format::Json if self.all_namespaces => {
                return Err(Failure::usage("--all-namespaces goes with --format jsonl"));
            }
            Format::Jsonl if self.arrays == Arrays::Flatten => {
                return Err(Failure::usage("--arrays goes with --format json"));
            }
            _ => {}
        }
        if let Some(prefix) = &self.prefix {
            key::validate(prefix)?;
        }
        let mut target = Target::open(&self.output)?;
        let progress = Progress::new(None);
        match format {
            Format::Json => self.json(context, &mut target, &progress).await?,
            Format::Jsonl => self.lines(context, &mut target, &progress).await?,
        }
        drop(progress);
        target.finish()?;
        Ok(exit::OK)
    }

    /// The entries that are meant, in key order, the prefix taken off; the prefix's own has the empty key.
    async fn entries(&self, context: &Context) -> Result<BoxStream<'static, Result<Entry, Error>>, Failure> {
        let Some(prefix) = &self.prefix else {
            return Ok(context.store.entries(&self.pattern).with_values().stream());
        };
        let own = context.store.entry(prefix).await?;
        let own = own.map(|state| Ok(Entry { key: String::new(), state: Some(state) }));
        let skip = prefix.len() + 1;
        let cut = move |mut entry: Entry| {
            entry.key.drain(..skip);
            entry
        };
        Ok(stream::iter(own).chain(context.store.entries(below(prefix)).with_values().stream().map_ok(cut)).boxed())
    }

    async fn json(&self, context: &Context, target: &mut Target, progress: &Progress) -> Result<(), Failure> {
        let mut entries = self.entries(context).await?;
        let mut count = 0;
        let mut step = || {
            count += 1;
            progress.update(count, 0);
        };
        if self.arrays == Arrays::Flatten {
            let mut nest = ArrayNest::default();
            while let Some(entry) = entries.try_next().await? {
                step();
                let (key, value) = leaf(entry)?;
                nest.entry(&key, value)?;
            }
            return nest.finish(target).map_err(Failure::from);
        }
        let mut nest = Nest::new(target);
        while let Some(entry) = entries.try_next().await? {
            step();
            let (key, value) = leaf(entry)?;
            nest.entry(&key, value)?;
        }
        nest.finish()?;
        Ok(())
    }

    async fn lines(&self, context: &Context, target: &mut Target, progress: &Progress) -> Result<(), Failure> {
        let mut count = 0;
        let mut line = |target: &mut Target, text: String| -> Result<(), Failure> {
            target.write_all(text.as_bytes())?;
            target.write_all(b"\n")?;
            count += 1;
            progress.update(count, 0);
            Ok(())
        };
        if self.all_namespaces {
            let mut dump = context.store.dump();
            let mut at = None;
            while let Some((namespace, entry)) = dump.try_next().await? {
                if at.as_deref() != Some(namespace.as_str()) {
                    line(target, wire::to_json(&NamespaceLine { namespace: namespace.clone() })?)?;
                    at = Some(namespace);
                }
                line(target, wire::to_json(&wire::Entry::new(entry.key, entry.state)?)?)?;
            }
            return Ok(());
        }
        let mut entries = self.entries(context).await?;
        while let Some(entry) = entries.try_next().await? {
            if entry.key.is_empty() {
                return Err(Failure::usage(
                    "the prefix itself has a value, and a line cannot be without a key: leave --prefix out and give a pattern",
                ));
            }
            line(target, wire::to_json(&wire::Entry::new(entry.key, entry.state)?)?)?;
        }
        Ok(())
    }
}

/// An entry's key, and its value as JSON text.
fn leaf(entry: Entry) -> Result<(String, String), Failure> {
    let key = entry.key;
    let value = match entry.state {
        Some(state) => state.into_value()?,
        None => None,
    };
    let value = value.ok_or_else(|| Error::Internal(format!("{key:?} was listed without its value")))?;
    match (value.to_json(), value) {
        (Some(text), _) => Ok((key, text)),
        (None, Value::Custom { type_name, .. }) => Err(Error::Unsupported(format!(
            "{key:?} holds custom:{type_name}, which nested JSON cannot say: --format jsonl can"
        ))
        .into()),
        (None, _) => {
            Err(Error::Unsupported(format!("{key:?} holds bytes, which nested JSON cannot say: --format jsonl can"))
                .into())
        }
    }
}

/// Where an export goes: stdout, or a file that takes its name when it is complete.
enum Target {
    Stdout(Output),
    /// A pipe or device: written as it is.
    Direct(BufWriter<std::fs::File>),
    File {
        temporary: PathBuf,
        path: PathBuf,
        out: BufWriter<std::fs::File>,
        done: bool,
    },
}

impl Target {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Target::Stdout(Output::new()));
        }
        let failed = |error| Failure::Io(path.display().to_string(), error);
        if std::fs::metadata(path).is_ok_and(|file| !file.is_file()) {
            let file = std::fs::File::options().write(true).open(path).map_err(failed)?;
            return Ok(Target::Direct(BufWriter::new(file)));
        }
        let mut name = path.file_name().ok_or_else(|| Failure::usage("--output names no file"))?.to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = std::fs::File::create_new(&temporary).map_err(failed)?;
        Ok(Target::File {
            temporary,
            path: path.to_owned(),
            out: BufWriter::with_capacity(256 << 10, file),
            done: false,
        })
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.flush()?;
        if let Target::File { temporary, path, out, done } = self {
            out.get_ref().sync_all()?;
            std::fs::rename(temporary, path)?;
            *done = true;
        }
        Ok(())
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Target::Stdout(out) => out.write(bytes),
            Target::Direct(out) | Target::File { out, .. } => out.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Target::Stdout(out) => Write::flush(out),
            Target::Direct(out) | Target::File { out, .. } => out.flush(),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Target::File { temporary, done: false, .. } = self {
            // Nothing more can be done about it here.
            let _ = std::fs::remove_file(temporary);
        }
    }
}
