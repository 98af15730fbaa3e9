//! A thousand requests that wait for a slow storage: what each costs meanwhile.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{Capabilities, Core, Projection, Result as KvResult, State, Storage, Store, Timestamp};
use dataknobs_kv_runtime::{Runtime, RuntimeConfig, SystemClock};
use tokio::sync::Barrier;

use crate::Result;
use crate::measure::{median, micros_each, resident};
use crate::report::{Goal, Section, digits};

const REQUESTS: usize = 1000;
const ROUNDS: usize = 9;

/// Each in a process of its own, so that no memory was there before.
pub(crate) fn measure() -> Result<Section> {
    let mut rows = Vec::new();
    let mut growth_each = f64::NAN;
    for (kind, name) in [("native", "native core"), ("component", "component")] {
        let (mut growth, mut cpu) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let output = Command::new(std::env::current_exe()?).args(["child-in-flight", kind]).output()?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
            }
            let text = String::from_utf8(output.stdout)?;
            let mut numbers = text.split_whitespace().map(str::parse::<f64>);
            growth.push(numbers.next().ok_or("no growth")??);
            cpu.push(numbers.next().ok_or("no time")??);
        }
        growth_each = median(&growth) / 1000.0;
        rows.push(vec![name.to_owned(), digits(growth_each), digits(median(&cpu))]);
    }
    Ok(Section {
        title: "A thousand requests in flight",
        method: format!(
            "{REQUESTS} gets of 100 B at once over a storage that answers after 1 ms. Memory: growth of what the process holds (its Pss) \
             from\nbefore the first request to when all of them wait in the storage, per request. CPU: per request, over 20 \
             waves. Medians\nof {ROUNDS} fresh processes."
        ),
        columns: vec!["", "KB each", "CPU µs each"],
        rows,
        goals: vec![Goal::at_most("memory of a waiting request ≤ 50 KB", 50.0, growth_each)],
    })
}

/// Prints bytes of growth per request and CPU microseconds per request.
pub(crate) fn child(args: &[String]) -> Result {
    let storage = Slow { inner: dataknobs_kv_storage::memory(), all_here: Arc::new(Barrier::new(REQUESTS + 1)) };
    let all_here = storage.all_here.clone();
    let store: Arc<dyn Store> = match args.first().map(String::as_str) {
        Some("native") => Arc::new(Core::new(storage, SystemClock)),
        Some("component") => {
            let config = RuntimeConfig { instances: REQUESTS, ..RuntimeConfig::default() };
            Arc::new(Runtime::new(config)?.store(Arc::new(storage), Arc::new(SystemClock)))
        }
        _ => return Err("native or component?".into()),
    };
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    tokio.block_on(async {
        let before = resident()?;
        let wave = || {
            let mut tasks = tokio::task::JoinSet::new();
            for request in 0..REQUESTS {
                let store = store.clone();
                tasks.spawn(async move { store.get("bench", &format!("bench.{request}")).await });
            }
            tasks
        };
        let tasks = wave();
        all_here.wait().await;
        let during = resident()?;
        check(tasks).await?;
        // Later waves: what was built for the first is used again.
        const WAVES: usize = 20;
        let (start, mut waited) = (crate::measure::cpu(), 0);
        for _ in 0..WAVES {
            let tasks = wave();
            all_here.wait().await;
            waited += REQUESTS;
            check(tasks).await?;
        }
        let each = micros_each(crate::measure::cpu() - start, waited);
        println!("{} {each}", during.saturating_sub(before) as f64 / REQUESTS as f64);
        Ok(())
    })
}

async fn check(tasks: tokio::task::JoinSet<KvResult<Option<State>>>) -> Result {
    for result in tasks.join_all().await {
        result?;
    }
    Ok(())
}

/// Answers reads when all requests are waiting, and a millisecond later.
struct Slow<S> {
    inner: S,
    all_here: Arc<Barrier>,
}

#[async_trait]
impl<S: Storage> Storage for Slow<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> KvResult<Option<State>> {
        self.all_here.wait().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.inner.get(namespace, key, now, with_value).await
    }
    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> KvResult<Vec<KvResult<Option<State>>>> {
        self.inner.get_many(namespace, keys, now, with_value).await
    }
    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> KvResult<Vec<KvResult<Outcome>>> {
        self.inner.write(namespace, mutations, atomic, now, on_conflict).await
    }
    async fn scan(
        &self,
        namespace: &str,
        range: Range,
        hint: Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> KvResult<Page> {
        self.inner.scan(namespace, range, hint, now, limit, want).await
    }
    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> KvResult<Option<u64>> {
        self.inner.count(namespace, range, now).await
    }
    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> KvResult<Reclaimed> {
        self.inner.reclaim(namespace, now, limit).await
    }
    async fn clear(&self, namespace: &str, limit: u32) -> KvResult<bool> {
        self.inner.clear(namespace, limit).await
    }
    async fn namespaces(&self, after: Option<&str>, limit: u32) -> KvResult<Names> {
        self.inner.namespaces(after, limit).await
    }
}
