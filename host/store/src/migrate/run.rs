//! The pipeline: one task reads ahead, a few write, and what they acknowledged is counted in order.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use dataknobs_kv_core::{Error, Result, Store};
use futures::stream::{FuturesOrdered, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::checkpoint::{Checkpoint, Progress};
use super::options::MigrateOptions;
use super::pace::Pace;
use super::report::{Counts, MigrateEvent, MigrateReport};
use super::retry::Retry;
use super::source::{Names, Position, Read, Walk};
use super::target::{Target, Written};
use super::verify::verify;
use crate::KvStore;

/// Pages that are being written at one time; each holds at most some 8 MiB.
const IN_FLIGHT: usize = 4;
/// Pages that wait to be written.
const AHEAD: usize = 1;

/// Some entries of one namespace.
struct Page {
    namespace: Arc<str>,
    /// No page of it came before, in this run or an earlier one.
    first: bool,
    reads: Vec<Read>,
    /// Where the walk is after it.
    position: Position,
}

pub(super) async fn migrate(source: &KvStore, target: &KvStore, options: MigrateOptions) -> Result<MigrateReport> {
    options.check()?;
    if same(source, target) {
        return Err(Error::InvalidArgument("source and target are the same store".into()));
    }
    let options = Arc::new(options);
    let target = Arc::new(Target::new(target, &options).await?);
    let (mut checkpoint, mut progress) = (None, Progress::default());
    if let Some(file) = &options.checkpoint {
        if !target.outlives_us() {
            return Err(Error::Unsupported(
                "no checkpoint can be kept: what is written to the target may be gone with this process".into(),
            ));
        }
        let (opened, earlier) = Checkpoint::open(file, &options, target.keeps()).await?;
        checkpoint = Some(opened);
        if let Some((saved_at, earlier)) = earlier {
            options.tell(MigrateEvent::Resumed { saved_at, counts: earlier.counts });
            progress = earlier;
        }
    }
    let mut run = Run { source, target: Arc::clone(&target), options, progress, checkpoint, conflict: None };
    let mut outcome = Ok(());
    if !run.progress.copied {
        outcome = run.copy().await;
        run.progress.copied = outcome.is_ok() && run.conflict.is_none() && !run.options.stopped();
        // Also where it failed: so far it came.
        let saved = run.save().await;
        outcome = outcome.and(saved);
    }
    outcome?;
    let mut verification = None;
    if run.progress.copied && run.options.verify {
        verification = verify(source.store(), &target, &run.options, &run.progress).await?;
    }
    let finished = run.progress.copied && (verification.is_some() || !run.options.verify);
    if finished && let Some(checkpoint) = run.checkpoint.take() {
        checkpoint.remove().await?;
    }
    Ok(MigrateReport {
        counts: run.progress.counts,
        keeps: target.keeps(),
        interrupted: !finished && run.conflict.is_none(),
        conflict: run.conflict,
        verification,
    })
}

/// Two handles of one store.
fn same(source: &KvStore, target: &KvStore) -> bool {
    let storages = source.storage.as_ref().zip(target.storage.as_ref());
    storages.is_some_and(|(a, b)| std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b)))
        || std::ptr::addr_eq(Arc::as_ptr(&source.store), Arc::as_ptr(&target.store))
}

struct Run<'a> {
    source: &'a KvStore,
    target: Arc<Target>,
    options: Arc<MigrateOptions>,
    progress: Progress,
    checkpoint: Option<Checkpoint>,
    conflict: Option<(String, String)>,
}

impl Run<'_> {
    /// Copies until the end, a conflict, an error, or the word to stop.
    async fn copy(&mut self) -> Result<()> {
        let (sender, mut pages) = mpsc::channel(AHEAD);
        let start = self.progress.position.clone();
        let _reader = Task(tokio::spawn(read(self.source.store().clone(), Arc::clone(&self.options), start, sender)));
        let mut writing = FuturesOrdered::new();
        let mut outcome = Ok(());
        while outcome.is_ok() && self.conflict.is_none() && !self.options.stopped() {
            let next = tokio::select! {
                page = pages.recv() => page,
                () = stopped(&self.options) => break,
            };
            let page = match next {
                Some(Ok(page)) => page,
                Some(Err(error)) => {
                    outcome = Err(error);
                    break;
                }
                None => break,
            };
            while writing.len() >= IN_FLIGHT
                && let Some(done) = writing.next().await
            {
                outcome = outcome.and(self.done(done).await);
            }
            if outcome.is_ok() && self.progress.fresh && page.first {
                self.progress.fresh = self.is_empty(&page.namespace).await?;
            }
            if outcome.is_ok() {
                let (target, options) = (Arc::clone(&self.target), Arc::clone(&self.options));
                let Page { namespace, reads, position, .. } = page;
                let write = async move { target.write(&namespace, reads, &options).await.map(|done| (done, position)) };
                writing.push_back(Task(tokio::spawn(write)));
            }
        }
        // What is under way is waited for and counted, as far as everything before it was written.
        while let Some(done) = writing.next().await {
            if outcome.is_ok() {
                outcome = self.done(done).await;
            }
        }
        outcome
    }

    /// Counts a page that was written, all before it being written too.
    async fn done(&mut self, done: Result<Result<(Written, Position)>>) -> Result<()> {
        let (written, position) = done??;
        if self.conflict.is_some() {
            return Ok(());
        }
        for problem in &written.problems {
            self.options.tell(MigrateEvent::Problem(problem));
        }
        if written.conflict.is_some() {
            // The page counts as not done: it is looked at again.
            self.conflict = written.conflict;
            return Ok(());
        }
        self.progress.counts.add(written.counts);
        self.progress.position = Some(position);
        self.options.tell(MigrateEvent::Copied(self.progress.counts));
        match &mut self.checkpoint {
            Some(checkpoint) => checkpoint.save_sometimes(&self.progress, self.source.clock().now()).await,
            None => Ok(()),
        }
    }

    async fn is_empty(&self, namespace: &str) -> Result<bool> {
        let mut retry = Retry::new(&self.options);
        loop {
            match self.target.is_empty(namespace).await {
                Ok(empty) => return Ok(empty),
                Err(error) => retry.after(error).await?,
            }
        }
    }

    async fn save(&mut self) -> Result<()> {
        match &mut self.checkpoint {
            Some(checkpoint) => checkpoint.save(&self.progress, self.source.clock().now()).await,
            None => Ok(()),
        }
    }
}

