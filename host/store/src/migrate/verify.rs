//! Compares everything, after it was copied: both stores are walked side by side, in key order.

use std::collections::VecDeque;
use std::sync::Arc;

use dataknobs_kv_core::{Result, Store};

use super::checkpoint::Progress;
use super::compare::Rules;
use super::options::{MigrateOptions, OnExisting};
use super::pace::Pace;
use super::report::{Difference, MigrateEvent, Verification};
use super::retry::Retry;
use super::source::{Names, Read, Walk};
use super::target::Target;

/// What was found; none where it was told to stop.
pub(super) async fn verify(
    source: &Arc<dyn Store>,
    target: &Target,
    options: &MigrateOptions,
    progress: &Progress,
) -> Result<Option<Verification>> {
    let mut pace = Pace::new(options.rate);
    let mut names = Names::new(Arc::clone(source), &options.namespaces, None);
    let mut comparison = Comparison {
        options,
        rules: target.rules(progress.fresh),
        // They were left as they were, and so may differ.
        left: if options.on_existing == OnExisting::Skip { progress.counts.skipped } else { 0 },
        found: Verification::default(),
        compared: 0,
    };
    loop {
        let mut retry = Retry::new(options);
        let name = loop {
            match names.next().await {
                Ok(name) => break name,
                Err(error) => retry.after(error).await?,
            }
        };
        let Some(name) = name else { return Ok(Some(comparison.found)) };
        let side = |store: &Arc<dyn Store>| Side {
            walk: Walk::new(Arc::clone(store), &name, &options.pattern, None, pace.page()),
            reads: VecDeque::new(),
            ended: false,
        };
        let (mut ours, mut theirs) = (side(source), side(target.store()));
        loop {
            if options.stopped() {
                return Ok(None);
            }
            let (read, _) = futures::try_join!(ours.fill(options), theirs.fill(options))?;
            pace.take(read).await;
            let before = comparison.compared;
            while let Some(pair) = pair(&mut ours, &mut theirs) {
                comparison.look(&name, pair, target);
            }
            if comparison.compared > before {
                options.tell(MigrateEvent::Compared(comparison.compared));
            }
            if ours.is_done() && theirs.is_done() {
                break;
            }
        }
    }
}

/// One of the two stores.
struct Side {
    walk: Walk,
    reads: VecDeque<Read>,
    ended: bool,
}

impl Side {
    /// Reads a page where there is nothing left of the last one: how many came.
    async fn fill(&mut self, options: &MigrateOptions) -> Result<usize> {
        let mut retry = Retry::new(options);
        while self.reads.is_empty() && !self.ended {
            match self.walk.page().await {
                Ok(Some(reads)) => {
                    self.reads = reads.into();
                    if !self.reads.is_empty() {
                        return Ok(self.reads.len());
                    }
                }
                Ok(None) => self.ended = true,
                Err(error) => retry.after(error).await?,
            }
        }
        Ok(0)
    }

    fn is_done(&self) -> bool {
        self.ended && self.reads.is_empty()
    }

    /// Whether its next key is known, or that there is none.
    fn is_known(&self) -> bool {
        self.ended || !self.reads.is_empty()
    }
}

/// What the two have under the next key, where that is known of both.
fn pair(ours: &mut Side, theirs: &mut Side) -> Option<(Option<Read>, Option<Read>)> {
    if !ours.is_known() || !theirs.is_known() {
        return None;
    }
    let (left, right) = (ours.reads.front().map(Read::key), theirs.reads.front().map(Read::key));
    let (take_left, take_right) = match (left, right) {
        (None, None) => return None,
        (Some(_), None) => (true, false),
        (None, Some(_)) => (false, true),
        (Some(left), Some(right)) => (left <= right, right <= left),
    };
    let pop = |side: &mut Side, take: bool| if take { side.reads.pop_front() } else { None };
    Some((pop(ours, take_left), pop(theirs, take_right)))
}

struct Comparison<'a> {
    options: &'a MigrateOptions,
    rules: Rules,
    left: u64,
    found: Verification,
    compared: u64,
}

impl Comparison<'_> {
    fn look(&mut self, namespace: &str, pair: (Option<Read>, Option<Read>), target: &Target) {
        self.compared += u64::from(pair.0.is_some());
        let (key, what) = match pair {
            (None, None) => return,
            (None, Some(_)) => {
                self.found.only_in_target += 1;
                return;
            }
            (Some(Read::Damaged(key, _)), _) => (key, vec!["damaged in the source"]),
            (Some(Read::Entry(key, _)), Some(Read::Damaged(..))) => (key, vec!["damaged in the target"]),
            // Gone meanwhile, as it was to be.
            (Some(Read::Entry(_, state)), None) if state.attributes.expired(target.now()) => return,
            (Some(Read::Entry(key, _)), None) => (key, vec!["missing"]),
            (Some(Read::Entry(key, ours)), Some(Read::Entry(_, theirs))) => {
                (key, self.rules.differences(&ours, &theirs))
            }
        };
        if what.is_empty() {
            self.found.same += 1;
        } else if self.found.left < self.left && !what.contains(&"missing") {
            self.found.left += 1;
        } else {
            self.found.different += 1;
            self.options.tell(MigrateEvent::Difference(&Difference { namespace: namespace.to_owned(), key, what }));
        }
    }
}
