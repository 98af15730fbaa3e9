//! PostgreSQL by tokio-postgres, each caller with a connection of its own, and by the adapter with as many in its pool.
//!
//! Both work on the adapter's own table, so that rows, indexes and columns are the same.

use std::sync::Arc;
use std::time::SystemTime;

use dataknobs_kv_core::storage::{Change, Hint, Mutation, Range};
use dataknobs_kv_core::store::{Expiry, Numeric};
use dataknobs_kv_core::{Attributes, Precondition, Projection, Storage, Store, Timestamp, ValueType};
use dataknobs_kv_runtime::{Runtime, RuntimeConfig, SystemClock};
use dataknobs_kv_storage::{Location, PostgresConfig, PostgresStorage};
use tokio::sync::OnceCell;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, Statement};

use super::{CALLERS, Contest, work};
use crate::Result;

const TABLE: &str = "bench_adapters";
const NS: &str = "bench";
/// The keys that single reads and writes go to.
const KEYS: usize = 1000;
/// The keys among which pages are read.
const MANY: i64 = 1_000_000;
const BATCH: usize = 1000;

/// What the bare driver is given: prepared once for each caller.
struct Bare {
    config: PostgresConfig,
    connections: Vec<OnceCell<Connection>>,
    value: Vec<u8>,
}

struct Connection {
    client: Client,
    get: Statement,
    put: Statement,
    put_many: Statement,
    page: Statement,
    increment: Statement,
}

const COLUMNS: &str = "version, value_type, content_type, value, bytes, metadata, created_at, updated_at, expires_at, \
    sliding_ms, size, checksum";

impl Bare {
    async fn of(&self, caller: usize) -> Result<&Connection> {
        self.connections[caller].get_or_try_init(|| connect(&self.config)).await
    }
}

async fn client(config: &PostgresConfig) -> Result<Client> {
    let mut driver = tokio_postgres::Config::new();
    driver.host(&config.host).port(config.port);
    config.user.iter().for_each(|user| _ = driver.user(user));
    config.password.iter().for_each(|password| _ = driver.password(password));
    config.database.iter().for_each(|database| _ = driver.dbname(database));
    let (client, connection) = driver.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn connect(config: &PostgresConfig) -> Result<Connection> {
    let client = client(config).await?;
    let set: Vec<_> = COLUMNS.split(", ").map(|name| format!("{} = excluded.{}", name.trim(), name.trim())).collect();
    let over = format!("on conflict (namespace, key) do update set {}", set.join(", "));
    let get = client.prepare(&format!("select {COLUMNS} from {TABLE} where namespace = $1 and key = $2")).await?;
    let put = format!(
        "insert into {TABLE} (namespace, key, {COLUMNS}) values ($1, $2, gen_random_uuid(), $3, null, null, $4, null, $5, \
         $5, null, null, $6, $7) {over}"
    );
    let types = [Type::TEXT, Type::TEXT, Type::TEXT, Type::BYTEA, Type::TIMESTAMPTZ, Type::INT8, Type::INT8];
    let put = client.prepare_typed(&put, &types).await?;
    let put_many = format!(
        "insert into {TABLE} (namespace, key, {COLUMNS}) select $1, k, gen_random_uuid(), $3, null, null, v, null, $5, $5, \
         null, null, $6, $7 from unnest($2::text[], $4::bytea[]) as p(k, v) {over}"
    );
    let types =
        [Type::TEXT, Type::TEXT_ARRAY, Type::TEXT, Type::BYTEA_ARRAY, Type::TIMESTAMPTZ, Type::INT8, Type::INT8];
    let put_many = client.prepare_typed(&put_many, &types).await?;
    let page = format!("select key from {TABLE} where namespace = $1 and key > $2 order by key limit 1000");
    let page = client.prepare(&page).await?;
    let increment = format!(
        "insert into {TABLE} as t (namespace, key, {COLUMNS}) values ($1, $2, gen_random_uuid(), 'integer', null, '1', null, \
         null, $3, $3, null, null, 1, 0) on conflict (namespace, key) do update set version = excluded.version, value = \
         (t.value::bigint + 1)::text, updated_at = excluded.updated_at returning value"
    );
    let increment = client.prepare(&increment).await?;
    Ok(Connection { client, get, put, put_many, page, increment })
}

fn key(caller: usize, turn: usize) -> String {
    format!("k{:04}", (caller * 37 + turn * 7) % KEYS)
}

fn now() -> Timestamp {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(0))
}

