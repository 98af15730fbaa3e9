//! What the suite cannot reach: the file itself.

use std::path::Path;
use std::sync::Arc;

use dataknobs_kv::{Config, KvStore};
use dataknobs_kv_example_adapter::LogStorage;

async fn open(path: &Path) -> dataknobs_kv::Result<KvStore> {
    KvStore::open_with(Config::from_storage(Arc::new(LogStorage::open(path).await?))).await
}

#[tokio::test]
async fn cut_off_at_any_byte_it_holds_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.log");
    let store = open(&path).await.unwrap();
    store.set("a", "first").await.unwrap();
    let one = std::fs::metadata(&path).unwrap().len() as usize;
    store.set("a", "second").metadata(dataknobs_kv::json!({"n": 1})).await.unwrap();
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    for length in one..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let store = open(&path).await.unwrap();
        assert_eq!(store.get("a").await.unwrap(), Some("first".into()), "cut off at {length}");
        store.set("b", 1).await.unwrap();
        drop(store);
        assert_eq!(open(&path).await.unwrap().keys("**").await.unwrap(), ["a", "b"], "cut off at {length}");
    }
    std::fs::write(&path, &whole[..10]).unwrap();
    assert!(open(&path).await.unwrap().keys("**").await.unwrap().is_empty(), "it was never begun");
}

#[tokio::test]
async fn damage_and_other_files_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.log");
    let store = open(&path).await.unwrap();
    store.set("a", "first").await.unwrap();
    store.set("b", "second").await.unwrap();
    let error = open(&path).await.unwrap_err();
    assert_eq!(error.code(), "unavailable", "one process at a time: {error}");
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60] ^= 1;
    for content in [bytes, b"my diary\n".to_vec()] {
        std::fs::write(&path, &content).unwrap();
        assert_eq!(open(&path).await.unwrap_err().code(), "corrupt");
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_log_of_old_lines_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.log");
    let store = open(&path).await.unwrap();
    for round in 0..1100 {
        store.set("a", round).await.unwrap();
    }
    let entry = store.entry("a").await.unwrap();
    drop(store);
    let before = std::fs::metadata(&path).unwrap().len();
    let store = open(&path).await.unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < before / 100);
    assert_eq!(store.entry("a").await.unwrap(), entry, "version and all");
    store.set("b", 1).await.unwrap();
    drop(store);
    assert_eq!(open(&path).await.unwrap().keys("**").await.unwrap(), ["a", "b"]);
}
