//! Two, four, eight services on one backend, each a process: increments, appends and compare-and-swap lose nothing.

use std::time::{Duration, Instant};

use dataknobs_kv::{Error, Expiry, Numeric, SetOptions, Store, SwapResult, Value};
use dataknobs_kv_client::{HttpOptions, HttpStore};
use dataknobs_kv_conformance::harness::fresh_namespace;
use dataknobs_kv_end_to_end::ServiceProcess;
use futures::future::try_join_all;

use crate::faults::PATIENCE;

/// How many services there are at one time.
const COUNTS: [usize; 3] = [2, 4, 8];
/// Callers of each service.
const CALLERS: usize = 3;

/// Each caller does each thing so many times, to the same three keys. What it did, in words.
pub(crate) fn check(start: impl Fn() -> Result<ServiceProcess, String>, rounds: usize) -> Result<String, String> {
    let mut services = Vec::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let mut done = Vec::new();
    for count in COUNTS {
        while services.len() < count {
            services.push(start()?);
        }
        let began = Instant::now();
        runtime.block_on(all(&services, rounds))?;
        done.push(format!(
            "{count} services {} calls in {} ms",
            count * CALLERS * rounds * 3,
            began.elapsed().as_millis()
        ));
    }
    Ok(done.join(", "))
}

async fn all(services: &[ServiceProcess], rounds: usize) -> Result<(), String> {
    let namespace = fresh_namespace();
    let connect = |service: &ServiceProcess| HttpStore::connect(service.address(), HttpOptions::default());
    let stores: Result<Vec<_>, _> = services.iter().map(connect).collect();
    let stores = stores.map_err(|error| error.to_string())?;
    let callers = stores.iter().flat_map(|store| std::iter::repeat_n(store, CALLERS)).enumerate();
    try_join_all(callers.map(|(id, store)| caller(store, &namespace, id, rounds))).await?;
    let sum = (services.len() * CALLERS * rounds) as i64;

    // Any of them tells the same.
    for store in stores.iter().take(2) {
        let value = async |key: &str| {
            let state = store.get(&namespace, key).await.map_err(|error| error.to_string())?;
            state.map(|state| state.into_value()).transpose().map(Option::flatten).map_err(|error| error.to_string())
        };
        for key in ["counter", "swapped"] {
            let found = value(key).await?;
            if found != Some(Value::Integer(sum)) {
                return Err(format!("{} services: {key}: {found:?}, {sum} calls succeeded", services.len()));
            }
        }
        let Some(Value::Text(text)) = value("text").await? else { return Err("text: it is none".into()) };
        let mut words: Vec<&str> = text.split_terminator(' ').collect();
        words.sort_unstable();
        words.dedup();
        if words.len() as i64 != sum || text.matches(' ').count() as i64 != sum {
            return Err(format!("{} services: text: {} words, {sum} calls succeeded", services.len(), words.len()));
        }
        // Each caller's words in the order of its calls.
        for id in 0..services.len() * CALLERS {
            let prefix = format!("{id}:");
            let own: Vec<&str> = text.split(' ').filter(|word| word.starts_with(&prefix)).collect();
            let expected: Vec<String> = (0..rounds).map(|round| format!("{id}:{round}")).collect();
            if own != expected {
                return Err(format!("{} services: text: the words of caller {id} are {own:?}", services.len()));
            }
        }
    }
    while stores[0].clear(&namespace, 1000).await.map_err(|error| error.to_string())? {}
    Ok(())
}

async fn caller(store: &HttpStore, namespace: &str, id: usize, rounds: usize) -> Result<(), String> {
    for round in 0..rounds {
        until_done(async || store.increment(namespace, "counter", Numeric::Integer(1), Expiry::Unspecified).await)
            .await?;
        let word = format!("{id}:{round} ");
        until_done(async || store.append(namespace, "text", Value::Text(word.clone()), Expiry::Unspecified).await)
            .await?;
        let mut known = None;
        loop {
            let next = known.as_ref().map_or(1, |known| known + 1);
            let old = known.map(Value::Integer);
            let swap = async || {
                let options = SetOptions::default();
                store.compare_and_swap(namespace, "swapped", old.clone(), Value::Integer(next), options).await
            };
            match until_done(swap).await? {
                SwapResult::Swapped(_) => break,
                SwapResult::Different(state) => {
                    known = match state.map(|state| state.into_value()).transpose() {
                        Ok(Some(Some(Value::Integer(integer)))) => Some(integer),
                        Ok(None) => None,
                        other => return Err(format!("swapped: {other:?}")),
                    };
                }
            }
        }
    }
    Ok(())
}

/// Again where nothing was applied, since too many wanted the same.
async fn until_done<T>(call: impl AsyncFn() -> Result<T, Error>) -> Result<T, String> {
    let began = Instant::now();
    loop {
        match call().await {
            Ok(done) => return Ok(done),
            Err(Error::RateLimited(wait)) if began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(wait.map_or(10, |wait| *wait).min(100))).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}
