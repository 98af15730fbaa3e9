//! Every error of the server in the core's words, and never a secret in them.

use std::sync::Arc;

use dataknobs_kv_core::Projection;
use dataknobs_kv_core::Storage;
use dataknobs_kv_core::storage::{Hint, Range};
use dataknobs_kv_storage::{PostgresConfig, PostgresStorage};

use super::common::*;
use super::{Place, driver};

crate::tests! {
    what_is_not_there, rights, a_read_only_server, a_wait_for_a_lock_ends_unapplied, all_connections_busy,
    a_table_dropped_under_a_store, what_a_server_cannot_keep, logins,
}

async fn refusal(config: PostgresConfig, code: &str) -> String {
    match PostgresStorage::open(config, true).await {
        Err(error) if error.code() == code => error.to_string(),
        other => panic!("expected {code}: {other:?}"),
    }
}

async fn what_is_not_there(place: Arc<Place>) {
    let mut config = place.config();
    config.database = Some("no_such_database".into());
    let message = refusal(config, "invalid-argument").await;
    assert!(message.contains("no_such_database"), "{message}");
    let mut config = place.config();
    config.port = 1;
    refusal(config, "unavailable").await;
    let mut config = place.config();
    config.host = "no-such-host.invalid".into();
    refusal(config, "unavailable").await;
}

/// A role of the name of the table, with these rights.
async fn role(place: &Place, rights: &str) -> PostgresConfig {
    let role = place.table();
    place.sql(&format!("create role \"{role}\" login password 'hunter2'; {rights}")).await;
    let mut config = place.config();
    (config.user, config.password) = (Some(role.into()), Some("hunter2".into()));
    config
}

async fn no_role(place: &Place) {
    let role = place.table();
    place.sql(&format!("drop owned by \"{role}\" cascade; drop role \"{role}\"")).await;
}

async fn rights(place: Arc<Place>) {
    let table = place.table();
    // From 15 on no one but the owner may create in `public`.
    let config = role(&place, "revoke create on schema public from public").await;
    let message = refusal(config.clone(), "access-denied").await;
    assert!(!message.contains("hunter2"), "{message}");
    let owner = place.open().await;
    must_write(&owner, put("a", b"1")).await;
    // The table is there, and may be read only.
    place.sql(&format!("grant select on \"{table}\" to \"{table}\"")).await;
    let storage = PostgresStorage::open(config.clone(), true).await.unwrap();
    assert_eq!(value(&storage, "a").await.as_deref(), Some(b"1".as_slice()));
    for mutation in [put("a", b"2"), delete("a"), put("a", b"2").if_absent(), amend("a", "{}")] {
        assert_eq!(write_one(&storage, mutation, 1).await.unwrap_err().code(), "access-denied");
    }
    let batch = vec![put("a", b"2"), delete("b")];
    assert_eq!(storage.write(NS, batch, true, 1, Projection::Key).await.unwrap_err().code(), "access-denied");
    assert_eq!(storage.clear(NS, 10).await.unwrap_err().code(), "access-denied");
    // This is all that a store needs.
    place.sql(&format!("grant insert, update, delete on \"{table}\" to \"{table}\"")).await;
    must_write(&storage, put("a", b"2")).await;
    storage.write(NS, vec![put("a", b"2"), delete("b")], true, 1, Projection::Key).await.unwrap();
    drop(storage);
    no_role(&place).await;
}

