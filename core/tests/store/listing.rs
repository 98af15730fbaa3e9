use dataknobs_kv_core::{
    Core, Entry, Error, Pattern, Precondition, Projection, Storage, Store,
    store::{Item, Query, SetOptions},
};
use proptest::prelude::*;

use crate::support::*;

fn all(store: &impl Store, query: &Query, limit: u32, want: Projection) -> Vec<Entry> {
    let (mut entries, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..100_000 {
        let page = run(store.list_entries(NS, query, cursor.as_deref(), limit, want)).unwrap();
        assert!(page.entries.len() <= limit as usize);
        entries.extend(page.entries);
        cursor = page.cursor;
        if cursor.is_none() {
            return entries;
        }
    }
    panic!("without end");
}

fn sum(limit: u32, step: impl Fn(Option<&str>) -> dataknobs_kv_core::store::Progress) -> u64 {
    let (mut sum, mut cursor) = (0, None::<String>);
    for _ in 0..100_000 {
        let progress = step(cursor.as_deref());
        assert!(progress.count <= u64::from(limit) || (cursor.is_none() && progress.cursor.is_none()));
        sum += progress.count;
        cursor = progress.cursor;
        if cursor.is_none() {
            return sum;
        }
    }
    panic!("without end");
}

fn filled<S: Storage>(storage: S, keys: &[String]) -> Core<S, Hand> {
    let (core, _) = core(storage);
    for (index, key) in keys.iter().enumerate() {
        let metadata = Some(format!("{{\"odd\":{},\"i\":{index}}}", index % 2 == 1));
        let options = SetOptions { metadata, ..SetOptions::default() };
        put_item(&core, Item { key: key.clone(), value: "v".into(), options });
    }
    core
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn as_the_model(
        keys in prop::collection::btree_set("[ab]{1,2}(\\.[ab]{1,2}){0,2}", 0..40),
        pattern in prop::sample::select(vec![
            "**", "a.**", "a.*", "*.b", "?.*", "{a,b,b.a,a}", "a", "a.b", "[!a]*.**", "ab*", "**.a",
        ]),
        odd in prop::option::of(any::<bool>()),
        page in 1u32..6,
        limit in 1u32..9,
    ) {
        let keys: Vec<String> = keys.into_iter().collect();
        let query = Query { pattern: pattern.into(), metadata: odd.map(|odd| format!("{{\"odd\":{odd}}}")) };
        let compiled = Pattern::parse(pattern).unwrap();
        let expected: Vec<&String> = keys
            .iter()
            .enumerate()
            .filter(|(index, key)| compiled.matches(key) && odd.is_none_or(|odd| odd == (index % 2 == 1)))
            .map(|(_, key)| key)
            .collect();
        fn look(store: &impl Store, query: &Query, limit: u32) -> (Vec<String>, u64) {
            let listed = all(store, query, limit, Projection::Key);
            assert!(listed.iter().all(|entry| entry.state.is_none()));
            let keys: Vec<String> = listed.into_iter().map(|entry| entry.key).collect();
            for want in [Projection::Attributes, Projection::Value] {
                let more = all(store, query, limit, want);
                assert_eq!(more.iter().map(|entry| &entry.key).collect::<Vec<_>>(), keys.iter().collect::<Vec<_>>());
                let has = |entry: &Entry| entry.state.as_ref().unwrap().value.is_some();
                assert!(more.iter().all(|entry| has(entry) == (want == Projection::Value)));
            }
            (keys, sum(limit, |cursor| run(store.count(NS, query, cursor, limit)).unwrap()))
        }
        let awkward = filled(Awkward::new(page), &keys);
        let plain = filled(memory(), &keys);
        for (listed, count) in [look(&awkward, &query, limit), look(&plain, &query, limit)] {
            prop_assert_eq!(listed.iter().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(count, expected.len() as u64);
        }
        let deleted = sum(limit, |cursor| run(awkward.delete_matching(NS, &query, cursor, limit)).unwrap());
        prop_assert_eq!(deleted, expected.len() as u64);
        let left = all(&awkward, &Query::pattern("**"), 100, Projection::Key).len();
        prop_assert_eq!(left, keys.len() - expected.len());
    }
}

#[test]
fn a_cursor_is_bound_to_its_query() {
    let store = filled(memory(), &["a.a".into(), "a.b".into(), "a.c".into()]);
    let query = Query { pattern: "a.*".into(), metadata: Some("{ }".into()) };
    let cursor = run(store.list_entries(NS, &query, None, 1, Projection::Key)).unwrap().cursor.unwrap();
    let list = |namespace: &str, pattern: &str, metadata: Option<&str>, cursor: &str| {
        let query = Query { pattern: pattern.into(), metadata: metadata.map(Into::into) };
        run(store.list_entries(namespace, &query, Some(cursor), 1, Projection::Value))
    };
    assert_eq!(list(NS, "a.*", None, &cursor).unwrap().entries[0].key, "a.b");
    let refused = |result| assert!(matches!(result, Err(Error::InvalidArgument(_))), "{result:?}");
    refused(list("m", "a.*", None, &cursor));
    refused(list(NS, "a.**", None, &cursor));
    refused(list(NS, "a.*", Some("{\"i\":1}"), &cursor));
    refused(list(NS, "a.*", None, &cursor[1..]));
    refused(list(NS, "a.*", None, ""));
    let progress = run(store.count(NS, &query, Some(&cursor), 1));
    assert!(matches!(progress, Err(Error::InvalidArgument(_))));
}

#[test]
fn rare_matches_end_a_call_early() {
    let keys: Vec<String> =
        (0..30_000).map(|index| format!("k{index:05}.{}", if index == 29_999 { "z" } else { "y" })).collect();
    let (store, _) = core(Awkward::new(10_000));
    for part in keys.chunks(1000) {
        run(store.set_many(NS, part.iter().map(|key| item(key, 1)).collect())).unwrap();
    }
    let query = Query::pattern("*.z");
    let first = run(store.list_entries(NS, &query, None, 10, Projection::Key)).unwrap();
    assert!(first.entries.is_empty() && first.cursor.is_some());
    assert_eq!(all(&store, &query, 10, Projection::Key).len(), 1);
}

#[test]
fn large_values_come_in_parts() {
    let (store, _) = core(memory());
    for index in 0..5 {
        put(&store, &format!("k{index}"), vec![index; 3 << 20]);
    }
    let query = Query::pattern("**");
    let page = run(store.list_entries(NS, &query, None, 100, Projection::Value)).unwrap();
    assert!((1..5).contains(&page.entries.len()) && page.cursor.is_some());
    assert_eq!(all(&store, &query, 100, Projection::Value).len(), 5);
    let keys: Vec<String> = (0..5).map(|index| format!("k{index}")).collect();
    let states = run(store.get_many(NS, &keys, true)).unwrap();
    assert!((1..5).contains(&states.len()));
    assert_eq!(run(store.get_many(NS, &keys, false)).unwrap().len(), 5);
}

#[test]
fn what_changes_under_a_deletion_is_looked_at_again() {
    let storage = Awkward::new(100);
    let store = filled(storage.clone(), &["a".into(), "b".into(), "c".into()]);
    let set = |storage: &dataknobs_kv_core::MemoryStorage, key: &str, metadata: &str| {
        let (core, _) = core(storage.clone());
        let options = SetOptions { metadata: Some(metadata.into()), ..SetOptions::default() };
        put_item(&core, Item { key: key.into(), value: "new".into(), options });
    };
    storage.rival(move |inner| {
        set(inner, "a", "{\"odd\":false,\"new\":1}");
        set(inner, "c", "{\"odd\":true}");
    });
    let query = Query { pattern: "**".into(), metadata: Some("{\"odd\":false}".into()) };
    assert_eq!(run(store.delete_matching(NS, &query, None, 10)).unwrap().count, 1);
    assert_eq!(
        all(&store, &Query::pattern("**"), 10, Projection::Key).iter().map(|e| &e.key).collect::<Vec<_>>(),
        ["b", "c"]
    );
}

#[test]
fn a_damaged_value_stops_only_listings_of_values() {
    let inner = memory();
    let store = filled(inner.clone(), &["a".into(), "b".into()]);
    damage(&inner, "b");
    let query = Query::pattern("**");
    assert_eq!(all(&store, &query, 10, Projection::Attributes).len(), 2);
    let listed = run(store.list_entries(NS, &query, None, 10, Projection::Value));
    assert!(matches!(&listed, Err(Error::Corrupt(what)) if what.contains("\"b\"")), "{listed:?}");
    let read = run(store.get_many(NS, &["a".into(), "b".into()], true)).unwrap();
    assert!(read[0].is_ok() && matches!(read[1], Err(Error::Corrupt(_))));
    assert!(matches!(run(store.get(NS, "b")), Err(Error::Corrupt(_))));
    assert!(matches!(
        run(store.compare_and_swap(NS, "b", Some("v".into()), 1.into(), SetOptions::default())),
        Err(Error::Corrupt(_))
    ));
    assert!(run(store.delete(NS, "b", Precondition::None, Projection::Key)).is_ok());
}

/// Another value under the old checksum.
fn damage(storage: &impl Storage, key: &str) {
    use dataknobs_kv_core::storage::{Change, Mutation};
    let state = run(storage.get(NS, key, 0, true)).unwrap().unwrap();
    let mut value = state.value.unwrap();
    value[0] ^= 1;
    let change = Change::Put { attributes: state.attributes, value };
    let mutation = Mutation { key: key.into(), change, precondition: Precondition::None };
    run(storage.write(NS, vec![mutation], false, 0, Projection::Key)).unwrap();
}
