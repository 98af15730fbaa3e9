//! Nested JSON and dotted keys: one is turned into the other without loss.
//!
//! * An object's names become segments (dots and backslashes in them escaped); the leaves are strings, numbers, booleans,
//!   nulls, empty objects and arrays.
//! * A key that has a value and also keys below it is an object again, with its own value under the name `""`: no
//!   segment is empty, so nothing else can have that name.
//! * Arrays stay whole, as one JSON value; where the caller wants them flattened, their elements are numbered from 0.

mod nest;

pub(crate) use dataknobs_kv_core::wire::Flatten;
pub(crate) use nest::{ArrayNest, Nest};