/// Where the server asks for passwords at all.
async fn logins(place: Arc<Place>) {
    let mut config = place.config();
    config.password = Some("hunter2-wrong".into());
    match PostgresStorage::open(config.clone(), true).await {
        // It trusts everyone.
        Ok(_) => assert!(driver_answers(&config).await),
        Err(error) => {
            assert_eq!(error.code(), "access-denied", "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
            config.user = Some("no_such_role".into());
            let message = refusal(config, "access-denied").await;
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}

async fn driver_answers(config: &PostgresConfig) -> bool {
    driver(config).await.simple_query("select 1").await.is_ok()
}

async fn a_read_only_server(place: Arc<Place>) {
    let config =
        role(&place, &format!("alter role \"{}\" set default_transaction_read_only = on", place.table())).await;
    drop(place.open().await);
    place.sql(&format!("grant all on \"{0}\" to \"{0}\"", place.table())).await;
    let storage = PostgresStorage::open(config, true).await.unwrap();
    let error = write_one(&storage, put("a", b"1"), 1).await.unwrap_err();
    assert_eq!(error.code(), "unavailable", "{error}");
    assert!(error.to_string().contains("read-only"), "{error}");
    assert_eq!(get(&storage, "a", 1).await, None);
    drop(storage);
    no_role(&place).await;
}

async fn a_wait_for_a_lock_ends_unapplied(place: Arc<Place>) {
    let mut config = place.config();
    config.timeout = std::time::Duration::from_secs(4);
    let storage = PostgresStorage::open(config, true).await.unwrap();
    must_write(&storage, put("a", b"1")).await;
    let rival = place.driver().await;
    rival.batch_execute(&format!("begin; select from \"{}\" where key = 'a' for update", place.table())).await.unwrap();
    for mutation in [put("a", b"2"), delete("a")] {
        let error = write_one(&storage, mutation, 1).await.unwrap_err();
        assert_eq!(error.code(), "unavailable", "{error}");
    }
    let batch = vec![put("a", b"2"), delete("b")];
    assert_eq!(storage.write(NS, batch, true, 1, Projection::Key).await.unwrap_err().code(), "unavailable");
    // Readers wait for no one.
    assert_eq!(value(&storage, "a").await.as_deref(), Some(b"1".as_slice()));
    rival.batch_execute("rollback").await.unwrap();
    assert_eq!(value(&storage, "a").await.as_deref(), Some(b"1".as_slice()));
    must_write(&storage, put("a", b"2")).await;
}

async fn all_connections_busy(place: Arc<Place>) {
    let mut config = place.config();
    (config.timeout, config.pool_size) = (std::time::Duration::from_secs(4), 1);
    let storage = Arc::new(PostgresStorage::open(config, true).await.unwrap());
    must_write(&*storage, put("a", b"1")).await;
    let rival = place.driver().await;
    rival.batch_execute(&format!("begin; lock table \"{}\"", place.table())).await.unwrap();
    let first = {
        let storage = storage.clone();
        tokio::spawn(async move { write_one(&*storage, put("a", b"2"), 1).await })
    };
    // It has the one connection when the server lets it wait.
    let waits = format!("select 1 from pg_locks where not granted and relation = '\"{}\"'::regclass", place.table());
    while rival.query(&waits, &[]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(storage.get(NS, "a", 1, true).await.unwrap_err().code(), "unavailable");
    assert_eq!(first.await.unwrap().unwrap_err().code(), "unavailable");
    rival.batch_execute("rollback").await.unwrap();
    must_write(&*storage, put("a", b"2")).await;
}

async fn a_table_dropped_under_a_store(place: Arc<Place>) {
    let storage = place.open().await;
    must_write(&storage, put("a", b"1")).await;
    place.sql(&format!("drop table \"{}\" cascade", place.table())).await;
    let error = storage.get(NS, "a", 1, true).await.unwrap_err();
    assert_eq!(error.code(), "unavailable", "{error}");
    let error = storage.scan(NS, Range::default(), Hint::default(), 1, 1, Projection::Key).await.unwrap_err();
    assert_eq!(error.code(), "unavailable", "{error}");
    assert_eq!(write_one(&storage, put("a", b"2"), 1).await.unwrap_err().code(), "unavailable");
    assert_eq!(write_one(&storage, delete("none").if_absent(), 1).await.unwrap_err().code(), "unavailable");
    drop(place.open().await);
    must_write(&storage, put("a", b"2")).await;
}

async fn what_a_server_cannot_keep(place: Arc<Place>) {
    let storage = place.open().await;
    // The core lets none of this through.
    let bad = || put("a\0b", b"1");
    assert_eq!(write_one(&storage, bad(), 1).await.unwrap_err().code(), "invalid-argument");
    assert_eq!(storage.get(NS, "a\0b", 1, true).await.unwrap_err().code(), "invalid-argument");
    let mut broken = put("broken", b"1");
    let dataknobs_kv_core::storage::Change::Put { attributes, .. } = &mut broken.change else { unreachable!() };
    attributes.metadata = Some("{hunter2".into());
    let results = storage.write(NS, vec![put("a", b"1"), broken.clone(), put("z", b"1")], false, 1, Projection::Key);
    let results = results.await.unwrap();
    let codes: Vec<_> = results.iter().map(|one| one.as_ref().map_or_else(|e| e.code(), |_| "ok")).collect();
    assert_eq!(codes, ["ok", "invalid-argument", "ok"], "each stands for itself");
    assert!(!results[1].as_ref().unwrap_err().to_string().contains("hunter2"));
    assert_eq!(keys(&storage, NS, 1, 10).await, ["a", "z"]);
    let results = storage.write(NS, vec![put("b", b"1"), broken], true, 1, Projection::Key).await;
    assert_eq!(results.unwrap_err().code(), "invalid-argument");
    assert_eq!(keys(&storage, NS, 1, 10).await, ["a", "z"]);
}
