//! Generated from `wit/`: nothing else lives here.
#![allow(clippy::all, missing_docs, unreachable_pub, unsafe_code)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "kv",
    imports: {
        "dataknobs:kv/storage": async,
        "wasi:clocks/wall-clock": trappable,
    },
    exports: { default: async },
});