fn put(key: String, value: &[u8]) -> Mutation {
    let attributes = Attributes {
        value_type: ValueType::Bytes,
        content_type: None,
        metadata: None,
        created_at: now(),
        updated_at: now(),
        expires_at: None,
        sliding_ms: None,
        size: value.len() as u64,
        checksum: 7,
    };
    Mutation { key, change: Change::Put { attributes, value: value.to_vec() }, precondition: Precondition::None }
}

/// The keys of a batch: each caller has its own, so that rivals for a row are not what is measured.
fn batch_keys(caller: usize) -> Vec<String> {
    (0..BATCH).map(|at| format!("b{caller:02}.{at:04}")).collect()
}

pub(crate) async fn contests(url: String) -> Result<Vec<Contest>> {
    let Ok(Location::Postgres(config)) = Location::parse(&url) else { return Err("no PostgreSQL URL".into()) };
    let mut config = *config;
    (config.table, config.pool_size) = (TABLE.to_owned(), 32);
    let driver = client(&config).await?;
    driver.batch_execute(&format!("drop table if exists {TABLE} cascade")).await?;
    let storage = Arc::new(PostgresStorage::open(config.clone(), true).await?);
    // By the server itself: a million by us would take minutes.
    let fill = format!(
        "insert into {TABLE} (namespace, key, version, value_type, value, created_at, updated_at, size, checksum) select \
         'many', 'k.' || lpad(i::text, 7, '0'), gen_random_uuid(), 'text', 'v', now(), now(), 1, 0 from generate_series(1, \
         {MANY}) i"
    );
    driver.batch_execute(&fill).await?;
    let value = vec![7; 100];
    let puts = (0..KEYS).map(|at| put(format!("k{at:04}"), &value)).collect();
    storage.write(NS, puts, false, now(), Projection::Key).await?;
    driver.batch_execute(&format!("vacuum analyze {TABLE}; checkpoint")).await?;

    let most = CALLERS.into_iter().max().unwrap_or(1);
    let bare =
        Arc::new(Bare { config: config.clone(), connections: (0..most).map(|_| OnceCell::new()).collect(), value });
    let mut contests = Vec::new();
    for callers in CALLERS {
        contests.push(Contest {
            what: "get of 100 B",
            bare: work(&bare, async |bare, caller, turn| {
                let on = bare.of(caller).await?;
                let row = on.client.query_opt(&on.get, &[&NS, &key(caller, turn)]).await?.ok_or("not there")?;
                let value: &[u8] = row.get(4);
                if value.len() == 100 { Ok(()) } else { Err("another value".into()) }
            }),
            ours: work(&storage, async |storage, caller, turn| {
                let state = storage.get(NS, &key(caller, turn), now(), true).await?.ok_or("not there")?;
                if state.value.is_some_and(|value| value.len() == 100) { Ok(()) } else { Err("another value".into()) }
            }),
            callers,
            calls: if callers == 1 { 2000 } else { 8000 },
            goal: Some(match callers {
                1 => ("postgres: get ≥ 0.85 of the driver, 1 caller", 0.85),
                _ => ("postgres: get ≥ 0.85 of the driver, 32 callers", 0.85),
            }),
        });
        contests.push(Contest {
            what: "set of 100 B",
            bare: work(&bare, async |bare, caller, turn| {
                let on = bare.of(caller).await?;
                let (size, checksum) = (100_i64, 7_i64);
                let (key, at) = (key(caller, turn), SystemTime::now());
                let parameters: [&(dyn ToSql + Sync); 7] = [&NS, &key, &"bytes", &bare.value, &at, &size, &checksum];
                on.client.execute(&on.put, &parameters).await?;
                Ok(())
            }),
            ours: {
                let value = bare.value.clone();
                work(&storage, move |storage, caller, turn| {
                    let puts = vec![put(key(caller, turn), &value)];
                    async move {
                        storage.write(NS, puts, false, now(), Projection::Key).await?.remove(0)?;
                        Ok(())
                    }
                })
            },
            callers,
            calls: if callers == 1 { 400 } else { 3200 },
            goal: Some(match callers {
                1 => ("postgres: set ≥ 0.85 of the driver, 1 caller", 0.85),
                _ => ("postgres: set ≥ 0.85 of the driver, 32 callers", 0.85),
            }),
        });
        contests.push(Contest {
            what: "set_many of 1000, 100 B each",
            bare: work(&bare, async |bare, caller, _| {
                let on = bare.of(caller).await?;
                let (size, checksum, at) = (100_i64, 7_i64, SystemTime::now());
                let (keys, values) = (batch_keys(caller), vec![bare.value.as_slice(); BATCH]);
                let parameters: [&(dyn ToSql + Sync); 7] = [&NS, &keys, &"bytes", &values, &at, &size, &checksum];
                on.client.execute(&on.put_many, &parameters).await?;
                Ok(())
            }),
            ours: {
                let value = bare.value.clone();
                work(&storage, move |storage, caller, _| {
                    let puts = batch_keys(caller).into_iter().map(|key| put(key, &value)).collect();
                    async move {
                        for outcome in storage.write(NS, puts, false, now(), Projection::Key).await? {
                            outcome?;
                        }
                        Ok(())
                    }
                })
            },
            callers,
            calls: if callers == 1 { 10 } else { 32 },
            goal: (callers == 1).then_some(("postgres: set_many of 1000 ≥ 0.8 of one unnest by the driver", 0.8)),
        });
        contests.push(Contest {
            what: "a page of 1000 keys among 1,000,000",
            bare: work(&bare, async |bare, caller, turn| {
                let on = bare.of(caller).await?;
                let rows = on.client.query(&on.page, &[&"many", &page_start(caller, turn)]).await?;
                let keys: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
                if keys.len() == 1000 { Ok(()) } else { Err("a short page".into()) }
            }),
            ours: work(&storage, async |storage, caller, turn| {
                let range = Range { after: Some(page_start(caller, turn)), ..Range::default() };
                let page = storage.scan("many", range, Hint::default(), now(), 1000, Projection::Key).await?;
                if page.items.len() == 1000 { Ok(()) } else { Err("a short page".into()) }
            }),
            callers,
            calls: if callers == 1 { 50 } else { 128 },
            goal: None,
        });
    }
    contests.push(hot_key(&config, &bare).await?);
    Ok(contests)
}

