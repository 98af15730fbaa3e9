//! PostgreSQL by tokio-postgres: a connection for each caller, statements prepared once.
//!
//! Both work on the adapter's own table, so that rows, indexes and columns are the same.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use dataknobs_kv_storage::{Location, PostgresConfig};
use tokio::sync::OnceCell;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, Statement};

use super::work::{GROUPS, value};
use super::{Bare, MANY, POOL};
use crate::Result;

const TABLE: &str = "bench_adapters";
const NS: &str = "driver";
const COLUMNS: &str = "version, value_type, content_type, value, bytes, metadata, created_at, updated_at, expires_at, \
    sliding_ms, size, checksum";

struct Driver {
    config: PostgresConfig,
    connections: Vec<OnceCell<Connection>>,
}

struct Connection {
    client: Client,
    get: Statement,
    put: Statement,
    put_many: Statement,
    page: Statement,
    page_values: Statement,
    increment: Statement,
}

impl Driver {
    async fn of(&self, caller: usize) -> Result<&Connection> {
        self.connections[caller].get_or_try_init(|| connect(&self.config)).await
    }
}

fn config(url: &str) -> Result<PostgresConfig> {
    match Location::parse(url)? {
        Location::Postgres(config) => Ok(*config),
        _ => Err("no PostgreSQL URL".into()),
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

pub(super) async fn empty(url: String) -> Result {
    let text = format!(
        "drop table if exists {TABLE} cascade; drop table if exists bench_counter; \
        create table bench_counter (key text primary key, n bigint not null)"
    );
    Ok(client(&config(&url)?).await?.batch_execute(&text).await?)
}

pub(super) async fn about(url: String) -> Result<String> {
    let row = client(&config(&url)?).await?.query_one("show server_version", &[]).await?;
    let version: &str = row.get(0);
    Ok(format!(
        "PostgreSQL {version}; the driver is tokio-postgres with prepared statements: the least upsert of the same columns, \
         `insert … select\nfrom unnest … on conflict` for many, and `update … set n = n + 1` as the backend's own increment."
    ))
}

pub(super) async fn bare(url: String) -> Result<Arc<dyn Bare>> {
    let connections = (0..POOL).map(|_| OnceCell::new()).collect();
    Ok(Arc::new(Driver { config: config(&url)?, connections }))
}

/// By the server itself: a million by us would take minutes.
pub(super) async fn fill(url: String) -> Result {
    let fill = format!(
        "insert into {TABLE} (namespace, key, version, value_type, bytes, created_at, updated_at, size, checksum) select \
         '{MANY}', 'g' || lpad((i / 1000)::text, 3, '0') || '.i' || lpad((i % 1000)::text, 3, '0'), gen_random_uuid(), \
         'bytes', convert_to(repeat('v', {length}), 'UTF8'), now(), now(), {length}, {checksum} from generate_series(0, {last}) i",
        length = value().len(),
        checksum = crc32c::crc32c(&value()),
        last = GROUPS * 1000 - 1,
    );
    Ok(client(&config(&url)?).await?.batch_execute(&format!("{fill}; analyze {TABLE}; checkpoint")).await?)
}

async fn connect(config: &PostgresConfig) -> Result<Connection> {
    let client = client(config).await?;
    let set: Vec<_> = COLUMNS
        .split(", ")
        .map(str::trim)
        .filter(|name| *name != "created_at")
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
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
         null::timestamptz, null::bigint, $6, $7 from unnest($2::text[], $4::bytea[]) as p(k, v) {over}"
    );
    let types =
        [Type::TEXT, Type::TEXT_ARRAY, Type::TEXT, Type::BYTEA_ARRAY, Type::TIMESTAMPTZ, Type::INT8, Type::INT8];
    let put_many = client.prepare_typed(&put_many, &types).await?;
    let page = |columns: &str| {
        format!("select {columns} from {TABLE} where namespace = $1 and key > $2 order by key limit 1000")
    };
    let page_values = client.prepare(&page(&format!("key, {COLUMNS}"))).await?;
    let page = client.prepare(&page("key")).await?;
    let increment = client.prepare("update bench_counter set n = n + 1 where key = $1 returning n").await?;
    Ok(Connection { client, get, put, put_many, page, page_values, increment })
}

#[async_trait]
impl Bare for Driver {
    async fn get(&self, caller: usize, key: &str) -> Result<bool> {
        let on = self.of(caller).await?;
        let row = on.client.query_opt(&on.get, &[&NS, &key]).await?.ok_or("not there")?;
        Ok(row.get::<_, &[u8]>(4).len() == value().len())
    }

    async fn set(&self, caller: usize, key: &str, value: &[u8]) -> Result {
        let on = self.of(caller).await?;
        let (size, checksum, at) = (value.len() as i64, 7_i64, SystemTime::now());
        let parameters: [&(dyn ToSql + Sync); 7] = [&NS, &key, &"bytes", &value, &at, &size, &checksum];
        on.client.execute(&on.put, &parameters).await?;
        Ok(())
    }

    async fn set_many(&self, caller: usize, keys: &[String], value: &[u8]) -> Result {
        let on = self.of(caller).await?;
        let (size, checksum, at) = (value.len() as i64, 7_i64, SystemTime::now());
        let values = vec![value; keys.len()];
        let parameters: [&(dyn ToSql + Sync); 7] = [&NS, &keys, &"bytes", &values, &at, &size, &checksum];
        on.client.execute(&on.put_many, &parameters).await?;
        Ok(())
    }

    async fn page(&self, caller: usize, after: &str, values: bool) -> Result<usize> {
        let on = self.of(caller).await?;
        let page = if values { &on.page_values } else { &on.page };
        let rows = on.client.query(page, &[&MANY, &after]).await?;
        let keys: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        Ok(keys.len())
    }

    async fn increment(&self, caller: usize, key: &str) -> Result {
        let on = self.of(caller).await?;
        if on.client.query_opt(&on.increment, &[&key]).await?.is_some() {
            return Ok(());
        }
        let first = "insert into bench_counter values ($1, 1) on conflict (key) do update set n = bench_counter.n + 1";
        on.client.execute(first, &[&key]).await?;
        Ok(())
    }

    async fn counted(&self, key: &str) -> Result<u64> {
        let on = self.of(0).await?;
        let row = on.client.query_one("select n from bench_counter where key = $1", &[&key]).await?;
        Ok(u64::try_from(row.get::<_, i64>(0))?)
    }
}
