//! What an adapter owes, straight on the storage.

use dataknobs_kv_core::storage::{Amendment, Change, Hint, Mutation, Outcome, Range};
use dataknobs_kv_core::{Attributes, Pattern, Precondition, Projection, State, Timestamp, ValueType, Version};

use crate::Harness;
use crate::harness::{assert_json, refused};

cases! {
    "storage";
    comes_back_as_put: [D2, M6] [Raw];
    every_change_under_every_precondition: [D1, D2, D3, D4, D5] [Raw];
    created_at_is_kept_over_the_living: [D1, M7] [Raw];
    created_at_is_new_over_the_expired: [D1, T7] [Raw];
    expiry_goes_by_the_time_given: [D1, T1] [Raw];
    conflicts_carry_as_much_as_asked: [D3, C6] [Raw];
    amend_keeps_the_value: [D4, M10] [Raw];
    amend_replaces_attributes_whole: [D4] [Raw];
    extend_moves_forward_only: [D5, T6] [Raw, Sliding];
    extend_is_seen_by_reclaim: [D5, D10] [Raw, Sliding];
    checks_change_nothing: [D2, X4] [Raw];
    plain_batches_stand_alone: [D7, B2] [Raw];
    atomic_writes_apply_all: [D6, X1] [Raw, Atomic];
    atomic_writes_apply_none: [D6, X1] [Raw, Atomic];
    atomic_amend_of_nothing_fails: [D6] [Raw, Atomic];
    atomic_delete_of_nothing_does_not: [D6] [Raw, Atomic];
    atomic_of_too_many_is_refused: [D6, S2] [Raw];
    ranges: [D8] [Raw];
    pages_go_on: [D8, L3] [Raw];
    pages_under_writes: [D8, L3] [Raw];
    hints_drop_no_match: [D8, P1, P4] [Raw];
    metadata_hints_drop_no_match: [D8, L7] [Raw];
    scan_projections: [D8, L5] [Raw];
    scans_skip_the_expired: [D1, D8] [Raw];
    large_pages_are_cut: [D8, Z2] [Raw];
    counts_or_does_not_know: [D9, D1] [Raw];
    reclaims_only_what_has_expired: [D10, T8] [Raw];
    reclaims_of_all_namespaces: [D10] [Raw];
    reclaims_in_parts: [D10] [Raw];
    clears_in_parts: [D11] [Raw];
    names_in_pages: [D12, N4] [Raw];
    reads_many_in_order: [D13] [Raw];
    reads_many_in_parts: [D13, Z2] [Raw];
    versions_hold_randomness: [D14, C2, C4] [Raw];
    keys_of_any_characters: [D15, K2] [Raw];
    names_and_keys_never_join: [D15, N2] [Raw];
    many_in_one_write: [D7, B1] [Raw];
    capabilities_agree: [S1] [Raw];
    waiting_ends: [A6] [Raw];
}

fn attributes(value: &[u8], now: Timestamp) -> Attributes {
    Attributes {
        value_type: ValueType::Bytes,
        content_type: None,
        metadata: None,
        created_at: now,
        updated_at: now,
        expires_at: None,
        sliding_ms: None,
        size: value.len() as u64,
        checksum: crc32c::crc32c(value),
    }
}

fn put_if(key: &str, value: &[u8], attributes: Attributes, precondition: Precondition) -> Mutation {
    Mutation { key: key.into(), change: Change::Put { attributes, value: value.into() }, precondition }
}

fn put(h: &Harness, key: &str, value: &[u8]) -> Mutation {
    put_if(key, value, attributes(value, h.clock.now()), Precondition::None)
}

fn put_until(h: &Harness, key: &str, expires_at: Timestamp) -> Mutation {
    let attributes = Attributes { expires_at: Some(expires_at), ..attributes(b"v", h.clock.now()) };
    put_if(key, b"v", attributes, Precondition::None)
}

fn amend(h: &Harness) -> Change {
    Change::Amend(Amendment {
        content_type: None,
        metadata: Some("{\"amended\":true}".into()),
        updated_at: h.clock.now(),
        expires_at: None,
        sliding_ms: None,
    })
}

fn plain(key: &str, change: Change) -> Mutation {
    Mutation { key: key.into(), change, precondition: Precondition::None }
}

async fn one(h: &Harness, mutation: Mutation) -> Outcome {
    h.write(vec![mutation], false).await.remove(0).expect("an outcome")
}

async fn put_version(h: &Harness, mutation: Mutation) -> Version {
    match one(h, mutation).await {
        Outcome::Written(version) => version,
        other => panic!("expected it to be written, got {other:?}"),
    }
}

async fn read(h: &Harness, key: &str) -> Option<State> {
    h.storage().get(&h.namespace, key, h.clock.now(), true).await.expect("a read")
}

async fn scan(h: &Harness, range: Range, hint: Hint, limit: u32) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), range.after.clone());
    for _ in 0..10_000 {
        let range = Range { after: after.clone(), ..range.clone() };
        let storage = h.storage();
        let page = storage
            .scan(&h.namespace, range, hint.clone(), h.clock.now(), limit, Projection::Key)
            .await
            .expect("a page");
        assert!(page.items.len() <= limit as usize);
        keys.extend(page.items.into_iter().map(|entry| entry.key));
        match page.next {
            Some(next) => {
                assert!(after.as_ref().is_none_or(|before| *before < next), "it goes on forward");
                after = Some(next);
            }
            None => return keys,
        }
    }
    panic!("a scan without end");
}

async fn all(h: &Harness) -> Vec<String> {
    scan(h, Range::default(), Hint::default(), 1000).await
}

