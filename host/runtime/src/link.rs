//! What the component imports, over an adapter and a clock.

use std::{
    future::ready,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use dataknobs_kv_core::{
    Capabilities, Clock, Error, Projection, Result, Storage, Timestamp,
    storage::{ANSWER_BYTES, Change, Mutation, Outcome, Range},
};
use wasmtime::{ResourceLimiter, component::Linker};

use crate::{
    bindings::{
        Kv,
        dataknobs::kv::{storage as imports, types as wit},
        wasi::clocks::wall_clock,
    },
    convert,
};

/// What an instance is linked to, and what is known of the call that runs in it.
pub(crate) struct Host {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    pub(crate) call: Call,
    pub(crate) memory: Memory,
}

/// A call's state.
pub(crate) struct Call {
    /// How many more ticks the guest may compute.
    ticks_left: u64,
    /// Whether the guest was stopped because it used them all.
    pub(crate) out_of_time: bool,
    /// Whether a storage call made the guest wait since the last tick: then that tick was not computing.
    waited: bool,
    /// Whether anything may have been written: a write is under way, or was answered with more than a refusal.
    pub(crate) wrote: bool,
}

/// How large an instance's memory is, and may become.
pub(crate) struct Memory {
    limit: usize,
    pub(crate) bytes: usize,
    /// What was asked for beyond the limit.
    pub(crate) refused: Option<usize>,
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.limit {
            self.refused = Some(desired);
            return Ok(false);
        }
        self.bytes = desired;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        // The component's tables have a fixed size.
        Ok(desired <= 10_000)
    }
}

impl Host {
    pub(crate) fn new(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>, ticks: u64, memory_bytes: usize) -> Self {
        let memory = Memory { limit: memory_bytes, bytes: 0, refused: None };
        Host { storage, clock, call: Call::new(ticks), memory }
    }

    /// One more tick has passed in a guest that computes. Whether it may go on.
    pub(crate) fn tick(&mut self) -> bool {
        if std::mem::take(&mut self.call.waited) {
            return true;
        }
        self.call.ticks_left = self.call.ticks_left.saturating_sub(1);
        self.call.out_of_time = self.call.ticks_left == 0;
        !self.call.out_of_time
    }
}

pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    Kv::add_to_linker::<_, wasmtime::component::HasSelf<Host>>(linker, |host| host)
}

impl Call {
    pub(crate) fn new(ticks_left: u64) -> Self {
        Call { ticks_left, out_of_time: false, waited: false, wrote: false }
    }

    /// Waits for an adapter. Its panic is its own: the caller gets an error, the guest and other calls go on.
    async fn wait<T, F: Future<Output = Result<T>>>(&mut self, start: impl FnOnce() -> F) -> Result<T> {
        let mut future = pin!(catch_unwind(AssertUnwindSafe(start)).map_err(|_| panicked())?);
        std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => {
                self.waited = true;
                Poll::Pending
            }
            Ok(ready) => ready,
            Err(_) => Poll::Ready(Err(panicked())),
        })
        .await
    }

    /// As `wait`, for what changes the storage; `applied` tells from the answer whether it did.
    async fn change<T, F: Future<Output = Result<T>>>(
        &mut self,
        start: impl FnOnce() -> F,
        applied: impl FnOnce(&T) -> bool,
    ) -> Result<T> {
        let before = std::mem::replace(&mut self.wrote, true);
        let result = self.wait(start).await;
        self.wrote = before
            || match &result {
                Ok(answer) => applied(answer),
                Err(error) => !refused(error),
            };
        result
    }
}

fn panicked() -> Error {
    tracing::error!("the storage adapter panicked");
    Error::Internal("the storage adapter failed".into())
}

/// Whether the error says that nothing was applied.
fn refused(error: &Error) -> bool {
    !matches!(error, Error::OutcomeUnknown(_) | Error::Corrupt(_) | Error::Internal(_))
}

impl wit::Host for Host {}

impl imports::Host for Host {
    async fn capabilities(&mut self) -> wit::CapabilitySet {
        let storage = &self.storage;
        match self.call.wait(|| ready(Ok(storage.capabilities()))).await {
            Ok(capabilities) => capabilities.into(),
            Err(_) => nothing().into(),
        }
    }

