//! The component as it was built: what it asks of its host, and how large it is.

use dataknobs_kv_runtime::COMPONENT;
use wasmtime::{Engine, component::Component};

#[test]
fn it_imports_a_storage_and_a_clock_and_nothing_else() {
    let engine = Engine::default();
    let component = Component::new(&engine, COMPONENT).unwrap();
    let kind = component.component_type();
    let imports: Vec<String> = kind.imports(&engine).map(|(name, _)| name.to_owned()).collect();
    // `types` is an interface of types alone: there is nothing to call, and nothing for a host to give.
    assert_eq!(imports, ["wasi:clocks/wall-clock@0.2.6", "dataknobs:kv/types@0.1.0", "dataknobs:kv/storage@0.1.0"]);
    let exports: Vec<String> = kind.exports(&engine).map(|(name, _)| name.to_owned()).collect();
    assert_eq!(exports, ["dataknobs:kv/store@0.1.0"]);
}

#[test]
fn it_is_small() {
    assert!(COMPONENT.len() <= 250_000, "{} bytes", COMPONENT.len());
}

#[test]
fn it_says_nothing_about_the_machine_that_built_it() {
    let home = std::env::home_dir().unwrap();
    for place in [env!("CARGO_MANIFEST_DIR").strip_suffix("/host/runtime").unwrap(), home.to_str().unwrap()] {
        let found = COMPONENT.windows(place.len()).any(|window| window == place.as_bytes());
        assert!(!found || place.len() < 4, "{place}");
    }
}