async fn comes_back_as_put(h: Harness) {
    let now = h.clock.now();
    let value: Vec<u8> = (0..=255).collect();
    let full = Attributes {
        value_type: ValueType::Custom("my type".into()),
        content_type: Some("text/x; a=\"b\"".into()),
        metadata: Some("{\"a\":[1,\"\u{e9}\",null],\"b\":{\"c\":1.5}}".into()),
        created_at: now - 5,
        updated_at: now,
        expires_at: Some(now + 1234),
        sliding_ms: h.capabilities.sliding.then_some(1234),
        size: value.len() as u64,
        checksum: crc32c::crc32c(&value),
    };
    let version = put_version(&h, put_if("k", &value, full.clone(), Precondition::None)).await;
    let state = read(&h, "k").await.expect("there");
    assert_eq!(state.version, version);
    assert_eq!(state.value, Some(value));
    assert_json(state.attributes.metadata.as_deref(), full.metadata.as_deref().unwrap());
    assert_eq!(Attributes { metadata: full.metadata.clone(), ..state.attributes }, full);
    let without = h.storage().get(&h.namespace, "k", now, false).await.unwrap().expect("there");
    assert_eq!((without.version, without.value), (version, None));
    for value_type in
        [ValueType::Text, ValueType::Integer, ValueType::Number, ValueType::Boolean, ValueType::Null, ValueType::Json]
    {
        let attributes = Attributes { value_type: value_type.clone(), ..attributes(b"", now) };
        one(&h, plain("k", Change::Delete)).await;
        put_version(&h, put_if("k", b"", attributes.clone(), Precondition::None)).await;
        let state = read(&h, "k").await.expect("there");
        assert_eq!((state.attributes, state.value), (attributes, Some(vec![])));
    }
}

/// What is under the key before the mutation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Nothing,
    Living,
    Expired,
    Deleted,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Demand {
    Nothing,
    Absent,
    Current,
    Stale,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Put,
    Amend,
    Extend,
    Delete,
    Check,
}

async fn every_change_under_every_precondition(h: Harness) {
    let mut at = 0;
    for before in [Before::Nothing, Before::Living, Before::Expired, Before::Deleted] {
        for demand in [Demand::Nothing, Demand::Absent, Demand::Current, Demand::Stale] {
            for kind in [Kind::Put, Kind::Amend, Kind::Extend, Kind::Delete, Kind::Check] {
                for atomic in [false, true] {
                    at += 1;
                    one_of_every_change(&h, &format!("k{at:03}"), before, demand, kind, atomic).await;
                }
            }
        }
    }
}

async fn one_of_every_change(h: &Harness, key: &str, before: Before, demand: Demand, kind: Kind, atomic: bool) {
    if kind == Kind::Extend && !h.capabilities.sliding {
        return;
    }
    let what = format!("{kind:?} with {demand:?} on {before:?}, atomic: {atomic}");
    let mut current = Version::from_random(1);
    if before != Before::Nothing {
        current =
            put_version(h, put_until(h, key, h.clock.now() + if before == Before::Expired { 10 } else { 10_000 }))
                .await;
    }
    match before {
        Before::Expired => h.clock.advance(10),
        Before::Deleted => drop(one(h, plain(key, Change::Delete)).await),
        _ => {}
    }
    let living = before == Before::Living;
    let precondition = match demand {
        Demand::Nothing => Precondition::None,
        Demand::Absent => Precondition::Absent,
        Demand::Current => Precondition::Version(current.clone()),
        Demand::Stale => Precondition::Version(Version::from_random(2)),
    };
    let holds = match demand {
        Demand::Nothing => true,
        Demand::Absent => !living,
        Demand::Current => living,
        Demand::Stale => false,
    };
    let change = match kind {
        Kind::Put => Change::Put { attributes: attributes(b"new", h.clock.now()), value: b"new".into() },
        Kind::Amend => amend(h),
        Kind::Extend => Change::Extend(h.clock.now() + 20_000),
        Kind::Delete => Change::Delete,
        Kind::Check => Change::Check,
    };
    let before_state = read(h, key).await;
    assert_eq!(before_state.is_some(), living, "{what}");
    let outcome =
        h.write(vec![Mutation { key: key.into(), change, precondition }], atomic).await.remove(0).expect("an outcome");
    let after = read(h, key).await;
    let applied_to_nothing = matches!(kind, Kind::Amend | Kind::Extend | Kind::Delete) && !living;
    match outcome {
        Outcome::Conflict(state) => {
            assert!(!holds || (applied_to_nothing && demand != Demand::Nothing), "{what}: a conflict");
            assert_eq!(state, before_state, "{what}: the state in the way");
            assert_eq!(after, before_state, "{what}: nothing changed");
        }
        Outcome::Absent => {
            assert!(holds && applied_to_nothing, "{what}: absent");
            assert_eq!(after, None, "{what}");
        }
        Outcome::Written(version) => {
            assert!(holds && (kind == Kind::Put || kind == Kind::Amend && living), "{what}: written");
            let after = after.expect("there");
            assert!(after.version == version && version != current, "{what}");
        }
        Outcome::Held => {
            assert!(holds && (kind == Kind::Check || kind == Kind::Extend && living), "{what}: held");
            assert_eq!(after.as_ref().map(|s| &s.version), before_state.as_ref().map(|s| &s.version), "{what}");
            if kind == Kind::Check {
                assert_eq!(after, before_state, "{what}");
            }
        }
        Outcome::Deleted => {
            assert!(holds && kind == Kind::Delete && living, "{what}: deleted");
            assert_eq!(after, None, "{what}");
        }
        Outcome::NotApplied => panic!("{what}: the only mutation is the one that stood in the way"),
    }
}

async fn created_at_is_kept_over_the_living(h: Harness) {
    let start = h.clock.now();
    put_version(&h, put(&h, "k", b"1")).await;
    h.clock.advance(10);
    put_version(&h, put(&h, "k", b"2")).await;
    let state = read(&h, "k").await.expect("there");
    assert_eq!((state.attributes.created_at, state.attributes.updated_at), (start, start + 10));
    let guarded = put_if("k", b"3", attributes(b"3", h.clock.now()), Precondition::Version(state.version));
    put_version(&h, guarded).await;
    h.write(vec![put(&h, "k", b"4")], true).await.remove(0).unwrap();
    assert_eq!(read(&h, "k").await.expect("there").attributes.created_at, start);
}

