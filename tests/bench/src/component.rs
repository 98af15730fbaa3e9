//! The component against the native core: what WebAssembly costs.

use std::sync::Arc;

use dataknobs_kv_core::store::{Item, SetOptions, SetResult, SwapResult};
use dataknobs_kv_core::{Core, Store, Value};
use dataknobs_kv_runtime::{Runtime, RuntimeConfig, SystemClock};

use crate::Result;
use crate::measure::{cost, median, micros_each, spread};
use crate::report::{Goal, Section, digits};

const ROUNDS: usize = 11;
/// Of each thread.
const KEYS: usize = 1000;
const NAMESPACE: &str = "bench";

#[derive(Clone, Copy, PartialEq)]
enum Operation {
    Get,
    Set,
    CompareAndSwap,
}

/// A row of the table, before it is measured.
#[derive(Clone, Copy)]
struct Row {
    operation: Operation,
    size: usize,
    threads: usize,
}

impl Row {
    /// How many each thread makes in a round: enough to outweigh the clock, few enough for many rounds.
    fn calls(self) -> usize {
        if self.size > 1000 { 10_000 } else { 30_000 }
    }
}

pub(crate) fn measure() -> Result<Section> {
    let native: Arc<dyn Store> = Arc::new(Core::new(dataknobs_kv_storage::memory(), SystemClock));
    let runtime = Runtime::new(RuntimeConfig::default())?;
    let component: Arc<dyn Store> =
        Arc::new(runtime.store(Arc::new(dataknobs_kv_storage::memory()), Arc::new(SystemClock)));

    let mut rows = Vec::new();
    let mut get_100 = (f64::NAN, f64::NAN);
    for size in [100, 10 * 1024] {
        for operation in [Operation::Get, Operation::Set, Operation::CompareAndSwap] {
            for threads in [1, 2] {
                let row = Row { operation, size, threads };
                let (mut of_native, mut of_component) = (Vec::new(), Vec::new());
                let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
                for round in 0..=ROUNDS {
                    for (store, times) in [(&native, &mut of_native), (&component, &mut of_component)] {
                        let micros = one_round(&tokio, store, row)?;
                        // The first fills caches and pools.
                        if round > 0 {
                            times.push(micros);
                        }
                    }
                }
                let (native, component) = (median(&of_native), median(&of_component));
                if (operation == Operation::Get) && size == 100 && threads == 1 {
                    get_100 = (component, component / native);
                }
                rows.push(vec![
                    match operation {
                        Operation::Get => "get",
                        Operation::Set => "set",
                        Operation::CompareAndSwap => "compare-and-swap",
                    }
                    .to_owned(),
                    if size == 100 { "100 B" } else { "10 KiB" }.to_owned(),
                    threads.to_string(),
                    with_spread(native, &of_native),
                    with_spread(component, &of_component),
                    digits(component / native),
                ]);
            }
        }
    }
    Ok(Section {
        title: "Component against native core",
        method: format!(
            "The same core over the memory adapter, compiled natively (which no product uses) and as the component under \
             wasmtime.\nCPU time of the whole process per operation in µs, median (least–most) of {ROUNDS} rounds; each \
             thread works on {KEYS} keys of its own."
        ),
        columns: vec!["operation", "value", "threads", "native µs", "component µs", "ratio"],
        rows,
        goals: vec![
            Goal::at_most("get of 100 B through the component, one thread, ≤ 5 µs of CPU", 5.0, get_100.0),
            Goal::at_most("get of 100 B, component against native, ≤ 8", 8.0, get_100.1),
        ],
    })
}

fn with_spread(median: f64, values: &[f64]) -> String {
    let (low, high) = spread(values);
    format!("{} ({}–{})", digits(median), digits(low), digits(high))
}

/// CPU microseconds per operation.
fn one_round(tokio: &tokio::runtime::Runtime, store: &Arc<dyn Store>, row: Row) -> Result<f64> {
    let keys: Vec<Arc<[String]>> =
        (0..row.threads).map(|thread| (0..KEYS).map(|key| format!("bench.{thread}.{key:06}")).collect()).collect();
    let old = vec![b'a'; row.size];
    tokio.block_on(async {
        for key in keys.iter().flat_map(|keys| keys.iter()) {
            set(&**store, key, &old).await?;
        }
        Ok::<_, dataknobs_kv_core::Error>(())
    })?;
    let (cost, outcome) = cost(|| {
        tokio.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for keys in &keys {
                tasks.spawn(calls(store.clone(), keys.clone(), row));
            }
            tasks.join_all().await.into_iter().collect::<Result<Vec<()>>>()
        })
    });
    outcome?;
    Ok(micros_each(cost.cpu, row.calls() * row.threads))
}

async fn calls(store: Arc<dyn Store>, keys: Arc<[String]>, row: Row) -> Result {
    // Each sweep over the keys swaps what the one before it wrote.
    let values = [vec![b'a'; row.size], vec![b'b'; row.size]];
    for call in 0..row.calls() {
        let key = &keys[call % KEYS];
        match row.operation {
            Operation::Get => {
                let state = store.get(NAMESPACE, key).await?.ok_or("a key is gone")?;
                if state.value.is_none_or(|value| value.len() != row.size) {
                    return Err("a value is gone".into());
                }
            }
            Operation::Set => set(&*store, key, &values[0]).await?,
            Operation::CompareAndSwap => {
                let sweep = call / KEYS;
                let (old, new) = (values[sweep % 2].clone(), values[(sweep + 1) % 2].clone());
                let (old, new) = (Value::Bytes(old), Value::Bytes(new));
                let result = store.compare_and_swap(NAMESPACE, key, Some(old), new, SetOptions::default()).await?;
                if !matches!(result, SwapResult::Swapped(_)) {
                    return Err("a swap without a rival was lost".into());
                }
            }
        }
    }
    Ok(())
}

async fn set(store: &dyn Store, key: &str, value: &[u8]) -> dataknobs_kv_core::Result<()> {
    let item = Item { key: key.to_owned(), value: Value::Bytes(value.to_vec()), options: SetOptions::default() };
    match store.set(NAMESPACE, item).await? {
        SetResult::Written(_) => Ok(()),
        SetResult::Conflict(_) => {
            Err(dataknobs_kv_core::Error::Internal("a set without a condition conflicted".into()))
        }
    }
}
