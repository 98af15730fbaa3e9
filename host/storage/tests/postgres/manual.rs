//! What `docs/backends/postgres.md` shows in `psql` is what `psql` shows.

use std::process::Stdio;
use std::sync::Arc;

use dataknobs_kv_core::storage::Change;
use dataknobs_kv_core::{Attributes, Storage, ValueType};

use super::Place;
use super::common::*;

crate::tests! { transcripts }

const NOW: u64 = 1_800_000_000_123;

/// The entries that the page speaks of.
async fn fill(storage: &dyn Storage) {
    let entry = |key: &str, value_type, value: &[u8], metadata: Option<&str>, span: Option<u64>| {
        let mut mutation = put(key, value);
        let attributes = Attributes {
            value_type,
            metadata: metadata.map(Into::into),
            size: value.len() as u64,
            ..attributes(NOW, span.map(|span| NOW + span))
        };
        mutation.change = Change::Put { attributes, value: value.to_vec() };
        mutation
    };
    for mutation in [
        entry("app.name", ValueType::Text, b"Orders", Some(r#"{"owner":"ops","tags":["a","b"]}"#), None),
        entry("app.limits", ValueType::Json, br#"{"rate": 20}"#, None, None),
        entry("app.logo", ValueType::Bytes, b"\x89PNG", None, None),
        entry("session.7", ValueType::Text, b"anna", None, Some(3_600_000)),
        entry("visits", ValueType::Integer, b"42", None, None),
    ] {
        must_write(storage, mutation).await;
    }
}

async fn transcripts(place: Arc<Place>) {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/backends/postgres.md")).unwrap();
    let sessions = sessions(&page);
    assert!(sessions.len() >= 3, "the page has transcripts");
    let storage = place.open().await;
    fill(&storage).await;
    let config = place.config();
    for (command, shown) in sessions {
        let sql = command.strip_prefix("psql kv -c \"").and_then(|rest| rest.strip_suffix('"')).unwrap_or_else(|| {
            panic!("{command}: the page says `psql kv -c \"…\"`");
        });
        let sql = sql.replace("kv_store", place.table());
        let mut psql = tokio::process::Command::new("psql");
        psql.args(["-X", "-c", &sql])
            .env("PGHOST", &config.host)
            .env("PGPORT", config.port.to_string())
            .env("PGTZ", "UTC")
            .env("PGUSER", config.user.as_deref().unwrap_or_default())
            .env("PGPASSWORD", config.password.as_deref().unwrap_or_default())
            .env("PGDATABASE", config.database.as_deref().unwrap_or_default())
            .stdin(Stdio::null());
        let output = match psql.output().await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return place.ignore("there is no `psql` to compare the transcripts with");
            }
            output => output.unwrap(),
        };
        let got = String::from_utf8(output.stdout).unwrap();
        let trim = |text: &str| text.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        assert_eq!(trim(&got), trim(&shown), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}