fn page_start(caller: usize, turn: usize) -> String {
    format!("k.{:07}", (caller * 31_337 + turn * 7919) % 990_000)
}

/// Two hosts as two processes have them: each with its component, its queue for the key, and its pool.
async fn hot_key(config: &PostgresConfig, bare: &Arc<Bare>) -> Result<Contest> {
    let mut stores: Vec<Arc<dyn Store>> = Vec::new();
    for _ in 0..2 {
        let mut config = config.clone();
        config.pool_size = 16;
        let storage: Arc<dyn Storage> = Arc::new(PostgresStorage::open(config, false).await?);
        stores.push(Arc::new(Runtime::new(RuntimeConfig::default())?.store(storage, Arc::new(SystemClock))));
    }
    let hosts = Arc::new(stores);
    Ok(Contest {
        what: "increment of one hot key, over two hosts",
        bare: work(bare, async |bare, caller, _| {
            let on = bare.of(caller).await?;
            on.client.query_one(&on.increment, &[&NS, &"hot.bare", &SystemTime::now()]).await?;
            Ok(())
        }),
        ours: work(&hosts, async |hosts, caller, _| {
            let store = &hosts[caller % hosts.len()];
            store.increment(NS, "hot.ours", Numeric::Integer(1), Expiry::Unspecified).await?;
            Ok(())
        }),
        callers: 32,
        calls: 640,
        goal: Some(("postgres: increment of a hot key by 32 callers ≥ 0.5 of one `update … returning` each", 0.5)),
    })
}
