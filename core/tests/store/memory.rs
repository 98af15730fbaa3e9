use std::collections::BTreeMap;

use dataknobs_kv_core::{
    Attributes, MemoryStorage, Precondition, Projection, Storage, ValueType, Version,
    storage::{Amendment, Change, Hint, Mutation, Outcome, Range},
};
use proptest::prelude::*;

use crate::support::*;

fn attributes(now: u64, expires_at: Option<u64>) -> Attributes {
    Attributes {
        value_type: ValueType::Text,
        content_type: None,
        metadata: None,
        created_at: now,
        updated_at: now,
        expires_at,
        sliding_ms: None,
        size: 0,
        checksum: 0,
    }
}

fn put(now: u64, expires_at: Option<u64>) -> Change {
    Change::Put { attributes: attributes(now, expires_at), value: Vec::new() }
}

fn one(storage: &MemoryStorage, now: u64, key: &str, change: Change, precondition: Precondition) -> Outcome {
    let mutation = Mutation { key: key.into(), change, precondition };
    run(storage.write(NS, vec![mutation], false, now, Projection::Attributes)).unwrap().remove(0).unwrap()
}

fn version(outcome: Outcome) -> Version {
    match outcome {
        Outcome::Written(version) => version,
        other => panic!("{other:?}"),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, Option<u64>),
    Amend(usize, Option<u64>),
    Extend(usize, u64),
    Delete(usize),
    Advance(u64),
    Reclaim(u32),
    Clear(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0usize..6;
    prop_oneof![
        (key.clone(), prop::option::of(1u64..20)).prop_map(|(key, ttl)| Step::Put(key, ttl)),
        (key.clone(), prop::option::of(1u64..20)).prop_map(|(key, ttl)| Step::Amend(key, ttl)),
        (key.clone(), 0u64..30).prop_map(|(key, ttl)| Step::Extend(key, ttl)),
        key.prop_map(Step::Delete),
        (0u64..8).prop_map(Step::Advance),
        (1u32..4).prop_map(Step::Reclaim),
        (1u32..3).prop_map(Step::Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    /// Against a map in which nothing is hidden: (created, expires) of each key.
    #[test]
    fn as_the_model(steps in prop::collection::vec(step(), 0..60)) {
        let storage = memory();
        let mut now = 100;
        let mut model: BTreeMap<String, (u64, Option<u64>)> = BTreeMap::new();
        for step in steps {
            // What has expired is still stored until it is reclaimed; to callers it is gone.
            let living = |model: &BTreeMap<String, (u64, Option<u64>)>, key: &str| {
                model.get(key).copied().filter(|(_, at)| at.is_none_or(|at| at > now))
            };
            let name = |key: usize| format!("k{key}");
            match step {
                Step::Put(key, ttl) => {
                    let key = name(key);
                    let expires = ttl.map(|ttl| now + ttl);
                    version(one(&storage, now, &key, put(now, expires), Precondition::None));
                    let created = living(&model, &key).map_or(now, |(created, _)| created);
                    model.insert(key, (created, expires));
                }
                Step::Amend(key, ttl) => {
                    let key = name(key);
                    let expires_at = ttl.map(|ttl| now + ttl);
                    let amendment = Amendment { content_type: None, metadata: None, updated_at: now, expires_at, sliding_ms: None };
                    let outcome = one(&storage, now, &key, Change::Amend(amendment), Precondition::None);
                    match living(&model, &key) {
                        Some((created, _)) => {
                            version(outcome);
                            model.insert(key, (created, expires_at));
                        }
                        None => prop_assert_eq!(outcome, Outcome::Absent),
                    }
                }
                Step::Extend(key, ttl) => {
                    let key = name(key);
                    let outcome = one(&storage, now, &key, Change::Extend(now + ttl), Precondition::None);
                    match living(&model, &key) {
                        Some((created, at)) => {
                            prop_assert_eq!(outcome, Outcome::Held);
                            model.insert(key, (created, at.map(|at| at.max(now + ttl))));
                        }
                        None => prop_assert_eq!(outcome, Outcome::Absent),
                    }
                }
                Step::Delete(key) => {
                    let key = name(key);
                    let outcome = one(&storage, now, &key, Change::Delete, Precondition::None);
                    let expected = if living(&model, &key).is_some() { Outcome::Deleted } else { Outcome::Absent };
                    prop_assert_eq!(outcome, expected);
                    model.remove(&key);
                }
                Step::Advance(ms) => now += ms,
                Step::Reclaim(limit) => {
                    let due: Vec<String> = model
                        .iter()
                        .filter(|(_, (_, at))| at.is_some_and(|at| at <= now))
                        .map(|(key, _)| key.clone())
                        .collect();
                    let done = run(storage.reclaim(None, now, limit)).unwrap();
                    prop_assert_eq!(done.count as usize, due.len().min(limit as usize));
                    prop_assert_eq!(done.more, due.len() > limit as usize);
                    let mut by_time = due;
                    by_time.sort_by_key(|key| (model[key].1, key.clone()));
                    for key in by_time.into_iter().take(limit as usize) {
                        model.remove(&key);
                    }
                }
                Step::Clear(limit) => {
                    let more = run(storage.clear(NS, limit)).unwrap();
                    prop_assert_eq!(more, model.len() > limit as usize);
                    for _ in 0..limit {
                        model.pop_first();
                    }
                }
            }
            let expected: Vec<_> = model
                .iter()
                .filter(|(_, (_, at))| at.is_none_or(|at| at > now))
                .map(|(key, (created, at))| (key.clone(), *created, *at))
                .collect();
            let range = Range::default();
            let page = run(storage.scan(NS, range.clone(), Hint::default(), now, 100, Projection::Attributes)).unwrap();
            let found: Vec<_> = page
                .items
                .into_iter()
                .map(|entry| (entry.key, entry.state.unwrap().attributes))
                .map(|(key, attributes)| (key, attributes.created_at, attributes.expires_at))
                .collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(run(storage.count(NS, range, now)).unwrap(), Some(expected.len() as u64));
            let above = Range { after: Some("k2".into()), ..Range::default() };
            let some = expected.iter().filter(|(key, ..)| key.as_str() > "k2").count();
            prop_assert_eq!(run(storage.count(NS, above, now)).unwrap(), Some(some as u64));
            let named = run(storage.namespaces(None, 10)).unwrap().names;
            prop_assert_eq!(named.is_empty(), model.is_empty());
        }
    }
}

#[test]
fn an_atomic_write_is_all_or_nothing() {
    let storage = memory();
    let there = version(one(&storage, 0, "there", put(0, None), Precondition::None));
    let write = |mutations: Vec<(&str, Change, Precondition)>| {
        let mutations = mutations
            .into_iter()
            .map(|(key, change, precondition)| Mutation { key: key.into(), change, precondition })
            .collect();
        run(storage.write(NS, mutations, true, 0, Projection::Attributes)).unwrap()
    };
    let results = write(vec![
        ("new", put(0, None), Precondition::Absent),
        ("there", Change::Delete, Precondition::Absent),
        ("gone", Change::Extend(5), Precondition::None),
        ("gone.too", Change::Delete, Precondition::None),
    ]);
    assert_eq!(results[0], Ok(Outcome::NotApplied));
    assert!(matches!(&results[1], Ok(Outcome::Conflict(Some(state))) if state.version == there));
    assert_eq!((&results[2], &results[3]), (&Ok(Outcome::Absent), &Ok(Outcome::NotApplied)));
    assert_eq!(run(storage.get(NS, "new", 0, true)), Ok(None));
    let results = write(vec![
        ("new", put(0, None), Precondition::Absent),
        ("gone", Change::Delete, Precondition::None),
        ("there", Change::Check, Precondition::Version(there)),
    ]);
    assert!(matches!(results[0], Ok(Outcome::Written(_))));
    assert_eq!((&results[1], &results[2]), (&Ok(Outcome::Absent), &Ok(Outcome::Held)));
}

#[test]
fn refused_writes_make_no_namespace() {
    let storage = memory();
    one(&storage, 0, "k", Change::Delete, Precondition::None);
    one(&storage, 0, "k", put(0, None), Precondition::Version(Version::from_random(1)));
    assert_eq!(run(storage.namespaces(None, 10)).unwrap().names, Vec::<String>::new());
}

#[test]
fn a_panic_of_the_random_source_leaves_the_storage_usable() {
    let storage = {
        let calls = std::sync::atomic::AtomicU32::new(0);
        MemoryStorage::new(move || match calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            1 => panic!("no randomness"),
            n => n.into(),
        })
    };
    one(&storage, 0, "a", put(0, None), Precondition::None);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        one(&storage, 0, "a", put(0, Some(9)), Precondition::None);
    }));
    assert!(panicked.is_err());
    assert!(run(storage.get(NS, "a", 10, true)).unwrap().is_some());
    version(one(&storage, 0, "a", put(0, None), Precondition::None));
}
