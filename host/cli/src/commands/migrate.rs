//! `migrate`: the library does it; here are its options, the bar, and the words at the end.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use dataknobs_kv::{
    CheckpointFile, Config, Counts, Error, Keeps, KvStore, Location, MigrateEvent, MigrateOptions, MigrateReport,
    OnExisting, can_resume, key, migrate, plan_migration,
};
use dataknobs_kv_core::wire;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::sync::watch;

use super::serve::LogFormat;
use crate::args::Global;
use crate::exit::{self, Failure, Outcome};
use crate::logging;
use crate::open::{self, Target};
use crate::output::{Output, say};
use crate::time::format_instant;

#[derive(Args)]
pub(crate) struct Migrate {
    /// Where entries come from: a connection string, a service's address, or a configuration file
    #[arg(value_name = "SRC")]
    source: String,
    /// Where they go
    #[arg(value_name = "DST")]
    target: String,
    /// Only keys that match
    #[arg(long, short, default_value = "**")]
    pattern: String,
    /// What happens to keys that the target has already
    #[arg(long, value_enum, default_value_t)]
    on_existing: Existing,
    /// Where the target has no sliding expiry, such entries expire when they would now; otherwise they are not copied
    #[arg(long)]
    fix_sliding: bool,
    /// At most so many entries a second
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Compares everything afterwards; exit code 1 where something differs
    #[arg(long, conflicts_with = "dry_run")]
    verify: bool,
    /// Says what would be copied, and writes nothing
    #[arg(long)]
    dry_run: bool,
    /// Goes on where an interrupted run has left its checkpoint; without one it begins
    #[arg(long, conflicts_with_all = ["restart", "dry_run"])]
    resume: bool,
    /// Begins anew, whatever an interrupted run has left
    #[arg(long, conflicts_with = "dry_run")]
    restart: bool,
    /// Where the checkpoint is kept; in the user's state folder unless told
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    checkpoint: Option<PathBuf>,
    /// Keeps no checkpoint
    #[arg(long, conflicts_with_all = ["checkpoint", "resume", "restart", "dry_run"])]
    no_checkpoint: bool,
    /// The token of the target, where both are services; --token-file is the source's then
    #[arg(long, value_name = "FILE")]
    target_token_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Existing {
    /// They are set again
    #[default]
    Overwrite,
    /// They stay as they are
    Skip,
    /// One that is not the same ends the migration; what was copied before stays
    Fail,
}

impl From<Existing> for OnExisting {
    fn from(existing: Existing) -> Self {
        match existing {
            Existing::Overwrite => OnExisting::Overwrite,
            Existing::Skip => OnExisting::Skip,
            Existing::Fail => OnExisting::Fail,
        }
    }
}

impl Migrate {
    pub(crate) async fn run(self, global: &Global) -> Outcome {
        logging::start("warn", LogFormat::Text)?;
        let (source, target) = (Target::named(global, &self.source).await?, Target::named(global, &self.target).await?);
        let (source_name, target_name) = (source.name(), target.name());
        if source_name == target_name && source_name != "memory:" {
            return Err(Failure::usage("source and target are the same store"));
        }
        let both_remote = matches!((&source, &target), (Target::Remote(_), Target::Remote(_)));
        let source = open(source, false, global.token_file.as_deref()).await?;
        let target = self.target(target, global, both_remote).await?;

        let interruption = interruption()?;
        let watcher = Watcher::new(global.json);
        let mut options = MigrateOptions::default()
            .namespaces(global.namespace.clone())
            .pattern(&self.pattern)
            .on_existing(self.on_existing.into())
            .fix_sliding(self.fix_sliding)
            .verify(self.verify)
            .stop(interruption)
            .observer({
                let watcher = watcher.clone();
                move |event| watcher.see(&event)
            });
        if let Some(rate) = self.rate {
            options = options.rate(rate);
        }
        watcher.count_ahead(&source, &global.namespace, &self.pattern);

        let began = Instant::now();
        let outcome = match target {
            Some(target) if !self.dry_run => {
                if let Some(file) = self.checkpoint_file(global, &target, source_name, target_name).await? {
                    options = options.checkpoint(file);
                }
                migrate(&source, &target, options).await
            }
            target => plan_migration(&source, target.as_ref(), options).await,
        };
        let seen = watcher.finish();
        let report = outcome.inspect_err(|_| {
            say(format_args!("{} entries copied, then the migration failed", seen.counts.copied));
        })?;
        self.tell(global, &report, began.elapsed())?;
        Ok(exit_code(&report, seen.first_problem))
    }

