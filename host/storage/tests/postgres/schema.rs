//! The table: made once, known again, never mistaken.

use std::sync::Arc;

use dataknobs_kv_core::{Result, Storage};
use dataknobs_kv_storage::PostgresStorage;

use super::common::*;
use super::{Place, count};

crate::tests! {
    twelve_open_at_once, nothing_is_made_where_that_is_not_wanted, a_schema_can_be_named, odd_names,
    another_table_is_refused_and_left, a_newer_schema_is_refused, altered_tables_are_refused, columns_of_others_are_kept,
    a_table_restored_without_its_function_gets_it, another_encoding_is_refused, people_can_read_it, damage_is_told_and_stays_by_itself,
    an_unlogged_table_promises_nothing,
}

async fn twelve_open_at_once(place: Arc<Place>) {
    for _ in 0..5 {
        let openers: Vec<_> = (0..12)
            .map(|at| {
                let place = place.clone();
                tokio::spawn(async move {
                    let storage = place.try_open().await?;
                    must_write(&storage, put(&format!("k{at}"), b"v")).await;
                    Result::<_, dataknobs_kv_core::Error>::Ok(storage)
                })
            })
            .collect();
        let mut storages = Vec::new();
        for opener in openers {
            storages.push(opener.await.unwrap().expect("it opens"));
        }
        assert_eq!(count(&storages[0]).await, 12);
        place.sql(&format!("drop table \"{}\" cascade", place.table())).await;
        place.sql(&format!("drop function \"{}_write_1\"", place.table())).await;
    }
}

fn refused(result: Result<PostgresStorage>, code: &str, named: &str) {
    match result {
        Err(error) if error.code() == code && error.to_string().contains(named) => {}
        other => panic!("expected {code} naming {named}: {other:?}"),
    }
}

async fn nothing_is_made_where_that_is_not_wanted(place: Arc<Place>) {
    refused(PostgresStorage::open(place.config(), false).await, "invalid-argument", place.table());
    drop(place.open().await);
    PostgresStorage::open(place.config(), false).await.unwrap();
}

async fn a_schema_can_be_named(place: Arc<Place>) {
    let mut config = place.config();
    let schema = format!("s_{}", place.table());
    config.table = format!("{schema}.kv");
    refused(PostgresStorage::open(config.clone(), true).await, "invalid-argument", &schema);
    place.sql(&format!("create schema \"{schema}\"")).await;
    let storage = PostgresStorage::open(config, true).await.unwrap();
    must_write(&storage, put("a", b"1")).await;
    assert_eq!(write_one(&storage, delete("a").if_absent(), 1).await.unwrap(), {
        let there = get(&storage, "a", 1).await;
        dataknobs_kv_core::storage::Outcome::Conflict(there)
    });
    place.sql(&format!("drop schema \"{schema}\" cascade")).await;
}

async fn odd_names(place: Arc<Place>) {
    for name in ["Kv Store", "a\"b'c", "select", "é\\", &"x".repeat(48)] {
        let mut config = place.config();
        config.table = format!("{:.12}{name}", place.table());
        config.table.truncate(48);
        let storage = PostgresStorage::open(config.clone(), true).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        must_write(&storage, put("a", b"1")).await;
        write_one(&storage, delete("a").if_absent(), 1).await.unwrap();
        drop(PostgresStorage::open(config.clone(), false).await.unwrap());
        place.sql(&format!("drop table \"{}\" cascade", config.table.replace('"', "\"\""))).await;
    }
}

async fn another_table_is_refused_and_left(place: Arc<Place>) {
    let table = place.table();
    place.sql(&format!("create table \"{table}\" (id int primary key); insert into \"{table}\" values (1)")).await;
    refused(place.try_open().await, "invalid-argument", "not a table of this store");
    let rows = place.driver().await.query(&format!("select id from \"{table}\""), &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
    place.sql(&format!("drop table \"{table}\"; create view \"{table}\" as select 1")).await;
    refused(place.try_open().await, "invalid-argument", "no ordinary table");
    place.sql(&format!("drop view \"{table}\"")).await;
}

async fn a_newer_schema_is_refused(place: Arc<Place>) {
    drop(place.open().await);
    place.sql(&format!("comment on table \"{}\" is 'dataknobs-kv schema 2'", place.table())).await;
    refused(place.try_open().await, "unsupported", "schema 2");
    place.sql(&format!("comment on table \"{}\" is 'something else'", place.table())).await;
    refused(place.try_open().await, "invalid-argument", "comment");
}

async fn altered_tables_are_refused(place: Arc<Place>) {
    let table = place.table();
    for (change, named) in [
        ("drop column metadata", "`metadata`"),
        ("alter column size type numeric", "`size`"),
        ("alter column key type text collate \"default\"", "`key`"),
        ("add column other int not null", "`other`"),
        (&format!("drop constraint \"{table}_pkey\""), "unique index"),
    ] {
        drop(place.open().await);
        place.sql(&format!("alter table \"{table}\" {change}")).await;
        refused(place.try_open().await, "invalid-argument", named);
        place.sql(&format!("drop table \"{table}\" cascade")).await;
        place.sql(&format!("drop function if exists \"{table}_write_1\"")).await;
    }
}

async fn columns_of_others_are_kept(place: Arc<Place>) {
    let table = place.table();
    let storage = place.open().await;
    must_write(&storage, put("a", b"1")).await;
    place
        .sql(&format!(
            "alter table \"{table}\" add column note text, add column seen int not null default 7; update \"{table}\" set \
             note = 'mine'"
        ))
        .await;
    // Also under a store that is open: its statements are prepared anew.
    must_write(&storage, put("a", b"2")).await;
    write_one(&storage, delete("none").if_absent(), 1).await.unwrap();
    assert_eq!(value(&storage, "a").await.as_deref(), Some(b"2".as_slice()));
    assert_eq!(value(&place.open().await, "a").await.as_deref(), Some(b"2".as_slice()));
    let row = place.driver().await.query_one(&format!("select note, seen from \"{table}\""), &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, i32>(1)), ("mine", 7));
}