async fn created_at_is_new_over_the_expired(h: Harness) {
    put_version(&h, put_until(&h, "k", h.clock.now() + 5)).await;
    h.clock.advance(5);
    put_version(&h, put(&h, "k", b"2")).await;
    let state = read(&h, "k").await.expect("there");
    assert_eq!((state.attributes.created_at, state.attributes.expires_at), (h.clock.now(), None));
    one(&h, plain("k", Change::Delete)).await;
    h.clock.advance(5);
    put_version(&h, put(&h, "k", b"3")).await;
    assert_eq!(read(&h, "k").await.expect("there").attributes.created_at, h.clock.now());
}

async fn expiry_goes_by_the_time_given(h: Harness) {
    let storage = h.storage();
    let end = h.clock.now() + 1000;
    put_version(&h, put_until(&h, "k", end)).await;
    for (now, there) in [(end - 1, true), (end, false), (end + 1_000_000, false), (end - 1, true)] {
        let what = format!("{now} of {end}");
        assert_eq!(storage.get(&h.namespace, "k", now, true).await.unwrap().is_some(), there, "{what}");
        let many = storage.get_many(&h.namespace, &["k".into()], now, false).await.unwrap();
        assert_eq!(many[0].as_ref().unwrap().is_some(), there, "{what}");
        let page =
            storage.scan(&h.namespace, Range::default(), Hint::default(), now, 10, Projection::Key).await.unwrap();
        assert_eq!(page.items.len(), usize::from(there), "{what}");
        if let Some(count) = storage.count(&h.namespace, Range::default(), now).await.unwrap() {
            assert_eq!(count, u64::from(there), "{what}");
        }
    }
}

async fn conflicts_carry_as_much_as_asked(h: Harness) {
    let version = put_version(&h, put(&h, "k", b"there")).await;
    let stale = Precondition::Version(Version::from_random(9));
    for precondition in [Precondition::Absent, stale] {
        for want in [Projection::Key, Projection::Attributes, Projection::Value] {
            let mutation = put_if("k", b"new", attributes(b"new", h.clock.now()), precondition.clone());
            let storage = h.storage();
            let mut outcomes = storage.write(&h.namespace, vec![mutation], false, h.clock.now(), want).await.unwrap();
            let Ok(Outcome::Conflict(state)) = outcomes.remove(0) else { panic!("expected a conflict") };
            assert_eq!(state.is_some(), want != Projection::Key);
            if let Some(state) = state {
                assert_eq!(state.version, version);
                assert_eq!(state.value, (want == Projection::Value).then(|| b"there".to_vec()));
            }
        }
    }
}

async fn amend_keeps_the_value(h: Harness) {
    let start = h.clock.now();
    let value = vec![7; 100_000];
    let before = put_version(&h, put(&h, "k", &value)).await;
    h.clock.advance(5);
    let Outcome::Written(version) = one(&h, plain("k", amend(&h))).await else { panic!("expected it to be written") };
    assert_ne!(version, before);
    let state = read(&h, "k").await.expect("there");
    assert_eq!((state.version, state.value.as_ref()), (version, Some(&value)));
    let attributes = state.attributes;
    assert_eq!((attributes.created_at, attributes.updated_at), (start, start + 5));
    assert_eq!((attributes.size, attributes.checksum), (100_000, crc32c::crc32c(&value)));
    assert_eq!(attributes.value_type, ValueType::Bytes);
    assert_json(attributes.metadata.as_deref(), "{\"amended\":true}");
}

async fn amend_replaces_attributes_whole(h: Harness) {
    let now = h.clock.now();
    let full = Attributes {
        content_type: Some("text/plain".into()),
        metadata: Some("{\"a\":1,\"b\":2}".into()),
        expires_at: Some(now + 1000),
        sliding_ms: h.capabilities.sliding.then_some(1000),
        ..attributes(b"v", now)
    };
    put_version(&h, put_if("k", b"v", full.clone(), Precondition::None)).await;
    let amendment = |content_type: Option<&str>, metadata: Option<&str>, expires_at| {
        plain(
            "k",
            Change::Amend(Amendment {
                content_type: content_type.map(Into::into),
                metadata: metadata.map(Into::into),
                updated_at: now + 1,
                expires_at,
                sliding_ms: None,
            }),
        )
    };
    one(&h, amendment(Some("x/y"), Some("{\"b\":3}"), Some(now + 50))).await;
    let attributes = read(&h, "k").await.expect("there").attributes;
    assert_eq!(attributes.content_type.as_deref(), Some("x/y"));
    assert_json(attributes.metadata.as_deref(), "{\"b\":3}");
    assert_eq!((attributes.expires_at, attributes.sliding_ms), (Some(now + 50), None));
    one(&h, amendment(None, None, None)).await;
    let attributes = read(&h, "k").await.expect("there").attributes;
    assert_eq!((attributes.content_type, attributes.metadata, attributes.expires_at), (None, None, None));
    h.clock.advance(100_000);
    assert!(read(&h, "k").await.is_some(), "no rest of the old expiry");
    let storage = h.storage();
    assert_eq!(storage.reclaim(Some(&h.namespace), h.clock.now(), 100).await.unwrap().count, 0);
    assert!(read(&h, "k").await.is_some());
}