    /// The target; none where a dry run finds that it does not exist.
    async fn target(&self, target: Target, global: &Global, both_remote: bool) -> Result<Option<KvStore>, Failure> {
        let token_file = match &self.target_token_file {
            Some(file) => Some(file.as_path()),
            // The source's token is not for another service.
            None if both_remote => None,
            None => global.token_file.as_deref(),
        };
        if let (Target::Remote(url), None, true) = (&target, token_file, both_remote) {
            return Ok(Some(open::remote(url, None, key::DEFAULT_NAMESPACE)?));
        }
        if !self.dry_run {
            return open(target, true, token_file).await.map(Some);
        }
        let there = match &target {
            Target::Local(config) => config.location().and_then(Location::file_path).is_some_and(Path::exists),
            Target::Remote(_) => true,
        };
        match open(target, false, token_file).await {
            Err(Failure::Error(Error::InvalidArgument(message))) if !there => {
                say(format_args!("the target is not there yet: its limits and entries are not looked at ({message})"));
                Ok(None)
            }
            opened => opened.map(Some),
        }
    }

    /// Where the checkpoint is to be kept, if one can be.
    async fn checkpoint_file(
        &self,
        global: &Global,
        target: &KvStore,
        source_name: String,
        target_name: String,
    ) -> Result<Option<CheckpointFile>, Failure> {
        if self.no_checkpoint {
            return Ok(None);
        }
        if !can_resume(target).await? {
            if self.checkpoint.is_some() || self.resume || self.restart {
                return Err(Error::Unsupported(
                    "no checkpoint can be kept: what is written to the target may be gone with this process".into(),
                )
                .into());
            }
            return Ok(None);
        }
        let path = match &self.checkpoint {
            Some(path) => path.clone(),
            None => {
                let names = &global.namespace;
                let existing = OnExisting::from(self.on_existing);
                let job = format!(
                    "{source_name}\n{target_name}\n{names:?}\n{}\n{existing:?} {}",
                    self.pattern, self.fix_sliding
                );
                let Some(folder) = state_folder() else {
                    say("there is no home folder: no checkpoint is kept (--checkpoint FILE names one)");
                    return Ok(None);
                };
                open::make_private(&folder).map_err(|error| Failure::Io(folder.display().to_string(), error))?;
                folder.join(format!("migrate-{:016x}.json", fnv(job.as_bytes())))
            }
        };
        if path.exists() && !self.resume {
            if !self.restart {
                return Err(Failure::usage(format!(
                    "an earlier run of this migration was interrupted and left {}: --resume goes on from there, \
                     --restart begins anew",
                    path.display()
                )));
            }
            std::fs::remove_file(&path).map_err(|error| Failure::Io(path.display().to_string(), error))?;
        }
        Ok(Some(CheckpointFile { path, source: source_name, target: target_name }))
    }

    fn tell(&self, global: &Global, report: &MigrateReport, took: Duration) -> Result<(), Failure> {
        if global.json {
            let mut out = Output::new();
            out.json(&Summary::new(report, self.dry_run))?;
            return out.finish();
        }
        let Counts { copied, bytes, same, skipped, expired, failed } = report.counts;
        let mut text = if self.dry_run {
            format!("{copied} entries with {bytes} bytes of values would be copied")
        } else {
            format!("{copied} entries with {bytes} bytes of values copied in {:.1} s", took.as_secs_f64())
        };
        let parts = [
            (same, "the same already"),
            (skipped, "left as they were"),
            (expired, "expired"),
            (failed, if self.dry_run { "that cannot be copied" } else { "not copied" }),
        ];
        for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
            text += &format!(", {count} {what}");
        }
        say(text);
        if report.keeps == Keeps::Content && !self.dry_run {
            say("the target sets created_at and updated_at itself, and sliding expiries started anew");
        }
        if let Some(found) = report.verification {
            let mut text = format!("compared: {} the same, {} different", found.same, found.different);
            if found.left > 0 {
                text += &format!(", {} left as they were", found.left);
            }
            if found.only_in_target > 0 {
                text += &format!(", {} only in the target", found.only_in_target);
            }
            say(text);
        }
        if let Some((namespace, key)) = &report.conflict {
            say(format_args!(
                "dataknobs-kv: conflict: {key:?} in namespace {namespace:?} is another one in the target"
            ));
        }
        if report.interrupted {
            say(if self.dry_run || self.no_checkpoint {
                "interrupted"
            } else {
                "interrupted: --resume goes on from here"
            });
        }
        Ok(())
    }
}

async fn open(target: Target, create: bool, token_file: Option<&Path>) -> Result<KvStore, Failure> {
    match target {
        Target::Local(config) => {
            let config: Config = config.without_auto_cleanup().create(create);
            Ok(KvStore::open_with(config).await?)
        }
        Target::Remote(url) => open::remote(&url, open::token(token_file)?, key::DEFAULT_NAMESPACE),
    }
}

fn exit_code(report: &MigrateReport, first_problem: Option<Error>) -> u8 {
    match first_problem {
        _ if report.interrupted => exit::INTERRUPTED,
        _ if report.conflict.is_some() => exit::CONFLICT,
        Some(error) => wire::exit_code(&error),
        None if report.is_complete() => exit::OK,
        // Told by an earlier run, or a difference.
        None => exit::ABSENT,
    }
}