async fn a_table_restored_without_its_function_gets_it(place: Arc<Place>) {
    drop(place.open().await);
    place.sql(&format!("drop function \"{}_write_1\"", place.table())).await;
    let storage = place.open().await;
    write_one(&storage, delete("none").if_absent(), 1).await.unwrap();
}

async fn another_encoding_is_refused(place: Arc<Place>) {
    let database = format!("latin_{}", place.table());
    place.sql(&format!("create database {database} encoding 'LATIN1' locale 'C' template template0")).await;
    let mut config = place.config();
    config.database = Some(database.clone());
    refused(PostgresStorage::open(config, true).await, "unsupported", "LATIN1");
    place.sql(&format!("drop database {database} with (force)")).await;
}

async fn people_can_read_it(place: Arc<Place>) {
    use dataknobs_kv_core::{ValueType, storage::Change};
    let storage = place.open().await;
    for (key, value_type, value) in [
        ("text", ValueType::Text, "é".as_bytes()),
        ("json", ValueType::Json, br#"{ "a" : 1 }"#),
        ("integer", ValueType::Integer, b"42"),
        ("nul", ValueType::Text, b"a\0b"),
        ("bytes", ValueType::Bytes, b"\xff"),
    ] {
        let mut mutation = put(key, value);
        let Change::Put { attributes, .. } = &mut mutation.change else { unreachable!() };
        attributes.value_type = value_type;
        attributes.metadata = Some(r#"{"z":1,"aa":[1e21,"é"]}"#.into());
        attributes.created_at = 1_800_000_000_123;
        must_write(&storage, mutation).await;
        let state = get(&storage, key, 1).await.unwrap();
        assert_eq!(state.value.as_deref(), Some(value), "{key}");
        assert_eq!(state.attributes.metadata.as_deref(), Some(r#"{"aa":[1e+21,"é"],"z":1}"#));
    }
    let rows = place
        .driver()
        .await
        .query(
            &format!(
                "select key, value, encode(bytes, 'hex'), metadata->>'z', (created_at at time zone 'utc')::text from \
                 \"{}\" order by key",
                place.table()
            ),
            &[],
        )
        .await
        .unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (row.get::<_, &str>(0), row.get::<_, Option<&str>>(1), row.get::<_, Option<&str>>(2)))
        .collect();
    assert_eq!(
        shown,
        [
            ("bytes", None, Some("ff")),
            ("integer", Some("42"), None),
            ("json", Some(r#"{ "a" : 1 }"#), None),
            ("nul", None, Some("610062")),
            ("text", Some("é"), None),
        ]
    );
    assert_eq!(rows[0].get::<_, &str>(3), "1");
    assert_eq!(rows[0].get::<_, &str>(4), "2027-01-15 08:00:00.123");
}

async fn damage_is_told_and_stays_by_itself(place: Arc<Place>) {
    use dataknobs_kv_core::storage::{Hint, Outcome, Range};
    use dataknobs_kv_core::{Precondition, Projection, storage::Mutation};
    let table = place.table();
    let storage = place.open().await;
    for key in ["a", "b", "c", "d", "e"] {
        must_write(&storage, put(key, b"v")).await;
    }
    place
        .sql(&format!(
            "update \"{table}\" set value_type = 'nonsense' where key = 'b'; update \"{table}\" set size = 5 where key = \
             'c'; update \"{table}\" set metadata = '[1]' where key = 'd'"
        ))
        .await;
    let wanted: Vec<String> = ["a", "b", "c", "d", "e"].map(String::from).into();
    let results = storage.get_many(NS, &wanted, 1, true).await.unwrap();
    let codes: Vec<_> = results.iter().map(|one| one.as_ref().map_or_else(|e| e.code(), |_| "ok")).collect();
    assert_eq!(codes, ["ok", "corrupt", "corrupt", "corrupt", "ok"]);
    assert_eq!(storage.get(NS, "b", 1, true).await.unwrap_err().code(), "corrupt");
    assert_eq!(keys(&storage, NS, 1, 2).await, wanted, "its key is still listed");
    let page = storage.scan(NS, Range::default(), Hint::default(), 1, 10, Projection::Value).await;
    assert_eq!(page.unwrap_err().code(), "corrupt");
    // It can be overwritten, and deleted.
    must_write(&storage, put("b", b"w")).await;
    let delete = |key: &str| Mutation {
        key: key.into(),
        change: dataknobs_kv_core::storage::Change::Delete,
        precondition: Precondition::None,
    };
    assert_eq!(write_one(&storage, delete("c"), 1).await, Ok(Outcome::Deleted));
    assert_eq!(write_one(&storage, delete("d"), 1).await, Ok(Outcome::Deleted));
    let page = storage.scan(NS, Range::default(), Hint::default(), 1, 10, Projection::Value).await.unwrap();
    assert_eq!(page.items.len(), 3);
}

async fn an_unlogged_table_promises_nothing(place: Arc<Place>) {
    assert!(place.open().await.capabilities().durable);
    place.sql(&format!("alter table \"{}\" set unlogged", place.table())).await;
    assert!(!place.open().await.capabilities().durable);
}