    async fn default_ttls(&mut self) -> Vec<(String, u64)> {
        let storage = &self.storage;
        self.call.wait(|| ready(Ok(storage.default_ttls()))).await.unwrap_or_default()
    }

    async fn get(
        &mut self,
        namespace: String,
        key: String,
        now: Timestamp,
        with_value: bool,
    ) -> Result<Option<wit::State>, wit::Error> {
        let storage = &self.storage;
        Ok(self.call.wait(|| storage.get(&namespace, &key, now, with_value)).await?.map(Into::into))
    }

    async fn get_many(
        &mut self,
        namespace: String,
        keys: Vec<String>,
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<wit::State>, wit::Error>>, wit::Error> {
        let storage = &self.storage;
        let mut states = self.call.wait(|| storage.get_many(&namespace, &keys, now, with_value)).await?;
        // The rest is asked for again.
        let mut room = Room::default();
        let fit = states.iter().take_while(|state| room.takes(state.as_ref().ok().and_then(Option::as_ref))).count();
        states.truncate(fit.max(1));
        Ok(states.into_iter().map(|state| Ok(state?.map(Into::into))).collect())
    }

    async fn write(
        &mut self,
        namespace: String,
        mutations: Vec<imports::Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: wit::Projection,
    ) -> Result<Vec<Result<imports::Outcome, wit::Error>>, wit::Error> {
        let storage = &self.storage;
        let mutations: Vec<Mutation> =
            mutations.into_iter().map(convert::mutation).collect::<Result<_>>().map_err(wit::Error::from)?;
        // To move a sliding expiry, or to look, is no write that anyone asks about.
        let writes = mutations.iter().any(|m| !matches!(m.change, Change::Extend(_) | Change::Check));
        let write = || storage.write(&namespace, mutations, atomic, now, Projection::from(on_conflict));
        let outcomes =
            if writes { self.call.change(write, |o| applied(o)).await? } else { self.call.wait(write).await? };
        let mut room = Room::default();
        Ok(outcomes
            .into_iter()
            .map(|outcome| {
                let mut outcome = outcome?;
                if let Outcome::Conflict(Some(state)) = &mut outcome
                    && !room.takes(Some(&*state))
                {
                    // There is no asking again for these: the caller sees that there is a value, and may read it.
                    state.value = None;
                }
                Ok(outcome.into())
            })
            .collect())
    }

    async fn scan(
        &mut self,
        namespace: String,
        range: imports::Range,
        hint: imports::Hint,
        now: Timestamp,
        limit: u32,
        want: wit::Projection,
    ) -> Result<imports::Page, wit::Error> {
        let storage = &self.storage;
        let scan = || storage.scan(&namespace, range.into(), hint.into(), now, limit, want.into());
        let mut page = self.call.wait(scan).await?;
        // A page may be short: what is left out comes with the next one.
        let mut room = Room::default();
        let fit = page.items.iter().take_while(|item| room.takes(item.state.as_ref())).count().max(1);
        if fit < page.items.len() {
            page.items.truncate(fit);
            page.next = page.items.last().map(|item| item.key.clone());
        }
        Ok(page.into())
    }

    async fn count(
        &mut self,
        namespace: String,
        range: imports::Range,
        now: Timestamp,
    ) -> Result<Option<u64>, wit::Error> {
        let storage = &self.storage;
        Ok(self.call.wait(|| storage.count(&namespace, Range::from(range), now)).await?)
    }

    async fn reclaim(
        &mut self,
        namespace: Option<String>,
        now: Timestamp,
        limit: u32,
    ) -> Result<imports::Reclaimed, wit::Error> {
        let storage = &self.storage;
        let reclaim = || storage.reclaim(namespace.as_deref(), now, limit);
        Ok(self.call.change(reclaim, |reclaimed| reclaimed.count > 0).await?.into())
    }

    async fn clear(&mut self, namespace: String, limit: u32) -> Result<bool, wit::Error> {
        let storage = &self.storage;
        Ok(self.call.change(|| storage.clear(&namespace, limit), |_| true).await?)
    }

    async fn namespaces(&mut self, after: Option<String>, limit: u32) -> Result<imports::Names, wit::Error> {
        let storage = &self.storage;
        Ok(self.call.wait(|| storage.namespaces(after.as_deref(), limit)).await?.into())
    }

    async fn backoff(&mut self, _namespace: String, _key: String, attempt: u32) {
        self.call.waited = true;
        let most = BACKOFF_FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(BACKOFF_MOST);
        // Anything from nothing to the most: rivals that waited the same time would meet again.
        let wait = most.mul_f64(rand::random::<f64>());
        if wait < TIMER_STEP / 2 {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(wait).await;
        }
    }
}

/// Rivals of this process queue for their key, so these are of another one: about a round trip to a near server.
const BACKOFF_FIRST: Duration = Duration::from_micros(200);
const BACKOFF_MOST: Duration = Duration::from_millis(50);
/// Timers round up to this.
const TIMER_STEP: Duration = Duration::from_millis(1);

impl wall_clock::Host for Host {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let now = catch_unwind(AssertUnwindSafe(|| self.clock.now()))
            .map_err(|_| wasmtime::Error::msg("the clock panicked"))?;
        Ok(wall_clock::Datetime { seconds: now / 1000, nanoseconds: ((now % 1000) * 1_000_000) as u32 })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1_000_000 })
    }
}

