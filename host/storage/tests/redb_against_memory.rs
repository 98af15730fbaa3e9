//! Random operations on a redb file and on the reference storage side by side.

mod common;

use common::against_memory::compare;
use dataknobs_kv_core::Storage;
use dataknobs_kv_storage::{Durability, RedbConfig, RedbStorage};

const SEEDS: usize = 20;

#[tokio::test]
async fn a_redb_file_answers_as_the_reference_does() {
    for _ in 0..SEEDS {
        let folder = tempfile::tempdir().unwrap();
        let config = RedbConfig::new(folder.path().join("data.redb")).durability(Durability::Relaxed);
        compare(&move || {
            let config = config.clone();
            Box::pin(async move { Box::new(RedbStorage::open(config, true).await.unwrap()) as Box<dyn Storage> })
        })
        .await;
    }
}