/// Becomes true at the first SIGINT or SIGTERM; the second one ends the process.
fn interruption() -> Result<watch::Receiver<bool>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error| Failure::Error(Error::Internal(format!("signals: {error}")));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if sender.send_replace(true) {
                std::process::exit(i32::from(exit::INTERRUPTED));
            }
        }
    });
    Ok(receiver)
}

/// The user's folder for what programs remember.
fn state_folder() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "dataknobs-kv")?;
    Some(folders.state_dir().unwrap_or_else(|| folders.data_local_dir()).to_owned())
}

/// FNV-1a: names a file, and means nothing else.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What comes to stdout with `--json`.
#[derive(Serialize)]
struct Summary {
    #[serde(flatten)]
    counts: Counts,
    keeps: Keeps,
    dry_run: bool,
    interrupted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    conflict: Option<Conflict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<Verified>,
}

#[derive(Serialize)]
struct Conflict {
    namespace: String,
    key: String,
}

#[derive(Serialize)]
struct Verified {
    same: u64,
    different: u64,
    left: u64,
    only_in_target: u64,
}

impl Summary {
    fn new(report: &MigrateReport, dry_run: bool) -> Self {
        Summary {
            counts: report.counts,
            keeps: report.keeps,
            dry_run,
            interrupted: report.interrupted,
            conflict: report.conflict.clone().map(|(namespace, key)| Conflict { namespace, key }),
            verified: report.verification.map(|found| Verified {
                same: found.same,
                different: found.different,
                left: found.left,
                only_in_target: found.only_in_target,
            }),
        }
    }
}

/// What was seen while it ran.
#[derive(Default)]
struct Seen {
    counts: Counts,
    first_problem: Option<Error>,
    comparing: bool,
    /// How many entries there are, as soon as that is known.
    total: Option<u64>,
}

/// Shows how far it has come, and what went wrong. indicatif draws nothing where stderr is no terminal.
#[derive(Clone)]
struct Watcher {
    bar: ProgressBar,
    seen: Arc<Mutex<Seen>>,
    json: bool,
}

impl Watcher {
    fn new(json: bool) -> Self {
        let bar = ProgressBar::new_spinner();
        style(&bar, "{spinner} {msg}{pos} entries, {per_sec} {elapsed}");
        bar.enable_steady_tick(Duration::from_millis(200));
        Watcher { bar, seen: Arc::default(), json }
    }

    /// Counts in the background what is to be copied: the bar has an end then.
    fn count_ahead(&self, source: &KvStore, namespaces: &[String], pattern: &str) {
        if self.bar.is_hidden() {
            return;
        }
        let (watcher, source) = (self.clone(), source.clone());
        let (mut namespaces, pattern) = (namespaces.to_vec(), pattern.to_owned());
        tokio::spawn(async move {
            let mut total = 0;
            if namespaces.is_empty() {
                namespaces = source.namespaces().await?;
            }
            for name in namespaces {
                total += source.namespace(&name)?.count(&pattern).await?;
            }
            watcher.seen.lock().unwrap_or_else(PoisonError::into_inner).total = Some(total);
            watcher.bar.set_length(total);
            style(&watcher.bar, "{msg}{bar:30} {pos}/{len} entries, {per_sec}, {eta} left");
            Ok::<_, Error>(())
        });
    }

    fn see(&self, event: &MigrateEvent<'_>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            MigrateEvent::Resumed { saved_at, counts } => {
                seen.counts = *counts;
                let text = format!("going on after {} entries, from {}", counts.total(), format_instant(*saved_at));
                self.bar.suspend(|| say(text));
                self.bar.set_position(counts.total());
                self.bar.reset_eta();
            }
            MigrateEvent::Copied(counts) => {
                seen.counts = *counts;
                self.bar.set_position(counts.total());
            }
            MigrateEvent::Compared(count) => {
                if !seen.comparing {
                    seen.comparing = true;
                    self.bar.set_message("comparing ");
                    self.bar.reset();
                }
                self.bar.set_position(*count);
            }
            MigrateEvent::Problem(problem) => {
                seen.first_problem.get_or_insert_with(|| problem.error.clone());
                self.line(problem, problem.error.code());
            }
            MigrateEvent::Difference(difference) => self.line(difference, "different"),
            MigrateEvent::Retry(error) => self.bar.suspend(|| say(format_args!("{error}; trying again"))),
            _ => {}
        }
    }

    fn line(&self, what: &dyn std::fmt::Display, code: &str) {
        #[derive(Serialize)]
        struct Line<'a> {
            code: &'a str,
            message: String,
        }
        let line = Line { code, message: what.to_string() };
        self.bar.suspend(|| match wire::to_json(&line) {
            Ok(json) if self.json => say(json),
            _ => say(format_args!("dataknobs-kv: {}", line.message)),
        });
    }

    fn finish(self) -> Seen {
        self.bar.finish_and_clear();
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}
