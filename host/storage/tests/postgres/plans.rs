//! Costs that follow from plans: a page costs the page, and cleanup the expired, among many keys.

use std::sync::Arc;

use dataknobs_kv_core::storage::{Hint, Range, Reclaimed};
use dataknobs_kv_core::{Projection, Storage};
use tokio_postgres::Client;

use super::Place;
use super::common::*;

crate::tests! { among_many }

const KEYS: i64 = 200_000;

/// By the server, which is far quicker than we are.
async fn fill(place: &Place) {
    let table = place.table();
    place
        .sql(&format!(
            "insert into \"{table}\" (namespace, key, version, value_type, value, created_at, updated_at, expires_at, size, \
             checksum) select case when i % 10 = 0 then 'n' || lpad((i % 2000)::text, 4, '0') else 'default' end, 'k.' || \
             lpad(i::text, 7, '0'), gen_random_uuid(), 'text', 'v', now(), now(), case when i % 100 = 1 then to_timestamp(i \
             / 100) end, 1, 0 from generate_series(1, {KEYS}) i"
        ))
        .await;
    place.sql(&format!("vacuum analyze \"{table}\"")).await;
}

/// How many blocks all statements on the table have touched so far, and how many rows were read one after the other.
async fn work(place: &Place, client: &Client) -> (i64, i64) {
    client.batch_execute("select pg_stat_force_next_flush()").await.unwrap_or_default();
    client.batch_execute("select pg_stat_clear_snapshot()").await.unwrap();
    let text = format!(
        "select coalesce(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit, 0), (select seq_tup_read from \
         pg_stat_user_tables t where t.relid = s.relid) from pg_statio_user_tables s where relname = '{}'",
        place.table()
    );
    let row = client.query_one(&text, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

async fn among_many(place: Arc<Place>) {
    let mut config = place.config();
    config.pool_size = 1;
    drop(place.open().await);
    fill(&place).await;
    let client = place.driver().await;
    // What a session did is told when it ends, so each step has a store of its own.
    let step =
        async |what: &str, most: i64, call: &dyn Fn(Arc<dyn Storage>) -> futures::future::BoxFuture<'static, ()>| {
            let (before, rows_before) = work(&place, &client).await;
            let storage = Arc::new(dataknobs_kv_storage::PostgresStorage::open(config.clone(), false).await.unwrap());
            call(storage.clone()).await;
            drop(storage);
            let mut spent = (0, 0);
            for _ in 0..100 {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                let (blocks, rows) = work(&place, &client).await;
                spent = (blocks - before, rows - rows_before);
                if spent.0 > 0 {
                    break;
                }
            }
            println!("{what}: {} blocks, {} rows by walking the table", spent.0, spent.1);
            assert!(spent.0 > 0, "{what}: nothing was counted");
            assert_eq!(spent.1, 0, "{what}: the table was walked");
            assert!(spent.0 <= most, "{what}: {} blocks, of which {most} are enough", spent.0);
        };
    let page = |limit: u32, want: Projection, pattern: Option<&'static str>, from: &'static str| {
        move |storage: Arc<dyn Storage>| -> futures::future::BoxFuture<'static, ()> {
            Box::pin(async move {
                let range = Range { from: Some(from.into()), ..Range::default() };
                let hint = Hint { pattern: pattern.map(Into::into), metadata: None };
                let page = storage.scan(NS, range, hint, 1, limit, want).await.unwrap();
                assert!(page.next.is_some());
                assert_eq!(page.items.len(), if pattern.is_some() { 0 } else { limit as usize });
            })
        }
    };
    // The catalogs are others' tables; an index page holds some hundred keys, a heap page some fifty rows.
    step("a page of 1000 keys", 60, &page(1000, Projection::Key, None, "k.0100000")).await;
    step("a page of 1000 values", 1100, &page(1000, Projection::Value, None, "k.0100000")).await;
    step("a page of 10 values", 40, &page(10, Projection::Value, None, "k.0100000")).await;
    // A pattern that matches nothing ends after 20,000 rows, looked at twice: for matches, and for where to go on.
    step("a page without a match", 1500, &page(1000, Projection::Key, Some("*.nothing"), "k.0100000")).await;
    step("namespaces", 2000, &|storage| {
        Box::pin(async move { assert_eq!(storage.namespaces(None, 10_000).await.unwrap().names.len(), 201) })
    })
    .await;
    step("a count of all", 7000, &|storage| {
        Box::pin(async move {
            let expired = KEYS as u64 / 100;
            let all = KEYS as u64 * 9 / 10;
            // In 1970 all those expire.
            let now = 1_000_000_000_000;
            assert_eq!(storage.count(NS, Range::default(), now).await.unwrap(), Some(all - expired));
        })
    })
    .await;
    step("cleanup of what there is", 10_000, &|storage| {
        Box::pin(async move {
            let reclaimed = storage.reclaim(None, 300_000, 200).await.unwrap();
            assert_eq!(reclaimed, Reclaimed { count: 200, more: true });
        })
    })
    .await;
    step("cleanup of nothing", 20, &|storage| {
        Box::pin(async move {
            assert_eq!(storage.reclaim(None, 1000, 1000).await.unwrap(), Reclaimed::default());
            assert_eq!(storage.reclaim(Some("n0000"), 1000, 1000).await.unwrap(), Reclaimed::default());
        })
    })
    .await;
}