/// Room for an answer in the instance's memory, whatever the adapter gives. One that keeps to `ANSWER_BYTES`, with one
/// large value on top, never meets this.
struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Room(4 * ANSWER_BYTES)
    }
}

impl Room {
    fn takes(&mut self, state: Option<&dataknobs_kv_core::State>) -> bool {
        let bytes = state.map_or(0, |state| {
            state.value.as_ref().map_or(0, Vec::len) + state.attributes.metadata.as_ref().map_or(0, String::len)
        });
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

fn applied(outcomes: &[Result<Outcome>]) -> bool {
    outcomes.iter().any(|outcome| match outcome {
        Ok(Outcome::Written(_) | Outcome::Deleted) => true,
        Ok(_) => false,
        Err(error) => !refused(error),
    })
}

/// What a storage promises that cannot say what it promises.
fn nothing() -> Capabilities {
    Capabilities {
        durable: false,
        shared: false,
        max_atomic: 1,
        max_value_bytes: 0,
        max_metadata_bytes: 0,
        sliding: false,
        cheap_amend: false,
        native_expiry: false,
        indexed_scan: false,
        extra: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Frozen;

    impl Clock for Frozen {
        fn now(&self) -> Timestamp {
            1_234_567
        }
    }

    fn host(ticks: u64) -> Host {
        Host::new(Arc::new(dataknobs_kv_core::MemoryStorage::new(rand::random)), Arc::new(Frozen), ticks, 1 << 20)
    }

    #[test]
    fn ticks_count_only_while_the_guest_computes() {
        let mut host = host(2);
        for _ in 0..100 {
            host.call.waited = true;
            assert!(host.tick());
        }
        assert!(host.tick());
        assert!(!host.tick());
        assert!(host.call.out_of_time);
    }

    #[test]
    fn the_clock_keeps_its_milliseconds() {
        let now = wall_clock::Host::now(&mut host(1)).unwrap();
        assert_eq!((now.seconds, now.nanoseconds), (1234, 567_000_000));
    }

    #[test]
    fn memory_stops_at_its_limit() {
        let mut memory = host(1).memory;
        assert!(memory.memory_growing(0, 1 << 20, None).unwrap());
        assert!(!memory.memory_growing(1 << 20, (1 << 20) + 1, None).unwrap());
        assert_eq!((memory.bytes, memory.refused), (1 << 20, Some((1 << 20) + 1)));
    }

    #[tokio::test]
    async fn a_write_that_was_refused_is_none() {
        let mut call = Call::new(1);
        for (answer, wrote) in [
            (Ok(vec![Ok(Outcome::Conflict(None))]), false),
            (Err(Error::Unavailable(String::new())), false),
            (Ok(vec![Err(Error::OutcomeUnknown(String::new()))]), true),
            (Ok(vec![Ok(Outcome::Deleted)]), true),
            (Err(Error::Unavailable(String::new())), true),
        ] {
            let _ = call.change(|| ready(answer), |outcomes| applied(outcomes)).await;
            // Once something was written, a later refusal does not take it back.
            assert_eq!(call.wrote, wrote);
        }
    }
}
