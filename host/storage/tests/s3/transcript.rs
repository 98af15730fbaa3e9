//! What `docs/backends/s3.md` shows in `curl` is what `curl` shows.

use std::process::Command;

use dataknobs_kv_core::storage::{Change, Mutation};
use dataknobs_kv_core::{Attributes, Precondition, ValueType};

use crate::Place;
use crate::common::{must_write, sessions};

const PAGE: &str = include_str!("../../../../docs/backends/s3.md");

pub(crate) async fn is_true(mut place: Place) {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("without curl nothing can be compared");
        return;
    }
    // A signed query is compared by the store: a prefix as on the page, in a bucket that other tests use, too.
    place.config.prefix = format!("{}/store", place.config.prefix);
    let store = place.open().await;
    for (key, value, crc32c, metadata, content_type) in [
        ("app.name", "Orders", 0x8c53d607, Some(r#"{"owner":"ops"}"#), Some("text/plain")),
        ("app.limits", "", 0, None, None),
    ] {
        let attributes = Attributes {
            value_type: ValueType::Text,
            content_type: content_type.map(Into::into),
            metadata: metadata.map(Into::into),
            created_at: 1_800_000_000_000,
            updated_at: 1_800_000_000_000,
            expires_at: None,
            sliding_ms: None,
            size: value.len() as u64,
            checksum: crc32c,
        };
        let change = Change::Put { attributes, value: value.into() };
        must_write(&store, Mutation { key: key.into(), change, precondition: Precondition::None }).await;
    }
    let config = &place.config;
    let keys = config.keys.as_ref().expect("keys");
    let signed = format!(
        "--aws-sigv4 aws:amz:us-east-1:s3 -u {}:{} -H x-amz-content-sha256:UNSIGNED-PAYLOAD",
        keys.access_key_id, keys.secret_access_key
    );
    let bucket = format!("{}/{}", config.endpoint.as_deref().expect("an endpoint"), config.bucket);
    let mut shown = 0;
    for (command, expected) in sessions(PAGE) {
        let prefix = format!("{}/", config.prefix);
        let command = command.replace("store%2F", &prefix.replace('/', "%2F")).replace("store/", &prefix);
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).env("SIGNED", &signed).env("BUCKET", &bucket);
        let output = shell.output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap().replace(&prefix, "store/");
        assert_eq!(hidden(&printed), hidden(&expected), "{command}");
        shown += 1;
    }
    assert_eq!(shown, 2);
}

/// Nonces are random.
fn hidden(text: &str) -> Vec<String> {
    let hide = |line: &str| match line.split_once(r#"{"nonce":""#) {
        Some((before, after)) => format!("{before}{}", after.get(32..).unwrap_or_default()),
        None => line.to_owned(),
    };
    text.trim_end().lines().map(hide).collect()
}
