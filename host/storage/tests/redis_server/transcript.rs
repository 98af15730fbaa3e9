//! What `docs/backends/redis.md` shows is what `redis-cli` prints.

use std::process::Command;

use dataknobs_kv_core::storage::{Change, Mutation};
use dataknobs_kv_core::{Attributes, Precondition, ValueType};

use crate::Bed;
use crate::common::*;

const PAGE: &str = include_str!("../../../../docs/backends/redis.md");

pub(crate) async fn is_true(bed: Bed) {
    if Command::new("redis-cli").arg("--version").output().is_err() {
        println!("without redis-cli nothing can be compared");
        return;
    }
    let storage = bed.open("").await;
    // The entry of the page: a session that expires.
    let attributes = Attributes {
        value_type: ValueType::Json,
        content_type: None,
        metadata: Some(r#"{"role":"admin"}"#.into()),
        created_at: 1_800_000_000_000,
        updated_at: 1_800_000_000_000,
        expires_at: Some(1_800_000_060_000),
        sliding_ms: None,
        size: 0,
        checksum: 4_290_171_348,
    };
    let change = Change::Put { attributes, value: br#"{"user":"ada"}"#.to_vec() };
    let session = Mutation { key: "session.7".into(), change, precondition: Precondition::None };
    write_one(&*storage, session, 1_800_000_000_000).await.unwrap();
    must_write(&*storage, put("app.name", b"demo")).await;
    let mut shown = 0;
    for (command, expected) in sessions(PAGE) {
        let Some(command) = command.strip_prefix("redis-cli ") else { continue };
        let expected: Vec<String> = expected.lines().map(str::to_owned).collect();
        let port = bed.server.port().to_string();
        let output =
            Command::new("sh").args(["-c", &format!("redis-cli --no-raw -p {port} {command}")]).output().unwrap();
        let printed: Vec<String> =
            String::from_utf8(output.stdout).unwrap().trim_end().lines().map(str::to_owned).collect();
        assert_eq!(hidden(&printed), hidden(&expected), "{command}");
        shown += 1;
    }
    assert!(shown >= 4, "the page shows {shown} commands");
}

/// Versions are random.
fn hidden(lines: &[String]) -> Vec<String> {
    let version = |text: &str| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let hide = |line: &String| match line.split('"').nth(1) {
        Some(text) if version(text) => line.replace(text, "…"),
        _ => line.clone(),
    };
    lines.iter().map(hide).collect()
}
