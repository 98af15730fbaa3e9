//! The one thread that writes.
//!
//! It takes all writes that wait, checks and applies them in order within one transaction, commits once, and only then
//! answers: concurrent durable writes share the `fsync`. A group that changes nothing (lost races, checks) is not
//! committed at all.
//!
//! What is answered after a failure:
//! * before the commit: the transaction is dropped, nothing was applied, and each write gets the reason (`unavailable`
//!   where the disk is full or failing);
//! * in the commit: the file is opened again, and its commit number tells whether the transaction is in it. If not,
//!   nothing was applied; if so, or if the file cannot be opened, each write is `outcome-unknown`.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dataknobs_kv_core::storage::{Change, Mutation, Outcome};
use dataknobs_kv_core::{Error, Projection, Result, Timestamp};
use redb::WriteTransaction;
use tokio::sync::oneshot;

use super::apply::Tables;
use super::cleanup;
use super::config::Durability;
use super::failure::{Failure, guarded};
use super::file::StoreFile;
use super::format;

/// A group takes no more once it holds so many mutations,
const GROUP_MUTATIONS: usize = 4096;
/// or so many bytes: it bounds memory, and how long the first in it waits.
const GROUP_BYTES: usize = 32 << 20;
/// How long a relaxed write may wait for the disk.
const FLUSH_AFTER: Duration = Duration::from_secs(1);
/// How often a file that cannot be opened is tried again.
const REOPEN_AFTER: Duration = Duration::from_secs(1);
/// Space that a commit needs besides the data, generously.
const SPACE_BESIDES: u64 = 256 << 10;

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
        rows: Vec<Vec<u8>>,
        now: Timestamp,
        reply: oneshot::Sender<Result<u32>>,
    },
    Clear {
        namespace: String,
        limit: usize,
        reply: oneshot::Sender<Result<bool>>,
    },
    /// A reader met a failure.
    Heal,
}

/// What it answers.
enum Answer {
    Written(Vec<Result<Outcome>>),
    Reclaimed(u32),
    Cleared(bool),
    Nothing,
}

impl Work {
    fn size(&self) -> (usize, usize) {
        match self {
            Work::Write { mutations, .. } => (mutations.len(), mutations.iter().map(mutation_bytes).sum()),
            Work::Reclaim { rows, .. } => (rows.len(), 0),
            Work::Clear { limit, .. } => (*limit, 0),
            Work::Heal => (0, 0),
        }
    }

    /// Whether nobody waits for it any more.
    fn abandoned(&self) -> bool {
        match self {
            Work::Write { reply, .. } => reply.is_closed(),
            Work::Reclaim { reply, .. } => reply.is_closed(),
            Work::Clear { reply, .. } => reply.is_closed(),
            Work::Heal => true,
        }
    }

    fn run(&self, tables: &mut Tables) -> Result<Answer, Failure> {
        Ok(match self {
            Work::Write { namespace, mutations, atomic, now, on_conflict, .. } => {
                Answer::Written(tables.write(namespace, mutations, *atomic, *now, *on_conflict)?)
            }
            Work::Reclaim { rows, now, .. } => Answer::Reclaimed(cleanup::reclaim(tables, rows, *now)?),
            Work::Clear { namespace, limit, .. } => Answer::Cleared(cleanup::clear(tables, namespace, *limit)?),
            Work::Heal => Answer::Nothing,
        })
    }

    /// A caller that has gone away hears nothing: what was done stays done.
    fn answer(self, answer: Answer) {
        match (self, answer) {
            (Work::Write { reply, .. }, Answer::Written(results)) => drop(reply.send(Ok(results))),
            (Work::Reclaim { reply, .. }, Answer::Reclaimed(count)) => drop(reply.send(Ok(count))),
            (Work::Clear { reply, .. }, Answer::Cleared(more)) => drop(reply.send(Ok(more))),
            (work, _) => work.fail(Error::Internal("the writer mixed up its answers".into())),
        }
    }

