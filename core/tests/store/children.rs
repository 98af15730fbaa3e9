use std::collections::BTreeMap;

use dataknobs_kv_core::{
    Core, Storage, Store, key,
    store::{Child, Expiry, Item, SetOptions},
};
use proptest::prelude::*;

use crate::support::*;

fn all(store: &impl Store, prefix: Option<&str>, counts: bool, limit: u32) -> Vec<Child> {
    let (mut children, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..1_000_000 {
        let page = run(store.children(NS, prefix, counts, cursor.as_deref(), limit)).unwrap();
        assert!(page.children.len() <= limit as usize);
        children.extend(page.children);
        cursor = page.cursor;
        if cursor.is_none() {
            return children;
        }
    }
    panic!("without end");
}

/// What the contract says, with all keys at hand.
fn expected(keys: &BTreeMap<String, ()>, prefix: Option<&str>, counts: bool) -> Vec<Child> {
    let base = prefix.map_or(String::new(), |prefix| format!("{prefix}."));
    let mut children: Vec<Child> = Vec::new();
    for key in keys.keys().filter_map(|key| key.strip_prefix(&base)) {
        let segment = key::segments(key).next().unwrap();
        let child = format!("{base}{segment}");
        if children.iter().any(|known| known.key == child) {
            continue;
        }
        let below = keys.keys().filter(|key| key.starts_with(&format!("{child}."))).count() as u64;
        children.push(Child {
            segment: key::unescape(segment).into_owned(),
            is_entry: keys.contains_key(&child),
            key: child,
            below: counts.then_some(below),
            has_children: below > 0,
        });
    }
    children
}

fn segment() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec!["a", "b", "!", "-", " ", "/", r"\.", r"\\", "é", "\u{10ffff}", "a", "a"]);
    prop::collection::vec(parts, 1..4).prop_map(|parts| parts.concat())
}

fn keys() -> impl Strategy<Value = Vec<String>> {
    let key = prop::collection::vec(segment(), 1..4).prop_map(|segments| segments.join("."));
    prop::collection::vec(key, 0..40)
}

/// A store with these keys, and an expired entry below each.
fn filled<S: Storage>(storage: S, keys: &[String]) -> Core<S, Hand> {
    let (core, clock) = core(storage);
    for key in keys {
        let gone = format!("{key}.gone");
        put(&core, key, 1);
        if !keys.contains(&gone) && gone.len() < 500 {
            let options = SetOptions { expiry: Expiry::After(1), ..SetOptions::default() };
            put_item(&core, Item { key: gone, value: 1.into(), options });
        }
    }
    clock.advance(1);
    core
}

fn model<T: AsRef<str>>(keys: &[T]) -> BTreeMap<String, ()> {
    keys.iter().map(|key| (key.as_ref().to_owned(), ())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn as_the_contract_says(keys in keys(), at in 0usize..40, page in 1u32..8, limit in 1u32..12, counts: bool) {
        let model = model(&keys);
        let prefix = keys.get(at).map(|key| key::segments(key).next().unwrap());
        let awkward = filled(Awkward::new(page), &keys);
        prop_assert_eq!(all(&awkward, None, counts, limit), expected(&model, None, counts));
        prop_assert_eq!(all(&awkward, prefix, counts, limit), expected(&model, prefix, counts));
        let plain = filled(memory(), &keys);
        prop_assert_eq!(all(&plain, None, counts, limit), expected(&model, None, counts));
        prop_assert_eq!(all(&plain, prefix, counts, limit), expected(&model, prefix, counts));
    }
}

#[test]
fn what_changes_meanwhile_is_answered_once() {
    // `a` is answered for its entry, which then goes; what is below it still shows it. `b` comes to be an entry too late.
    let keys = ["a", "a!", "a.x", "b!", "b.x", "c"];
    let store = filled(memory(), &model(&keys).into_keys().collect::<Vec<_>>());
    let mut names = Vec::new();
    let mut cursor = None;
    loop {
        let page = run(store.children(NS, None, false, cursor.as_deref(), 1)).unwrap();
        names.extend(page.children.into_iter().map(|child| child.key));
        match names.last().map(String::as_str) {
            Some("a") => drop(run(store.delete_many(NS, &["a".into()])).unwrap()),
            Some("b!") => drop(put(&store, "b", 1)),
            _ => {}
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(names, ["a", "a!", "b!", "b", "c"]);
}

#[test]
fn the_cost_is_that_of_the_children() {
    let storage = Awkward::new(10_000);
    let keys: Vec<String> =
        (0..20).flat_map(|child| (0..2000).map(move |below| format!("{child:02}.{below}"))).collect();
    let (store, _) = core(storage.clone());
    for part in keys.chunks(1000) {
        run(store.set_many(NS, part.iter().map(|key| item(key, 1)).collect())).unwrap();
    }
    storage.scans.store(0, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(all(&store, None, false, 100).len(), 20);
    let scans = storage.scans.load(std::sync::atomic::Ordering::SeqCst);
    assert!(scans <= 45, "{scans} scans");
}

#[test]
fn a_count_goes_on_where_it_stopped() {
    // More below one child than one call counts, and an entry of its own before keys that lie between.
    let (store, _) = core(Awkward::new(10_000));
    let mut keys: Vec<String> = (0..120_000).map(|below| format!("a.{below}")).collect();
    keys.extend(["a".into(), "a!x".into(), "b".into()]);
    for part in keys.chunks(1000) {
        run(store.set_many(NS, part.iter().map(|key| item(key, 1)).collect())).unwrap();
    }
    let first = run(store.children(NS, None, true, None, 10)).unwrap();
    assert!(first.children.is_empty() && first.cursor.is_some());
    let counts: Vec<_> = all(&store, None, true, 10).into_iter().map(|child| (child.key, child.below)).collect();
    assert_eq!(counts, [("a".into(), Some(120_000)), ("a!x".into(), Some(0)), ("b".into(), Some(0))]);
}

#[test]
fn the_longest_keys_have_nothing_below() {
    let longest = "k".repeat(512);
    let child = format!("{}.k", "k".repeat(510));
    let store = filled(Awkward::new(1), &[longest.clone(), child.clone()]);
    for counts in [false, true] {
        let below = all(&store, None, counts, 10);
        let names: Vec<_> = below.iter().map(|child| child.key.as_str()).collect();
        assert_eq!(names, [&child[..510], longest.as_str()]);
        assert_eq!(all(&store, Some(&longest), counts, 10), []);
        assert_eq!(all(&store, Some(&child[..510]), counts, 10).len(), 1);
    }
}

#[test]
fn cursors_are_bound_to_their_level() {
    let store = filled(memory(), &model(&["a.b", "a.c", "b.c"]).into_keys().collect::<Vec<_>>());
    let cursor = run(store.children(NS, None, false, None, 1)).unwrap().cursor.unwrap();
    assert!(run(store.children(NS, None, false, Some(&cursor), 5)).is_ok());
    for (namespace, prefix, counts) in [(NS, Some("a"), false), (NS, None, true), ("other", None, false)] {
        assert!(run(store.children(namespace, prefix, counts, Some(&cursor), 5)).is_err());
    }
}