/// Says what would become of everything.
pub(super) async fn plan(source: &KvStore, target: Option<&KvStore>, options: MigrateOptions) -> Result<MigrateReport> {
    options.check()?;
    let options = Arc::new(options);
    let target = match target {
        Some(target) => Some(Target::new(target, &options).await?),
        None => None,
    };
    let mut report = MigrateReport {
        counts: Counts::default(),
        keeps: target.as_ref().map_or(super::Keeps::All, Target::keeps),
        conflict: None,
        interrupted: false,
        verification: None,
    };
    let (sender, mut pages) = mpsc::channel(AHEAD);
    let _reader = Task(tokio::spawn(read(source.store().clone(), Arc::clone(&options), None, sender)));
    while let Some(page) = pages.recv().await {
        let Page { namespace, reads, .. } = page?;
        let planned = match &target {
            Some(target) => target.plan(&namespace, reads).await?,
            None => unknown(&namespace, reads, source.clock().now()),
        };
        for problem in &planned.problems {
            options.tell(MigrateEvent::Problem(problem));
        }
        report.counts.add(planned.counts);
        options.tell(MigrateEvent::Copied(report.counts));
        report.conflict = report.conflict.or(planned.conflict);
        if report.conflict.is_some() || options.stopped() {
            report.interrupted = report.conflict.is_none();
            break;
        }
    }
    Ok(report)
}

/// What is known of a page without a target.
fn unknown(namespace: &str, reads: Vec<Read>, now: dataknobs_kv_core::Timestamp) -> Written {
    let mut planned = Written::default();
    for read in reads {
        match read {
            Read::Entry(_, state) if state.attributes.expired(now) => planned.counts.expired += 1,
            Read::Entry(_, state) => {
                planned.counts.copied += 1;
                planned.counts.bytes += state.attributes.size;
            }
            Read::Damaged(key, error) => {
                planned.counts.failed += 1;
                planned.problems.push(super::Problem { namespace: namespace.to_owned(), key, error });
            }
        }
    }
    planned
}

/// Ends when the options say stop; never where they cannot.
async fn stopped(options: &MigrateOptions) {
    let Some(mut stop) = options.stop.clone() else { return std::future::pending().await };
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Reads everything that is meant, until nobody wants any more.
async fn read(
    store: Arc<dyn Store>,
    options: Arc<MigrateOptions>,
    start: Option<Position>,
    pages: mpsc::Sender<Result<Page>>,
) {
    if let Err(error) = read_all(store, &options, start, &pages).await {
        // Nobody is left to be told.
        let _ = pages.send(Err(error)).await;
    }
}

async fn read_all(
    store: Arc<dyn Store>,
    options: &MigrateOptions,
    start: Option<Position>,
    pages: &mpsc::Sender<Result<Page>>,
) -> Result<()> {
    let mut pace = Pace::new(options.rate);
    let from = start.as_ref().map(|start| start.namespace.clone());
    let mut names = Names::new(Arc::clone(&store), &options.namespaces, from);
    loop {
        let mut retry = Retry::new(options);
        let name = loop {
            match names.next().await {
                Ok(name) => break name,
                Err(error) => retry.after(error).await?,
            }
        };
        let Some(name) = name else { return Ok(()) };
        let (mut from, mut first) = (None, true);
        if let Some(start) = &start
            && start.namespace == name
        {
            match &start.cursor {
                // That one is done.
                None => continue,
                cursor => from.clone_from(cursor),
            }
            first = false;
        }
        let namespace: Arc<str> = name.as_str().into();
        let mut walk = Walk::new(Arc::clone(&store), &name, &options.pattern, from, pace.page());
        loop {
            let mut retry = Retry::new(options);
            let reads = loop {
                match walk.page().await {
                    Ok(reads) => break reads,
                    Err(error) => retry.after(error).await?,
                }
            };
            let Some(reads) = reads else { break };
            pace.take(reads.len()).await;
            let position = Position { namespace: name.clone(), cursor: walk.cursor() };
            let page = Page { namespace: Arc::clone(&namespace), first, reads, position };
            first = false;
            if pages.send(Ok(page)).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// A task that ends with whoever waits for it.
struct Task<T>(JoinHandle<T>);

impl<T> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|done| done.map_err(|error| Error::Internal(format!("a task of the migration: {error}"))))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
