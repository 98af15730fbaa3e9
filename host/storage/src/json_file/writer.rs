//! The one thread that writes.
//!
//! It takes all writes that wait, makes them in order beside what readers see, appends what they change to the journal as
//! one line, brings that to the disk once, shows it to the readers, and only then answers: concurrent durable writes share
//! the `fsync`, and nobody reads what a crash could take away. A group that changes nothing is not written at all.
//!
//! What is answered where the journal could not be written: the line is cut off again, so nothing was applied
//! (`unavailable`); where that fails too, `outcome-unknown`, and nothing more is written until it succeeds. After a failed
//! `fsync` both files are replaced by new ones as soon as possible, since the disk may lack more than it says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dataknobs_kv_core::storage::{Change, Mutation, Outcome, Reclaimed};
use dataknobs_kv_core::{Error, MemoryStorage, Projection, Result, Timestamp};
use tokio::sync::oneshot;

use super::compact::{Done, Folded, Plan};
use super::config::{Compression, JsonFileConfig};
use super::failure::not_applied;
use super::files::{self, Opened, Paths};
use super::journal::{Journal, Unwritten};
use super::lock::Lock;
use super::stage::{self, Stage};
use crate::Durability;

/// A group takes no more once it holds so many mutations,
const GROUP_MUTATIONS: usize = 4096;
/// or so many bytes: it bounds memory, and how long the first in it waits.
const GROUP_BYTES: usize = 32 << 20;
/// How long a relaxed write may wait for the disk.
const FLUSH_AFTER: Duration = Duration::from_secs(1);
/// A store that is closed while it is smaller than this, in bytes, leaves no journal: it is all in the snapshot then.
const FOLDED_WHEN_CLOSED: u64 = 256 << 10;

/// What the writer is asked for.
enum Work {
    Write {
        namespace: String,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
        reply: oneshot::Sender<Result<Vec<Result<Outcome>>>>,
    },
    Reclaim {
        namespace: Option<String>,
        now: Timestamp,
        limit: usize,
        reply: oneshot::Sender<Result<Reclaimed>>,
    },
    Clear {
        namespace: String,
        limit: usize,
        reply: oneshot::Sender<Result<bool>>,
    },
}

/// What it answers, once that is on disk.
enum Answer {
    Written(oneshot::Sender<Result<Vec<Result<Outcome>>>>, Result<Vec<Result<Outcome>>>),
    Reclaimed(oneshot::Sender<Result<Reclaimed>>, Reclaimed),
    Cleared(oneshot::Sender<Result<bool>>, bool),
}

impl Answer {
    /// A caller that has gone away hears nothing: what was done stays done.
    fn give(self) {
        match self {
            Answer::Written(reply, results) => drop(reply.send(results)),
            Answer::Reclaimed(reply, reclaimed) => drop(reply.send(Ok(reclaimed))),
            Answer::Cleared(reply, more) => drop(reply.send(Ok(more))),
        }
    }

    fn fail(self, error: Error) {
        match self {
            Answer::Written(reply, _) => drop(reply.send(Err(error))),
            Answer::Reclaimed(reply, _) => drop(reply.send(Err(error))),
            Answer::Cleared(reply, _) => drop(reply.send(Err(error))),
        }
    }
}

impl Work {
    fn size(&self) -> (usize, usize) {
        match self {
            Work::Write { mutations, .. } => (mutations.len(), mutations.iter().map(mutation_bytes).sum()),
            Work::Reclaim { limit, .. } | Work::Clear { limit, .. } => (*limit, 0),
        }
    }

    /// Whether nobody waits for it any more.
    fn abandoned(&self) -> bool {
        match self {
            Work::Write { reply, .. } => reply.is_closed(),
            Work::Reclaim { reply, .. } => reply.is_closed(),
            Work::Clear { reply, .. } => reply.is_closed(),
        }
    }
}

fn mutation_bytes(mutation: &Mutation) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    mutation.key.len()
        + match &mutation.change {
            Change::Put { attributes, value } => value.len() + text(&attributes.metadata),
            Change::Amend(amendment) => text(&amendment.metadata),
            Change::Extend(_) | Change::Delete | Change::Check => 0,
        }
}