async fn extend_moves_forward_only(h: Harness) {
    let now = h.clock.now();
    let version = put_version(&h, put_until(&h, "k", now + 100)).await;
    let forever = put_version(&h, put(&h, "forever", b"v")).await;
    let before = read(&h, "k").await.expect("there");
    for (to, expires_at) in
        [(now + 50, now + 100), (now + 100, now + 100), (now + 300, now + 300), (now + 200, now + 300)]
    {
        assert_eq!(one(&h, plain("k", Change::Extend(to))).await, Outcome::Held);
        let state = read(&h, "k").await.expect("there");
        assert_eq!(state.version, version);
        let expected = Attributes { expires_at: Some(expires_at), ..before.attributes.clone() };
        assert_eq!(state.attributes, expected);
    }
    assert_eq!(one(&h, plain("forever", Change::Extend(now + 5))).await, Outcome::Held);
    let state = read(&h, "forever").await.expect("there");
    assert_eq!((state.attributes.expires_at, state.version), (None, forever));
    assert_eq!(one(&h, plain("nothing", Change::Extend(now + 5))).await, Outcome::Absent);
    h.clock.advance(300);
    assert_eq!(one(&h, plain("k", Change::Extend(now + 9999))).await, Outcome::Absent, "it cannot be brought back");
}

async fn extend_is_seen_by_reclaim(h: Harness) {
    let now = h.clock.now();
    put_version(&h, put_until(&h, "k", now + 100)).await;
    assert_eq!(one(&h, plain("k", Change::Extend(now + 500))).await, Outcome::Held);
    h.clock.advance(200);
    let storage = h.storage();
    assert_eq!(storage.reclaim(Some(&h.namespace), h.clock.now(), 100).await.unwrap().count, 0);
    assert!(read(&h, "k").await.is_some());
    h.clock.advance(300);
    assert_eq!(storage.reclaim(Some(&h.namespace), h.clock.now(), 100).await.unwrap().count, 1);
}

async fn checks_change_nothing(h: Harness) {
    let version = put_version(&h, put(&h, "k", b"v")).await;
    let before = read(&h, "k").await;
    let check = |key: &str, precondition| Mutation { key: key.into(), change: Change::Check, precondition };
    let outcomes =
        h.write(vec![check("k", Precondition::Version(version)), check("none", Precondition::Absent)], false).await;
    assert_eq!(outcomes, [Ok(Outcome::Held), Ok(Outcome::Held)]);
    assert_eq!(read(&h, "k").await, before);
    assert_eq!(all(&h).await, ["k"]);
}

async fn plain_batches_stand_alone(h: Harness) {
    let version = put_version(&h, put(&h, "there", b"v")).await;
    put_version(&h, put(&h, "gone", b"v")).await;
    let stale = Precondition::Version(Version::from_random(4));
    let fresh = attributes(b"n", h.clock.now());
    let outcomes = h
        .write(
            vec![
                put_if("new", b"n", fresh.clone(), Precondition::Absent),
                put_if("there", b"n", fresh.clone(), Precondition::Absent),
                plain("gone", Change::Delete),
                plain("nothing", Change::Delete),
                Mutation { key: "there2".into(), change: amend(&h), precondition: stale.clone() },
                plain("nothing2", amend(&h)),
                put_if("late", b"n", fresh, stale),
                put(&h, "last", b"n"),
            ],
            false,
        )
        .await;
    let shown: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().expect("an outcome")).collect();
    assert!(matches!(shown[0], Outcome::Written(_)));
    assert!(matches!(shown[1], Outcome::Conflict(Some(state)) if state.version == version));
    assert_eq!(shown[2], &Outcome::Deleted);
    assert_eq!(shown[3], &Outcome::Absent);
    assert!(matches!(shown[4], Outcome::Conflict(None)));
    assert_eq!(shown[5], &Outcome::Absent);
    assert!(matches!(shown[6], Outcome::Conflict(None)));
    assert!(matches!(shown[7], Outcome::Written(_)));
    assert_eq!(all(&h).await, ["last", "new", "there"]);
    assert_eq!(read(&h, "there").await.expect("there").value, Some(b"v".to_vec()));
}

async fn atomic_writes_apply_all(h: Harness) {
    let version = put_version(&h, put(&h, "amended", b"v")).await;
    put_version(&h, put(&h, "gone", b"v")).await;
    let outcomes = h
        .write(
            vec![
                put(&h, "z", b"1"),
                Mutation { key: "amended".into(), change: amend(&h), precondition: Precondition::Version(version) },
                plain("gone", Change::Delete),
                plain("nothing", Change::Delete),
                Mutation { key: "lock".into(), change: Change::Check, precondition: Precondition::Absent },
                put(&h, "a", b"2"),
            ],
            true,
        )
        .await;
    let outcomes: Vec<Outcome> = outcomes.into_iter().map(|outcome| outcome.expect("an outcome")).collect();
    assert!(matches!(outcomes[0], Outcome::Written(_)) && matches!(outcomes[1], Outcome::Written(_)));
    assert_eq!(outcomes[2..5], [Outcome::Deleted, Outcome::Absent, Outcome::Held]);
    assert!(matches!(outcomes[5], Outcome::Written(_)));
    assert_eq!(all(&h).await, ["a", "amended", "z"]);
    assert_eq!(read(&h, "amended").await.expect("there").value, Some(b"v".to_vec()));
}

/// None was applied, and these were in the way.
async fn none_applied(h: &Harness, mutations: Vec<Mutation>, in_the_way: &[usize]) {
    let keys: Vec<String> = mutations.iter().map(|mutation| mutation.key.clone()).collect();
    let mut before = Vec::new();
    for key in &keys {
        before.push(read(h, key).await);
    }
    let outcomes = h.write(mutations, true).await;
    let mut said = 0;
    for (at, outcome) in outcomes.iter().enumerate() {
        match outcome.as_ref().expect("an outcome") {
            Outcome::NotApplied => {}
            Outcome::Conflict(state) => {
                assert!(in_the_way.contains(&at), "{at} was not in the way");
                assert_eq!(state, &before[at]);
                said += 1;
            }
            Outcome::Absent => {
                assert!(in_the_way.contains(&at) && before[at].is_none(), "{at} was not in the way");
                said += 1;
            }
            other => panic!("{at}: {other:?} though nothing may be applied"),
        }
    }
    assert!(said >= 1, "at least one says why: {outcomes:?}");
    for (key, before) in keys.iter().zip(before) {
        assert_eq!(read(h, key).await, before, "{key}");
    }
}

