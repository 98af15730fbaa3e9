//! Several services clean one backend: what expired is removed once, and counted once.
//!
//! `KV_TEST_REDIS=redis://… cargo test -p dataknobs-kv-end-to-end --test cleanup`

use std::time::{Duration, Instant};

use dataknobs_kv::{Expiry, Item, SetOptions, Store, Value};
use dataknobs_kv_client::{HttpOptions, HttpStore};
use dataknobs_kv_end_to_end::ServiceProcess;
use dataknobs_kv_services::shared;
use libtest_mimic::{Arguments, Failed, Trial};

/// Backends, and by which option a store has its own place there.
const BACKENDS: [(&str, &str); 2] = [("redis", "prefix"), ("postgres", "table")];
const SERVICES: usize = 3;
const ENTRIES: u64 = 5000;

fn main() {
    let arguments = Arguments::from_args();
    let trials = BACKENDS.map(|(name, option)| {
        let title = format!("cleanup::{name}");
        match shared(name) {
            Err(missing) => missing.trial(title),
            Ok(url) => Trial::test(title, move || clean(&url, option)),
        }
    });
    libtest_mimic::run(&arguments, trials.into()).exit();
}

/// A number of a service's metrics.
async fn count(service: &ServiceProcess, name: &str) -> u64 {
    let text = reqwest::get(format!("{}/metrics", service.address())).await.expect("an answer").text().await;
    let text = text.expect("a text");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("dataknobs_kv_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().expect("a number")
}

fn clean(url: &str, option: &str) -> Result<(), Failed> {
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}{option}=cleanup_{}", std::process::id());
    let folder = tempfile::tempdir()?;
    let start = |_| ServiceProcess::start(&url, folder.path(), &["--cleanup-interval", "200ms"]);
    let services = (0..SERVICES).map(start).collect::<Result<Vec<_>, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = HttpStore::connect(services[0].address(), HttpOptions::default()).expect("an address");
        let item = |at: u64, expiry| Item {
            key: format!("k{at}"),
            value: Value::Integer(1),
            options: SetOptions { expiry, ..SetOptions::default() },
        };
        for part in 0..ENTRIES / 1000 {
            let items = (0..1000).map(|at| item(part * 1000 + at, Expiry::After(700))).collect();
            store
                .set_many("default", items)
                .await
                .expect("written")
                .into_iter()
                .for_each(|set| drop(set.expect("set")));
        }
        store.set("default", item(ENTRIES, Expiry::Never)).await.expect("set");
        let removed = async || {
            let mut sum = 0;
            for service in &services {
                sum += count(service, "cleanup_removed_total").await;
            }
            sum
        };
        let begun = Instant::now();
        while removed().await < ENTRIES {
            assert!(begun.elapsed() < Duration::from_secs(100), "{} of {ENTRIES} after 100 s", removed().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Two rounds more find nothing.
        for service in &services {
            let before = count(service, "cleanup_rounds_total").await;
            while count(service, "cleanup_rounds_total").await < before + 2 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert_eq!(count(service, "cleanup_failures_total").await, 0);
        }
        assert_eq!(removed().await, ENTRIES, "none is counted twice");
        assert!(store.get("default", &format!("k{ENTRIES}")).await.expect("read").is_some(), "what lives stays");
        while store.clear("default", 1000).await.expect("emptied") {}
    });
    Ok(())
}
