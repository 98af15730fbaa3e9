//! What lies in Redis, and what happens when it is not ours.

use std::collections::{BTreeSet, HashMap};

use dataknobs_kv_core::storage::{Change, Hint, Outcome, Range};
use dataknobs_kv_core::{Projection, Storage, Version};
use dataknobs_kv_storage::OpenOptions;

use crate::common::*;
use crate::{Bed, code, write_to};

const ENTRY: &str = "kv:{s598}:e:7:default:a";

pub(crate) async fn hashes_and_indexes(bed: Bed) {
    let storage = bed.open("").await;
    let mut mutation = put_expiring("a", b"value", 1000, Some(5000));
    if let Change::Put { attributes, .. } = &mut mutation.change {
        attributes.metadata = Some(r#"{"m":1}"#.into());
        attributes.content_type = Some("text/plain".into());
        attributes.sliding_ms = Some(4000);
    }
    let Ok(Outcome::Written(version)) = write_one(&*storage, mutation, 1000).await else { panic!() };
    let mut raw = bed.raw().await;
    let tag = tag(&mut raw).await;
    let entry = format!("kv:{{{tag}}}:e:7:default:a");
    assert_eq!(entry, ENTRY);
    assert_eq!(
        raw.keys().await,
        [
            "kv:{n}:meta".into(),
            "kv:{n}:namespaces".into(),
            entry.clone(),
            format!("kv:{{{tag}}}:i:default"),
            format!("kv:{{{tag}}}:x:default")
        ]
    );
    let fields: HashMap<String, String> = raw.ask(&["HGETALL", &entry]).await;
    let expected = [
        ("version", version.as_str()),
        ("type", "bytes"),
        ("value", "value"),
        ("created_at", "1000"),
        ("updated_at", "1000"),
        ("expires_at", "5000"),
        ("sliding_ms", "4000"),
        ("size", "5"),
        ("checksum", "7"),
        ("content_type", "text/plain"),
        ("metadata", r#"{"m":1}"#),
    ];
    assert_eq!(fields, expected.map(|(field, value)| (field.to_owned(), value.to_owned())).into());
    let scores: Vec<String> = raw.ask(&["ZRANGE", &format!("kv:{{{tag}}}:x:default"), "0", "-1"]).await;
    assert_eq!(scores, ["a"]);
    // A plain put leaves nothing of what the old entry had beside its value.
    write_one(&*storage, put_expiring("a", b"", 2000, None), 2000).await.unwrap();
    let fields: HashMap<String, String> = raw.ask(&["HGETALL", &entry]).await;
    let names: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
    assert_eq!(names, ["checksum", "created_at", "size", "type", "updated_at", "value", "version"].into());
    assert_eq!(fields["created_at"], "1000");
    assert_eq!(raw.ask::<i64>(&["PTTL", &entry]).await, -1);
    assert_eq!(raw.ask::<i64>(&["EXISTS", &format!("kv:{{{tag}}}:x:default")]).await, 0);
}

/// The token of the namespace `default`.
async fn tag(raw: &mut crate::Raw) -> String {
    let keys = raw.keys().await;
    let index = keys.iter().find(|key| key.ends_with(":i:default")).expect("an index");
    index.split(['{', '}']).nth(1).unwrap().to_owned()
}

pub(crate) async fn nothing_is_left_behind(bed: Bed) {
    let storage = bed.open("").await;
    let mut raw = bed.raw().await;
    for key in ["a", "b", "c"] {
        write_one(&*storage, put_expiring(key, b"v", 1, Some(100)), 1).await.unwrap();
    }
    assert_eq!(write_one(&*storage, delete("a"), 1).await, Ok(Outcome::Deleted));
    assert_eq!(storage.reclaim(None, 100, 1).await.unwrap().count, 1);
    assert_eq!(storage.reclaim(None, 100, 10).await.unwrap().count, 1);
    assert_eq!(raw.keys().await, ["kv:{n}:meta"]);
    must_write(&*storage, put("a", b"v")).await;
    assert!(!storage.clear(NS, 10).await.unwrap());
    assert_eq!(raw.keys().await, ["kv:{n}:meta"]);
    must_write(&*storage, put("a", b"v")).await;
    write_one(&*storage, delete("a"), 1).await.unwrap();
    assert_eq!(raw.keys().await, ["kv:{n}:meta"]);
}

pub(crate) async fn foreign_entries(bed: Bed) {
    let storage = bed.open("").await;
    let mut raw = bed.raw().await;
    for damage in [
        vec!["SET", ENTRY, "foreign"],
        vec!["HSET", ENTRY, "expires_at", "soon"],
        vec!["HDEL", ENTRY, "version"],
        vec!["HSET", ENTRY, "type", "colour"],
        vec!["HSET", ENTRY, "value", "longer than before"],
    ] {
        must_write(&*storage, put("a", b"v")).await;
        must_write(&*storage, put("b", b"v")).await;
        if damage[0] == "SET" {
            raw.run(&["DEL", ENTRY]).await;
        }
        raw.run(&damage).await;
        let error = storage.get(NS, "a", 1, true).await.unwrap_err();
        assert_eq!(error.code(), "corrupt", "{damage:?}");
        assert!(error.message().contains("`a`") && !error.message().contains("longer than"), "{error}");
        let results = storage.get_many(NS, &["a".into(), "b".into()], 1, true).await.unwrap();
        assert!(results[0].is_err() && results[1].as_ref().unwrap().is_some(), "{damage:?}");
        // The listing of keys goes on, and shows what can be deleted.
        assert_eq!(keys(&*storage, NS, 1, 10).await, ["a", "b"], "{damage:?}");
        let page = storage.scan(NS, Range::default(), Hint::default(), 1, 10, Projection::Value).await;
        assert_eq!(code(page), "corrupt", "{damage:?}");
        if !matches!(damage[2], "type" | "value") && damage[0] != "HSET" {
            let guarded = write_one(&*storage, put("a", b"v").if_absent(), 1).await;
            assert_eq!(code(guarded), "corrupt", "{damage:?}");
            let guarded = vec![put("c", b"v"), put("a", b"v").if_version(&Version::new("x").unwrap())];
            let results = storage.write(NS, guarded, true, 1, Projection::Key).await.unwrap();
            assert_eq!(results[0], Ok(Outcome::NotApplied));
            assert_eq!(code(results[1].clone()), "corrupt");
        }
        // Who asks nothing of it gets past.
        must_write(&*storage, put("a", b"new")).await;
        assert_eq!(value(&*storage, "a").await.unwrap(), b"new", "{damage:?}");
        raw.run(&["DEL", ENTRY]).await;
        raw.run(&["SET", ENTRY, "foreign"]).await;
        assert_eq!(write_one(&*storage, delete("a"), 1).await, Ok(Outcome::Deleted));
        assert_eq!(keys(&*storage, NS, 1, 10).await, ["b"], "{damage:?}");
    }
}

pub(crate) async fn foreign_indexes(bed: Bed) {
    let storage = bed.open("").await;
    let mut raw = bed.raw().await;
    for index in ["kv:{s598}:i:default", "kv:{s598}:x:default", "kv:{n}:namespaces"] {
        raw.run(&["FLUSHALL"]).await;
        raw.run(&["SET", index, "foreign"]).await;
        for (mutations, atomic) in [
            (vec![put_expiring("a", b"v", 1, Some(9))], false),
            (vec![put_expiring("a", b"v", 1, Some(9))], true),
            (vec![put_expiring("a", b"v", 1, Some(9)), put_expiring("b", b"v", 1, Some(9))], false),
        ] {
            let count = mutations.len();
            let failed = match storage.write(NS, mutations, atomic, 1, Projection::Key).await {
                Err(error) => vec![error; count],
                Ok(results) => results.into_iter().map(|result| result.unwrap_err()).collect(),
            };
            for error in failed {
                assert_eq!(error.code(), "corrupt", "{index}: {error}");
            }
            // Nothing was applied.
            assert!(get(&*storage, "a", 1).await.is_none(), "{index}");
        }
        if index.contains(":i:") {
            let page = storage.scan(NS, Range::default(), Hint::default(), 1, 10, Projection::Key).await;
            assert_eq!(code(page), "corrupt");
            assert_eq!(code(storage.clear(NS, 10).await), "corrupt");
        }
    }
}

pub(crate) async fn stores_that_are_not_ours(bed: Bed) {
    let mut raw = bed.raw().await;
    let old = OpenOptions::default().create(false);
    let error = dataknobs_kv_storage::open(bed.server.url(), &old).await.err().unwrap();
    assert_eq!(error.code(), "invalid-argument", "{error}");
    assert!(raw.keys().await.is_empty());
    bed.open("").await;
    dataknobs_kv_storage::open(bed.server.url(), &old).await.unwrap();
    let other = bed.try_open("shards=2").await.err().unwrap();
    assert_eq!(other.code(), "invalid-argument");
    assert!(other.message().contains("`shards`"), "{other}");
    // Another prefix is another store.
    let other = bed.open("shards=2&prefix=other").await;
    must_write(&*other, put("a", b"v")).await;
    assert!(get(&*bed.open("").await, "a", 1).await.is_none());
    raw.run(&["HSET", "kv:{n}:meta", "format", "2"]).await;
    assert_eq!(code(bed.try_open("").await.map(drop)), "unsupported");
    raw.run(&["HSET", "kv:{n}:meta", "format", "first"]).await;
    assert_eq!(code(bed.try_open("").await.map(drop)), "corrupt");
    raw.run(&["SET", "kv:{n}:meta", "foreign"]).await;
    assert_eq!(code(bed.try_open("").await.map(drop)), "corrupt");
}

pub(crate) async fn nasty_names(bed: Bed) {
    let storage = bed.open("").await;
    let spaces = ["}", "{", "a}b", "{}", ":", "*", "a*", "a", "a:i", "[a-z]", "?", "\\", "é{x}", "%s", "' or 1"];
    let names = ["}", "{x}", "*", "[ab]", "?", r"\\", ":", "a:b", "' \"", "é\u{1F600}", "%d", "e:1:a"];
    for space in spaces {
        for name in names {
            let outcome = write_to(&*storage, space, put(name, format!("{space}/{name}").as_bytes()), 1).await;
            assert!(matches!(outcome, Ok(Outcome::Written(_))), "{space:?} {name:?}: {outcome:?}");
        }
    }
    let mut sorted = names.map(str::to_owned);
    sorted.sort();
    for space in spaces {
        assert_eq!(keys(&*storage, space, 1, 5).await, sorted, "{space:?}");
        for name in names {
            let state = storage.get(space, name, 1, true).await.unwrap().unwrap();
            assert_eq!(state.value.unwrap(), format!("{space}/{name}").as_bytes());
        }
    }
    let mut sorted = spaces.map(str::to_owned);
    sorted.sort();
    let mut listed = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = storage.namespaces(after.as_deref(), 4).await.unwrap();
        listed.extend(page.names);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(listed, sorted);
    while storage.clear("a*", 5).await.unwrap() {}
    assert_eq!(keys(&*storage, "a", 1, 100).await.len(), names.len());
    assert_eq!(keys(&*storage, "a}b", 1, 100).await.len(), names.len());
    assert!(keys(&*storage, "a*", 1, 100).await.is_empty());
}

pub(crate) async fn answers_as_the_reference_does(bed: Bed) {
    compare(&bed, "").await;
}

/// Each time on a new prefix, which is empty.
pub(crate) async fn compare(bed: &Bed, options: &str) {
    for round in 0..6 {
        let url = bed.url(&format!("prefix=round{round}{options}"));
        against_memory::compare(&move || {
            let url = url.clone();
            Box::pin(async move {
                let storage = dataknobs_kv_storage::open(&url, &OpenOptions::default()).await.unwrap();
                Box::new(storage) as Box<dyn Storage>
            })
        })
        .await;
    }
}