async fn atomic_writes_apply_none(h: Harness) {
    put_version(&h, put(&h, "a", b"1")).await;
    put_version(&h, put(&h, "b", b"1")).await;
    let before = all(&h).await;
    let stale = || Precondition::Version(Version::from_random(4));
    let put_stale = |key: &str| put_if(key, b"n", attributes(b"n", h.clock.now()), stale());
    let check = |key: &str, precondition| Mutation { key: key.into(), change: Change::Check, precondition };
    none_applied(&h, vec![put(&h, "new", b"2"), plain("a", Change::Delete), put_stale("b")], &[2]).await;
    none_applied(&h, vec![put_stale("b"), put(&h, "new", b"2"), plain("a", amend(&h))], &[0]).await;
    none_applied(&h, vec![put(&h, "a", b"2"), check("b", Precondition::Absent), put(&h, "new", b"2")], &[1]).await;
    none_applied(&h, vec![put(&h, "a", b"2"), check("nothing", stale())], &[1]).await;
    none_applied(&h, vec![put_stale("x"), put(&h, "a", b"2"), put_stale("b")], &[0, 2]).await;
    let delete_stale = Mutation { key: "b".into(), change: Change::Delete, precondition: stale() };
    none_applied(&h, vec![put(&h, "new", b"2"), delete_stale], &[1]).await;
    assert_eq!(all(&h).await, before);
}

async fn atomic_amend_of_nothing_fails(h: Harness) {
    put_version(&h, put(&h, "a", b"1")).await;
    none_applied(&h, vec![put(&h, "a", b"2"), plain("nothing", amend(&h))], &[1]).await;
    if h.capabilities.sliding {
        none_applied(&h, vec![put(&h, "a", b"2"), plain("nothing", Change::Extend(h.clock.now() + 5))], &[1]).await;
    }
    put_version(&h, put_until(&h, "expired", h.clock.now() + 5)).await;
    h.clock.advance(5);
    none_applied(&h, vec![put(&h, "a", b"2"), plain("expired", amend(&h))], &[1]).await;
}

async fn atomic_delete_of_nothing_does_not(h: Harness) {
    put_version(&h, put_until(&h, "expired", h.clock.now() + 5)).await;
    h.clock.advance(5);
    let outcomes = h
        .write(vec![plain("nothing", Change::Delete), put(&h, "a", b"1"), plain("expired", Change::Delete)], true)
        .await;
    assert_eq!(outcomes[0], Ok(Outcome::Absent));
    assert!(matches!(outcomes[1], Ok(Outcome::Written(_))));
    assert_eq!(outcomes[2], Ok(Outcome::Absent));
    assert_eq!(all(&h).await, ["a"]);
}

async fn atomic_of_too_many_is_refused(h: Harness) {
    let most = h.capabilities.max_atomic;
    if most > 20_000 {
        return;
    }
    let mutations = (0..=most).map(|at| put(&h, &format!("k{at}"), b"v")).collect();
    let result = h.storage().write(&h.namespace, mutations, true, h.clock.now(), Projection::Key).await;
    refused(result, "unsupported");
    assert!(all(&h).await.is_empty());
}

const KEYS: [&str; 14] =
    ["a", "a!", "a.", "a.b", "a.b.c", "a/", "ab", "b", "b.a", "b\u{e9}", "c", "\u{e9}", "\u{ffff}", "\u{10000}"];

async fn filled(h: &Harness) {
    h.write(KEYS.iter().rev().map(|key| put(h, key, b"v")).collect(), false).await;
}

async fn ranges(h: Harness) {
    filled(&h).await;
    let points = [
        None,
        Some("a"),
        Some("a."),
        Some("a.b"),
        Some("a.zzz"),
        Some("b"),
        Some("\u{e9}"),
        Some("\u{ffff}"),
        Some("\u{10ffff}"),
        Some("!"),
    ];
    for from in points {
        for to in points {
            for after in points {
                let range = Range { from: from.map(Into::into), to: to.map(Into::into), after: after.map(Into::into) };
                let expected: Vec<&str> = KEYS
                    .into_iter()
                    .filter(|key| from.is_none_or(|from| from <= *key))
                    .filter(|key| to.is_none_or(|to| *key < to))
                    .filter(|key| after.is_none_or(|after| after < *key))
                    .collect();
                assert_eq!(scan(&h, range.clone(), Hint::default(), 100).await, expected, "{range:?}");
            }
        }
    }
}

async fn pages_go_on(h: Harness) {
    filled(&h).await;
    for limit in [1, 2, 5, 14, 15, 10_000] {
        assert_eq!(scan(&h, Range::default(), Hint::default(), limit).await, KEYS, "pages of {limit}");
        let range = Range { from: Some("a.".into()), to: Some("c".into()), after: None };
        assert_eq!(scan(&h, range, Hint::default(), limit).await, KEYS[2..10], "pages of {limit}");
    }
}

