//! `import`: reading on one thread, a few batches of writing at a time.

mod source;

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use dataknobs_kv::{Error, Expiry, KvStore, Precondition, SetResult, key};
use futures::stream::{FuturesOrdered, StreamExt};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::source::{Batch, Source};
use super::Context;
use super::export::{Arrays, Format, format_of};
use super::progress::Progress;
use crate::exit::{self, Failure, Outcome};
use crate::output::{Output, say};

/// Batches that are being written at one time.
const IN_FLIGHT: usize = 8;

#[derive(Args)]
pub(crate) struct Import {
    /// The file; - reads stdin
    #[arg(default_value = "-", value_name = "PATH")]
    file: PathBuf,
    /// json: one nested document, whose names become keys; jsonl: one entry a line, as `export` writes them
    #[arg(long, short, value_enum, help = "The form of the input; told by the file's ending where it is not given")]
    format: Option<Format>,
    /// Puts all keys below this one
    #[arg(long, short, value_name = "KEY")]
    prefix: Option<String>,
    /// With json: whether arrays stay whole, or their elements become entries numbered from 0
    #[arg(long, value_enum, default_value_t)]
    arrays: Arrays,
    /// What happens to keys that are there already
    #[arg(long, value_enum, default_value_t)]
    on_conflict: OnConflict,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum OnConflict {
    /// They are set again
    #[default]
    Overwrite,
    /// They stay as they are
    Skip,
    /// The import ends; what was written before stays
    Fail,
}

/// What the import did.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Summary {
    written: u64,
    skipped: u64,
    expired: u64,
}

impl Import {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let format = format_of(self.format, &self.file)?;
        if self.arrays == Arrays::Flatten && format == Format::Jsonl {
            return Err(Failure::usage("--arrays goes with --format json"));
        }
        if let Some(prefix) = &self.prefix {
            key::validate(prefix)?;
        }
        let length = std::fs::metadata(&self.file).ok().filter(|file| file.is_file()).map(|file| file.len());
        let source = Source {
            path: self.file,
            format,
            prefix: self.prefix,
            arrays: self.arrays == Arrays::Flatten,
            precondition: match self.on_conflict {
                OnConflict::Overwrite => Precondition::None,
                OnConflict::Skip | OnConflict::Fail => Precondition::Absent,
            },
            in_flight: IN_FLIGHT,
        };
        let (sender, batches) = mpsc::channel(IN_FLIGHT);
        let reader = tokio::task::spawn_blocking(move || source.read(&sender));

        let start = Instant::now();
        let mut writer = Writer {
            context,
            fail: self.on_conflict == OnConflict::Fail,
            summary: Summary::default(),
            progress: Progress::new(length),
            position: 0,
        };
        let outcome = writer.run(batches).await;
        let Writer { summary, progress, .. } = writer;
        drop(progress);
        // The writer's end closes the channel, and that ends the reader.
        let read = reader.await.map_err(|error| Error::Internal(format!("reading: {error}")))?;
        report(context, summary, start, outcome.is_err() || read.is_err())?;
        outcome?;
        read?;
        Ok(exit::OK)
    }
}

fn report(context: &Context, summary: Summary, start: Instant, failed: bool) -> Result<(), Failure> {
    if context.json && !failed {
        let mut out = Output::new();
        out.json(&summary)?;
        return out.finish();
    }
    let seconds = start.elapsed().as_secs_f64();
    let mut text = format!("{} entries written in {seconds:.1} s", summary.written);
    if summary.skipped > 0 {
        text += &format!(", {} already there", summary.skipped);
    }
    if summary.expired > 0 {
        text += &format!(", {} expired", summary.expired);
    }
    if failed {
        text += ", then the import failed";
    }
    say(text);
    Ok(())
}

struct Writer<'a> {
    context: &'a Context,
    fail: bool,
    summary: Summary,
    progress: Progress,
    position: u64,
}

/// What became of one batch.
type Written = JoinHandle<Result<(Summary, u64), Failure>>;

impl Writer<'_> {
    async fn run(&mut self, mut batches: mpsc::Receiver<Batch>) -> Result<(), Failure> {
        let mut writing: FuturesOrdered<Written> = FuturesOrdered::new();
        let mut outcome = Ok(());
        while let Some(batch) = batches.recv().await {
            let most = if batch.barrier { 0 } else { IN_FLIGHT - 1 };
            while writing.len() > most
                && outcome.is_ok()
                && let Some(done) = writing.next().await
            {
                outcome = self.count(done);
            }
            if outcome.is_err() {
                break;
            }
            let store = match &batch.namespace {
                Some(namespace) => self.context.store.namespace(namespace)?,
                None => self.context.store.clone(),
            };
            writing.push_back(tokio::spawn(write(store, batch, self.fail)));
        }
        drop(batches);
        // After a failure too: what is under way is waited for and counted.
        while let Some(done) = writing.next().await {
            let counted = self.count(done);
            outcome = outcome.and(counted);
        }
        outcome
    }

    fn count(&mut self, done: Result<Result<(Summary, u64), Failure>, tokio::task::JoinError>) -> Result<(), Failure> {
        let (summary, position) = done.map_err(|error| Error::Internal(format!("writing: {error}")))??;
        self.summary.written += summary.written;
        self.summary.skipped += summary.skipped;
        self.summary.expired += summary.expired;
        self.position = self.position.max(position);
        self.progress.update(self.summary.written, self.position);
        Ok(())
    }
}

async fn write(store: KvStore, batch: Batch, fail: bool) -> Result<(Summary, u64), Failure> {
    let mut summary = Summary::default();
    let now = store.clock().now();
    let past = |expiry: &Expiry| matches!(expiry, Expiry::At(at) if *at <= now);
    let (expired, items): (Vec<_>, Vec<_>) = batch.items.into_iter().partition(|item| past(&item.options.expiry));
    summary.expired = expired.len() as u64;
    let keys: Vec<String> = items.iter().map(|item| item.key.clone()).collect();
    for (key, result) in keys.iter().zip(store.set_items(items).await?) {
        match result {
            Ok(SetResult::Written(_)) => summary.written += 1,
            Ok(SetResult::Conflict(_)) if fail => {
                return Err(Failure::Code(exit::CONFLICT, format!("the entry {key:?} is already there")));
            }
            Ok(SetResult::Conflict(_)) => summary.skipped += 1,
            Err(error) => {
                say(format_args!("dataknobs-kv: {key:?} was not written"));
                return Err(error.into());
            }
        }
    }
    Ok((summary, batch.position))
}
