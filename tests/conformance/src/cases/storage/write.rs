//! Single mutations and plain batches: outcomes, preconditions, times, versions.

use super::{all, amend, attributes, one, plain, put, put_if, put_until, put_version, read};
use crate::Harness;
use crate::harness::assert_json;
use dataknobs_kv_core::storage::{Amendment, Change, Mutation, Outcome};
use dataknobs_kv_core::{Attributes, Precondition, Projection, ValueType, Version};

cases! {
    "storage";
    comes_back_as_put: [D2, M6] [Raw];
    every_change_under_every_precondition: [D1, D2, D3, D4, D5] [Raw];
    created_at_is_kept_over_the_living: [D1, M7] [Raw];
    created_at_is_new_over_the_expired: [D1, T7] [Raw];
    conflicts_carry_as_much_as_asked: [D3, C6] [Raw];
    amend_keeps_the_value: [D4, M10] [Raw];
    amend_replaces_attributes_whole: [D4] [Raw];
    extend_moves_forward_only: [D5, T6] [Raw, Sliding];
    checks_change_nothing: [D2, X4] [Raw];
    plain_batches_stand_alone: [D7, B2] [Raw];
    versions_hold_randomness: [D14, C2, C4] [Raw];
    many_in_one_write: [D7, B1] [Raw];
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
