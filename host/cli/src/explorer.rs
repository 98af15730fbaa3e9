//! The explorer's files, as `cargo xtask web` builds them; without them this does not compile.

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$((
            $name,
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/demo/dist/", $name)).as_slice(),
        )),*]
    };
}

/// All that the page consists of, by name.
pub(crate) const FILES: [(&str, &[u8]); 6] =
    files!["index.html", "icon.svg", "explorer.css", "explorer.js", "dataknobs_kv.wasm", "dataknobs_kv_http.wasm"];
