//! A page of a thousand keys out of a million.

use std::sync::Arc;

use dataknobs_kv_core::store::{Item, Query, SetOptions};
use dataknobs_kv_core::{Core, Projection, Store, Value};
use dataknobs_kv_runtime::{Runtime, RuntimeConfig, SystemClock};
use dataknobs_kv_storage::OpenOptions;

use crate::Result;
use crate::measure::{Cost, cost, median};
use crate::report::{Goal, Section, digits};

const GROUPS: usize = 1000;
const KEYS_OF_A_GROUP: usize = 1000;
const PAGES: usize = 51;

pub(crate) fn measure() -> Result<Section> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("million.redb");
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let url = format!("file:{}", path.display());
    tokio.block_on(fill(&format!("{url}?durability=relaxed")))?;

    let storage = tokio.block_on(dataknobs_kv_storage::open(&url, &OpenOptions::default()))?;
    let runtime = Runtime::new(RuntimeConfig::default())?;
    let store = runtime.store(storage, Arc::new(SystemClock));
    let mut rows = Vec::new();
    let mut keys_only = f64::NAN;
    for (want, name) in
        [(Projection::Key, "keys"), (Projection::Attributes, "with metadata"), (Projection::Value, "with values")]
    {
        let mut costs: Vec<Cost> = Vec::new();
        for page in 0..=PAGES {
            // Far apart, so that no page was just read.
            let group = page * 389 % GROUPS;
            let query = Query::pattern(format!("bench.g{group:03}.**"));
            let (cost, page_read) = cost(|| tokio.block_on(store.list_entries("default", &query, None, 1000, want)));
            if page_read?.entries.len() != KEYS_OF_A_GROUP {
                return Err("not a full page".into());
            }
            if page > 0 {
                costs.push(cost);
            }
        }
        let wall = median(&costs.iter().map(|cost| cost.wall.as_secs_f64() * 1e3).collect::<Vec<_>>());
        let cpu = median(&costs.iter().map(|cost| cost.cpu.as_secs_f64() * 1e3).collect::<Vec<_>>());
        if want == Projection::Key {
            keys_only = wall;
        }
        rows.push(vec![name.to_owned(), digits(wall), digits(cpu)]);
    }
    Ok(Section {
        title: "A page of 1000 of 1,000,000 keys",
        method: format!(
            "A redb file of a million entries of 100 B; pages by prefix (`bench.g389.**`) through the component, {PAGES} pages \
             far\napart, median."
        ),
        columns: vec!["page of 1000", "ms on the wall", "ms of CPU"],
        rows,
        goals: vec![Goal::at_most("a page of 1000 keys ≤ 10 ms", 10.0, keys_only)],
    })
}

/// By the native core: the rules are the same, and the filling is not what is measured.
async fn fill(url: &str) -> Result {
    let storage = dataknobs_kv_storage::open(url, &OpenOptions::default()).await?;
    let core = Core::new(storage, SystemClock);
    for group in 0..GROUPS {
        let items = (0..KEYS_OF_A_GROUP).map(|key| Item {
            key: format!("bench.g{group:03}.k{key:06}"),
            value: Value::Bytes(vec![b'x'; 100]),
            options: SetOptions::default(),
        });
        for result in core.set_many("default", items.collect()).await? {
            result?;
        }
    }
    Ok(())
}