/// The way to the writer's thread. Dropping it waits until what was asked for is done and the files are closed.
pub(super) struct Writer {
    /// None only while it is dropped.
    queue: Option<Sender<Work>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(config: JsonFileConfig, opened: Opened) -> Result<Self> {
        let (queue, receiver) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = WriterThread::new(config, opened, receiver, stop.clone());
        let thread = std::thread::Builder::new()
            .name("dataknobs-kv-json".into())
            .spawn(move || thread.run())
            .map_err(|error| Error::Unavailable(format!("the writer's thread could not be started: {error}")))?;
        Ok(Writer { queue: Some(queue), stop, thread: Some(thread) })
    }

    pub(super) async fn write(
        &self,
        namespace: String,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        self.ask(|reply| Work::Write { namespace, mutations, atomic, now, on_conflict, reply }).await
    }

    pub(super) async fn reclaim(&self, namespace: Option<String>, now: Timestamp, limit: usize) -> Result<Reclaimed> {
        self.ask(|reply| Work::Reclaim { namespace, now, limit, reply }).await
    }

    pub(super) async fn clear(&self, namespace: String, limit: usize) -> Result<bool> {
        self.ask(|reply| Work::Clear { namespace, limit, reply }).await
    }

    async fn ask<T>(&self, work: impl FnOnce(oneshot::Sender<Result<T>>) -> Work) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        if let Some(queue) = &self.queue
            && queue.send(work(reply)).is_err()
        {
            return Err(Error::Unavailable("the writer's thread has ended".into()));
        }
        answer.await.unwrap_or_else(|_| Err(Error::OutcomeUnknown("the writer's thread ended".into())))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct WriterThread {
    config: JsonFileConfig,
    paths: Paths,
    memory: MemoryStorage,
    receiver: Receiver<Work>,
    /// Taken from the queue, and no part of the group before it.
    held: VecDeque<Work>,
    journal: Journal,
    compression: Compression,
    /// None: the snapshot is plain JSON of another program.
    store: Option<String>,
    /// The last group.
    sequence: u64,
    snapshot: Folded,
    /// When the first relaxed group was written that is not on disk yet.
    unflushed: Option<Instant>,
    /// The thread that compacts, and the way to hear of it.
    compacting: Option<(JoinHandle<()>, Receiver<Box<Done>>)>,
    /// After a failure: not before the journal is so long.
    compact_above: u64,
    stop: Arc<AtomicBool>,
    /// Given up when all else is done.
    _lock: Lock,
}

enum Next {
    Work(Work),
    Compacted(Box<Done>),
    Flush,
    End,
}

/// How often the writer looks whether a compaction is done, where nothing else wakes it.
const LOOK_AFTER: Duration = Duration::from_millis(20);

impl WriterThread {
    fn new(config: JsonFileConfig, opened: Opened, receiver: Receiver<Work>, stop: Arc<AtomicBool>) -> Self {
        let sequence = opened.journal.as_ref().map_or(0, |journal| journal.last).max(opened.snapshot_sequence);
        WriterThread {
            journal: Journal::new(opened.paths.clone(), opened.journal.as_ref(), sequence),
            config,
            paths: opened.paths,
            memory: opened.memory,
            receiver,
            held: VecDeque::new(),
            compression: opened.compression,
            store: opened.store,
            sequence,
            snapshot: Folded { sequence: opened.snapshot_sequence, bytes: opened.snapshot_bytes, stamp: opened.stamp },
            unflushed: None,
            compacting: None,
            compact_above: 0,
            stop,
            _lock: opened.lock,
        }
    }

    fn run(mut self) {
        loop {
            match self.next() {
                Next::Compacted(done) => self.compacted(*done),
                Next::Work(first) => {
                    let group = self.collect(first);
                    self.write(group);
                    // Under constant load there is no pause to flush in.
                    if self.unflushed.is_some_and(|since| since.elapsed() >= FLUSH_AFTER) {
                        self.flush();
                    }
                    self.compact_if_due();
                }
                Next::Flush => self.flush(),
                Next::End => break,
            }
        }
        self.close();
    }

