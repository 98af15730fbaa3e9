//! The operations, and how they are made up.

use dataknobs_kv_core::Value;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;

/// What a write demands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Demand {
    /// Nothing.
    Nothing,
    /// No entry.
    Absent,
    /// The version that is there (or a made-up one where nothing is).
    Current,
    /// One from before, or a made-up one.
    Stale,
}

/// A value of the model's small world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sample {
    /// An integer.
    Integer(i8),
    /// A text.
    Text(u8),
    /// A JSON array.
    Array(u8),
}

impl Sample {
    pub(super) fn value(self) -> Value {
        match self {
            Sample::Integer(integer) => Value::Integer(i64::from(integer)),
            Sample::Text(text) => Value::Text("x".repeat(usize::from(text % 4))),
            Sample::Array(length) => Value::Json(array(&vec!["1".to_owned(); usize::from(length % 3)])),
        }
    }
}

pub(super) fn array(elements: &[String]) -> String {
    format!("[{}]", elements.join(","))
}

/// One operation; keys by number.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Set { key: u8, sample: Sample, ttl: Option<u8>, metadata: Option<u8>, demand: Demand },
    Delete { key: u8, demand: Demand },
    Increment { key: u8, delta: i8 },
    Append { key: u8, sample: Sample },
    Swap { key: u8, old: Option<Sample>, new: Sample },
    Merge { key: u8, field: u8, remove: bool },
    Touch { key: u8, ttl: Option<u8> },
    SetMany { items: Vec<(u8, Sample, Demand)> },
    DeleteMany { keys: Vec<u8> },
    Transact { checks: Vec<(u8, Demand)>, sets: Vec<(u8, Sample)>, deletes: Vec<u8> },
    List { pattern: u8, limit: u8 },
    DeleteMatching { pattern: u8 },
    Cleanup { limit: u8 },
    Clear,
    Advance { milliseconds: u8 },
}

/// The model's small world of keys.
pub(super) const KEYS: [&str; 8] = ["a", "a.b", "a.b.c", "a\\.b", "a!", "b.b", "b", "\u{e9}.b"];

/// Patterns, and which of the keys they match.
pub(super) const PATTERNS: [(&str, [bool; 8]); 8] = [
    ("**", [true, true, true, true, true, true, true, true]),
    ("*", [true, false, false, true, true, false, true, false]),
    ("a.**", [false, true, true, false, false, false, false, false]),
    ("a*", [true, false, false, true, true, false, false, false]),
    ("*.b", [false, true, false, false, false, true, false, true]),
    ("{a,b}.b", [false, true, false, false, false, true, false, false]),
    ("a?", [false, false, false, false, true, false, false, false]),
    ("**.[!c]", [true, true, false, false, false, true, true, true]),
];

fn demand() -> impl Strategy<Value = Demand> {
    prop_oneof![4 => Just(Demand::Nothing), 1 => Just(Demand::Absent), 2 => Just(Demand::Current), 1 => Just(Demand::Stale)]
}

fn sample() -> impl Strategy<Value = Sample> {
    prop_oneof![
        3 => any::<i8>().prop_map(Sample::Integer),
        2 => any::<u8>().prop_map(Sample::Text),
        1 => any::<u8>().prop_map(Sample::Array),
    ]
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let key = || 0..KEYS.len() as u8;
    let ttl = || proptest::option::of(1..40_u8);
    prop_oneof![
        8 => (key(), sample(), ttl(), proptest::option::of(0..3_u8), demand())
            .prop_map(|(key, sample, ttl, metadata, demand)| Op::Set { key, sample, ttl, metadata, demand }),
        3 => (key(), demand()).prop_map(|(key, demand)| Op::Delete { key, demand }),
        3 => (key(), any::<i8>()).prop_map(|(key, delta)| Op::Increment { key, delta }),
        3 => (key(), sample()).prop_map(|(key, sample)| Op::Append { key, sample }),
        3 => (key(), proptest::option::of(sample()), sample()).prop_map(|(key, old, new)| Op::Swap { key, old, new }),
        2 => (key(), 0..3_u8, any::<bool>()).prop_map(|(key, field, remove)| Op::Merge { key, field, remove }),
        2 => (key(), ttl()).prop_map(|(key, ttl)| Op::Touch { key, ttl }),
        2 => vec((key(), sample(), demand()), 0..5).prop_map(|items| Op::SetMany { items }),
        1 => vec(key(), 0..5).prop_map(|keys| Op::DeleteMany { keys }),
        3 => (vec((key(), demand()), 0..3), vec((key(), sample()), 0..4), vec(key(), 0..3))
            .prop_map(|(checks, sets, deletes)| Op::Transact { checks, sets, deletes }),
        2 => (0..PATTERNS.len() as u8, 1..6_u8).prop_map(|(pattern, limit)| Op::List { pattern, limit }),
        1 => (1..PATTERNS.len() as u8).prop_map(|pattern| Op::DeleteMatching { pattern }),
        1 => (1..5_u8).prop_map(|limit| Op::Cleanup { limit }),
        1 => Just(Op::Clear),
        4 => (1..30_u8).prop_map(|milliseconds| Op::Advance { milliseconds }),
    ]
}