async fn pages_under_writes(h: Harness) {
    let keys: Vec<String> = (0..40).map(|at| format!("k{at:02}")).collect();
    h.write(keys.iter().map(|key| put(&h, key, b"0")).collect(), false).await;
    let (mut found, mut after, mut step) = (Vec::<String>::new(), None, 0_usize);
    loop {
        let range = Range { after: after.clone(), ..Range::default() };
        let page =
            h.storage().scan(&h.namespace, range, Hint::default(), h.clock.now(), 1, Projection::Key).await.unwrap();
        found.extend(page.items.into_iter().map(|entry| entry.key));
        // Everything is rewritten, some that were not there come and some of those go.
        let mut writes: Vec<Mutation> = keys.iter().map(|key| put(&h, key, b"1")).collect();
        writes.push(put(&h, &format!("k{:02}-new", (step * 13) % 40), b"1"));
        writes.push(plain(&format!("k{:02}-new", (step * 7) % 40), Change::Delete));
        writes.dedup_by(|a, b| a.key == b.key);
        h.write(writes, false).await;
        step += 1;
        assert!(step < 1000, "a scan without end");
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert!(found.is_sorted_by(|a, b| a < b), "in order, each once: {found:?}");
    assert!(keys.iter().all(|key| found.contains(key)), "what was there throughout came: {found:?}");
}

const VALID: [&str; 18] = [
    "a",
    "a\\.b",
    "a.b",
    "a\\\\b",
    "axb",
    "a[b]",
    "a*b",
    "a?b",
    "a%b",
    "a_b",
    "A.b",
    "\\.",
    "x",
    "x.y.z",
    "(a)",
    "caf\u{e9}",
    "cafe\u{301}",
    "\u{1f600}.x",
];

async fn hints_drop_no_match(h: Harness) {
    h.write(VALID.iter().map(|key| put(&h, key, b"v")).collect(), false).await;
    for text in [
        "a?b",
        "[!x]",
        "a*",
        "*",
        "**",
        "a.*",
        "**.b",
        "?",
        "??",
        "{a,x}*",
        "{a,x}.**",
        "a[!x]b",
        "a\\*b",
        "a\\?b",
        "a[[]b]",
        "a_b",
        "a%b",
        "[aA].b",
        "a\\\\b",
        "a\\.b",
        "caf?",
        "cafe?",
        "(a)",
        "*\\.*",
        "**.?",
        "\u{1f600}.?",
        "{a%b,a_b,a\\\\b}",
    ] {
        let pattern = Pattern::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let hint = Hint { pattern: Some(text.into()), metadata: None };
        for limit in [2, 100] {
            let found = scan(&h, Range::default(), hint.clone(), limit).await;
            for key in VALID.iter().filter(|key| pattern.matches(key)) {
                assert!(found.iter().any(|other| other == key), "{text} matches {key:?}");
            }
            assert!(found.is_sorted_by(|a, b| a < b));
        }
    }
}

async fn metadata_hints_drop_no_match(h: Harness) {
    let texts = [
        "{\"a\":1}",
        "{\"a\":100}",
        "{\"a\":\"1\"}",
        "{\"a\":null}",
        "{\"a\":[1,2]}",
        "{\"a\":{\"b\":1,\"c\":2}}",
        "{\"a\":\"\u{e9}\"}",
        "{\"a.b\":1}",
        "{\"\":1}",
        "{\"b\":1}",
    ];
    let put_with = |at: usize, metadata: &str| {
        let attributes = Attributes { metadata: Some(metadata.into()), ..attributes(b"v", h.clock.now()) };
        put_if(&format!("k{at}"), b"v", attributes, Precondition::None)
    };
    h.write(texts.iter().enumerate().map(|(at, text)| put_with(at, text)).collect(), false).await;
    put_version(&h, put(&h, "none", b"v")).await;
    for (query, expected) in [
        ("{\"a\":1}", vec!["k0"]),
        ("{\"a\":1.0}", vec!["k0"]),
        ("{\"a\":1e2}", vec!["k1"]),
        ("{\"a\":null}", vec!["k3"]),
        ("{\"a\":{\"c\":2,\"b\":1}}", vec!["k5"]),
        ("{\"a\":\"\\u00e9\"}", vec!["k6"]),
        ("{\"a.b\":1}", vec!["k7"]),
        ("{}", vec!["k0", "k9", "none"]),
    ] {
        let hint = Hint { pattern: None, metadata: Some(query.into()) };
        let found = scan(&h, Range::default(), hint, 100).await;
        assert!(expected.iter().all(|key| found.iter().any(|other| other == key)), "{query}: {found:?}");
    }
}

async fn scan_projections(h: Harness) {
    put_version(&h, put(&h, "k", b"value")).await;
    let page = async |want| {
        let storage = h.storage();
        let page =
            storage.scan(&h.namespace, Range::default(), Hint::default(), h.clock.now(), 10, want).await.unwrap();
        assert_eq!((page.items.len(), page.items[0].key.as_str()), (1, "k"));
        page.items[0].state.clone()
    };
    let full = read(&h, "k").await.expect("there");
    assert_eq!(page(Projection::Key).await, None);
    assert_eq!(page(Projection::Attributes).await, Some(State { value: None, ..full.clone() }));
    assert_eq!(page(Projection::Value).await, Some(full));
}

async fn scans_skip_the_expired(h: Harness) {
    let now = h.clock.now();
    let writes = (0..30).map(|at| put_until(&h, &format!("k{at:02}"), now + 10 + at % 3)).collect();
    h.write(writes, false).await;
    h.clock.advance(11);
    let expected: Vec<String> = (0..30).filter(|at| at % 3 == 2).map(|at| format!("k{at:02}")).collect();
    for limit in [1, 4, 100] {
        assert_eq!(scan(&h, Range::default(), Hint::default(), limit).await, expected);
    }
}

async fn large_pages_are_cut(h: Harness) {
    let value = vec![1; 1 << 20];
    for at in 0..20 {
        put_version(&h, put(&h, &format!("k{at:02}"), &value)).await;
    }
    let (mut count, mut after, mut pages) = (0, None, 0);
    loop {
        let range = Range { after, ..Range::default() };
        let page = h
            .storage()
            .scan(&h.namespace, range, Hint::default(), h.clock.now(), 1000, Projection::Value)
            .await
            .unwrap();
        let bytes: usize =
            page.items.iter().filter_map(|entry| entry.state.as_ref()?.value.as_ref()).map(Vec::len).sum();
        assert!(bytes <= 16 << 20, "{bytes} bytes in one page");
        count += page.items.len();
        pages += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert!(count == 20 && pages >= 2, "{count} in {pages} pages");
    assert_eq!(all(&h).await.len(), 20);
}

async fn counts_or_does_not_know(h: Harness) {
    filled(&h).await;
    put_version(&h, put_until(&h, "a.soon", h.clock.now() + 5)).await;
    let count = async |from: Option<&str>, to: Option<&str>| {
        let range = Range { from: from.map(Into::into), to: to.map(Into::into), after: None };
        h.storage().count(&h.namespace, range, h.clock.now()).await.expect("a count")
    };
    for (from, to, expected) in [
        (None, None, 15),
        (Some("a."), Some("a/"), 4),
        (Some("c"), None, 4),
        (Some("x"), Some("y"), 0),
        (Some("b"), Some("a"), 0),
    ] {
        if let Some(found) = count(from, to).await {
            assert_eq!(found, expected, "{from:?} to {to:?}");
        }
    }
    h.clock.advance(5);
    if let Some(found) = count(None, None).await {
        assert_eq!(found, 14);
    }
    if let Some(found) = count(Some("a."), Some("a/")).await {
        assert_eq!(found, 3);
    }
}

async fn reclaim(h: &Harness, limit: u32) -> u32 {
    let mut count = 0;
    for _ in 0..10_000 {
        let reclaimed = h.storage().reclaim(Some(&h.namespace), h.clock.now(), limit).await.expect("a reclaim");
        assert!(reclaimed.count <= limit);
        count += reclaimed.count;
        if !reclaimed.more {
            return count;
        }
    }
    panic!("a reclaim without end");
}

async fn reclaims_only_what_has_expired(h: Harness) {
    let now = h.clock.now();
    h.write(
        vec![
            put_until(&h, "expired", now + 10),
            put_until(&h, "renewed", now + 10),
            put_until(&h, "amended", now + 10),
            put_until(&h, "deleted", now + 10),
            put_until(&h, "later", now + 11),
            put(&h, "never", b"v"),
        ],
        false,
    )
    .await;
    h.write(
        vec![put_until(&h, "renewed", now + 1000), plain("amended", amend(&h)), plain("deleted", Change::Delete)],
        false,
    )
    .await;
    assert_eq!(reclaim(&h, 100).await, 0);
    h.clock.advance(10);
    assert_eq!(reclaim(&h, 100).await, 1);
    assert_eq!(reclaim(&h, 100).await, 0);
    assert_eq!(all(&h).await, ["amended", "later", "never", "renewed"]);
    assert!(read(&h, "renewed").await.is_some());
}

async fn reclaims_of_all_namespaces(h: Harness) {
    let storage = h.storage();
    let others = ["x", "y"].map(|suffix| h.beside(format!("{}{suffix}", h.namespace)));
    for space in &others {
        space.write(vec![put_until(&h, "k", h.clock.now() + 5), put(&h, "stays", b"v")], false).await;
    }
    let drain = async || {
        let mut count = 0;
        loop {
            let reclaimed = storage.reclaim(None, h.clock.now(), 1000).await.expect("a reclaim");
            count += reclaimed.count;
            if !reclaimed.more {
                return count;
            }
        }
    };
    drain().await;
    h.clock.advance(5);
    assert!(drain().await >= 2);
    for space in &others {
        assert_eq!(all(space).await, ["stays"]);
        assert_eq!(reclaim(space, 10).await, 0);
    }
}

async fn reclaims_in_parts(h: Harness) {
    let now = h.clock.now();
    h.write((0..25).map(|at| put_until(&h, &format!("k{at:02}"), now + 1 + at)).collect(), false).await;
    h.clock.advance(20);
    let first = h.storage().reclaim(Some(&h.namespace), h.clock.now(), 7).await.unwrap();
    assert!(first.count <= 7 && first.more, "{first:?}");
    assert_eq!(first.count + reclaim(&h, 7).await, 20);
    assert_eq!(all(&h).await.len(), 5);
}

async fn clears_in_parts(h: Harness) {
    let other = h.beside(format!("{}~", h.namespace));
    filled(&h).await;
    filled(&other).await;
    put_version(&h, put_until(&h, "zz", h.clock.now() + 5)).await;
    h.clock.advance(5);
    assert!(h.storage().clear(&h.namespace, 4).await.unwrap(), "more is left");
    assert!(all(&h).await.len() >= KEYS.len() - 4);
    let mut calls = 0;
    while h.storage().clear(&h.namespace, 4).await.unwrap() {
        calls += 1;
        assert!(calls < 100, "a clear without end");
    }
    assert!(all(&h).await.is_empty());
    assert_eq!(reclaim(&h, 10).await, 0, "what had expired is gone too");
    assert_eq!(all(&other).await, KEYS);
    let names = h.storage().namespaces(None, 10_000).await.unwrap().names;
    assert!(!names.contains(&h.namespace) && names.contains(&other.namespace));
    assert!(!h.storage().clear(&h.namespace, 4).await.unwrap(), "of nothing");
}

async fn names_in_pages(h: Harness) {
    let names = ["", "!", ".b", "a", "a.b", "b", "\u{e9}", "\u{ffff}", "\u{10000}"]
        .map(|suffix| format!("{}{suffix}", h.namespace));
    for name in names.iter().rev() {
        let space = h.beside(name);
        space.write(vec![put(&h, "k", b"v")], false).await;
    }
    for limit in [1, 4, 10_000] {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = h.storage().namespaces(after.as_deref(), limit).await.unwrap();
            assert!(page.names.len() <= limit as usize);
            found.extend(page.names);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert!(found.is_sorted_by(|a, b| a < b), "in order, each once");
        found.retain(|name| name.starts_with(&h.namespace));
        assert_eq!(found, names, "pages of {limit}");
    }
}

async fn reads_many_in_order(h: Harness) {
    filled(&h).await;
    let wanted: Vec<String> = ["c", "nothing", "a", "\u{10000}", "b", "b.a", "zzz", "a.b"].map(String::from).into();
    for with_value in [true, false] {
        let results = h.storage().get_many(&h.namespace, &wanted, h.clock.now(), with_value).await.unwrap();
        assert_eq!(results.len(), wanted.len());
        for (key, result) in wanted.iter().zip(results) {
            let single = h.storage().get(&h.namespace, key, h.clock.now(), with_value).await.unwrap();
            assert_eq!(result.unwrap(), single, "{key}");
        }
    }
}

async fn reads_many_in_parts(h: Harness) {
    let wanted: Vec<String> = (0..20).map(|at| format!("k{at:02}")).collect();
    for (at, key) in wanted.iter().enumerate() {
        put_version(&h, put(&h, key, &vec![at as u8; 1 << 20])).await;
    }
    let mut at = 0;
    while at < wanted.len() {
        let results = h.storage().get_many(&h.namespace, &wanted[at..], h.clock.now(), true).await.unwrap();
        assert!(!results.is_empty() && results.len() <= 16, "{} MiB at once", results.len());
        for result in results {
            assert_eq!(result.unwrap().expect("there").value.expect("asked for")[0], at as u8);
            at += 1;
        }
    }
}

async fn versions_hold_randomness(h: Harness) {
    let mut seen = std::collections::HashSet::new();
    for _ in 0..100 {
        let version = put_version(&h, put(&h, "k", b"same")).await;
        assert!(Version::new(version.as_str()).is_ok() && version.as_str().len() >= 16, "{version}");
        assert!(seen.insert(version));
    }
    // The same value and attributes at the same time under the same key of another namespace.
    let other = h.beside(format!("{}-other", h.namespace));
    assert!(seen.insert(put_version(&other, put(&h, "k", b"same")).await));
    // No counter: neighbours differ in more than their ends.
    let texts: Vec<String> = seen.into_iter().map(Version::into_string).collect();
    let starts: std::collections::HashSet<&str> = texts.iter().map(|text| &text[..text.len() - 6]).collect();
    assert!(starts.len() > 90, "only {} beginnings", starts.len());
}

async fn keys_of_any_characters(h: Harness) {
    let keys = [
        "/",
        "//",
        "a//b",
        "../x",
        "*",
        "**",
        "?",
        "}",
        "{",
        "'",
        "\"",
        "\\",
        "\\\\",
        "%",
        "%2F",
        " ",
        "  ",
        ".",
        "..",
        ".a",
        "a.",
        "a..b",
        "-",
        "--",
        "$1",
        ":",
        "::",
        "a:b",
        "\u{e9}",
        "e\u{301}",
        "\u{ffff}",
        "\u{10ffff}",
        "\u{feff}",
        "NUL",
        "a\u{2028}b",
        "'; --",
    ];
    h.write(keys.iter().map(|key| put(&h, key, key.as_bytes())).collect(), false).await;
    let mut sorted = keys.to_vec();
    sorted.sort();
    assert_eq!(all(&h).await, sorted);
    for key in keys {
        assert_eq!(read(&h, key).await.expect("there").value, Some(key.as_bytes().to_vec()), "{key:?}");
    }
    for key in keys.iter().step_by(2) {
        assert_eq!(one(&h, plain(key, Change::Delete)).await, Outcome::Deleted);
    }
    assert_eq!(all(&h).await.len(), keys.len() / 2);
}

async fn names_and_keys_never_join(h: Harness) {
    let base = &h.namespace;
    let pairs = [
        (format!("{base}a"), "b.c"),
        (format!("{base}a.b"), "c"),
        (format!("{base}a"), "b:c"),
        (format!("{base}a:b"), "c"),
        (format!("{base}a"), "b/c"),
        (format!("{base}a/b"), "c"),
        (format!("{base}"), "ab.c"),
        (format!("{base}ab"), ".c"),
        (format!("{base}}}"), "x"),
        (format!("{base}{{"), "}x"),
        (format!("{base}{{}}"), "x"),
        (format!("{base}\\"), "x"),
        (format!("{base}*"), "x"),
    ];
    for (at, (namespace, key)) in pairs.iter().enumerate() {
        h.beside(namespace).write(vec![put(&h, key, &[at as u8])], false).await;
    }
    for (at, (namespace, key)) in pairs.iter().enumerate() {
        let state = read(&h.beside(namespace), key).await.expect("there");
        assert_eq!(state.value, Some(vec![at as u8]), "{namespace:?} {key:?}");
        let own = pairs.iter().filter(|(other, _)| other == namespace).count();
        assert_eq!(all(&h.beside(namespace)).await.len(), own, "{namespace:?}");
    }
}

async fn many_in_one_write(h: Harness) {
    let keys: Vec<String> = (0..1000).map(|at| format!("k{:04}", (at * 7) % 1000)).collect();
    let outcomes = h.write(keys.iter().map(|key| put(&h, key, key.as_bytes())).collect(), false).await;
    for (key, outcome) in keys.iter().zip(outcomes) {
        let Ok(Outcome::Written(version)) = outcome else { panic!("{outcome:?}") };
        let state = read(&h, key).await.expect("there");
        assert_eq!((state.version, state.value), (version, Some(key.as_bytes().to_vec())));
    }
    let outcomes = h.write(keys.iter().map(|key| plain(key, Change::Delete)).collect(), false).await;
    assert!(outcomes.into_iter().all(|outcome| outcome == Ok(Outcome::Deleted)));
    assert!(all(&h).await.is_empty());
}

async fn capabilities_agree(h: Harness) {
    assert_eq!(h.storage().capabilities(), h.capabilities);
    assert_eq!(h.storage().capabilities(), h.storage().capabilities());
}

async fn waiting_ends(h: Harness) {
    for attempt in [1, 2, 10] {
        h.storage().backoff(&h.namespace, "k", attempt).await;
    }
}