    fn fail(self, error: Error) {
        match self {
            Work::Write { reply, .. } => drop(reply.send(Err(error))),
            Work::Reclaim { reply, .. } => drop(reply.send(Err(error))),
            Work::Clear { reply, .. } => drop(reply.send(Err(error))),
            Work::Heal => {}
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

/// The way to the writer's thread. Dropping it waits until what was asked for is done and the file is closed.
pub(super) struct Writer {
    /// None only while it is dropped.
    queue: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(file: Arc<StoreFile>) -> Result<Self> {
        let (queue, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("dataknobs-kv-redb".into())
            .spawn(move || WriterThread { file, receiver, unflushed: None, closed_since: None, disk_full: false }.run())
            .map_err(|error| Error::Unavailable(format!("the writer's thread could not be started: {error}")))?;
        Ok(Writer { queue: Some(queue), thread: Some(thread) })
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

    pub(super) async fn reclaim(&self, rows: Vec<Vec<u8>>, now: Timestamp) -> Result<u32> {
        self.ask(|reply| Work::Reclaim { rows, now, reply }).await
    }

    pub(super) async fn clear(&self, namespace: String, limit: usize) -> Result<bool> {
        self.ask(|reply| Work::Clear { namespace, limit, reply }).await
    }

    pub(super) fn heal(&self) {
        self.send(Work::Heal);
    }

    async fn ask<T>(&self, work: impl FnOnce(oneshot::Sender<Result<T>>) -> Work) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.send(work(reply));
        answer.await.unwrap_or_else(|_| Err(Error::OutcomeUnknown("the writer's thread ended".into())))
    }

    fn send(&self, work: Work) {
        if let Some(queue) = &self.queue
            && let Err(unsent) = queue.send(work)
        {
            unsent.0.fail(Error::Unavailable("the writer's thread has ended".into()));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct WriterThread {
    file: Arc<StoreFile>,
    receiver: Receiver<Work>,
    /// When the first relaxed commit was made that is not on disk yet.
    unflushed: Option<Instant>,
    /// The file could not be opened again: when that was last tried, and why.
    closed_since: Option<(Instant, Error)>,
    /// The last group found no space. Until there is some, no group is tried: each try would end with opening the file
    /// again, and reads would fail meanwhile.
    disk_full: bool,
}

enum Next {
    Work(Work),
    Flush,
    End,
}

impl WriterThread {
    fn run(mut self) {
        loop {
            match self.next() {
                Next::Work(first) => {
                    let group = self.collect(first);
                    self.write(group);
                    // Under constant load there is no pause to flush in.
                    if self.unflushed.is_some_and(|since| since.elapsed() >= FLUSH_AFTER) {
                        self.flush();
                    }
                }
                Next::Flush => self.flush(),
                Next::End => break,
            }
        }
        // Closing makes relaxed commits durable.
        self.file.close();
    }

    fn next(&self) -> Next {
        let Some(since) = self.unflushed else {
            return self.receiver.recv().map_or(Next::End, Next::Work);
        };
        match self.receiver.recv_timeout(FLUSH_AFTER.saturating_sub(since.elapsed())) {
            Ok(work) => Next::Work(work),
            Err(RecvTimeoutError::Timeout) => Next::Flush,
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
    }

    /// All that waits, up to a group's bounds. One write that is larger than they are is a group of its own.
    fn collect(&self, first: Work) -> Vec<Work> {
        let (mut mutations, mut bytes) = first.size();
        let mut group = vec![first];
        while mutations < GROUP_MUTATIONS && bytes < GROUP_BYTES {
            let Ok(work) = self.receiver.try_recv() else { break };
            let (more_mutations, more_bytes) = work.size();
            mutations += more_mutations;
            bytes += more_bytes;
            group.push(work);
        }
        group
    }

    fn write(&mut self, mut group: Vec<Work>) {
        if self.file.failed()
            && let Err(error) = self.reopen()
        {
            return fail(group, &error);
        }
        group.retain(|work| !work.abandoned());
        if group.is_empty() {
            return;
        }
        if self.disk_full {
            let bytes: usize = group.iter().map(|work| work.size().1).sum();
            let needed = (bytes as u64).saturating_mul(2).saturating_add(SPACE_BESIDES);
            if free_space(self.file.path()).is_some_and(|free| free < needed) {
                let path = self.file.path().display();
                return fail(group, &Error::Unavailable(format!("{path}: the disk is full")));
            }
        }
        match self.transact(&group) {
            Ok(answers) => {
                self.disk_full = false;
                for (work, answer) in group.into_iter().zip(answers) {
                    work.answer(answer);
                }
            }
            Err(error) => fail(group, &error),
        }
    }

    /// Runs the group in one transaction. The error is one for all, and says whether anything was applied.
    fn transact(&mut self, group: &[Work]) -> Result<Vec<Answer>> {
        let number = self.file.commits().saturating_add(1);
        let relaxed = self.file.config().durability == Durability::Relaxed;
        let applied = guarded(|| {
            let mut transaction = self.file.begin_write()?;
            if relaxed {
                transaction.set_durability(redb::Durability::None)?;
            }
            let mut tables = Tables::open(&transaction)?;
            let answers = group.iter().map(|work| work.run(&mut tables)).collect::<Result<Vec<_>, _>>()?;
            let changed = tables.changed;
            drop(tables);
            if changed {
                note_commit(&transaction, number)?;
            }
            Ok((transaction, answers, changed))
        });
        let (transaction, answers, changed) = match applied {
            Ok(applied) => applied,
            Err(failure) => return Err(self.nothing_applied(failure)),
        };
        if !changed {
            return match guarded(|| Ok(transaction.abort()?)) {
                Ok(()) => Ok(answers),
                Err(failure) => Err(self.nothing_applied(failure)),
            };
        }
        if let Err(failure) = guarded(|| Ok(transaction.commit()?)) {
            return Err(self.commit_failed(failure, number));
        }
        self.file.committed(number);
        self.unflushed = if relaxed { self.unflushed.or_else(|| Some(Instant::now())) } else { None };
        Ok(answers)
    }

    fn flush(&mut self) {
        let flushed = guarded(|| Ok(self.file.begin_write()?.commit()?));
        self.unflushed = None;
        if let Err(failure) = flushed {
            let error = self.nothing_applied(failure);
            tracing::error!(%error, "relaxed writes could not be brought to the disk");
        }
    }

    /// After a failure before the commit.
    fn nothing_applied(&mut self, failure: Failure) -> Error {
        self.disk_full |= failure.disk_full();
        let latched = failure.latched();
        let error = failure.into_error(self.file.path());
        if latched {
            // Now, so that reads go on; what it answers is met by the next write.
            let _ = self.reopen();
        }
        error
    }

    /// After a failure in the commit with this number.
    fn commit_failed(&mut self, failure: Failure, number: u64) -> Error {
        self.disk_full |= failure.disk_full();
        let error = failure.into_error(self.file.path());
        tracing::error!(%error, "a commit failed: opening the file again");
        match self.reopen() {
            Ok(()) if self.file.commits() < number => error,
            Ok(()) => Error::OutcomeUnknown(format!("{}; it may not survive a power cut", error.message())),
            Err(_) => Error::OutcomeUnknown(error.message()),
        }
    }

    fn reopen(&mut self) -> Result<()> {
        if let Some((tried, error)) = &self.closed_since
            && tried.elapsed() < REOPEN_AFTER
        {
            return Err(error.clone());
        }
        self.unflushed = None;
        match self.file.reopen() {
            Ok(()) => {
                self.closed_since = None;
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "the file could not be opened again");
                // Whatever keeps it closed, nothing was applied of what comes now.
                let path = self.file.path().display();
                let error = Error::Unavailable(format!("{path} is closed after a failure: {}", error.message()));
                self.closed_since = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

fn note_commit(transaction: &WriteTransaction, number: u64) -> Result<(), Failure> {
    transaction.open_table(format::META)?.insert(format::META_COMMITS, number.to_be_bytes().as_slice())?;
    Ok(())
}

fn fail(group: Vec<Work>, error: &Error) {
    for work in group {
        work.fail(error.clone());
    }
}

/// Bytes free to us where the file lies; none where that cannot be known.
fn free_space(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    return rustix::fs::statvfs(path).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::RedbConfig;
    use super::*;

    fn thread(path: &Path) -> WriterThread {
        let file = Arc::new(StoreFile::open(RedbConfig::new(path), true).unwrap());
        WriterThread { file, receiver: channel().1, unflushed: None, closed_since: None, disk_full: false }
    }

    fn io_error() -> Failure {
        redb::StorageError::Io(std::io::Error::other("it broke")).into()
    }

    fn clear() -> (Work, oneshot::Receiver<Result<bool>>) {
        let (reply, answer) = oneshot::channel();
        (Work::Clear { namespace: "a".into(), limit: 1, reply }, answer)
    }

    #[test]
    fn after_a_failed_commit_the_file_says_what_became_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut thread = thread(&folder.path().join("data.redb"));
        let next = thread.file.commits() + 1;
        let error = thread.commit_failed(io_error(), next);
        assert_eq!(error.code(), "unavailable", "its number is not in the file: {error}");
        let error = thread.commit_failed(io_error(), next - 1);
        assert_eq!(error.code(), "outcome-unknown", "its number is in the file: {error}");
        assert!(!thread.file.failed());
    }

    #[test]
    fn a_file_that_cannot_be_opened_again_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, away) = (folder.path().join("data.redb"), folder.path().join("away.redb"));
        let mut thread = thread(&path);
        std::fs::rename(&path, &away).unwrap();
        let error = thread.commit_failed(io_error(), 1);
        assert_eq!(error.code(), "outcome-unknown", "{error}");
        assert_eq!(thread.file.read(|_| Ok(())).unwrap_err().code(), "unavailable");
        let (work, mut answer) = clear();
        thread.write(vec![work]);
        assert_eq!(answer.try_recv().unwrap().unwrap_err().code(), "unavailable");

        std::fs::rename(&away, &path).unwrap();
        // As if its time had come.
        thread.closed_since = None;
        let (work, mut answer) = clear();
        thread.write(vec![work]);
        assert_eq!(answer.try_recv().unwrap(), Ok(false));
        thread.file.read(|_| Ok(())).unwrap();
    }
}