    fn next(&mut self) -> Next {
        loop {
            if let Some((_, done)) = &self.compacting
                && let Ok(done) = done.try_recv()
            {
                return Next::Compacted(done);
            }
            if let Some(work) = self.held.pop_front() {
                return Next::Work(work);
            }
            let flush = self.unflushed.map(|since| FLUSH_AFTER.saturating_sub(since.elapsed()));
            let wait = match (flush, self.compacting.is_some()) {
                (flush, true) => Some(flush.unwrap_or(LOOK_AFTER).min(LOOK_AFTER)),
                (flush, false) => flush,
            };
            let Some(wait) = wait else {
                return self.receiver.recv().map_or(Next::End, Next::Work);
            };
            match self.receiver.recv_timeout(wait) {
                Ok(work) => return Next::Work(work),
                Err(RecvTimeoutError::Timeout) if flush.is_some_and(|flush| flush <= wait) => return Next::Flush,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Next::End,
            }
        }
    }

    /// All that waits, up to a group's bounds. One write that is larger than they are is a group of its own, and so is a
    /// removal of many: it begins with what readers see.
    fn collect(&mut self, first: Work) -> Vec<Work> {
        let (mut mutations, mut bytes) = first.size();
        let alone = |work: &Work| !matches!(work, Work::Write { .. });
        let mut group = vec![first];
        if group.iter().any(alone) {
            return group;
        }
        while mutations < GROUP_MUTATIONS && bytes < GROUP_BYTES {
            match self.receiver.try_recv() {
                Ok(work) if alone(&work) => {
                    self.held.push_back(work);
                    break;
                }
                Ok(work) => {
                    let (more_mutations, more_bytes) = work.size();
                    mutations += more_mutations;
                    bytes += more_bytes;
                    group.push(work);
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        group
    }

    fn write(&mut self, mut group: Vec<Work>) {
        group.retain(|work| !work.abandoned());
        let memory = self.memory.clone();
        let mut stage = Stage::new(&memory);
        let answers: Vec<Answer> = group.into_iter().map(|work| make(&mut stage, &memory, work)).collect();
        let (changes, text) = stage.finish();
        if !changes.is_empty() {
            if let Err(error) = self.append(&text) {
                return answers.into_iter().for_each(|answer| answer.fail(error.clone()));
            }
            stage::show(&self.memory, &changes);
        }
        answers.into_iter().for_each(Answer::give);
    }

    fn append(&mut self, changes: &str) -> Result<()> {
        let store = self.own_store()?;
        let sequence = self.sequence + 1;
        let relaxed = self.config.durability == Durability::Relaxed;
        match self.journal.append(&store, sequence, changes, !relaxed) {
            Ok(()) => {
                self.sequence = sequence;
                if relaxed {
                    self.unflushed.get_or_insert_with(Instant::now);
                }
                Ok(())
            }
            Err(Unwritten::NotApplied(error)) => Err(not_applied(&self.paths.journal, &error)),
            Err(Unwritten::Unknown(error)) => {
                let error = not_applied(&self.paths.journal, &error).message();
                tracing::error!(error, "a group may be in the journal or not");
                Err(Error::OutcomeUnknown(error))
            }
        }
    }

    /// The store's name. Plain JSON of another program becomes a store of ours now, and is kept.
    fn own_store(&mut self) -> Result<String> {
        if let Some(store) = &self.store {
            return Ok(store.clone());
        }
        let plan = Plan { store: files::new_store(), ..self.plan(String::new()) };
        let failed = |error| not_applied(&self.paths.snapshot, &error);
        let bytes = plan.write().map_err(failed)?;
        let kept = files::keep(&self.paths, ".orig").map_err(failed)?;
        match plan.publish(bytes) {
            Ok(folded) => self.snapshot = folded,
            Err(error) => {
                let _ = std::fs::remove_file(&kept);
                return Err(failed(error));
            }
        }
        tracing::info!(original = %kept.display(), "the file is a store now, and the original is kept");
        // A journal without groups may be left of another store.
        self.journal.remove().map_err(|error| not_applied(&self.paths.journal, &error))?;
        self.store = Some(plan.store.clone());
        Ok(plan.store)
    }

    fn flush(&mut self) {
        self.unflushed = None;
        if let Err(error) = self.journal.sync(self.sequence) {
            tracing::error!(%error, "relaxed writes could not be brought to the disk");
        }
    }

    /// What is there now, to be folded.
    fn plan(&self, store: String) -> Plan {
        Plan {
            paths: self.paths.clone(),
            spaces: self.memory.all_stored(),
            store,
            sequence: self.sequence,
            compression: self.compression,
            stamp: self.snapshot.stamp.clone(),
            from: self.journal.bytes(),
            end: self.journal.end().clone(),
            stop: self.stop.clone(),
        }
    }

    fn compact_if_due(&mut self) {
        let bytes = self.journal.bytes();
        let due = bytes > self.config.journal_bytes.max(self.snapshot.bytes) || self.journal.suspect;
        let Some(store) = self.store.clone().filter(|_| due && bytes > self.compact_above) else { return };
        if self.compacting.is_some() || self.sequence == self.snapshot.sequence || !self.journal.can_be_copied() {
            return;
        }
        let plan = self.plan(store);
        let (done, receiver) = channel();
        let spawned = std::thread::Builder::new().name("dataknobs-kv-json-compact".into()).spawn(move || {
            // The writer waits for it, whatever happens.
            let _ = done.send(Box::new(plan.run()));
        });
        match spawned {
            Ok(thread) => self.compacting = Some((thread, receiver)),
            Err(error) => tracing::warn!(%error, "no thread to compact the journal"),
        }
    }

    fn compacted(&mut self, done: Done) {
        if let Some((thread, _)) = self.compacting.take() {
            let _ = thread.join();
        }
        let finished = done.folded.and_then(|folded| {
            self.snapshot = folded;
            let (file, copied) = done.journal?;
            self.journal.finish(file, copied)
        });
        match finished {
            Ok(()) => {
                (self.compact_above, self.journal.suspect) = (0, false);
                // The new journal was brought to the disk as a whole.
                tracing::debug!(sequence = self.snapshot.sequence, "the journal was folded into the snapshot");
            }
            Err(error) => {
                let bytes = self.journal.bytes();
                self.compact_above = bytes.saturating_add((bytes / 2).max(self.config.journal_bytes));
                if !self.stop.load(Ordering::Relaxed) {
                    tracing::warn!(%error, "the journal could not be folded into the snapshot: it goes on growing");
                }
            }
        }
    }

    fn close(mut self) {
        if let Some((thread, done)) = self.compacting.take() {
            // It stops soon; but if it is through already, its work is taken.
            if let Ok(done) = done.recv() {
                self.compacted(*done);
            }
            let _ = thread.join();
        }
        if self.unflushed.is_some() {
            self.flush();
        }
        let Some(store) = self.store.clone() else { return };
        let small = self.journal.bytes().saturating_add(self.snapshot.bytes) <= FOLDED_WHEN_CLOSED;
        if self.sequence > self.snapshot.sequence && (small || self.journal.suspect) {
            let plan = Plan { stop: Arc::new(AtomicBool::new(false)), ..self.plan(store) };
            match plan.write().and_then(|bytes| plan.publish(bytes)) {
                Ok(folded) => self.snapshot = folded,
                // It is all in the journal.
                Err(error) => tracing::debug!(%error, "the journal stays"),
            }
        }
        if self.sequence == self.snapshot.sequence
            && let Err(error) = self.journal.remove()
        {
            tracing::debug!(%error, "a journal that is in the snapshot stays");
        }
    }
}

/// Makes a piece of work in the stage, and what is to be answered.
fn make(stage: &mut Stage<'_>, memory: &MemoryStorage, work: Work) -> Answer {
    match work {
        Work::Write { namespace, mutations, atomic, now, on_conflict, reply } => {
            Answer::Written(reply, stage.write(&namespace, mutations, atomic, now, on_conflict))
        }
        Work::Reclaim { namespace, now, limit, reply } => {
            let (due, more) = memory.expired(namespace.as_deref(), now, limit);
            for (namespace, key) in &due {
                stage.remove(namespace, key);
            }
            Answer::Reclaimed(reply, Reclaimed { count: u32::try_from(due.len()).unwrap_or(u32::MAX), more })
        }
        Work::Clear { namespace, limit, reply } => {
            let (keys, more) = memory.first_stored(&namespace, limit);
            for key in keys {
                stage.remove(&namespace, &key);
            }
            Answer::Cleared(reply, more)
        }
    }
}
