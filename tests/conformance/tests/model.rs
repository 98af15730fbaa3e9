//! Random operations against the model, over the core itself.

use std::sync::Arc;

use dataknobs_kv_conformance::model::random_operations;
use dataknobs_kv_conformance::native::{harness, memory};
use dataknobs_kv_conformance::run::runtime;

#[test]
fn native_core_on_memory() {
    random_operations(&runtime(), 1500, "tests/model.seeds", async || harness(memory()));
}

#[test]
fn the_model_notices_a_lie() {
    use dataknobs_kv_conformance::faulty::{Faulty, Lie};
    let lie = || harness(Arc::new(Faulty::new(memory(), Lie::IgnoresVersion)));
    let failed = std::panic::catch_unwind(|| random_operations(&runtime(), 400, "", async || lie()));
    assert!(failed.is_err());
}
